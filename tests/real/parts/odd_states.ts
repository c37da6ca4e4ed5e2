/** States and attributes that real homes have and that break writers, with what must be stored of them. */

export interface OddState {
  readonly state: string;
  /** The fields `available`, `value` and `state` of the point of a sensor; one that is not named must be missing. */
  readonly fields: {
    readonly available: number;
    readonly value?: number;
    readonly state?: string;
  };
}

function plain(state: string, value: number): OddState {
  return { state, fields: { available: 1, value } };
}

function numberAndText(state: string, value: number): OddState {
  return { state, fields: { available: 1, value, state } };
}

function text(state: string): OddState {
  return { state, fields: { available: 1, state } };
}

function missing(state: string): OddState {
  return { state, fields: { available: 0, state } };
}

export const ODD_STATES: readonly OddState[] = [
  plain("0", 0),
  plain("21.5", 21.5),
  plain("-12.50", -12.5),
  plain("1.0", 1),
  plain("123456789012345", 123456789012345),
  numberAndText("007", 7),
  numberAndText("+5", 5),
  numberAndText("1e5", 100_000),
  numberAndText(".5", 0.5),
  numberAndText("5.", 5),
  numberAndText("12345678901234567890", 12345678901234567000),
  text(""),
  text("on"),
  text("off"),
  text("True"),
  text("none"),
  text("nan"),
  text("inf"),
  text("1e999"),
  text("0x10"),
  text("1_000"),
  text("12:30"),
  text("+49 30 1234"),
  text(" 12 "),
  text("Küche 😀 漢字"),
  text("comma, space = equal"),
  text('quote " and backslash \\'),
  text("line\nbreak"),
  text("x".repeat(255)),
  missing("unavailable"),
  missing("unknown"),
];

export const ODD_ATTRIBUTES: Readonly<Record<string, unknown>> = {
  temperature: 21.5,
  whole: 3,
  negative: -0.25,
  large: 2 ** 53,
  yes: true,
  no: false,
  nothing: null,
  text: 'é "quoted" \\',
  empty: "",
  time: 5,
  value: 6,
  state: "inner",
  name: "own name",
  ends_in_str: 8,
  "odd key, with = and 😀": 9,
  "": 10,
  list: [1, "two", { three: null }],
  nested: { a: { b: [1, { c: "d" }] } },
  long: "y".repeat(256),
};

/** What of the odd attributes must be stored. Lists, objects and long text are left out, null is nothing. */
export const STORED_ATTRIBUTES: Readonly<Record<string, string | number>> = {
  temperature: 21.5,
  whole: 3,
  negative: -0.25,
  large: 2 ** 53,
  yes: 1,
  no: 0,
  text_str: 'é "quoted" \\',
  empty_str: "",
  time_: 5,
  value_: 6,
  state__str: "inner",
  name__str: "own name",
  ends_in_str_: 8,
  "odd key, with = and 😀": 9,
};
