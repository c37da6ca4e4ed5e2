import assert from "node:assert/strict";
import { envelopeSchema } from "../../lib/contract.ts";
import { readConfigFile } from "../../lib/settings/config_file.ts";
import { schemaOf } from "../../lib/enrich/schema.ts";
import { TemporaryFolder } from "../temporary.ts";
import { FIRED, stateOf } from "./tidy/tidied.ts";

/** What becomes of events by SCHEMA and the file. */
function enriching(yaml: string, schema: "tidy" | "homeassistant" = "tidy") {
  using folder = new TemporaryFolder();
  Deno.writeTextFileSync(folder.file("influxdb.yaml"), yaml);
  const problems: string[] = [];
  const file = readConfigFile(folder.file("influxdb.yaml"), problems);
  assert.deepEqual(problems, []);
  const enrich = schemaOf({ schema, attributes: "standard", file });
  return (event: object) => {
    const text = JSON.stringify({ time_fired: FIRED, origin: "LOCAL", data: {}, ...event });
    return enrich(envelopeSchema.parse({ event: JSON.parse(text) }), () => text);
  };
}

function state(entityId: string, attributes: object = {}, text = "21.5") {
  return {
    event_type: "state_changed",
    data: { entity_id: entityId, old_state: null, new_state: stateOf(entityId, text, attributes) },
  };
}

function fieldNames(enriched: ReturnType<ReturnType<typeof enriching>>): string[] {
  assert.equal(enriched.kind, "point");
  return enriched.kind === "point" ? [...enriched.point.fields.keys()] : [];
}

Deno.test("schemaOf filters whatever is about an entity: states, snapshots, registry, statistics, services", () => {
  const enrich = enriching("exclude: {domains: light, entity_globs: 'sensor.secret_*'}");
  const about = (entity_id: unknown) => [
    {
      event_type: "state_snapshot",
      data: { entity_id, new_state: stateOf(String(entity_id), "1") },
    },
    { event_type: "entity_info", data: { entity_id } },
    {
      event_type: "statistics",
      data: { statistic_id: entity_id, entity_id, start: FIRED, mean: 1 },
    },
    { event_type: "call_service", data: { service_data: { entity_id } } },
    { event_type: "call_service", data: { target: { entity_id: [entity_id] } } },
    state(String(entity_id)),
  ];
  for (const event of [...about("light.bed"), ...about("sensor.secret_code")]) {
    assert.deepEqual(enrich(event), { kind: "skipped", reason: "filter" }, JSON.stringify(event));
  }
  for (const event of about("sensor.kitchen")) assert.equal(enrich(event).kind, "point");
});

Deno.test("schemaOf keeps an event that is about no entity, or about one that passes", () => {
  const enrich = enriching("include: {domains: sensor}");
  assert.equal(enrich({ event_type: "homeassistant_start" }).kind, "point");
  const several = { event_type: "x", data: { entity_id: ["light.a", "sensor.b"] } };
  assert.equal(enrich(several).kind, "point");
  assert.equal(enrich({ event_type: "x", data: { entity_id: ["light.a"] } }).kind, "skipped");
  const external = { statistic_id: "energy:grid", start: FIRED, sum: 1 };
  assert.equal(enrich({ event_type: "statistics", data: external }).kind, "point");
});

/** The event types of `tried` that the file keeps. */
function keptTypes(yaml: string, tried: readonly string[]): string[] {
  const enrich = enriching(yaml);
  return tried.filter((event_type) => {
    const enriched = enrich({ event_type });
    if (enriched.kind === "point") return true;
    assert.deepEqual(enriched, { kind: "skipped", reason: "filter" });
    return false;
  });
}

Deno.test("schemaOf filters events by event_types, by the rules that hold for entities", () => {
  const tried = ["tag_scanned", "telegram_text", "telegram_sent", "call_service", "my_event"];
  const rows: [string, string[]][] = [
    ["", tried],
    // only what to leave out, or only what to keep
    ["exclude: {event_types: tag_scanned}", tried.slice(1)],
    [
      "exclude: {event_types: ['telegram_*', tag_scanned]}",
      ["call_service", "my_event"],
    ],
    ["include: {event_types: [my_event, 'telegram_*']}", [
      "telegram_text",
      "telegram_sent",
      "my_event",
    ]],
    // both: the exact name goes first, then what is to be kept
    [
      "{include: {event_types: ['telegram_*', tag_scanned]}, exclude: {event_types: telegram_text}}",
      ["tag_scanned", "telegram_sent"],
    ],
    [
      "{include: {event_types: telegram_text}, exclude: {event_types: 'telegram_*'}}",
      ["tag_scanned", "telegram_text", "call_service", "my_event"],
    ],
    ["{include: {event_types: my_event}, exclude: {event_types: tag_scanned}}", ["my_event"]],
    // lists of entities say nothing about events of none
    ["include: {domains: sensor}", tried],
    ["{include: {domains: sensor}, exclude: {event_types: 't*'}}", ["call_service", "my_event"]],
  ];
  for (const [yaml, kept] of rows) assert.deepEqual(keptTypes(yaml, tried), kept, yaml);
});

Deno.test("schemaOf filters no state, name or statistic by event_types, but an event of an entity by both", () => {
  const enrich = enriching("{include: {domains: sensor}, exclude: {event_types: '*'}}");
  const of = (entity_id: string) => [
    state(entity_id),
    { event_type: "state_snapshot", data: { entity_id, new_state: stateOf(entity_id, "1") } },
    { event_type: "entity_info", data: { entity_id } },
    {
      event_type: "statistics",
      data: { statistic_id: entity_id, entity_id, start: FIRED, mean: 1 },
    },
  ];
  for (const event of of("sensor.a")) assert.equal(enrich(event).kind, "point", event.event_type);
  for (const event of of("light.a")) assert.equal(enrich(event).kind, "skipped", event.event_type);
  const event = (event_type: string, entity_id: string) => ({ event_type, data: { entity_id } });
  const some = enriching("{include: {domains: sensor}, exclude: {event_types: noise}}");
  assert.equal(some(event("x", "sensor.a")).kind, "point");
  assert.equal(some(event("noise", "sensor.a")).kind, "skipped");
  assert.equal(some(event("x", "light.a")).kind, "skipped");
});

Deno.test("schemaOf stores and leaves out the attributes that the file names", () => {
  const enrich = enriching(`
attributes: {include: ["*_list", next_event], exclude: [brightness]}
ignore_attributes: noise
component_config:
  light.desk: {attributes: {include: brightness}}
component_config_glob:
  "light.*": {ignore_attributes: next_event}
`);
  const attributes = {
    effect_list: ["a"],
    next_event: "x",
    brightness: 5,
    noise: 1,
    rgb_color: [1],
    plain: 2,
  };
  assert.deepEqual(fieldNames(enrich(state("sensor.a", attributes))), [
    "available",
    "value",
    "effect_list_json",
    "next_event_str",
    "plain",
  ]);
  const desk = fieldNames(enrich(state("light.desk", attributes, "on")));
  assert.deepEqual(desk.slice(3), ["effect_list_json", "brightness", "plain"]);
  const other = enrich(state("light.other", attributes, "on"));
  assert.deepEqual(fieldNames(other).slice(3), ["effect_list_json", "plain"]);
  assert.ok(other.kind === "point");
  assert.deepEqual(Object.fromEntries(other.leftOut), { excluded: 3, list: 1 });
});

Deno.test("schemaOf never stores a secret, whoever asks for it", () => {
  const enrich = enriching("attributes: {include: '*'}");
  const attributes = { access_token: "x", entity_picture: "/api?token=x" };
  assert.deepEqual(fieldNames(enrich(state("camera.a", attributes, "1"))), ["available", "value"]);
});

Deno.test("schemaOf leaves all but states out with SCHEMA=homeassistant, and filters these", () => {
  const enrich = enriching("exclude: {domains: light}", "homeassistant");
  const schema = { kind: "skipped", reason: "schema" };
  assert.deepEqual(enrich({ event_type: "call_service" }), schema);
  assert.deepEqual(enrich(state("sensor.a", {}, "unavailable")), schema);
  const removal = { entity_id: "sensor.a", old_state: null, new_state: null };
  assert.deepEqual(enrich({ event_type: "state_changed", data: removal }), schema);
  assert.deepEqual(enrich(state("light.a", {}, "on")), { kind: "skipped", reason: "filter" });
  assert.deepEqual(fieldNames(enrich(state("sensor.a"))), ["value"]);
});

Deno.test("schemaOf with SCHEMA=homeassistant names points as the file says", () => {
  const enrich = enriching(
    `
default_measurement: state
tags: {house: main}
tags_attributes: floor
ignore_attributes: icon
precision: s
component_config: {sensor.a: {override_measurement: exact}}
component_config_glob: {"sensor.*": {override_measurement: glob, ignore_attributes: [noise]}}
component_config_domain: {sensor: {override_measurement: domain}, light: {override_measurement: l}}
`,
    "homeassistant",
  );
  const attributes = { floor: 2, icon: "x", noise: 1, kept: 3 };
  const a = enrich(state("sensor.a", attributes));
  assert.ok(a.kind === "point");
  assert.equal(a.point.measurement, "exact");
  assert.deepEqual(Object.fromEntries(a.point.tags), {
    domain: "sensor",
    entity_id: "a",
    floor: "2",
    house: "main",
  });
  assert.deepEqual(Object.fromEntries(a.point.fields), { value: 21.5, kept: 3 });
  assert.equal(a.point.timeNs % 1_000_000_000n, 0n);
  const measurementOf = (entityId: string) => {
    const enriched = enrich(state(entityId));
    return enriched.kind === "point" && enriched.point.measurement;
  };
  assert.deepEqual(["sensor.b", "light.a", "switch.a"].map(measurementOf), ["glob", "l", "state"]);
});
