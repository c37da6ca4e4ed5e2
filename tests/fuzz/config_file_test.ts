import fc from "fast-check";
import assert from "node:assert/strict";
import { readConfigFile } from "../../lib/settings/config_file.ts";
import { TemporaryFolder } from "../temporary.ts";
import { runs, SEED, spoilt } from "./fuzz_runs.ts";

/** What may be wrong with one file is said within this time, also on a busy machine. */
const LIMIT_MS = 10_000;

const aliasBomb = ["a: &a0 [x, x, x, x, x, x, x, x, x, x]"]
  .concat(Array.from({ length: 9 }, (_, i) => `b${i}: &a${i + 1} [${`*a${i},`.repeat(9)} *a${i}]`))
  .join("\n");
const mergeBomb = ["a: &a0 {x: 1}"]
  .concat(Array.from({ length: 30 }, (_, i) => `b${i}: &a${i + 1} {<<: [*a${i}, *a${i}]}`))
  .join("\n");

const HOSTILE: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>> = {
  "a bomb of aliases": aliasBomb,
  "a bomb of merges": mergeBomb,
  "an alias of itself": "influxdb: &a\n  tags: *a\n",
  "a merge of itself": "influxdb: &a\n  <<: *a\n",
  "10,000 lists": `influxdb: ${"[".repeat(10_000)}${"]".repeat(10_000)}`,
  "10,000 maps": `influxdb: ${"{a: ".repeat(10_000)}1${"}".repeat(10_000)}`,
  "10,000 that do not end": `influxdb: ${"[".repeat(10_000)}`,
  "10,000 lists in lists": "- ".repeat(10_000),
  "a million colons": ": ".repeat(500_000),
  "a tag of Python": "influxdb: !!python/object/apply:os.system ['id']\n",
  "an include of itself": "influxdb: !include influxdb.yaml\n",
  "an include of something else": "influxdb: !include /etc/passwd\n",
  "a long name": `influxdb:\n  ${"x".repeat(500_000)}: 1\n`,
  "two megabytes": `influxdb:\n  host: ${"x".repeat(2_000_000)}\n`,
  "many files in one": "---\n".repeat(100_000),
  "NUL": "influxdb:\n  host: a\0b\n",
  "no UTF-8": Uint8Array.from([0x69, 0x3a, 0x20, 0xff, 0xfe]),
  "UTF-16": Uint8Array.from([0xff, 0xfe, 0x69, 0, 0x3a, 0]),
};

function problemsOf(content: string | Uint8Array<ArrayBuffer>): readonly string[] {
  using folder = new TemporaryFolder();
  const path = folder.file("influxdb.yaml");
  if (typeof content === "string") Deno.writeTextFileSync(path, content);
  else Deno.writeFileSync(path, content);
  const problems: string[] = [];
  readConfigFile(path, problems);
  return problems;
}

Deno.test("A file that nobody should write is refused in time, in sentences that name it", () => {
  for (const [says, content] of Object.entries(HOSTILE)) {
    const beganMs = performance.now();
    const problems = problemsOf(content);
    const tookMs = performance.now() - beganMs;
    assert.ok(tookMs < LIMIT_MS, `${says}: ${tookMs} ms`);
    assert.ok(problems.length > 0, says);
    for (const problem of problems) {
      assert.match(problem, /influxdb\.yaml|CONFIG_FILE|passwd/, says);
      assert.doesNotMatch(problem, /root:/, "what else is on the disk");
      assert.ok(problem.length < 1_000, `${says}: ${problem.length} characters`);
    }
  }
});

const YAML = `
influxdb:
  api_version: 1
  host: influx.local
  port: 8086
  ssl: true
  tags: &tags {house: main, floor: 1, when: 2026-01-01, octal: 010, half: .5}
  tags_attributes: [friendly_name, "quoted \\u00e9", 'it''s']
  include: {domains: [sensor], entity_globs: ["sensor.*_power"]}
  component_config_glob:
    sensor.*:
      override_measurement: |
        some text
      <<: *tags
`;

Deno.test(`Whatever stands in CONFIG_FILE, it is read or refused, and nothing throws (seed ${SEED})`, () => {
  fc.assert(
    fc.property(
      fc.oneof(spoilt(spoilt(fc.constant(YAML))), fc.string({ unit: "binary" })),
      (content) => {
        const beganMs = performance.now();
        problemsOf(content);
        assert.ok(performance.now() - beganMs < LIMIT_MS);
      },
    ),
    runs(300),
  );
});
