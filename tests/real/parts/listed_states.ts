/** State changes of which the integration and enrich store different things: what docs/homeassistant-schema.md lists. */

/** What is stored; of the tags those beside domain and entity_id. */
type Stored = readonly [
  measurement: string,
  fields: Readonly<Record<string, unknown>>,
  tags?: Readonly<Record<string, string>>,
];

/** What enrich stores, and what the integration does where it does not lose the point. */
interface Pair {
  readonly ours: Stored;
  readonly theirs?: Stored;
}

export interface ListedState {
  readonly entityId: string;
  readonly body: string;
  readonly in1: Pair;
  readonly in2: Pair;
  /** InfluxDB 2 refuses the integration's whole batch, so that it goes alone. */
  readonly losesBatch: boolean;
}

/** Options under which the states below are told. */
export const LISTED_OPTIONS = `
  tags_attributes: [tagged, "key\\\\", "key\\\\ b", time]
`;

function listed(
  entityId: string,
  state: { readonly state?: string; readonly attributes?: object },
  in1: Pair,
  in2: Pair = in1,
): ListedState {
  const body = JSON.stringify({ state: "1", force_update: true, ...state });
  return { entityId, body, in1, in2, losesBatch: false };
}

function losingBatch(state: ListedState): ListedState {
  return { ...state, losesBatch: true };
}

/** Of a sensor without a unit. */
function plain(
  name: string,
  fields: Readonly<Record<string, unknown>>,
  tags?: Readonly<Record<string, string>>,
): Stored {
  const measurement = `sensor.listed_${name}`;
  return tags
    ? [measurement, { value: 1, ...fields }, tags]
    : [measurement, { value: 1, ...fields }];
}

const SECRETS = {
  access_token: "a",
  tv_access_token: "b",
  picture: "/x?token=c",
  list: ["/x?token=d"],
  keys: [{ password: "p", pin: 1234, user_code: 5678, name: "n" }],
};

/** A unit with a backslash, which InfluxDB stores and then does not find. */
function unfound(name: string, unit: string, in1: string, in2: string): ListedState {
  return listed(
    `sensor.listed_${name}`,
    { attributes: { unit_of_measurement: unit } },
    { ours: [in1, { value: 1 }] },
    { ours: [in2, { value: 1 }] },
  );
}

export const LISTED_STATES: readonly ListedState[] = [
  listed("sensor.listed_nan", { state: "nan" }, { ours: ["sensor.listed_nan", { state: "nan" }] }),
  listed(
    "sensor.listed_inf",
    { state: "-Infinity", attributes: { value: 1 } },
    { ours: ["sensor.listed_inf", { state: "-Infinity", value_: 1 }] },
    {
      ours: ["sensor.listed_inf", { state: "-Infinity", value_: 1 }],
      theirs: ["sensor.listed_inf", { value_: 1 }],
    },
  ),
  listed("sensor.listed_comment", { attributes: { unit_of_measurement: "#1" } }, {
    ours: ["_#1", { value: 1 }],
  }),
  listed(
    "sensor.listed_tabs",
    { attributes: { unit_of_measurement: "\t\t" } },
    { ours: ["_\t\t", { value: 1 }] },
    { ours: ["\\t\\t", { value: 1 }], theirs: ["\\t\\t", { value: 1 }] },
  ),
  losingBatch(listed("sensor.listed_breaks", { attributes: { unit_of_measurement: "\n" } }, {
    ours: plain("breaks", { unit_of_measurement_str: "" }),
  })),
  unfound("unit_space", "u\\ v", "u\\\\_ v", "u\\_ v"),
  unfound("unit_comma", "u\\,v", "u\\\\_,v", "u\\_,v"),
  unfound("unit_equal", "u\\=v", "u\\\\_=v", "u\\_=v"),
  unfound("unit_quote", 'u\\"v', 'u\\\\_"v', 'u\\_"v'),
  listed(
    "sensor.listed_unit_end",
    { attributes: { unit_of_measurement: "u\\" } },
    { ours: ["u\\\\_", { value: 1 }] },
    // its tag domain is a part of the measurement there
    { ours: ["u\\_", { value: 1 }], theirs: ["u,domain=sensor", { value: 1 }] },
  ),
  listed(
    "sensor.listed_tag_end",
    { attributes: { tagged: "u\\" } },
    { ours: plain("tag_end", {}, { tagged: "u\\\\_" }) },
    {
      ours: plain("tag_end", {}, { tagged: "u\\_" }),
      theirs: plain("tag_end", {}, { tagged: "u " }),
    },
  ),
  listed("sensor.listed_tag_nul", { attributes: { tagged: "u\0v" } }, {
    ours: plain("tag_nul", {}, { tagged: "u\\0v" }),
    theirs: plain("tag_nul", {}, { tagged: "u\0v" }),
  }),
  losingBatch(listed(
    "sensor.listed_key_end",
    { attributes: { "key\\": "x" } },
    { ours: plain("key_end", {}, { "key\\\\_": "x" }) },
    { ours: plain("key_end", {}, { "key\\_": "x" }) },
  )),
  listed(
    "sensor.listed_key_space",
    { attributes: { "key\\ b": "x" } },
    {
      ours: plain("key_space", {}, { "key\\\\ b": "x" }),
      theirs: plain("key_space", {}, { "key\\\\ b": "x" }),
    },
    {
      ours: plain("key_space", {}, { "key\\_ b": "x" }),
      theirs: plain("key_space", {}, { "key\\ b": "x" }),
    },
  ),
  losingBatch(listed("sensor.listed_time", { attributes: { time: "noon" } }, {
    ours: plain("time", {}, { time_: "noon" }),
  })),
  losingBatch(listed(
    "sensor.listed_name_end",
    { attributes: { "a\\": 5, b: 6 } },
    {
      ours: plain("name_end", { "a\\\\_": 5, b: 6 }),
      theirs: plain("name_end", { "a\\=5.0,b": 6 }),
    },
    { ours: plain("name_end", { "a\\_": 5, b: 6 }) },
  )),
  losingBatch(listed(
    "sensor.listed_name_open",
    { attributes: { "a\\ b": 5, "c\\,d": 6, "e\\=f": 7 } },
    {
      ours: plain("name_open", { "a\\\\ b": 5, "c\\\\,d": 6, "e\\\\=f": 7 }),
      theirs: plain("name_open", { "a\\\\ b": 5, "c\\\\,d": 6, "e\\\\=f": 7 }),
    },
    { ours: plain("name_open", { "a\\_ b": 5, "c\\_,d": 6, "e\\_=f": 7 }) },
  )),
  listed("sensor.listed_name_nul", { attributes: { "\0b": 5 } }, {
    ours: plain("name_nul", { "\\0b": 5 }),
    theirs: plain("name_nul", { b: 5 }),
  }),
  losingBatch(listed(
    "sensor.listed_nameless",
    { attributes: { "": 5 } },
    { ours: plain("nameless", {}), theirs: plain("nameless", {}) },
    { ours: plain("nameless", {}) },
  )),
  listed("sensor.listed_token", { attributes: SECRETS }, {
    ours: plain("token", {
      list_str: "['***']",
      keys_str: "[{'password': '***', 'pin': '***', 'user_code': '***', 'name': 'n'}]",
    }),
    theirs: plain("token", {
      access_token_str: "a",
      tv_access_token_str: "b",
      picture_str: "/x?token=c",
      list_str: "['/x?token=d']",
      keys: 12345678,
      keys_str: "[{'password': 'p', 'pin': 1234, 'user_code': 5678, 'name': 'n'}]",
    }),
  }),
  listed("sensor.listed_token_state", { state: "/x?token=e" }, {
    ours: ["sensor.listed_token_state", { state: "***" }],
    theirs: ["sensor.listed_token_state", { state: "/x?token=e" }],
  }),
  listed("sensor.listed_token_unit", { attributes: { unit_of_measurement: "?token=f" } }, {
    ours: plain("token_unit", {}),
    theirs: ["?token=f", { value: 1 }],
  }),
  listed("sensor.listed_token_tag", { attributes: { tagged: "/x?token=g" } }, {
    ours: plain("token_tag", {}),
    theirs: plain("token_tag", {}, { tagged: "/x?token=g" }),
  }),
  listed("text.listed_password", { state: "hunter2", attributes: { mode: "password" } }, {
    ours: ["text.listed_password", { state: "***", mode_str: "password" }],
    theirs: ["text.listed_password", { state: "hunter2", mode_str: "password" }],
  }),
  listed("input_text.listed_no_mode", { state: "milk", attributes: { max: 9 } }, {
    ours: ["input_text.listed_no_mode", { state: "***", max: 9 }],
    theirs: ["input_text.listed_no_mode", { state: "milk", max: 9 }],
  }),
];

/** Of older versions alone: what 2026.10 has changed, and what their Python does not know yet. */
export const LISTED_BEFORE: readonly ListedState[] = [
  listed("sensor.listed_time_before", { attributes: { time: 5 } }, {
    ours: plain("time_before", { time_: 5 }),
    theirs: plain("time_before", {}),
  }),
  listed("sensor.listed_break_before", { attributes: { k: "a\nb" } }, {
    ours: plain("break_before", { k_str: "a b" }),
    theirs: plain("break_before", { k_str: "a\\nb" }),
  }),
  listed("sensor.listed_character", { attributes: { k: ["\u{1fae9} 12"] } }, {
    ours: plain("character", { k: 12, k_str: "['\u{1fae9} 12']" }),
    theirs: plain("character", { k: 1912, k_str: "['\\U0001fae9 12']" }),
  }),
];

type Attribute = Readonly<Record<"v" | "v_str", unknown>> | Readonly<Record<"v_str", unknown>>;

/** Fields of the attribute `v` whose value only Python has, by the entity that `burst_native` sets. */
export const NATIVE_STATES: Readonly<
  Record<string, { readonly ours?: Attribute; readonly theirs: Partial<Attribute> }>
> = {
  tuple_rgb: {
    ours: { v: 25516824, v_str: "[255, 168, 24]" },
    theirs: { v: 25516824, v_str: "(255, 168, 24)" },
  },
  list_enum: { ours: { v_str: "['beta']" }, theirs: { v_str: "[<_Text.B: 'beta'>]" } },
  list_enum_10: { ours: { v: 10, v_str: "['m10']" }, theirs: { v_str: "[<_Text.D: 'm10'>]" } },
  enum_str_value: { ours: { v_str: "alpha" }, theirs: { v_str: "_Plain.A" } },
  datetime_naive: {
    ours: { v: 20240102030405, v_str: "2024-01-02T03:04:05" },
    theirs: { v: 20240102030405, v_str: "2024-01-02 03:04:05" },
  },
  nested: {
    ours: { v: 1220240102, v_str: "{'t': [1, 2], 'd': '2024-01-02'}" },
    theirs: { v_str: "{'t': (1, 2), 'd': datetime.date(2024, 1, 2)}" },
  },
  list_date: {
    ours: { v: 20240102, v_str: "['2024-01-02']" },
    theirs: { v_str: "[datetime.date(2024, 1, 2)]" },
  },
  set_one: { ours: { v_str: "['only']" }, theirs: { v_str: "{'only'}" } },
  dict_int_key: {
    ours: { v_str: "{'1': 'one', '2': 'two'}" },
    theirs: { v_str: "{1: 'one', 2: 'two'}" },
  },
  nan: { ours: { v_str: "None" }, theirs: {} },
  inf: { ours: { v_str: "None" }, theirs: {} },
  list_nan: { ours: { v_str: "[None]" }, theirs: { v_str: "[nan]" } },
  // Home Assistant sends no event of these
  timedelta: { theirs: { v: 100005, v_str: "1 day, 0:00:05" } },
  bytes: { theirs: { v_str: "b'abc'" } },
  decimal: { theirs: { v: 1.1 } },
  frozenset_one: { theirs: { v_str: "frozenset({1})" } },
};
