import assert from "node:assert/strict";
import { envelopeSchema } from "../../../lib/contract.ts";
import { entityValues } from "../../../lib/enrich/rules/entity_values.ts";
import { EventProblem } from "../../../lib/enrich/event_problem.ts";
import {
  type EntityConfig,
  homeAssistantPoint,
  type HomeAssistantRules,
} from "../../../lib/enrich/homeassistant/home_assistant.ts";
import { pythonLine } from "../../../lib/enrich/homeassistant/python_line.ts";
import type { FieldValue } from "../../../lib/enrich/store.ts";
import { recordedEvents } from "../../recorded.ts";
import { FIRED, FIRED_NS } from "../tidy/tidied.ts";

const RULES: HomeAssistantRules = {
  measurementAttr: "unit_of_measurement",
  tags: new Map(),
  tagsAttributes: new Set(),
  ignoreAttributes: new Set(),
  precision: "ns",
  entityConfig: () => ({}),
};

interface Given {
  readonly entityId?: string;
  readonly state?: string;
  /** The JSON text of the attributes. */
  readonly attributes?: string;
  readonly rules?: Partial<HomeAssistantRules>;
  readonly timeFired?: string;
  readonly via?: "history";
}

/** The point of a change to that state, as plain objects. */
function pointOf(
  { entityId = "fake.entity_id", state = "1", attributes = "{}", rules, timeFired = FIRED, via }:
    Given,
) {
  const text = `{"event_type":"state_changed","data":{"entity_id":"${entityId}","old_state":null,` +
    `"new_state":{"entity_id":"${entityId}","state":${JSON.stringify(state)},` +
    `"attributes":${attributes}}},"origin":"LOCAL","time_fired":"${timeFired}"}`;
  return pointOfText(text, rules, via);
}

function pointOfText(text: string, rules: Partial<HomeAssistantRules> = {}, via?: "history") {
  const envelope = envelopeSchema.parse({ event: JSON.parse(text), via });
  const point = homeAssistantPoint(envelope, () => text, { ...RULES, ...rules });
  return point && {
    measurement: point.measurement,
    tags: Object.fromEntries(point.tags),
    fields: Object.fromEntries(point.fields),
    timeNs: point.timeNs,
  };
}

/** The fields that the attributes make, beside a state of 1. */
function fieldsOf(attributes: string): Readonly<Record<string, FieldValue>> | undefined {
  const fields = pointOf({ attributes })?.fields;
  assert.equal(fields?.value, 1);
  delete fields?.value;
  return fields;
}

/** JSON text of an attribute, then the number, and the text, that are stored of it. */
const VALUES: readonly (readonly [json: string, number: number | undefined, text?: string])[] = [
  ['"12 %"', 12, "12 %"],
  ['"5 %"', undefined, "5 %"],
  ['"-12.5 °C"', 12.5, "-12.5 °C"],
  ['"1,234.5 W"', 1234.5, "1,234.5 W"],
  ['"1.5 and 23"', 1.523, "1.5 and 23"],
  ['"1. 23"', undefined, "1. 23"],
  ['"a .12"', undefined, "a .12"],
  ['"12:34"', 1234, "12:34"],
  ['"0x10"', 10, "0x10"],
  ['"mdi:12-x"', 12, "mdi:12-x"],
  ['"2024-05-01T10:00:00+00:00"', 202405011000000000, "2024-05-01T10:00:00+00:00"],
  ["[255,0,0]", 25500, "[255, 0, 0]"],
  ["[255,0,0.5]", 25500.5, "[255, 0, 0.5]"],
  ["[1.0,0.5]", undefined, "[1.0, 0.5]"],
  ['{"a":10}', 10, "{'a': 10}"],
  ['"192.168.1.10"', undefined, "192.168.1.10"],
  ['"1.5 to 2.5"', undefined, "1.5 to 2.5"],
  ['"v1"', undefined, "v1"],
  ['""', undefined, ""],
  ["null", undefined, "None"],
  ['"1_000"', 1000],
  ['" 12 "', 12],
  ['"\\u00a012"', 12],
  ['"12."', 12],
  ['"1e5"', 1e5],
  ['"١٢"', 12],
  ['"١٢ %"', 12, "١٢ %"],
  ['"1__0"', undefined, "1__0"],
  ['"1__00"', 100, "1__00"],
  ['"12\\n%\\n"', 12, "12 %"],
  ['"1\\n2"', undefined, "1 2"],
  ['"12\\n"', 12],
  ['["a\\nb"]', undefined, "['a\\nb']"],
  ["true", 1],
  ["false", 0],
  ["21.5", 21.5],
  ["-0.0", -0],
  ["9007199254740993", 9007199254740992],
  ["[9007199254740993]", 9007199254740992, "[9007199254740993]"],
  ["[]", undefined, "[]"],
  ["[null,true]", undefined, "[None, True]"],
  ['["it\'s","\\u00a0"]', undefined, "[\"it's\", '\\xa0']"],
  ["[1e16]", 116, "[1e+16]"],
  ['"nan"', undefined],
  ['"-inf"', undefined],
  ['"1e999"', undefined],
  [`"${"9".repeat(999)}"`, undefined],
  [`"x${"9".repeat(999)}"`, undefined, `x${"9".repeat(999)}`],
];

for (const [json, number, text] of VALUES) {
  Deno.test(`homeAssistantPoint stores of the attribute ${json.slice(0, 40)} what the integration does`, () => {
    assert.deepEqual(fieldsOf(`{"k":${json}}`), {
      ...(number === undefined ? {} : { k: number }),
      ...(text === undefined ? {} : { k_str: text }),
    });
  });
}

/** State, then its fields. */
const STATES: Readonly<Record<string, Readonly<Record<string, FieldValue>>>> = {
  "1": { value: 1 },
  "1.0": { value: 1 },
  " 7 ": { value: 7 },
  "1_000": { value: 1000 },
  "١٢": { value: 12 },
  on: { state: "on", value: 1 },
  locked: { state: "locked", value: 1 },
  above_horizon: { state: "above_horizon", value: 1 },
  open: { state: "open", value: 1 },
  home: { state: "home", value: 1 },
  off: { state: "off", value: 0 },
  unlocked: { state: "unlocked", value: 0 },
  below_horizon: { state: "below_horizon", value: 0 },
  closed: { state: "closed", value: 0 },
  not_home: { state: "not_home", value: 0 },
  On: { state: "On" },
  standby: { state: "standby" },
  foo: { state: "foo" },
  "0x10": { state: "0x10" },
  "12:30": { state: "12:30" },
};

Deno.test("homeAssistantPoint stores a state as a number, as both, or as a text", () => {
  for (const [state, fields] of Object.entries(STATES)) {
    assert.deepEqual(pointOf({ state })?.fields, fields, state);
  }
});

Deno.test("homeAssistantPoint keeps a state that reads as nan or inf as a text", () => {
  for (const state of ["nan", "NaN", "inf", "-Infinity", "1e999"]) {
    assert.deepEqual(pointOf({ state })?.fields, { state });
    // the place of `value` is the state's all the same
    const attributes = '{"value":5}';
    assert.deepEqual(pointOf({ state, attributes })?.fields, { state, value_: 5 });
  }
});

Deno.test("homeAssistantPoint stores nothing of an unknown, unavailable or empty state, a removal, another event", () => {
  for (const state of ["unknown", "unavailable", ""]) assert.equal(pointOf({ state }), undefined);
  const other = (event_type: string, data: object) =>
    pointOfText(JSON.stringify({ event_type, data, origin: "LOCAL", time_fired: FIRED }));
  assert.equal(other("state_changed", { entity_id: "a.b", new_state: null }), undefined);
  const new_state = { entity_id: "a.b", state: "1", attributes: {} };
  assert.equal(other("state_snapshot", { entity_id: "a.b", new_state }), undefined);
  assert.equal(other("call_service", {}), undefined);
});

Deno.test("homeAssistantPoint names the field of a state_changed that breaks its shape", () => {
  const text = '{"event_type":"state_changed","data":{"entity_id":"a.b","new_state":{"state":1}},' +
    `"origin":"LOCAL","time_fired":"${FIRED}"}`;
  assert.throws(
    () => pointOfText(text),
    (error) => error instanceof EventProblem && /data\.new_state\.state/.test(error.message),
  );
});

interface Expected {
  readonly measurement?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly fields?: Readonly<Record<string, FieldValue>>;
}

function config(entities: Readonly<Record<string, EntityConfig>>): Partial<HomeAssistantRules> {
  return { entityConfig: (entityId) => entities[entityId] ?? {} };
}

const ATTRIBUTES = '{"unit_of_measurement":"foobars","longitude":"1.1","latitude":"2.2",' +
  '"battery_level":"99%","temperature":"20c","last_seen":"Last seen 23 minutes ago",' +
  '"updated_at":"2017-01-01 00:00:00","multi_periods":"0.120.240.2023873"}';
const ATTRIBUTE_FIELDS = {
  longitude: 1.1,
  latitude: 2.2,
  battery_level_str: "99%",
  battery_level: 99,
  temperature_str: "20c",
  temperature: 20,
  last_seen_str: "Last seen 23 minutes ago",
  last_seen: 23,
  updated_at_str: "2017-01-01 00:00:00",
  updated_at: 20170101000000,
  multi_periods_str: "0.120.240.2023873",
};

/** The tests of the integration itself (tests/components/influxdb/test_init.py), and what else its code says. */
const CASES: readonly (readonly [name: string, Given, Expected])[] = [
  ...[["1", { value: 1 }], ["on", { state: "on", value: 1 }], ["foo", { state: "foo" }]].map((
    [state, fields],
  ) =>
    [
      `the integration's own test of state ${state}`,
      { state: String(state), attributes: ATTRIBUTES },
      {
        measurement: "foobars",
        tags: { domain: "fake", entity_id: "entity_id" },
        fields: { ...Object(fields), ...ATTRIBUTE_FIELDS },
      },
    ] as const
  ),
  [
    "no unit",
    {},
    {
      measurement: "fake.entity_id",
      fields: { value: 1 },
      tags: { domain: "fake", entity_id: "entity_id" },
    },
  ],
  [
    "inf and nan",
    { attributes: `{"bignumstring":"${"9".repeat(999)}","nonumstring":"nan"}` },
    { fields: { value: 1 } },
  ],
  [
    "an attribute that is a list",
    { attributes: '{"list_attr":["value1","value2"]}' },
    { fields: { value: 1, list_attr_str: "['value1', 'value2']" } },
  ],
  [
    "a default measurement",
    { rules: { defaultMeasurement: "state" } },
    { measurement: "state", fields: { value: 1 } },
  ],
  [
    "a default measurement beside a unit",
    { attributes: '{"unit_of_measurement":"W"}', rules: { defaultMeasurement: "state" } },
    { measurement: "W", fields: { value: 1 } },
  ],
  [
    "an override, which leaves the unit as a field",
    {
      state: "foo",
      attributes: '{"unit_of_measurement":"foobars"}',
      rules: { overrideMeasurement: "state" },
    },
    { measurement: "state", fields: { state: "foo", unit_of_measurement_str: "foobars" } },
  ],
  [
    "attributes as tags",
    {
      attributes: '{"friendly_fake":"tag_str","field_fake":"field_str"}',
      rules: { tagsAttributes: new Set(["friendly_fake"]) },
    },
    {
      tags: { domain: "fake", entity_id: "entity_id", friendly_fake: "tag_str" },
      fields: { value: 1, field_fake_str: "field_str" },
    },
  ],
  [
    "an override of one entity, before that for all",
    {
      entityId: "sensor.fake_humidity",
      rules: {
        overrideMeasurement: "all",
        ...config({ "sensor.fake_humidity": { overrideMeasurement: "humidity" } }),
      },
    },
    { measurement: "humidity" },
  ],
  [
    "an empty override of one entity",
    {
      entityId: "other.just_fake",
      rules: config({ "other.just_fake": { overrideMeasurement: "" } }),
    },
    { measurement: "other.just_fake" },
  ],
  [
    "an empty override of one entity, beside one for all",
    {
      entityId: "other.just_fake",
      rules: {
        overrideMeasurement: "all",
        ...config({ "other.just_fake": { overrideMeasurement: "" } }),
      },
    },
    { measurement: "all" },
  ],
  [
    "domain__device_class with one",
    {
      entityId: "sensor.fake_temperature",
      attributes: '{"device_class":"humidity","unit_of_measurement":"%"}',
      rules: { measurementAttr: "domain__device_class" },
    },
    {
      measurement: "sensor__humidity",
      fields: { value: 1, unit_of_measurement_str: "%" },
    },
  ],
  [
    "domain__device_class without one",
    { entityId: "other.just_fake", rules: { measurementAttr: "domain__device_class" } },
    { measurement: "other" },
  ],
  [
    "domain__device_class with null",
    {
      attributes: '{"device_class":null}',
      rules: { measurementAttr: "domain__device_class" },
    },
    { measurement: "fake", fields: { value: 1, device_class_str: "None" } },
  ],
  [
    "domain__device_class with an empty one",
    { attributes: '{"device_class":""}', rules: { measurementAttr: "domain__device_class" } },
    { measurement: "fake__", fields: { value: 1 } },
  ],
  [
    "domain__device_class with a number",
    { attributes: '{"device_class":1.0}', rules: { measurementAttr: "domain__device_class" } },
    { measurement: "fake__1.0", fields: { value: 1 } },
  ],
  [
    "entity_id",
    {
      attributes: '{"unit_of_measurement":"W","device_class":"power"}',
      rules: { measurementAttr: "entity_id", defaultMeasurement: "unused" },
    },
    {
      measurement: "fake.entity_id",
      fields: { value: 1, unit_of_measurement_str: "W", device_class_str: "power" },
    },
  ],
  ...([["5", "5"], ["0", "0"], ["1.0", "1.0"], ["true", "True"], ["[]", "[]"], [
    "{}",
    "{}",
  ]] as const)
    .map(([json, measurement]) =>
      [
        `a unit of ${json}`,
        { attributes: `{"unit_of_measurement":${json}}` },
        { measurement, fields: { value: 1 } },
      ] as const
    ),
  [
    "a unit of null",
    { attributes: '{"unit_of_measurement":null}' },
    { measurement: "fake.entity_id", fields: { value: 1, unit_of_measurement_str: "None" } },
  ],
  [
    "an empty unit",
    { attributes: '{"unit_of_measurement":""}' },
    { measurement: "fake.entity_id", fields: { value: 1, unit_of_measurement_str: "" } },
  ],
  [
    "attributes ignored for all and for the entity",
    {
      attributes: '{"ignore":1,"id_ignore":1,"unit_of_measurement":"W","keep":2}',
      rules: {
        ignoreAttributes: new Set(["ignore", "unit_of_measurement"]),
        ...config({ "fake.entity_id": { ignoreAttributes: ["id_ignore"] } }),
      },
    },
    { measurement: "W", fields: { value: 1, keep: 2 } },
  ],
  [
    "an ignored attribute that is a tag",
    {
      attributes: '{"a":1,"b":2}',
      rules: { ignoreAttributes: new Set(["a"]), tagsAttributes: new Set(["a"]) },
    },
    { tags: { domain: "fake", entity_id: "entity_id", a: "1" }, fields: { value: 1, b: 2 } },
  ],
  [
    "a unit and a device class that are tags",
    {
      attributes: '{"unit_of_measurement":"W","device_class":"power"}',
      rules: { tagsAttributes: new Set(["unit_of_measurement", "device_class"]) },
    },
    {
      measurement: "W",
      tags: {
        domain: "fake",
        entity_id: "entity_id",
        unit_of_measurement: "W",
        device_class: "power",
      },
      fields: { value: 1 },
    },
  ],
  [
    "an attribute named value",
    { attributes: '{"value":"value_str"}' },
    { fields: { value: 1, value__str: "value_str" } },
  ],
  [
    "an attribute named state",
    { state: "on", attributes: '{"state":5,"value":6}' },
    { fields: { state: "on", value: 1, state_: 5, value_: 6 } },
  ],
  [
    "names that meet",
    { attributes: '{"foo":"bar","foo_str":"baz"}' },
    { fields: { value: 1, foo_str: "bar", foo_str__str: "baz" } },
  ],
  [
    "names that meet, and the second takes the first's place",
    { attributes: '{"foo_str":5,"foo":"bar"}' },
    { fields: { value: 1, foo_str: "bar" } },
  ],
  [
    "a name that gets one _ and meets another all the same",
    { attributes: '{"value_":5,"value":7}' },
    { fields: { value: 1, value_: 7 } },
  ],
  [
    "what stood under a name before",
    { attributes: '{"value_":5,"value":"text"}' },
    { fields: { value: 1, value_: 5, value__str: "text" } },
  ],
  [
    "a nan that takes away what stood there before",
    { attributes: '{"value_":5,"value":"nan"}' },
    { fields: { value: 1 } },
  ],
  [
    "whole numbers as names, in the order of the text",
    { attributes: '{"1_str":5,"1":"abc"}' },
    { fields: { value: 1, "1_str": "abc" } },
  ],
  [
    "hostile names",
    { attributes: '{"__proto__":"x","constructor":1,"":2}' },
    { fields: { value: 1, ["__proto___str"]: "x", constructor: 1, "": 2 } },
  ],
  [
    "attributes of all kinds as tags",
    {
      attributes:
        '{"a":1,"b":1.0,"c":true,"d":null,"e":"","f":[1.50,"x"],"g":9007199254740993,"h":" é "}',
      rules: { tagsAttributes: new Set("abcdefgh") },
    },
    {
      tags: {
        domain: "fake",
        entity_id: "entity_id",
        a: "1",
        b: "1.0",
        c: "True",
        f: "[1.5, 'x']",
        g: "9007199254740993",
        h: " é ",
      },
      fields: { value: 1 },
    },
  ],
  [
    "tags that take the place of domain and entity_id",
    {
      attributes: '{"domain":"from attribute","entity_id":null}',
      rules: {
        tagsAttributes: new Set(["domain", "entity_id"]),
        tags: new Map([["instance", "prod"]]),
      },
    },
    { tags: { domain: "from attribute", instance: "prod" } },
  ],
  [
    "line breaks in a unit, a state, tags and an attribute, which are spaces",
    {
      state: "on\r\n\n",
      attributes: '{"unit_of_measurement":"a\\nb","tag":"c\\rd\\u2028","k":"e\\u001ff\\u001eg"}',
      rules: {
        tagsAttributes: new Set(["tag"]),
        tags: new Map([["static", "h\u0085i\v\f"], ["none", "\n"]]),
      },
    },
    {
      measurement: "a b",
      tags: { domain: "fake", entity_id: "entity_id", tag: "c d", static: "h i " },
      fields: { state: "on ", k_str: "e\u001ff g" },
    },
  ],
  [
    "line breaks in a device class",
    {
      attributes: '{"device_class":"a\\nb"}',
      rules: { measurementAttr: "domain__device_class" },
    },
    { measurement: "fake__a b" },
  ],
  [
    "line breaks in a configured measurement",
    { rules: { overrideMeasurement: "a\nb" } },
    { measurement: "a b" },
  ],
  [
    "line breaks in a default measurement",
    { rules: { defaultMeasurement: "a\nb" } },
    { measurement: "a b" },
  ],
  [
    "attributes time and time_",
    { attributes: '{"time_":1,"time":2,"time__":3}' },
    { fields: { value: 1, time_: 1, time__: 3, time___: 2 } },
  ],
  [
    "an attribute time that is a text with digits",
    { attributes: '{"time":"12:30"}' },
    { fields: { value: 1, time_str: "12:30", time_: 1230 } },
  ],
  [
    "static tags, which win",
    {
      attributes: '{"source":"from attribute"}',
      rules: {
        tagsAttributes: new Set(["source"]),
        tags: new Map([["source", "static"], ["domain", "own"], ["entity_id", ""]]),
      },
    },
    { tags: { domain: "own", source: "static" } },
  ],
];

for (const [name, given, expected] of CASES) {
  Deno.test(`homeAssistantPoint writes what the integration writes of ${name}`, () => {
    const point = pointOf(given);
    assert.equal(point?.timeNs, FIRED_NS);
    for (const [part, value] of Object.entries(expected)) {
      assert.deepEqual(point, { ...point, [part]: value });
    }
  });
}

Deno.test("homeAssistantPoint keeps a tag time, which the integration loses with its point", () => {
  const attributes = '{"time":"noon","time_":"x"}';
  for (
    const [tagsAttributes, tags] of [
      [["time"], { time_: "noon" }],
      [["time", "time_"], { time_: "x", time__: "noon" }],
    ] as const
  ) {
    const point = pointOf({ attributes, rules: { tagsAttributes: new Set(tagsAttributes) } });
    assert.deepEqual(point?.tags, { domain: "fake", entity_id: "entity_id", ...tags });
  }
  const point = pointOf({ rules: { tags: new Map([["time", "noon"]]) } });
  assert.equal(point?.tags.time_, "noon");
});

Deno.test("homeAssistantPoint takes a unit of nothing but line breaks for none, where the integration loses the point", () => {
  const attributes = '{"unit_of_measurement":"\\n"}';
  const defaultMeasurement = "\n";
  for (const rules of [{}, { defaultMeasurement }, { overrideMeasurement: "\r\n" }]) {
    const point = pointOf({ attributes, rules });
    assert.equal(point?.measurement, "fake.entity_id");
    assert.deepEqual(point?.fields, { value: 1, unit_of_measurement_str: "" });
  }
});

/** With the keys that the integration's own tests of `component_config` have. */
const COMPONENTS = entityValues<EntityConfig>(
  new Map([
    ["sensor.fake_humidity", { overrideMeasurement: "humidity" }],
    ["fake.entity_id", { ignoreAttributes: ["id_ignore"] }],
    ["fake.units", { overrideMeasurement: "units" }],
  ]),
  new Map<string, EntityConfig>([
    ["climate", { overrideMeasurement: "hvac" }],
    ["fake", { ignoreAttributes: ["domain_ignore"] }],
  ]),
  new Map<string, EntityConfig>([
    ["binary_sensor.*motion", { overrideMeasurement: "motion" }],
    ["*.glob_*", { ignoreAttributes: ["glob_ignore"] }],
  ]),
);

Deno.test("homeAssistantPoint follows what is configured for an entity, a glob or a domain", () => {
  const attributes = '{"ignore":1,"id_ignore":1,"glob_ignore":1,"domain_ignore":1}';
  const all = ["ignore", "id_ignore", "glob_ignore", "domain_ignore"];
  const expected: readonly (readonly [string, string, string?])[] = [
    ["sensor.fake_humidity", "humidity"],
    ["binary_sensor.fake_motion", "motion"],
    ["climate.fake_thermostat", "hvac"],
    ["other.just_fake", "other.just_fake"],
    ["fake.entity_id", "fake.entity_id", "id_ignore"],
    ["fake.glob_entity", "fake.glob_entity", "glob_ignore"],
    ["fake.other", "fake.other", "domain_ignore"],
    ["fake.units", "units", "domain_ignore"],
  ];
  for (const [entityId, measurement, ignored] of expected) {
    const rules: Partial<HomeAssistantRules> = {
      ignoreAttributes: new Set(["ignore"]),
      entityConfig: (id) => COMPONENTS(id),
    };
    const point = pointOf({ entityId, attributes, rules });
    assert.equal(point?.measurement, measurement);
    const kept = all.filter((name) => name !== "ignore" && name !== ignored);
    assert.deepEqual(Object.keys(point?.fields ?? {}), ["value", ...kept], entityId);
  }
});

Deno.test("homeAssistantPoint does not hang on texts without end", () => {
  const startMs = performance.now();
  for (const part of ["1a", "1.", "a.1", "11 ", "\u00a0", '\\"']) {
    const text = `"${part.repeat(100_000)}"`;
    assert.ok(fieldsOf(`{"k":${text},"list":[${text}]}`)?.k_str);
  }
  assert.ok(performance.now() - startMs < 2_000);
});

Deno.test("homeAssistantPoint cuts the time to the precision and does not round", () => {
  const timeFired = "2026-11-23T17:24:35.999999+00:00";
  const whole = FIRED_NS - FIRED_NS % 1_000_000_000n;
  for (
    const [precision, fraction] of [
      ["s", 0n],
      ["ms", 999_000_000n],
      ["us", 999_999_000n],
      ["ns", 999_999_000n],
    ] as const
  ) {
    assert.equal(pointOf({ timeFired, rules: { precision } })?.timeNs, whole + fraction);
  }
  const before1970 = pointOf({
    timeFired: "1969-12-31T23:59:58.500000+00:00",
    rules: { precision: "s" },
  });
  assert.equal(before1970?.timeNs, -1_000_000_000n, "int() cuts towards 0");
});

Deno.test("homeAssistantPoint stores no secret, as a field, a tag, a measurement or inside a list", () => {
  const attributes =
    '{"access_token":"abc1","entity_picture":"/x?token=abc2","friendly_name":"A",' +
    '"list":["/y?token=abc3",{"user_code":1234,"a":{"api_key":["abc4"]}}],' +
    '"unit_of_measurement":"/z?token=abc5","device_class":"/w?token=abc6"}';
  for (const measurementAttr of ["unit_of_measurement", "domain__device_class"] as const) {
    for (const tagsAttributes of [[], ["access_token", "entity_picture", "list", "device_class"]]) {
      const point = pointOf({
        attributes,
        rules: { measurementAttr, tagsAttributes: new Set(tagsAttributes) },
      });
      const isTag = tagsAttributes.length > 0;
      const list = "['***', {'user_code': '***', 'a': {'api_key': '***'}}]";
      assert.deepEqual(point, {
        measurement: measurementAttr === "domain__device_class" ? "fake" : "fake.entity_id",
        tags: { domain: "fake", entity_id: "entity_id", ...(isTag ? { list } : {}) },
        fields: { value: 1, friendly_name_str: "A", ...(isTag ? {} : { list_str: list }) },
        timeNs: FIRED_NS,
      });
    }
  }
});

Deno.test("homeAssistantPoint stores no password, be it a number or on", () => {
  for (const state of ["hunter2", "1234", "on"]) {
    const password = pointOf({ entityId: "text.safe", state, attributes: '{"mode":"password"}' });
    assert.deepEqual(password?.fields, { state: "***", mode_str: "password" });
    const text = pointOf({ entityId: "text.open", state, attributes: '{"mode":"text"}' });
    assert.notEqual(text?.fields.state, "***");
  }
  assert.deepEqual(pointOf({ state: "http://cam/?token=abc" })?.fields, { state: "***" });
});

Deno.test("homeAssistantPoint makes a point of each recorded state_changed, and lines of it", () => {
  let points = 0;
  for (const { text } of recordedEvents()) {
    const envelope = envelopeSchema.parse({ event: JSON.parse(text) });
    const point = homeAssistantPoint(envelope, () => text, RULES);
    if (envelope.event.event_type !== "state_changed") {
      assert.equal(point, undefined);
      continue;
    }
    if (!point) continue;
    points++;
    for (const version of [1, 2, 3] as const) {
      assert.ok(pythonLine(point, version).endsWith(` ${point.timeNs}`));
    }
  }
  assert.ok(points > 200, `only ${points} points`);
});

Deno.test("homeAssistantPoint of history writes nothing over a text that may be a password", () => {
  const note = { entityId: "input_text.note", state: "buy milk", via: "history" } as const;
  assert.equal(pointOf(note), undefined);
  assert.deepEqual(pointOf({ ...note, attributes: '{"max":100}' })?.fields, { max: 100 });
  const told = pointOf({ ...note, attributes: '{"mode":"text"}' });
  assert.deepEqual(told?.fields, { state: "buy milk", mode_str: "text" });
});
