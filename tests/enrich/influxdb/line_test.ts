import fc from "fast-check";
import assert from "node:assert/strict";
import { Point } from "@influxdata/influxdb-client";
import { toLine } from "../../../lib/enrich/influxdb/line.ts";
import type { FieldValue, StorePoint } from "../../../lib/enrich/store.ts";
import { cutIntoLines, readLine } from "./line_protocol.ts";
import { readBack } from "./read_back.ts";

function pointOf(parts: {
  readonly measurement?: string;
  readonly tags?: readonly (readonly [string, string])[];
  readonly fields?: readonly (readonly [string, FieldValue])[];
  readonly timeNs?: bigint;
}): StorePoint {
  return {
    measurement: parts.measurement ?? "m",
    tags: new Map(parts.tags ?? []),
    fields: new Map(parts.fields ?? [["f", 1]]),
    timeNs: parts.timeNs ?? 1n,
  };
}

Deno.test("toLine writes measurement, tags, fields and nanoseconds, sorted", () => {
  const line = toLine(pointOf({
    measurement: "sensor",
    tags: [["unit", "°C"], ["entity_id", "sensor.a"], ["area", ""], ["name", "A, b=c"]],
    fields: [["value", 21.5], ["state", 'say "hi" \\ bye\n'], ["big", 1e30]],
    timeNs: 1795454675197847000n,
  }));
  assert.equal(
    line,
    String.raw`sensor,entity_id=sensor.a,name=A\,\ b\=c,unit=°C big=1e+30,` +
      String.raw`state="say \"hi\" \\ bye` + "\n" + `",value=21.5 1795454675197847000`,
  );
});

/** What the library alone writes. */
function libraryLine({ measurement, tags, fields, timeNs }: StorePoint): string {
  const point = new Point(measurement).timestamp(String(timeNs));
  for (const [name, value] of tags) point.tag(name, value);
  for (const [name, value] of fields) {
    if (typeof value === "number") point.floatField(name, value);
    else point.stringField(name, value);
  }
  return String(point);
}

Deno.test("toLine writes what the library writes, of points that share their tags, too", () => {
  const name = fc.stringMatching(/^[a-d ,=é]{1,3}$/);
  const tags = fc.uniqueArray(fc.tuple(name, name), { selector: ([name]) => name })
    .map((pairs) => new Map(pairs));
  const value = fc.oneof(
    fc.double({ noDefaultInfinity: true, noNaN: true }),
    fc.string({ unit: "binary" }),
  );
  const fields = fc.uniqueArray(fc.tuple(name, value), { minLength: 1, selector: ([name]) => name })
    .map((pairs) => new Map<string, FieldValue>(pairs));
  const lot = fc.array(tags, { minLength: 1, maxLength: 3 }).chain((pool) =>
    fc.array(fc.record<StorePoint>({
      measurement: fc.constantFrom("sensor", "a b"),
      tags: fc.constantFrom(...pool),
      fields: fc.oneof(fields, fc.constantFrom(new Map([["a", 1], ["b", 2]]))),
      timeNs: fc.bigInt(-1_000n, 2_000_000_000_000_000_000n),
    }))
  );
  fc.assert(fc.property(lot, (points) => {
    for (const version of [1, 2, 3] as const) {
      assert.deepEqual(points.map((point) => toLine(point, version)), points.map(libraryLine));
    }
  }));
});

Deno.test("toLine guards the traps of the library", () => {
  assert.equal(toLine(pointOf({ measurement: "#/m³" })), "_#/m³ f=1 1");
  assert.equal(toLine(pointOf({ measurement: "a\\" })), "a\\_ f=1 1");
  assert.equal(toLine(pointOf({ measurement: "a\\ b" })), "a\\_\\ b f=1 1");
  assert.equal(toLine(pointOf({ tags: [["k\\", "v\\"]] })), "m,k\\_=v\\_ f=1 1");
  assert.equal(toLine(pointOf({ tags: [["a", "\\\0"]] })), "m,a=\\\\0 f=1 1");
  assert.equal(toLine(pointOf({ measurement: "\0a", tags: [["\0", "\0"]] })), "\\0a,\\0=\\0 f=1 1");
  assert.equal(toLine(pointOf({ tags: [["time", "noon"]] })), "m,time_=noon f=1 1");
  assert.equal(toLine(pointOf({ tags: [["k", "a\nb"]] })), "m,k=a\\nb f=1 1");
  assert.equal(toLine(pointOf({ fields: [["time", 2], ["k\\=", 3]] })), "m k\\_\\==3,time_=2 1");
  assert.equal(toLine(pointOf({ timeNs: -1n })), "m f=1 -1");
});

Deno.test("toLine keeps a backslash in a tag, and only one at the end gets a _", () => {
  const written = (value: string, version: 1 | 2 | 3) =>
    toLine(pointOf({ tags: [["k", value]] }), version).slice("m,k=".length, -" f=1 1".length);
  const cases: readonly (readonly [value: string, in1And2: string, in3: string])[] = [
    [String.raw`C:\x`, String.raw`C:\x`, String.raw`C:\\x`],
    [String.raw`a\,b`, String.raw`a\\,b`, String.raw`a\\\,b`],
    [String.raw`a\ b`, String.raw`a\\ b`, String.raw`a\\\ b`],
    [String.raw`a\=b`, String.raw`a\\=b`, String.raw`a\\\=b`],
    [String.raw`a\"b`, String.raw`a\"b`, String.raw`a\\"b`],
    [String.raw`a\\b`, String.raw`a\\b`, String.raw`a\\\\b`],
    ["a\\", "a\\_", "a\\\\_"],
    ["\\", "\\_", "\\\\_"],
  ];
  for (const [value, in1And2, in3] of cases) {
    assert.equal(written(value, 1), in1And2);
    assert.equal(written(value, 2), in1And2);
    assert.equal(written(value, 3), in3);
    if (value.endsWith("\\") || value.includes(" ")) continue;
    for (const version of [1, 2, 3] as const) {
      const line = toLine(pointOf({ tags: [["k", value], [value, "v"]] }), version);
      assert.deepEqual(readLine(line, version).tags, new Map([["k", value], [value, "v"]]));
    }
  }
});

Deno.test("toLine lets no tag mislead InfluxDB about where the line ends", () => {
  const misleading: readonly (readonly (readonly [string, string])[])[] = [
    [["k", "a\\ b"], ["l", 'c\\=d"']],
    [["k", 'a\\ b\\=c"']],
    [["k", "a\\ b\\,c"]],
    [["k\\ l", '"v']],
  ];
  for (const tags of misleading) {
    const request = [toLine(pointOf({ tags, fields: [["f", 'a\n"b']] })), "next f=1 1"];
    assert.deepEqual(cutIntoLines(request.join("\n")), request);
    assert.match(request[0] ?? "", /\\_\\ /);
  }
  const plain = String.raw`m,k=a\\ b f="x" 1`;
  assert.deepEqual(cutIntoLines(`${plain}\nn f=1 1`), [plain, "n f=1 1"]);
  const asItStands = String.raw`m,k=a\\ b\\=c" f="x" 1`;
  assert.equal(cutIntoLines(`${asItStands}\nn f=1 1`).length, 1, "InfluxDB takes both for one");
});

Deno.test("toLine names what cannot be written", () => {
  const refused: readonly (readonly [Parameters<typeof pointOf>[0], RegExp])[] = [
    [{ measurement: "" }, /measurement/],
    [{ fields: [] }, /no fields/],
    [{ fields: [["a", NaN]] }, /"a" is NaN/],
    [{ fields: [["a", -Infinity]] }, /"a" is -Infinity/],
    [{ fields: [["", 1]] }, /Field without a name/],
    [{ fields: [["__proto__", 1], ["b", 1]] }, /Field "__proto__"/],
    [{ fields: [["time", 1], ["time_", 1]] }, /Field "time_"/],
    [{ fields: [["a\n", 1], ["a\\n", 1]] }, /"a\\\\n" would be written under/],
    [{ fields: [["big", "é".repeat(524_289)]] }, /"big" is too large/],
    [{ tags: [["__proto__", "x"]] }, /Tag "__proto__"/],
    [{ tags: [["", "x"]] }, /Tag without a name/],
    [{ timeNs: 9_223_372_036_854_775_807n }, /time/],
  ];
  for (const [parts, message] of refused) {
    assert.throws(() => toLine(pointOf(parts)), { message });
  }
  assert.ok(toLine(pointOf({ fields: [["big", "é".repeat(524_288)]] })));
});

const hostileText = fc.oneof(
  fc.constantFrom("time", "value", "constructor", "7", "#x", "😀", "a\\"),
  fc.string({
    unit: fc.constantFrom(
      " ",
      ",",
      "=",
      "\\",
      '"',
      "\0",
      "\n",
      "\r",
      "\t",
      "#",
      "_",
      "n",
      "t",
      "é",
      "😀",
    ),
  }),
  fc.string({ unit: "binary" }),
);
const hostilePoint = fc.record({
  measurement: hostileText,
  tags: fc.array(fc.tuple(hostileText, hostileText), { maxLength: 5 }),
  fields: fc.array(
    fc.tuple(hostileText, fc.oneof(fc.double(), fc.integer(), hostileText)),
    { maxLength: 5 },
  ),
  timeNs: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n }),
});

/** The point as it is promised to be read back, or undefined where line protocol has no words for it. */
function expectedOf(point: StorePoint): StorePoint | undefined {
  const { measurement, tags, fields, timeNs } = point;
  const tagNames = [...tags].filter(([, value]) => value !== "").map(([name]) => name);
  const isWritable = measurement !== "" && fields.size > 0 && timeNs < 2n ** 63n - 1n &&
    timeNs > -(2n ** 63n) + 1n &&
    [...tagNames, ...fields.keys()].every((name) => name !== "" && name !== "__proto__") &&
    [...fields.values()].every((value) => typeof value === "string" || Number.isFinite(value));
  try {
    return isWritable ? readBack(point) : undefined;
  } catch {
    return undefined;
  }
}

Deno.test("toLine writes what is read back as it was, or throws", () => {
  let written = 0;
  fc.assert(
    fc.property(hostilePoint, (parts) => {
      const point = pointOf(parts);
      const expected = expectedOf(point);
      if (!expected) {
        assert.throws(() => toLine(point));
        return;
      }
      written++;
      const request = [toLine(point), "next f=1 1", toLine(point)];
      assert.deepEqual(cutIntoLines(request.join("\n")), request);
      for (const version of [1, 2, 3] as const) {
        assert.deepEqual(readLine(toLine(point, version), version), expected);
      }
    }),
    { numRuns: 2_000, seed: 1 },
  );
  assert.ok(written > 100, `only ${written} points could be written`);
});

Deno.test("toLine refuses names that are longer with the tags than InfluxDB takes, and names the field", () => {
  const pointOf = (length: number) => ({
    measurement: "m",
    tags: new Map([["a", "b, c"]]),
    fields: new Map([["é".repeat(length), 1]]),
    timeNs: 0n,
  });
  // m,a=b\,\ c and #!~# take 14 bytes
  assert.ok(toLine(pointOf(32_760)).length > 32_760);
  assert.throws(() => toLine(pointOf(32_761)), /^Error: Field "é{40}" is too long with the tags/);
});

Deno.test("toLine tells two names apart that UTF-8 does not", () => {
  const fields = new Map([["\ud83d", 1], ["\ud83e", 2]]);
  const point = { measurement: "m", tags: new Map(), fields, timeNs: 0n };
  assert.throws(() => toLine(point), /would be written under the name of another/);
});
