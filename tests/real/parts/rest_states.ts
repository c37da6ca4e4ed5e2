/** State changes with every odd value that REST can carry into Home Assistant. */
/** After reference tables and core's own tests: what `float()` takes, what `str()` writes, what a number is cut out of. */
const VALUES: readonly unknown[] = [
  "12 %",
  "5 %",
  "-12.5 °C",
  "1,234.5 W",
  "1.5 and 23",
  "12:34",
  "0x10",
  "mdi:12-x",
  "2024-05-01T10:00:00+00:00",
  [255, 0, 0],
  { a: 10 },
  "192.168.1.10",
  "v1",
  "",
  null,
  "1_000",
  "1__0",
  " 12 ",
  "\u00a012\u3000",
  "12.",
  ".5",
  "1e5",
  "nan",
  "-inf",
  "Infinity",
  "1e999",
  "9".repeat(400),
  "١٢",
  "١٢ ٪",
  true,
  false,
  0,
  -0.0,
  1,
  1.5,
  1e16,
  1e-7,
  1.7976931348623157e308,
  2 ** 53 + 2,
  123456789012345,
  [1, 1.5, -0.25, true, false, null, "x"],
  [1e16, 1e-7, 1e22, 123456789012345680000],
  [
    "it's",
    'say "x"',
    `both ' and "`,
    "back\\slash",
    "new\nline\ttab\r",
    "\u00a0\u200b\u0000\u007f",
  ],
  ["Küche 😀 漢字 \u{1f468}\u200d\u{1f469}", "é"],
  { 10: "ten", 2: "two", b: 1, a: { c: [] } },
  {},
  [],
  [[]],
  "comma, space = equal",
  'quote " and backslash \\ inside',
  "back\\slash",
  "ends in backslash\\",
  "line\nbreak",
  "tab\tand\rreturn",
  "#comment",
  "Küche 😀 漢字",
  "x".repeat(2_000),
  "True",
  "None",
  "Last seen 23 minutes ago",
  "0.120.240.2023873",
  "99%",
  "20c",
  "1\n",
  "12.5.\n",
];

const STATES: readonly string[] = [
  "0",
  "1.0",
  "21.5",
  "-12.50",
  "007",
  "+5",
  "1e5",
  ".5",
  "5.",
  "1_000",
  " 12 ",
  "١٢",
  "12345678901234567890",
  "1e999x",
  "on",
  "off",
  "On",
  "locked",
  "unlocked",
  "above_horizon",
  "below_horizon",
  "open",
  "closed",
  "home",
  "not_home",
  "standby",
  "True",
  "none",
  "0x10",
  "12:30",
  "comma, space = equal",
  'quote " and backslash \\ inside',
  "ends in backslash\\",
  "line\nbreak",
  "Küche 😀 漢字",
  "x".repeat(255),
  "unavailable",
  "unknown",
  "",
];

const UNITS: readonly unknown[] = [
  undefined,
  "°C",
  "%",
  "km/h",
  "a b,c=d",
  "back\\slash",
  "",
  null,
  5,
  0,
  true,
  [],
  {},
  "new\nline",
];

const DOMAINS = ["sensor", "binary_sensor", "light", "lock", "cover", "climate", "other"];
const CLASSES: readonly unknown[] = [undefined, "motion", "humidity", null, "", 7, "a b"];

/**
 * Not among them is `foo_str` beside `foo`: two types of one field, for which influxd 1.6.7 can
 * refuse the integration's batch of 100 whole.
 * Names that meet fields of the point, tags, each other, or what line protocol escapes. */
const NAMES: readonly string[] = [
  "k",
  "temperature",
  "value",
  "value_",
  "state_",
  "domain",
  "entity_id",
  "friendly_name",
  "level",
  "noise",
  "a b",
  "c,d",
  "e=f",
  'g"h',
  "i\\j",
  "",
  "10",
  "2",
  "__proto__",
  "é😀",
  "new\nline",
  "foo",
  "floor",
];

/** Of a list that goes round and round. */
function at<T>(list: readonly T[], index: number): T | undefined {
  return list[index % list.length];
}

/**
 * Attributes as JSON text and not as an object: an object would put "10" before "value" and lose
 * `__proto__`, and Home Assistant keeps the order that it is told.
 */
function attributesText(index: number): string {
  const members: string[] = [];
  const add = (name: string, value: unknown) => {
    if (value !== undefined) members.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
  };
  add("unit_of_measurement", at(UNITS, index));
  add("device_class", at(CLASSES, Math.floor(index / 2)));
  for (let i = 0; i < 4; i++) add(at(NAMES, index * 4 + i) ?? "", at(VALUES, index * 5 + i));
  // with every value under the one name that no rule but the values' own touches
  add("every", at(VALUES, index));
  // number tokens that JavaScript would write otherwise
  if (index % 7 === 0) members.push('"tokens":[1.0,-0.0,9007199254740993,1E5,0.1e1]');
  if (index % 11 === 0) members.push('"large":9007199254740993,"one":1.0');
  return `{${members.join(",")}}`;
}

/** At least 200 changes; each state, each value and each unit among them, on a few dozen entities. */
export function restStates(): { readonly entityId: string; readonly body: string }[] {
  return Array.from({ length: 260 }, (_, index) => {
    const entityId = `${at(DOMAINS, index)}.odd_${index % 37}`;
    const state = JSON.stringify(at(STATES, index));
    return {
      entityId,
      body: `{"state":${state},"force_update":true,"attributes":${attributesText(index)}}`,
    };
  });
}
