/** Names and values that hurt, with what must be stored of them or why they are refused. */

/** What an event carries that hurts. */
export interface HostileMembers {
  /** The members of the attributes, and of an event's data: JSON text. */
  readonly members: string;
  /** What must be stored of them, and nothing else. */
  readonly fields?: Readonly<Record<string, number | string>>;
  /** Or why none of it can be. */
  readonly refused?: RegExp;
}

/** InfluxDB's limit of 65,535 bytes for measurement, tags and field name together. */
const KEY_TOO_LONG = /max key length exceeded|too long|65,535/;
const LARGE = "x".repeat(65_536);

export const HOSTILE_MEMBERS: readonly HostileMembers[] = [
  {
    members:
      `"time":1,"value":2,"state":"s","available":true,"old_state":"o","old_state_s":3,"source":4`,
    fields: {
      time_: 1,
      value_: 2,
      state__str: "s",
      available_: 1,
      old_state__str: "o",
      old_state_s_: 3,
      source_: 4,
    },
  },
  { members: `"time":"text"`, fields: { time__str: "text" } },
  {
    members: `"area":21,"name":"n","floor":false,"unit":1.5`,
    fields: { area_: 21, name__str: "n", floor_: 0, unit_: 1.5 },
  },
  { members: `"area":"text"`, fields: { area__str: "text" } },
  { members: `"foo":"bar","foo_str":"baz"`, fields: { foo_str: "bar", foo_str__str: "baz" } },
  {
    members: `"foo":1,"foo_":2,"foo_str":3,"foo_json":4`,
    fields: { foo: 1, foo__: 2, foo_str_: 3, foo_json_: 4 },
  },
  {
    members: `"a b":1,"a,b":2,"a=b":3,"a\\"b":4,"\\"":5," ":6,"=":7,",":8`,
    fields: { "a b": 1, "a,b": 2, "a=b": 3, 'a"b': 4, '"': 5, " ": 6, "=": 7, ",": 8 },
  },
  {
    members: `"a\\\\":1,"a\\\\b":2,"a\\\\ b":3,"\\\\":4,"\\\\\\\\":5,"a\\\\,":"t"`,
    fields: { "a\\_": 1, "a\\b": 2, "a\\_ b": 3, "\\_": 4, "\\\\_": 5, "a\\_,_str": "t" },
  },
  { members: `"#a":1,"#":"#"`, fields: { "#a": 1, "#_str": "#" } },
  { members: `"a\\nb":1,"\\r":2,"a\\tb":3`, fields: { "a\\nb": 1, "\\r": 2, "a\\tb": 3 } },
  { members: `"😀":1,"Küche 漢字":"é"`, fields: { "😀": 1, "Küche 漢字_str": "é" } },
  { members: `"a\\u0000b":1`, fields: { "a\\0b": 1 } },
  { members: `"":1,"none":null`, fields: {} },
  {
    members: `"__proto__":9,"constructor":1,"toString":"t","hasOwnProperty":true`,
    fields: { __proto___: 9, constructor: 1, toString_str: "t", hasOwnProperty: 1 },
  },
  {
    members: `"text":"spaces, commas = equals","quoted":"say \\"x\\"","end":"backslash\\\\"`,
    fields: {
      text_str: "spaces, commas = equals",
      quoted_str: 'say "x"',
      end_str: "backslash\\",
    },
  },
  {
    members: `"a":"\\\\","b":"\\\\\\\\","c":"\\\\\\"","d":"#","e":"line\\nbreak\\r\\ttab","f":""`,
    fields: {
      a_str: "\\",
      b_str: "\\\\",
      c_str: '\\"',
      d_str: "#",
      e_str: "line\nbreak\r\ttab",
      f_str: "",
    },
  },
  {
    members: `"a":"😀 \\ud83d\\ude00 \\u0000","half":"\\ud83d"`,
    fields: { a_str: "😀 😀 \0", half_str: "\ufffd" },
  },
  { members: `"large":"${LARGE}","larger":"${LARGE}x"`, fields: { large_str: LARGE } },
  {
    members: `"a":9007199254740993,"b":5e-324,"c":1.7976931348623157e308,"d":-0.0,"e":1.0,"f":1E5`,
    fields: { a: 2 ** 53, b: 5e-324, c: 1.7976931348623157e308, d: 0, e: 1, f: 100_000 },
  },
  { members: `"a":1e999,"b":-1e999,"c":1`, fields: { c: 1 } },
  {
    members: `"a":"NaN","b":"Infinity","c":"nan"`,
    fields: { a_str: "NaN", b_str: "Infinity", c_str: "nan" },
  },
  { members: `"a":NaN`, refused: /^the line is no JSON: / },
  { members: `"a":-Infinity`, refused: /^the line is no JSON: / },
  {
    members: `"a\\nb":1,"a\\\\nb":2`,
    refused: /^Field "a\\\\nb" would be written under the name of another$/,
  },
  {
    members: `"\\ud83d":1,"\\ud83e":2`,
    refused: /^Field .* would be written under the name of another$/,
  },
  { members: `"${LARGE}":1`, refused: KEY_TOO_LONG },
];

/** A state that hurts, or an entity, a unit, an area. */
export interface HostileState {
  readonly entityId: string;
  readonly state: string;
  readonly unit?: string;
  readonly registry?: Readonly<Record<string, string>>;
  /** What must be stored: the measurement, the tags beside entity_id, the fields. */
  readonly stored?: readonly [string, Record<string, string>, Record<string, number | string>];
  readonly refused?: RegExp;
}

function text(state: string): HostileState["stored"] {
  return ["sensor", {}, { available: 1, state }];
}

export const HOSTILE_STATES: readonly HostileState[] = [
  { entityId: "sensor.s", state: "nan", stored: text("nan") },
  { entityId: "sensor.s", state: "-inf", stored: text("-inf") },
  { entityId: "sensor.s", state: "Infinity", stored: text("Infinity") },
  { entityId: "sensor.s", state: "1e999", stored: text("1e999") },
  { entityId: "sensor.s", state: "", stored: text("") },
  { entityId: "sensor.s", state: 'a, b = "c"\\', stored: text('a, b = "c"\\') },
  { entityId: "sensor.s", state: "#\n😀", stored: text("#\n😀") },
  { entityId: "sensor.s", state: LARGE, stored: text(LARGE) },
  { entityId: "sensor.s", state: "x".repeat(1_048_577), refused: /^Field "state" is too large/ },
  {
    entityId: "sensor.s",
    state: "9007199254740993",
    stored: ["sensor", {}, { available: 1, value: 2 ** 53, state: "9007199254740993" }],
  },
  {
    entityId: "sensor.s",
    state: "1",
    unit: "#\\",
    registry: { name: "Küche 😀", area: 'a,b = "c"\\', floor: "", device: "line\nbreak\\ \0" },
    stored: [
      "sensor",
      { unit: "#\\_", name: "Küche 😀", area: 'a,b = "c"\\_', device: "line\\nbreak\\ \\0" },
      { available: 1, value: 1 },
    ],
  },
  {
    entityId: "sensor.s",
    state: 'text\nof "two" lines',
    unit: "a\\\\b",
    registry: { name: "C:\\x", area: "C:\\ x", floor: "a\\\\ b", device: '\\"' },
    stored: [
      "sensor",
      { unit: "a\\\\b", name: "C:\\x", area: "C:\\ x", floor: "a\\\\ b", device: '\\"' },
      { available: 1, state: 'text\nof "two" lines' },
    ],
  },
  {
    entityId: "sensor.s",
    state: "1",
    registry: { name: "a\\,b", area: 'c\\="d"' },
    stored: ["sensor", { name: "a\\,b", area: 'c\\="d"' }, { available: 1, value: 1 }],
  },
  {
    entityId: "sensor.s",
    state: 'text\nof "two" lines',
    registry: { area: "a\\ b", name: 'c\\="d' },
    stored: [
      "sensor",
      { area: "a\\_ b", name: 'c\\_="d' },
      { available: 1, state: 'text\nof "two" lines' },
    ],
  },
  { entityId: "sensor.s", state: "1", registry: { area: LARGE }, refused: KEY_TOO_LONG },
  { entityId: "#a.s", state: "1", stored: ["_#a", {}, { available: 1, value: 1 }] },
  { entityId: "a\\.s", state: "1", stored: ["a\\_", {}, { available: 1, value: 1 }] },
  { entityId: "a b,c=d.s", state: "1", stored: ["a b,c=d", {}, { available: 1, value: 1 }] },
  { entityId: "events.s", state: "1", stored: ["events_", {}, { available: 1, value: 1 }] },
];
