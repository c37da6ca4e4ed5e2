/** SCHEMA=homeassistant against the integration's own Python, on states made at random. */
import fc from "fast-check";
import assert from "node:assert/strict";
import { readConfigFile } from "../../lib/settings/config_file.ts";
import { envelopeSchema } from "../../lib/contract.ts";
import { pythonFloat } from "../../lib/enrich/homeassistant/python.ts";
import { pythonLine } from "../../lib/enrich/homeassistant/python_line.ts";
import { schemaOf } from "../../lib/enrich/schema.ts";
import type { StorePoint } from "../../lib/enrich/store.ts";
import { TemporaryFolder } from "../temporary.ts";
import { availableVersions, type HomeAssistantVersion } from "./parts/home_assistant.ts";
import { keepsLineBreaks, spaced } from "./parts/line_breaks.ts";
import { Influxd } from "./parts/influxd.ts";
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
    include: { entities: ["light.a"] },
    exclude: { domains: ["light"], entity_globs: ["fake.[!a]*"] },
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
  { override_measurement: "over all", tags_attributes: ["unit_of_measurement", "1"] },
];

/** Prints for each state what the integration and its clients for InfluxDB 1 and 2 make of it. */
const ORACLE = `
import json, sys
from datetime import datetime
from types import SimpleNamespace
from homeassistant.components.influxdb import INFLUX_SCHEMA, _generate_event_to_json
from homeassistant.core import State
from influxdb.line_protocol import make_lines
from influxdb_client import Point

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
    precision = configurations[n].get("precision")
    line = make_lines({"points": [point]}, precision)[:-1] + {"s": "0" * 9, "ms": "0" * 6}.get(precision, "")
    point["time"] = int(line.rpartition(" ")[2])  # the client for InfluxDB 2 cuts inexactly
    print(json.dumps([line, Point.from_dict(point).to_line_protocol()]))
`;

// nothing is made here of what the port guards (backslashes) or hides, nor characters that are new in Unicode
const NAME_UNITS = [..."0123aef_.,:= é\t\n\r\"'%٣"];
const TEXT_UNITS = [...NAME_UNITS, ..."456789+-EinfaN\u00a0\u0085\u2003\u200b３漢", "😀", "𝟘"];

const anyText = fc.oneof(
  fc.string({ unit: fc.constantFrom(...TEXT_UNITS), maxLength: 10 }),
  fc.constantFrom("", "nan", "-Infinity", "1_000", "99 %", "12:34", "1,234.5 W", "192.168.1.10"),
);
const anyName = fc.oneof(
  fc.constantFrom("value", "state", "foo", "device_class", "unit_of_measurement", "friendly_name")
    .chain((name) => fc.constantFrom("", "_", "_str", "_str_").map((ending) => name + ending)),
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

/** As releases since 2026.10 write it. */
function spacedPoint(point: StorePoint): StorePoint {
  return {
    ...point,
    measurement: spaced(point.measurement),
    tags: new Map(Array.from(point.tags, ([key, value]) => [key, spaced(value)])),
    fields: new Map(
      Array.from(
        point.fields,
        ([key, value]) => [key, typeof value === "string" ? spaced(value) : value],
      ),
    ),
  };
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
    const points = events.map((text, number) => {
      const enriched = schemas[number % schemas.length]?.(
        envelopeSchema.parse({ event: JSON.parse(text) }),
        text,
      );
      return enriched?.kind === "point" ? enriched.point : null;
    });
    const file = folder.file("events.jsonl");
    await Deno.writeTextFile(file, [JSON.stringify(CONFIGURATIONS), ...events].join("\n"));
    for (const version of await availableVersions()) {
      const theirs = await linesOfPython(version, file);
      assert.equal(theirs.length, events.length);
      const ours = points.map((point) => {
        if (point === null) return null;
        const written = keepsLineBreaks(version) ? point : spacedPoint(point);
        return [pythonLine(written, 1), pythonLine(written, 2)];
      });
      for (const [number, text] of events.entries()) {
        assert.deepEqual(ours[number], theirs[number], `state ${number}: ${text}`);
      }
      const stored = theirs.filter((lines) => lines !== null).length;
      measured(`${stored} points of ${events.length} random states are those of ${version}`);
      assert.ok(stored > STATES / 3);
    }
  },
);

const hurtingText = fc.oneof(
  fc.constantFrom("time", "time_", "__proto__"),
  fc.string({ unit: fc.constantFrom(...' ,=\\"\0\n\r\t#_nt', "😀"), maxLength: 6 }),
);
const hurtingPoint = fc.record({
  measurement: hurtingText.filter((name) => name !== ""),
  tags: fc.array(fc.tuple(hurtingText, hurtingText), { maxLength: 4 }),
  fields: fc.array(fc.tuple(hurtingText, fc.integer()), { maxLength: 4 }),
});

realTest(
  "pythonLine's lines are stored and given back by a real InfluxDB, whatever is in their names",
  async () => {
    await using influxd = await Influxd.start();
    const points = fc.sample(hurtingPoint, { numRuns: STATES, seed: SEED });
    for (const version of [1, 2] as const) {
      const database = `as_${version}`;
      await influxd.createDatabase(database);
      const lines = points.map(({ measurement, tags, fields }, number) =>
        pythonLine({
          measurement,
          tags: new Map(tags),
          fields: new Map<string, number | string>([...fields, ["f", '"#,\\']]),
          timeNs: BigInt(number),
        }, version)
      );
      const response = await fetch(`${influxd.url}/write?db=${database}`, {
        method: "POST",
        body: lines.join("\n"),
      });
      assert.equal(await response.text(), "");
      const series = await influxd.query('SELECT "f" FROM /.*/', database);
      const given = series.flatMap(({ values }) => values.map(([time]) => Number(time)));
      assert.equal(new Set(given).size, lines.length);
      measured(
        `${lines.length} points with hurting names stored, as client ${version} writes them`,
      );
    }
  },
);
