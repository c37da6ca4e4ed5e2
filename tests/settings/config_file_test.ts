import assert from "node:assert/strict";
import fc from "fast-check";
import { schemaOf } from "../../lib/enrich/schema.ts";
import { fileNotes, readConfigFile } from "../../lib/settings/config_file.ts";
import { NO_FILE } from "../../lib/settings/file_options.ts";
import { enrichSettings } from "../../lib/settings/enrich_settings.ts";
import { ConfigError } from "../../lib/settings/settings_reader.ts";
import { TemporaryFolder } from "../temporary.ts";

function read(yaml: string) {
  using folder = new TemporaryFolder();
  const path = folder.file("influxdb.yaml");
  Deno.writeTextFileSync(path, yaml);
  const problems: string[] = [];
  return { file: readConfigFile(path, problems), problems };
}

/** What is told of each of these lines, each in a file of its own. */
function problemsOf(...lines: string[]): string[] {
  return lines.flatMap((line) => read(line).problems);
}

Deno.test("readConfigFile takes every option of the integration, under its own name", () => {
  const { file, problems } = read(`
influxdb:
  api_version: 2
  host: influx.local
  port: "8087"
  ssl: on
  verify_ssl: yes
  ssl_ca_cert: ca.pem
  path: /influx
  database: db
  username: me
  password: 12345
  token: abc
  organization: home
  bucket: house
  precision: ms
  max_retries: 3
  measurement_attr: domain__device_class
  default_measurement: state
  override_measurement: all
  tags: {house: main, floor: 1, yes: true, version: 1.0}
  tags_attributes: friendly_name
  ignore_attributes: [icon, assumed_state]
  include:
    domains: sensor
    entities: Light.Kitchen, switch.fan
    entity_globs: ["sensor.*_power"]
  exclude:
    entities: [sensor.noise]
    event_types: [tag_scanned, "telegram_*"]
  component_config:
    sensor.Humidity: {override_measurement: humidity, ignore_attributes: x}
  component_config_glob:
    "binary_sensor.*motion": {override_measurement: motion}
  component_config_domain:
    climate: {override_measurement: hvac}
`);
  assert.deepEqual(problems, []);
  assert.deepEqual(file.options, {
    api_version: "2",
    host: "influx.local",
    port: 8087,
    ssl: true,
    verify_ssl: true,
    ssl_ca_cert: "ca.pem",
    path: "/influx",
    database: "db",
    username: "me",
    password: "12345",
    token: "abc",
    organization: "home",
    bucket: "house",
    precision: "ms",
    max_retries: 3,
    measurement_attr: "domain__device_class",
    default_measurement: "state",
    override_measurement: "all",
    tags: new Map([["house", "main"], ["floor", "1"], ["True", "True"], ["version", "1.0"]]),
    tags_attributes: ["friendly_name"],
    ignore_attributes: ["icon", "assumed_state"],
    include: {
      domains: ["sensor"],
      entities: ["light.kitchen", "switch.fan"],
      entity_globs: ["sensor.*_power"],
      event_types: [],
    },
    exclude: {
      domains: [],
      entities: ["sensor.noise"],
      entity_globs: [],
      event_types: ["tag_scanned", "telegram_*"],
    },
    attributes: { include: [], exclude: [] },
    component_config: new Map([
      ["sensor.humidity", { override_measurement: "humidity", ignore_attributes: ["x"] }],
    ]),
    component_config_glob: new Map([["binary_sensor.*motion", { override_measurement: "motion" }]]),
    component_config_domain: new Map([["climate", { override_measurement: "hvac" }]]),
  });
});

Deno.test("readConfigFile takes a block that is empty, or has nothing but empty ones", () => {
  for (const yaml of ["", "influxdb:\n", "influxdb:\n  include:\n  tags:\n", "exclude:\n"]) {
    const { file, problems } = read(yaml);
    assert.deepEqual(problems, []);
    assert.deepEqual(file.options, NO_FILE);
  }
});

Deno.test("readConfigFile names what is no option, and the nearest that is", () => {
  assert.deepEqual(
    problemsOf(
      "hosts: a",
      "include: {entity_glob: a, domains: b}",
      "component_config: {sensor.a: {overide_measurement: b}}",
      "influxbd:\n  include: {domains: b}",
    ),
    [
      "influxdb.yaml has no influxdb: in it, and none of that block's options",
      "influxdb.yaml, line 1: include: entity_glob is no option; did you mean entity_globs?",
      "influxdb.yaml, line 1: component_config: sensor.a: overide_measurement is no option; did you mean override_measurement?",
      "influxdb.yaml has no influxdb: in it, and none of that block's options",
    ],
  );
  assert.deepEqual(
    problemsOf("include:\ndomains: a", "port: 1\nentities: []"),
    [
      "influxdb.yaml, line 2: domains is no option here: indent it under include or exclude",
      "influxdb.yaml, line 2: entities is no option here: indent it under include or exclude",
    ],
  );
  assert.deepEqual(problemsOf("host: a\nmeasurment_attr: entity_id"), [
    "influxdb.yaml, line 2: measurment_attr is no option; did you mean measurement_attr?",
  ]);
});

Deno.test("readConfigFile says by name what an option must be, and shows no value", () => {
  const problems = problemsOf(
    "api_version: 3",
    "port: 808611",
    "ssl: perhaps",
    "precision: m",
    "max_retries: -1",
    "measurement_attr: unit",
    "password: [s3cret]",
    "include: {entities: [kitchen]}",
    "component_config: {kitchen: {}}",
    "tags: {~: a}",
    "influxdb: [a]",
  );
  assert.deepEqual(problems.map((text) => text.replace("influxdb.yaml, line 1: ", "")), [
    "api_version must be 1 or 2",
    "port must be a port, from 1 to 65535",
    "ssl must be true or false",
    "precision must be one of ms, s, us, ns",
    "max_retries must not be negative",
    "measurement_attr must be one of unit_of_measurement, domain__device_class, entity_id",
    "password must be a text",
    "include: entities: entry 1 must be an entity id, for example sensor.kitchen",
    "component_config: kitchen must be an entity id, for example sensor.kitchen",
    "tags: … must have a name before the colon",
    "this must be a block of options",
  ]);
});

Deno.test("readConfigFile says by what states, names and statistics are filtered", () => {
  for (const type of ["state_changed", "state_snapshot", "entity_info", "statistics"]) {
    for (const list of ["include", "exclude"]) {
      assert.deepEqual(problemsOf(`${list}: {event_types: [tag_scanned, ${type}]}`), [
        `influxdb.yaml, line 1: ${list}: event_types: entry 2 must not be a state, a name or a statistic ` +
        "(state_changed, state_snapshot, entity_info, statistics): domains, entities and " +
        "entity_globs filter these",
      ]);
    }
  }
  assert.deepEqual(
    problemsOf("include: {event_types: [state_reported, 'state_*', statistics_x]}"),
    [],
  );
  assert.match(problemsOf("include: {event_types: ['']}")[0] ?? "", /must have a name/);
  for (
    const [value, wish] of [
      ["5", /event_types: entry 1 must be an event type, or a glob of some, in quotes$/],
      ["[a, true]", /event_types: entry 2 must be an event type, or a glob of some, in quotes$/],
      ["[a, 'b,c']", /event_types: entry 2 must be one event type: make a list of several$/],
      [`["a\\nb"]`, /event_types: entry 1 must be one event type/],
      ["a".repeat(65), /event_types: entry 1 .* at most 64 characters$/],
    ] as const
  ) {
    assert.match(problemsOf(`include: {event_types: ${value}}`)[0] ?? "", wish, value);
  }
});

Deno.test("readConfigFile names the option that is empty, and the line", () => {
  const scalars = ["host", "port", "ssl", "path", "password", "api_version", "precision"];
  for (const option of [...scalars, "max_retries", "default_measurement"]) {
    assert.deepEqual(problemsOf(`database: a\n${option}: # none\n`), [
      `influxdb.yaml, line 2: ${option} is empty: give it a value, in quotes where it begins with # or &, or leave it out`,
    ]);
  }
  assert.match(problemsOf("tags: {a: }")[0] ?? "", /line 1: tags: a is empty/);
  assert.match(
    problemsOf("include:\n  domains:\n  - a\n  -\n")[0] ?? "",
    /line 4: .*entry 2 is empty/,
  );
});

Deno.test("readConfigFile takes no port and no host but those that there can be", () => {
  for (const port of ["''", "0", "65536", "true", "80.5", "[80]", "'0x50'", ".inf", ".nan", "-1"]) {
    assert.match(problemsOf(`port: ${port}`)[0] ?? "", /^influxdb\.yaml, line 1: port must /, port);
  }
  for (const port of ["80", "'80'", "' 80 '", "80.0", "8_0", "0x50", "1:20"]) {
    assert.equal(read(`port: ${port}`).file.options.port, 80, port);
  }
  for (const host of ["192.168.1.300", "'[:::1]'", "xn--a", "1.2.3.4.5", "0x100000000"]) {
    assert.match(
      problemsOf(`port: 1\nhost: ${host}`)[0] ?? "",
      /^influxdb\.yaml, line 2: host /,
      host,
    );
  }
  for (const host of ["192.168.1.30", "'[::1]'", "xn--nxasmq6b", "a_b.local"]) {
    assert.deepEqual(problemsOf(`host: ${host}`), []);
  }
});

Deno.test("readConfigFile loses no digit of a password, and wants quotes where YAML would change it", () => {
  const big = "12345678901234567890";
  assert.equal(read(`password: ${big}`).file.options.password, big);
  assert.equal(read(`token: -${big}`).file.options.token, `-${big}`);
  assert.equal(read(`tags: {a: ${big}, b: 0x${big}}`).file.options.tags.get("a"), big);
  for (
    const value of ["0123", "1_000", "0x1F", "12:30:45", "1.10", "+5", "yes", ".inf", "1.0e+9"]
  ) {
    for (const option of ["password", "token"]) {
      assert.deepEqual(problemsOf(`${option}: ${value}`), [
        `influxdb.yaml, line 1: ${option} is a number or a word that YAML makes another text of: quote it`,
      ]);
      assert.equal(read(`${option}: '${value}'`).file.options[option as "token"], value);
    }
    // elsewhere it is what Home Assistant makes of it
    assert.deepEqual(problemsOf(`database: ${value}`), []);
  }
  assert.equal(read("database: 0123").file.options.database, "83");
  for (const value of ["1e3", "2024-01-01", "08", "True", "1.5"]) {
    assert.equal(read(`password: ${value}`).file.options.password, value);
  }
  assert.match(problemsOf("password: |\n  a\n  b\n")[0] ?? "", /password must be one line/);
  assert.match(problemsOf("token: a b")[0] ?? "", /token must not hold a space/);
});

Deno.test("readConfigFile shows a value that took the place of a name no more than a value", () => {
  const [problem = ""] = problemsOf("{host: a, password:s3cret}");
  assert.match(problem, /line 1: password… is no option; did you mean password\?/);
  for (const name of ["? [s3cret]", "? {a: s3cret}", "?"]) {
    assert.match(
      problemsOf(`host: a\n${name}\n: s3cret`)[0] ?? "",
      /line \d: … is no option/,
      name,
    );
  }
});

Deno.test("readConfigFile tells twenty faults, and how many more there are", () => {
  const problems = problemsOf(`host: a\ntags_attributes: [${"[], ".repeat(50)}]`);
  assert.equal(problems.length, 21);
  assert.equal(problems.at(-1), "influxdb.yaml has 30 more faults than these");
});

Deno.test("fileNotes tells what an option does not do here", () => {
  const { file } = read(
    "precision: s\ntags: {a: b}\nmax_retries: 3\ndatabase: x\n" +
      "component_config_domain: {light: {override_measurement: l, attributes: {include: x}}}\n",
  );
  assert.deepEqual(fileNotes(file, "tidy", false), [
    "influxdb.yaml: with SCHEMA=tidy these options do nothing: precision, tags, " +
    "override_measurement in component_config_domain",
    "influxdb.yaml: max_retries is not needed: what InfluxDB does not take is kept, and tried without end",
    "influxdb.yaml names no host, nor does INFLUXDB_URL: with SCHEMA=tidy events go to the local store",
  ]);
  assert.deepEqual(fileNotes(file, "homeassistant", true).slice(0, 1), [
    "influxdb.yaml: with SCHEMA=homeassistant these options do nothing: attributes in component_config_domain",
  ]);
  assert.deepEqual(fileNotes(read("exclude: {domains: sun}").file, "tidy", false), []);
  const events = read("include: {event_types: a}\nexclude: {event_types: b}").file;
  assert.deepEqual(fileNotes(events, "tidy", false), []);
  assert.deepEqual(fileNotes(events, "homeassistant", true), [
    "influxdb.yaml: with SCHEMA=homeassistant these options do nothing: event_types in include, " +
    "event_types in exclude",
  ]);
});

Deno.test("A whole configuration without the block has the integration's defaults, and a note that says so", () => {
  const { file, problems } = read("default_config:\nautomation: !include automations.yaml\n");
  assert.deepEqual([file.options, problems], [NO_FILE, []]);
  assert.match(
    fileNotes(file, "homeassistant", true)[0] ?? "",
    /^influxdb\.yaml has no influxdb: in it, so that all entities are kept/,
  );
});

/** A password, wherever it stands: no problem may hold it. */
const SECRET = "s3cretValue";

/** What a person, an editor or a mistake may leave in a file, piece by piece. */
const pieces = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("\n", "\n  ", "\n    ", " ", ": ", "- ", "\r\n") },
  {
    weight: 3,
    arbitrary: fc.constantFrom(...Object.keys(NO_FILE), "host", "password", "port", "token"),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...[
        "influxdb:\n  ",
        "domains: ",
        "sensor.a: ",
        "api_version: 2\n",
        "host: a\n",
        "database: b\n",
      ],
      ...[
        "username: u\n",
        "port: 80\n",
        "path: ",
        "192.168.1.300",
        "[::1]",
        "xn--a",
        "%zz",
        "a..b",
      ],
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...[
        "*",
        "*a ",
        "&a ",
        "!",
        "!!",
        "<<: ",
        "<<: *a",
        "? ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "|",
        ">",
        "'",
      ],
      ...[
        '"',
        "#",
        "%",
        "@",
        "`",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "\t",
        "\0",
        "\ufeff",
        "\ud800",
        "\\",
      ],
      ...[
        "!include b.yaml",
        "!include influxdb.yaml",
        "!secret a",
        "!env_var A",
        "!!binary ",
        "!!set ",
      ],
      ...[
        "!!str ",
        "!!int ",
        "!!omap ",
        "!!merge ",
        "~",
        "null",
        "yes",
        ".inf",
        ".nan",
        "1e3",
        "0x1F",
      ],
      ...[
        "0123",
        "12:30:45",
        "1.10",
        "12345678901234567890",
        "2024-02-30",
        "__proto__",
        "constructor",
      ],
      ...["'*[!a-'", "'[]'", "'**?'"],
    ),
  },
  { weight: 2, arbitrary: fc.constantFrom("password: ", "token: ").map((name) => `\n${name}`) },
  { weight: 1, arbitrary: fc.string({ unit: "binary" }) },
);
/** Such a text, with a password in it that begins with any sign. */
const fileTexts = fc.oneof(
  fc.array(pieces, { maxLength: 30 }).map((parts) => parts.join("")),
  fc.tuple(
    fc.array(pieces, { maxLength: 8 }),
    fc.constantFrom("password: ", "token: "),
    fc.constantFrom("", ..."*!&@%|>{['\"#`?-", "!!", '"\\', "!<", "a: ", "- "),
    fc.array(pieces, { maxLength: 8 }),
  ).map(([before, name, sign, after]) =>
    `host: a\nusername: u\n${before.join("")}\n${name}${sign}${SECRET}\n${after.join("")}`
  ),
);

Deno.test("Whatever the files hold, there are settings to work with, or problems that tell file and wish", () => {
  using folder = new TemporaryFolder();
  const outcomes = { settings: 0, problems: 0 };
  const property = fc.property(
    fc.record({ "influxdb.yaml": fileTexts, "b.yaml": fileTexts, "secrets.yaml": fileTexts }),
    fc.constantFrom("tidy", "homeassistant"),
    (files, SCHEMA) => {
      for (const [name, text] of Object.entries(files)) {
        Deno.writeTextFileSync(folder.file(name), text);
      }
      try {
        const CONFIG_FILE = folder.file("influxdb.yaml");
        const { settings } = enrichSettings({ SCHEMA, CONFIG_FILE });
        schemaOf(settings);
        settings.influxdb?.token?.();
        settings.influxdb?.password?.();
        if (settings.influxdb) new URL(settings.influxdb.url);
        outcomes.settings++;
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        outcomes.problems++;
        assert.ok(error.problems.length <= 30);
        for (const problem of error.problems) {
          assert.match(
            problem,
            /^(?:influxdb|b|secrets)\.yaml(?:, line \d+(?:: | is no YAML: | holds | names no host)| has | cannot )|^INFLUXDB_/,
          );
          // a name may be shown, and nothing else
          assert.ok(
            !problem.includes(SECRET) || /!(?:secret|include) |: s3cretValue is no/.test(problem),
            problem,
          );
        }
      }
    },
  );
  fc.assert(property, { numRuns: 1_500 });
  assert.ok(Math.min(outcomes.settings, outcomes.problems) > 25, JSON.stringify(outcomes));
});
