import fc from "fast-check";
import assert from "node:assert/strict";
import { toLine } from "../../../lib/enrich/influxdb/line.ts";
import type { FieldValue, StorePoint } from "../../../lib/enrich/store.ts";
import { readLine } from "./line_protocol.ts";

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

Deno.test("toLine guards the traps of the library", () => {
  assert.equal(toLine(pointOf({ measurement: "#/m³" })), "_#/m³ f=1 1");
  assert.equal(toLine(pointOf({ measurement: "a\\" })), "a\\_ f=1 1");
  assert.equal(toLine(pointOf({ measurement: "a\\ b" })), "a\\_\\ b f=1 1");
  assert.equal(toLine(pointOf({ tags: [["k\\", "v\\"]] })), "m,k\\_=v\\_ f=1 1");
  assert.equal(toLine(pointOf({ measurement: "\0a", tags: [["\0", "\0"]] })), "\\0a,\\0=\\0 f=1 1");
  assert.equal(toLine(pointOf({ tags: [["time", "noon"]] })), "m,time_=noon f=1 1");
  assert.equal(toLine(pointOf({ tags: [["k", "a\nb"]] })), "m,k=a\\nb f=1 1");
  assert.equal(toLine(pointOf({ fields: [["time", 2], ["k\\=", 3]] })), "m k\\_\\==3,time_=2 1");
  assert.equal(toLine(pointOf({ timeNs: -1n })), "m f=1 -1");
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

/** A name as it is promised to be read back. */
function readBack(name: string): string {
  return name.replace(/\\(?=[,= "]|$)/g, "\\_")
    .replaceAll("\0", "\\0").replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll(
      "\t",
      "\\t",
    );
}

function readBackKey(name: string): string {
  return name === "time" ? "time_" : readBack(name);
}

/** Whether line protocol has words for the point. */
function canBeWritten({ measurement, tags, fields, timeNs }: StorePoint): boolean {
  const tagNames = [...tags].filter(([, value]) => value !== "").map(([name]) => name);
  return measurement !== "" && fields.size > 0 && timeNs < 2n ** 63n - 1n &&
    timeNs > -(2n ** 63n) + 1n &&
    [tagNames, [...fields.keys()]].every((names) =>
      !names.includes("") && !names.includes("__proto__") &&
      new Set(names.map(readBackKey)).size === names.length
    ) &&
    [...fields.values()].every((value) => typeof value === "string" || Number.isFinite(value));
}

Deno.test("toLine writes what is read back as it was, or throws", () => {
  let written = 0;
  fc.assert(
    fc.property(hostilePoint, (parts) => {
      const point = pointOf(parts);
      if (!canBeWritten(point)) {
        assert.throws(() => toLine(point));
        return;
      }
      written++;
      const { measurement } = point;
      const expected: StorePoint = {
        measurement: readBack(measurement.startsWith("#") ? `_${measurement}` : measurement),
        tags: new Map(
          [...point.tags].filter(([, value]) => value !== "")
            .map(([name, value]) => [readBackKey(name), readBack(value)]),
        ),
        fields: new Map(
          [...point.fields].map(([name, value]) => [
            readBackKey(name),
            typeof value === "number" ? value + 0 : value, // a line has no -0
          ]),
        ),
        timeNs: point.timeNs,
      };
      assert.deepEqual(readLine(toLine(point)), expected);
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
