import fc from "fast-check";
import assert from "node:assert/strict";
import { pythonLine } from "../../../lib/enrich/homeassistant/python_line.ts";
import type { FieldValue, StorePoint } from "../../../lib/enrich/store.ts";
import { readLine } from "../influxdb/line_protocol.ts";

interface Parts {
  readonly measurement?: string;
  readonly tags?: readonly (readonly [string, string])[];
  readonly fields?: readonly (readonly [string, FieldValue])[];
  readonly timeNs?: bigint;
}

function pointOf(parts: Parts): StorePoint {
  return {
    measurement: parts.measurement ?? "m",
    tags: new Map(parts.tags ?? []),
    fields: new Map(parts.fields ?? [["f", 1.5]]),
    timeNs: parts.timeNs ?? 1n,
  };
}

const HOSTILE = 'a b,c=d\\e"f\ng\rh\ti';

/** What the Python clients themselves wrote of these. */
const LINES: readonly (readonly [name: string, Parts, influxdb1: string, influxdb2: string])[] = [
  [
    "an ordinary point",
    {
      measurement: "°C",
      tags: [["entity_id", "a"], ["domain", "sensor"]],
      fields: [["value", 21.5], ["friendly_name_str", "Küche 😀"]],
      timeNs: 1795454675197847000n,
    },
    '°C,domain=sensor,entity_id=a friendly_name_str="Küche 😀",value=21.5 1795454675197847000',
    '°C,domain=sensor,entity_id=a friendly_name_str="Küche 😀",value=21.5 1795454675197847000',
  ],
  [
    "numbers",
    { fields: [["a", 1], ["b", -0], ["c", 1e16], ["d", 1e-5], ["e", 0.1], ["f", 1e22]] },
    "m a=1.0,b=-0.0,c=1e+16,d=1e-05,e=0.1,f=1e+22 1",
    "m a=1,b=-0,c=1e+16,d=1e-05,e=0.1,f=1e+22 1",
  ],
  [
    "special characters in a measurement",
    { measurement: HOSTILE },
    'a\\ b\\,c\\=d\\\\e"f\\ng\rh\ti f=1.5 1',
    'a\\ b\\,c=d\\e"f\\ng\\rh\\ti f=1.5 1',
  ],
  [
    "special characters in tags",
    { tags: [[HOSTILE, HOSTILE]] },
    'm,a\\ b\\,c\\=d\\\\e"f\\ng\rh\ti=a\\ b\\,c\\=d\\\\e"f\\ng\rh\ti f=1.5 1',
    'm,a\\ b\\,c\\=d\\e"f\\ng\\rh\\ti=a\\ b\\,c\\=d\\e"f\\ng\\rh\\ti f=1.5 1',
  ],
  [
    "special characters in fields",
    { fields: [[HOSTILE, HOSTILE], ["e", "a\\"]] },
    'm a\\ b\\,c\\=d\\\\e"f\\ng\rh\ti="a b,c=d\\\\e\\"f\\ng\rh\ti",e="a\\\\" 1',
    'm a\\ b\\,c\\=d\\e"f\\ng\\rh\\ti="a b,c=d\\\\e\\"f\ng\rh\ti",e="a\\\\" 1',
  ],
  [
    "a backslash before a space of a tag, which InfluxDB keeps",
    { tags: [["a", 'b\\ "c'], ["d", "e f,g=h"]] },
    'm,a=b\\\\\\ "c,d=e\\ f\\,g\\=h f=1.5 1',
    'm,a=b\\\\ "c,d=e\\ f\\,g\\=h f=1.5 1',
  ],
  [
    "a backslash before a comma or = of tags, which InfluxDB keeps",
    { tags: [["a\\,b", 'c\\,d"'], ["e\\=f", "g\\=h"]] },
    'm,a\\\\\\,b=c\\\\\\,d",e\\\\\\=f=g\\\\\\=h f=1.5 1',
    'm,a\\\\,b=c\\\\,d",e\\\\=f=g\\\\=h f=1.5 1',
  ],
  [
    "empty texts and tags",
    { tags: [["a", ""], ["b", "x"]], fields: [["f", ""]] },
    'm,b=x f="" 1',
    'm,b=x f="" 1',
  ],
];

for (const [name, parts, influxdb1, influxdb2] of LINES) {
  Deno.test(`pythonLine writes ${name} as the clients do`, () => {
    assert.equal(pythonLine(pointOf(parts), 1), influxdb1);
    assert.equal(pythonLine(pointOf(parts), 2), influxdb2);
    assert.equal(pythonLine(pointOf(parts), 3), influxdb2);
  });
}

/** Where the clients' own lines lose something. */
const GUARDED: readonly (readonly [name: string, Parts, influxdb1: string, influxdb2?: string])[] =
  [
    ["a measurement that is a comment", { measurement: "#/m³" }, "_#/m³ f=1.5 1"],
    [
      "a measurement that is a comment behind a tab",
      { measurement: "\t#" },
      "_\t# f=1.5 1",
      "\\t# f=1.5 1",
    ],
    ["a measurement of tabs", { measurement: "\t\t" }, "_\t\t f=1.5 1", "\\t\\t f=1.5 1"],
    ["a measurement with a tab", { measurement: "\ta" }, "\ta f=1.5 1", "\\ta f=1.5 1"],
    ["a measurement's last backslash", { measurement: "a\\" }, "a\\\\_ f=1.5 1", "a\\_ f=1.5 1"],
    ...([" ", ",", "="] as const).map((special): [string, Parts, string, string] => [
      `a measurement's backslash before "${special}"`,
      { measurement: `a\\${special}b` },
      `a\\\\_\\${special}b f=1.5 1`,
      `a\\_${special === "=" ? "" : "\\"}${special}b f=1.5 1`,
    ]),
    [
      "a measurement's backslash before a quotation mark",
      { measurement: 'a\\"b' },
      'a\\\\_"b f=1.5 1',
      'a\\_"b f=1.5 1',
    ],
    [
      "the last backslash of tags and fields",
      { tags: [["a\\", "b\\\\"]], fields: [["c\\", 1.5]] },
      "m,a\\\\_=b\\\\\\\\_ c\\\\_=1.5 1",
      "m,a\\_=b\\\\_ c\\_=1.5 1",
    ],
    [
      "a backslash before a special character of a field's name, in InfluxDB 2",
      { fields: [["a\\ ", 1.5], ["b\\,", 2.5], ["c\\=", 3.5]] },
      "m a\\\\\\ =1.5,b\\\\\\,=2.5,c\\\\\\==3.5 1",
      "m a\\_\\ =1.5,b\\_\\,=2.5,c\\_\\==3.5 1",
    ],
    [
      "a backslash before a space of a tag's name, which InfluxDB 2 would miscount",
      { tags: [["a\\ b", 'c"']] },
      'm,a\\\\\\ b=c" f=1.5 1',
      'm,a\\_\\ b=c" f=1.5 1',
    ],
    [
      "backslashes before a space and a comma of tags, which InfluxDB 2 would miscount",
      { tags: [["a", "b\\ c"], ["d", 'e\\,f"']] },
      'm,a=b\\\\\\ c,d=e\\\\\\,f" f=1.5 1',
      'm,a=b\\_\\ c,d=e\\_\\,f" f=1.5 1',
    ],
    [
      "a tag and a field without a name",
      { tags: [["", "x"]], fields: [["", 5.5], ["f", 1.5]] },
      "m f=1.5 1",
    ],
    [
      "NUL",
      { measurement: "\0a", tags: [["\0", "\0"]], fields: [["\0", "\0"]] },
      '\\0a,\\0=\\0 \\0="\0" 1',
    ],
  ];

for (const [name, parts, influxdb1, influxdb2 = influxdb1] of GUARDED) {
  Deno.test(`pythonLine guards ${name}`, () => {
    assert.equal(pythonLine(pointOf(parts), 1), influxdb1);
    assert.equal(pythonLine(pointOf(parts), 2), influxdb2);
  });
}

Deno.test("pythonLine names what cannot be written", () => {
  const refused: readonly (readonly [Parts, RegExp])[] = [
    [{ measurement: "" }, /measurement/],
    [{ fields: [] }, /no fields/],
    [{ fields: [["", 1]] }, /no fields/],
    [{ fields: [["a", NaN]] }, /"a" is NaN/],
    [{ fields: [["a", -Infinity]] }, /"a" is -Infinity/],
    [{ fields: [["big", "é".repeat(524_289)]] }, /"big" is too large/],
    [{ timeNs: 9_223_372_036_854_775_807n }, /time/],
    [{ timeNs: -9_223_372_036_854_775_807n }, /time/],
  ];
  for (const version of [1, 2, 3] as const) {
    for (const [parts, message] of refused) {
      assert.throws(() => pythonLine(pointOf(parts), version), { message });
    }
    assert.ok(pythonLine(pointOf({ fields: [["big", "é".repeat(524_288)]] }), version));
  }
});

const hostileText = fc.oneof(
  fc.constantFrom("__proto__", "#x", "a\\"),
  fc.string({
    unit: fc.constantFrom(...' ,=\\"\0\n\r\t#_nté😀'.split(/(?:)/u)),
  }),
);

Deno.test("pythonLine writes for InfluxDB 2 what is read back, whatever the names and texts are", () => {
  fc.assert(
    fc.property(
      hostileText.filter((name) => name !== ""),
      fc.array(fc.tuple(hostileText, hostileText), { maxLength: 4 }),
      fc.array(fc.tuple(hostileText, fc.oneof(hostileText, fc.integer())), { maxLength: 4 }),
      (measurement, tags, fields) => {
        const point = pointOf({ measurement, tags, fields: [...fields, ["f", 1]] });
        const read = readLine(pythonLine(point, 2));
        for (const [name, value] of point.fields) {
          if (/^[^\\\0\n\r\t]+$/.test(name)) assert.equal(read.fields.get(name), value);
        }
        const all = [...point.tags].flat();
        const exact = all.some((text) => text.includes("\\ "))
          ? /^[^\\\0\n\r\t]+$/
          : /^[^\0\n\r\t]*[^\\\0\n\r\t]$/;
        for (const [name, value] of point.tags) {
          if (exact.test(name) && exact.test(value)) assert.equal(read.tags.get(name), value);
        }
      },
    ),
    { numRuns: 1_000, seed: 1 },
  );
});
