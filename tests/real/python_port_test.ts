/** SCHEMA=homeassistant against the integration's own Python, on states made at random. */
import fc from "fast-check";
import assert from "node:assert/strict";
import { readConfigFile } from "../../lib/settings/config_file.ts";
import { envelopeSchema } from "../../lib/contract.ts";
import { pythonFloat } from "../../lib/enrich/homeassistant/python.ts";
import { pythonLine } from "../../lib/enrich/homeassistant/python_line.ts";
import { schemaOf } from "../../lib/enrich/schema.ts";
import { TemporaryFolder } from "../temporary.ts";
import { availableVersions, type HomeAssistantVersion } from "./parts/home_assistant.ts";
import { Influxd, type Series } from "./parts/influxd.ts";
import { Influxd2 } from "./parts/influxd2.ts";
import { run } from "./parts/process.ts";
import { measured, realTest } from "./parts/real_test_case.ts";

const STATES = 4_000;
const SEED = 1;

const ALL_ENTITIES = ["sensor.a", "sensor.b_1", "light.a", "light.b_1", "fake.a", "fake.b_1"];

const CONFIGURATIONS: readonly object[] = [
  {},
  {
    measurement_attr: "domain__device_class",
    tags_attributes: ["friendly_name", "foo", "10"],
    tags: { source: "house, 1", domain: "own" },
    precision: "s",
    include: { domains: ["sensor"], entity_globs: ["*.b_*"] },
    exclude: { entities: ["light.b_1"], entity_globs: ["*.a"] },
  },
  {
    measurement_attr: "entity_id",
    ignore_attributes: ["foo", "value"],
    precision: "ms",
    tags: { "line\nbreak": "line\nbreak\n" },
    include: { entities: ["light.a", "sensor.a"] },
    exclude: { domains: ["light"], entities: ["sensor.a", "fake.a"], entity_globs: ["fake.[!a]*"] },
  },
  {
    default_measurement: "state",
    component_config: { "sensor.a": { override_measurement: "exact" } },
    component_config_glob: {
      "*.a": { override_measurement: "glob", ignore_attributes: ["foo"] },
      "*.?_?": { ignore_attributes: ["1"] },
    },
    component_config_domain: { sensor: { ignore_attributes: ["state"] } },
    exclude: { entities: ["fake.a"] },
  },
  {
    override_measurement: "over\nall",
    tags: { "back\\slash": "c:\\ d" },
    tags_attributes: ["unit_of_measurement", "1"],
  },
];
/** Case 5 of the filter: older versions than 2026.11 leave this entity of the third out. */
const LEFT_OUT_BEFORE = { configuration: 2, entityId: "sensor.a" } as const;

/**
 * Prints for each state what the integration and its clients for InfluxDB 1 and 2 make of it. What
 * versions before 2026.10 do not do yet, spaces for line breaks and `time_`, is done to their points.
 */
const ORACLE = `
import json, sys
from datetime import datetime
from types import SimpleNamespace
from homeassistant.components import influxdb
from homeassistant.components.influxdb import INFLUX_SCHEMA, _generate_event_to_json
from homeassistant.core import State
from influxdb import InfluxDBClient
from influxdb.line_protocol import make_lines
from influxdb_client import Point

def single_line(value):
    return " ".join(value.splitlines()) if isinstance(value, str) else value

def as_newer_versions(point):
    fields = {k: single_line(v) for k, v in point["fields"].items()}
    if "time" in fields:
        key = "time_"
        while key in fields:
            key += "_"
        fields[key] = fields.pop("time")
    tags = {k: single_line(v) for k, v in point["tags"].items()}
    point.update(measurement=single_line(point["measurement"]), tags=tags, fields=fields)

for precision in ("us", "ns"):
    try:
        InfluxDBClient().write_points([{"measurement": "m", "fields": {"f": 1.0}}], precision)
        raise SystemExit(f"its client for InfluxDB 1 writes with precision: {precision}")
    except ValueError:
        pass  # so the integration, which takes the option, never writes

configurations, *events = map(json.loads, open(sys.argv[1], encoding="utf-8"))
makers = [_generate_event_to_json(INFLUX_SCHEMA(dict(c))) for c in configurations]
for number, event in enumerate(events):
    n = number % len(makers)
    new = event["data"]["new_state"]
    state = State(new["entity_id"], new["state"], new["attributes"], validate_entity_id=False)
    fired = datetime.fromisoformat(event["time_fired"])
    point = makers[n](SimpleNamespace(data={"new_state": state}, time_fired=fired))
    if point is None:
        print("null")
        continue
    if not hasattr(influxdb, "_single_line"):
        as_newer_versions(point)
    precision = configurations[n].get("precision")
    line = make_lines({"points": [point]}, precision)[:-1] + {"s": "0" * 9, "ms": "0" * 6}.get(precision, "")
    point["time"] = int(line.rpartition(" ")[2])  # the client for InfluxDB 2 cuts inexactly
    print(json.dumps([line, Point.from_dict(point).to_line_protocol()]))
`;

// nothing is made here of what the port guards or hides (a last backslash), nor characters that are new in Unicode
const NAME_UNITS = [..."0123aef_.,:= é\t\n\r\"'%٣"];
const TEXT_UNITS = [
  ...NAME_UNITS,
  ..."456789+-EinfaN\v\f\x1c\x1d\x1e\x1f\u00a0\u0085\u2003\u2028\u2029\u200b３漢",
  "\r\n",
  "😀",
  "𝟘",
];

const anyText = fc.oneof(
  fc.string({ unit: fc.constantFrom(...TEXT_UNITS), maxLength: 10 }),
  fc.constantFrom("", "nan", "-Infinity", "1_000", "99 %", "12:34", "1,234.5 W", "192.168.1.10"),
);
const anyName = fc.oneof(
  fc.constantFrom("value", "state", "foo", "device_class", "unit_of_measurement", "friendly_name")
    .chain((name) => fc.constantFrom("", "_", "_str", "_str_").map((ending) => name + ending)),
  fc.constantFrom("time", "time_", "time__"),
  fc.constantFrom("0", "1", "10", "1_", "1_str", "__proto__", "constructor"),
  fc.string({ unit: fc.constantFrom(...NAME_UNITS), minLength: 1, maxLength: 6 }),
);
const anyNumber = fc.oneof(
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String).filter((text) => text !== "0"),
  fc.constantFrom("0", "1.0", "-0.0", "1e16", "1E-5", "9007199254740993", "1e999", "-1.50"),
);
const { value: anyJson } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    { weight: 3, arbitrary: anyText.map((text) => JSON.stringify(text)) },
    { weight: 3, arbitrary: anyNumber },
    fc.constantFrom("true", "false", "null"),
    fc.array(tie("value"), { maxLength: 4 }).map((items) => `[${items.join(", ")}]`),
    objectOf(tie("value")),
  ),
}));

function objectOf(value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.uniqueArray(fc.tuple(anyName, value), { maxLength: 6, selector: ([name]) => name })
    .map((all) => `{${all.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(",")}}`);
}

const anyState = fc.oneof(
  fc.constantFrom("on", "off", "locked", "open", "not_home", "unknown", "unavailable", "", "On"),
  anyText,
  anyNumber,
).filter((text) => Number.isFinite(pythonFloat(text) ?? 0));
const anyEvent = fc.tuple(
  fc.constantFrom(...ALL_ENTITIES),
  anyState,
  objectOf(anyJson),
  fc.integer({ min: 0, max: 999_999 }),
).map(([entityId, state, attributes, us]) => {
  const fired = `2026-11-23T17:24:35.${String(us).padStart(6, "0")}+00:00`;
  return `{"event_type":"state_changed","data":{"entity_id":"${entityId}","old_state":null,` +
    `"new_state":{"entity_id":"${entityId}","state":${JSON.stringify(state)},` +
    `"attributes":${attributes}}},"origin":"LOCAL","time_fired":"${fired}"}`;
});

function isNewest(version: HomeAssistantVersion): boolean {
  return version === "2026.11.0";
}

async function linesOfPython(version: HomeAssistantVersion, file: string): Promise<unknown[]> {
  const installed = await run([`${import.meta.dirname}/home-assistant/install.sh`, version]);
  const { code, stdout, stderr } = await run([
    `${installed.stdout.trim()}/bin/python3`,
    "-c",
    ORACLE,
    file,
  ]);
  assert.equal(code, 0, stderr);
  return stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
}

realTest(
  "SCHEMA=homeassistant writes the lines that the integration's own Python writes",
  async () => {
    using folder = new TemporaryFolder();
    const schemas = CONFIGURATIONS.map((configuration) => {
      // JSON is YAML
      Deno.writeTextFileSync(folder.file("influxdb.yaml"), JSON.stringify(configuration));
      const problems: string[] = [];
      const file = readConfigFile(folder.file("influxdb.yaml"), problems);
      assert.deepEqual(problems, []);
      return schemaOf({ schema: "homeassistant", attributes: "standard", file });
    });
    const events = fc.sample(anyEvent, { numRuns: STATES, seed: SEED });
    const ours = events.map((text, number) => {
      const enriched = schemas[number % schemas.length]?.(
        envelopeSchema.parse({ event: JSON.parse(text) }),
        () => text,
      );
      if (enriched?.kind !== "point") return null;
      return [pythonLine(enriched.point, 1), pythonLine(enriched.point, 2)];
    });
    const file = folder.file("events.jsonl");
    await Deno.writeTextFile(file, [JSON.stringify(CONFIGURATIONS), ...events].join("\n"));
    for (const version of await availableVersions()) {
      const theirs = await linesOfPython(version, file);
      assert.equal(theirs.length, events.length);
      for (const [number, text] of events.entries()) {
        const isLeftOut = !isNewest(version) &&
          number % CONFIGURATIONS.length === LEFT_OUT_BEFORE.configuration &&
          text.includes(`"entity_id":"${LEFT_OUT_BEFORE.entityId}"`);
        assert.deepEqual(
          theirs[number],
          isLeftOut ? null : ours[number],
          `state ${number}: ${text}`,
        );
      }
      const stored = theirs.filter((lines) => lines !== null).length;
      measured(`${stored} points of ${events.length} random states are those of ${version}`);
      assert.ok(stored > STATES / 3);
    }
  },
);

const hurtingText = fc.oneof(
  fc.constantFrom("__proto__"),
  fc.string({ unit: fc.constantFrom(...' ,=\\"\0\n\r\t#_nt', "😀"), maxLength: 6 }),
);
const hurtingPoint = fc.record({
  measurement: hurtingText.filter((name) => name !== ""),
  tags: fc.array(fc.tuple(hurtingText, hurtingText), { maxLength: 4 }),
  fields: fc.array(fc.tuple(hurtingText, fc.integer()), { maxLength: 4 }),
});

const exactText = hurtingText.filter((text) => /^[^\0\n\r\t]*[^\\\0\n\r\t]$/.test(text));

realTest(
  "pythonLine's lines are stored and given back by a real InfluxDB 1 and 2, whatever is in their names",
  async () => {
    await using influxd = await Influxd.start();
    await using influxd2 = await Influxd2.start(64);
    await influxd.createDatabase("hurting");
    const hurting = fc.sample(hurtingPoint, { numRuns: STATES, seed: SEED });
    const texts = fc.sample(exactText, { numRuns: STATES / 10, seed: SEED });
    const points = [
      ...hurting.map(({ measurement, tags, fields }) => ({
        measurement,
        tags,
        fields: [...fields, ["f", '"#,\\'] as const],
      })),
      ...texts.flatMap((text) =>
        [["t", text], [text, "t"]].map((tag) => ({
          measurement: "exact",
          tags: [tag],
          fields: [["f", '"#,\\'] as const],
        }))
      ),
    ];
    for (const version of [1, 2] as const) {
      const lines = points.map(({ measurement, tags, fields }, number) =>
        pythonLine({
          measurement,
          tags: new Map(tags.map(([name = "", value = ""]) => [name, value])),
          fields: new Map<string, number | string>(fields),
          timeNs: BigInt(number),
        }, version)
      ).join("\n");
      if (version === 1) await influxd.write("hurting", lines);
      else await influxd2.write(lines);
      const query = (influxql: string) =>
        version === 1 ? influxd.query(influxql, "hurting") : influxd2.query(influxql);
      const values = (await query('SELECT "f" FROM /.*/')).flatMap(({ values }) => values);
      assert.equal(new Set(values.map(([time]) => Number(time))).size, points.length);
      // the client for InfluxDB 1 doubles backslashes, and InfluxDB keeps each of them
      const doubled = (text: string) => version === 1 ? text.replaceAll("\\", "\\\\") : text;
      const told = (series: readonly Series[]) =>
        new Set(series.flatMap(({ values }) => values.map((row) => String(row.at(-1)))));
      const tags = told(await query('SHOW TAG VALUES FROM "exact" WITH KEY = "t"'));
      const keys = told(await query('SHOW TAG KEYS FROM "exact"'));
      for (const text of texts) {
        assert.ok(tags.has(doubled(text)), `${version}: ${JSON.stringify(text)} as a tag's value`);
        const key = version === 1 ? doubled(text) : text.replaceAll("\\ ", "\\_ ");
        assert.ok(keys.has(key), `${version}: ${JSON.stringify(text)} as a tag's name`);
      }
      measured(
        `${points.length} points with hurting names stored, as client ${version} writes them`,
      );
    }
  },
);
