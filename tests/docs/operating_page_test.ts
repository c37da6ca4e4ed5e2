import assert from "node:assert/strict";
import { parse } from "yaml";
import * as z from "zod";
import { codeSpans, page, tablesUnder } from "./markdown.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { TemporaryFolder } from "../temporary.ts";
import { startEnrich, startIngest } from "../whole_programs.ts";

const { text } = page("docs/operating.md");

const rulesSchema = z.strictObject({
  groups: z.array(z.strictObject({
    name: z.string(),
    rules: z.array(z.strictObject({
      alert: z.string(),
      expr: z.string(),
      for: z.string().regex(/^\d+m$/).optional(),
      labels: z.record(z.string(), z.string()).optional(),
      annotations: z.strictObject({ summary: z.string(), description: z.string() }),
    })),
  })),
});

const scrapeSchema = z.strictObject({
  rule_files: z.tuple([z.literal("alerts.yaml")]),
  scrape_configs: z.tuple([z.strictObject({
    job_name: z.string(),
    authorization: z.strictObject({ credentials_file: z.string() }),
    static_configs: z.tuple([z.strictObject({ targets: z.array(z.string()) })]),
  })]),
});

/** The types of all metrics that the two programs serve, by name. */
async function served(): Promise<ReadonlyMap<string, string>> {
  using folder = new TemporaryFolder();
  Deno.writeTextFileSync(
    folder.file("influxdb.yaml"),
    "influxdb:\n  include:\n    domains: light\n",
  );
  await using hass = new SimulatedHomeAssistant({ recorder: false }).start();
  await using enrich = await startEnrich({
    DATA_DIR: folder.path,
    CONFIG_FILE: folder.file("influxdb.yaml"),
  });
  await using ingest = await startIngest({
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    DATA_DIR: folder.path,
    ENRICHMENT_SERVICE_URL: enrich.url,
  });
  const texts = [
    await (await ingest.get("/metrics")).text(),
    await (await enrich.get("/metrics")).text(),
  ].join("");
  return new Map(
    [...texts.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = "", type = ""]) => [name, type]),
  );
}

function rules() {
  const file = new URL("../../etc/prometheus/alerts.yaml", import.meta.url);
  return rulesSchema.parse(parse(Deno.readTextFileSync(file))).groups
    .flatMap(({ rules }) => rules);
}

Deno.test("docs/operating.md names every metric that is served, and no other", async () => {
  const tables = tablesUnder(text, "Metrics").flatMap((rows) =>
    rows.slice(1).map(([name = ""]) => codeSpans(name)[0]?.replace(/\{\w+\}$/, ""))
  );
  const ofProcess = [...text.matchAll(/`(process_\w+)`/g)].map(([, name]) => name);
  assert.deepEqual([...tables, ...ofProcess].sort(), [...(await served()).keys()].sort());
});

Deno.test("The alert rules ask for metrics that are served, for each as what it is", async () => {
  const metrics = await served();
  const all = rules();
  for (const { alert, expr } of all) {
    const names = [...expr.matchAll(/\b(?:ingest|enrich)_\w+/g)].map(([name]) => name);
    for (const name of names) assert.ok(metrics.has(name), `${alert}: ${name} is not served`);
    for (const [, name = ""] of expr.matchAll(/increase\((\w+)/g)) {
      assert.equal(metrics.get(name), "counter", `${alert}: ${name}`);
    }
    assert.equal(
      [...expr].filter((c) => c === "(").length,
      [...expr].filter((c) => c === ")").length,
    );
    assert.ok(names.length > 0 || /^up\{/.test(expr), alert);
  }
  assert.equal(new Set(all.map(({ alert }) => alert)).size, all.length);
});

Deno.test("The scrape configuration of docs/operating.md has the job that the rules ask for", () => {
  const [, yaml = ""] = /```yaml\n([^]*?)```/.exec(text) ?? [];
  const { scrape_configs: [{ job_name: job }] } = scrapeSchema.parse(parse(yaml));
  const asked = rules().flatMap(({ expr }) => [...expr.matchAll(/job="([^"]*)"/g)])
    .map(([, name]) => name);
  assert.deepEqual(asked, [job]);
});

Deno.test("States that the recorder lost are an alert, those that a person chose to leave out are none, and docs/operating.md explains both", () => {
  const { expr = "" } = rules().find(({ alert }) => alert === "HaIngestorUnfilled") ?? {};
  const counted = [
    ...expr.matchAll(/ingest_gap_unfilled_total(?:\{reason!~"([^"]*)"\})?( offset)?/g),
  ]
    .filter(([, , offset]) => offset === undefined);
  assert.equal(counted.length, 2, "a reason that is new, and one that has grown");
  const alerts = (reason: string) =>
    counted.map(([, left]) => left === undefined || !new RegExp(`^(?:${left})$`).test(reason));
  const explained = tablesUnder(text, "What cannot be filled in")
    .flatMap((rows) => rows.slice(1).map(([reason = ""]) => reason.replaceAll("`", "")));
  for (const reason of ["lost by the recorder", "older than the recorder keeps"]) {
    assert.deepEqual(alerts(reason), [true, true], reason);
    assert.ok(explained.includes(reason), reason);
  }
  assert.deepEqual(alerts("Invalid entity_ids"), [true, true]);
  for (const reason of ["not recorded", "renamed"]) {
    assert.deepEqual(alerts(reason), [false, false], reason);
    assert.ok(explained.includes(reason), reason);
  }
});

Deno.test("States that wait for the recorder for half a day are an alert, and a recorder that has stopped is one", () => {
  const of = (name: string) => rules().find(({ alert }) => alert === name);
  const waits = of("HaIngestorFillingWaits");
  assert.equal(waits?.expr, "ingest_gap_waiting_entities > 0");
  assert.equal(waits?.for, `${12 * 60}m`);
  assert.equal(of("HaIngestorRecorderStopped")?.expr, "ingest_recorder_recording == 0");
});
