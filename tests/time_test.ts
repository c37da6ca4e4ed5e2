import assert from "node:assert/strict";
import fc from "fast-check";
import { formatTimeUs, parseTimeUs } from "../lib/time.ts";
import { recordedFrames } from "./simulator/recording.ts";

/** Year 1 to year 2255: as far as microseconds are exact. */
const MAX_US = 2 ** 53 - 1;

Deno.test("parseTimeUs reads what formatTimeUs wrote, at every microsecond", () => {
  fc.assert(fc.property(
    fc.oneof(
      fc.integer({ min: -MAX_US, max: MAX_US }),
      fc.integer({ min: 1_700_000_000_000_000, max: 1_900_000_000_000_000 }),
    ),
    (timeUs) => assert.equal(parseTimeUs(formatTimeUs(timeUs)), timeUs),
  ));
});

Deno.test("parseTimeUs agrees with Date on whole milliseconds", () => {
  fc.assert(fc.property(
    fc.date({
      min: new Date("1700-01-01"),
      max: new Date("2254-01-01"),
      noInvalidDate: true,
    }),
    (date) => {
      const text = date.toISOString();
      assert.equal(parseTimeUs(text), date.getTime() * 1000);
      assert.equal(formatTimeUs(date.getTime() * 1000).slice(0, 23), text.slice(0, 23));
    },
  ));
});

Deno.test("parseTimeUs takes the offset off, and cuts digits beyond the sixth", () => {
  const offset = fc.record({
    sign: fc.constantFrom("+", "-"),
    hours: fc.integer({ min: 0, max: 23 }),
    minutes: fc.integer({ min: 0, max: 59 }),
    colon: fc.constantFrom(":", ""),
  });
  const pad = (value: number) => String(value).padStart(2, "0");
  fc.assert(fc.property(
    fc.integer({ min: 0, max: 2e15 }),
    offset,
    fc.integer({ min: 0, max: 999 }),
    (timeUs, { sign, hours, minutes, colon }, beyond) => {
      const text = formatTimeUs(timeUs).replace(
        "+00:00",
        `${String(beyond).padStart(3, "0")}${sign}${pad(hours)}${colon}${pad(minutes)}`,
      );
      const offsetUs = (hours * 60 + minutes) * 60_000_000;
      assert.equal(
        parseTimeUs(text),
        sign === "+" ? timeUs - offsetUs : timeUs + offsetUs,
      );
    },
  ));
});

Deno.test("parseTimeUs reads a time without a fraction as Python writes it", () => {
  const us = Date.UTC(2026, 5, 25, 21, 20, 5) * 1000;
  assert.equal(parseTimeUs("2026-06-25T21:20:05+00:00"), us);
  assert.equal(parseTimeUs("2026-06-25 21:20:05Z"), us);
  assert.equal(parseTimeUs("2026-06-25T21:20:05.1+00:00"), us + 100_000);
  assert.equal(parseTimeUs("2024-02-29T00:00:00+00:00"), Date.UTC(2024, 1, 29) * 1000);
  assert.equal(parseTimeUs("0099-01-01T00:00:00Z"), undefined);
});

Deno.test("parseTimeUs and formatTimeUs keep every recorded time to the letter", () => {
  const time = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00/g;
  let count = 0;
  for (const frame of recordedFrames()) {
    for (const [text, fraction] of frame.matchAll(time)) {
      const timeUs = parseTimeUs(text);
      assert.ok(timeUs !== undefined, text);
      const full = formatTimeUs(timeUs);
      assert.equal(fraction ? full : full.replace(".000000", ""), text);
      count++;
    }
  }
  assert.ok(count > 2_000, `${count} times`);
});

Deno.test("parseTimeUs says the same of a text whatever day it has read before", () => {
  const valid = "2026-06-25T21:20:05.162552+00:00";
  const signs = [..."0123456789:-+.T Z,", "٣", "x"];
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(valid.length - 1), fc.constantFrom(...signs)), { maxLength: 2 }),
      (changes) => {
        const chars = [...valid];
        for (const [at, sign] of changes) chars[at] = sign;
        const text = chars.join("");
        parseTimeUs("2001-01-01T00:00:00Z");
        const onAnotherDay = parseTimeUs(text);
        assert.equal(parseTimeUs(valid), 1_782_422_405_162_552);
        assert.equal(parseTimeUs(text), onAnotherDay);
      },
    ),
    { numRuns: 5_000 },
  );
});

Deno.test("parseTimeUs gives undefined for a text that is no time", () => {
  const bad = [
    "",
    "now",
    "2026-06-25",
    "2026-06-25T21:20:05",
    "2026-06-25T21:20+00:00",
    "2026-02-29T00:00:00Z",
    "2026-02-31T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-06-00T00:00:00Z",
    "2026-06-31T00:00:00Z",
    "2026-06-25T24:00:00Z",
    "2026-06-25T21:60:05Z",
    "2026-06-25T21:20:60Z",
    "2026-06-25T21:20:05.Z",
    "2026-06-25T21:20:05.1234567890Z",
    "2026-06-25T21:20:05+24:00",
    "2026-06-25T21:20:05+00:60",
    "2026-06-25T21:20:05+00",
    " 2026-06-25T21:20:05Z",
    "2026-06-25T21:20:05Z ",
    "2026-06-25T21:20:05Z\n",
    "٢٠٢٦-06-25T21:20:05Z",
    "-2026-06-25T21:20:05Z",
    "12026-06-25T21:20:05Z",
  ];
  for (const text of bad) assert.equal(parseTimeUs(text), undefined, text);
  fc.assert(fc.property(fc.string(), (text) => {
    assert.equal(parseTimeUs(text), undefined);
  }));
});
