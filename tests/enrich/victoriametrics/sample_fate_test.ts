import assert from "node:assert/strict";
import {
  type Clocks,
  fateByLabels,
  fateByTime,
} from "../../../lib/enrich/victoriametrics/sample_fate.ts";
import { flagsIn, type ServerFlags } from "../../../lib/enrich/victoriametrics/server_flags.ts";
import type { StorePoint } from "../../../lib/enrich/store.ts";

const DAY_MS = 86_400_000;
const NOW_MS = Date.parse("2026-11-26T12:00:00Z");
const AGREED: Clocks = { theirsMs: NOW_MS, oursMs: NOW_MS + 2_000 };

function flagsOf(flags: Readonly<Record<string, string>>): ServerFlags {
  const all = { retentionPeriod: "1M", futureRetention: "2d", ...flags };
  const text = Object.entries(all).map(([name, value]) =>
    `flag{name="${name}", value="${value}", is_set="true"} 1\n`
  ).join("");
  const read = flagsIn(text);
  if (!read) throw new Error("no flags");
  return read;
}

function pointAt(timeMs: number): StorePoint {
  return {
    measurement: "sensor",
    tags: new Map([["entity_id", "sensor.a"]]),
    fields: new Map([["value", 1]]),
    timeNs: BigInt(timeMs) * 1_000_000n,
  };
}

function kindAt(ageMs: number, clocks = AGREED, flags?: ServerFlags, settingMs?: number) {
  const setting = settingMs === undefined ? undefined : { text: "set", ms: settingMs };
  return fateByTime(pointAt(NOW_MS - ageMs), clocks, flags, setting)?.kind;
}

Deno.test("A point is left out from a minute before VictoriaMetrics would throw it away, by its own clock", () => {
  const flags = flagsOf({ retentionPeriod: "7d" });
  assert.equal(kindAt(7 * DAY_MS - 61_000, AGREED, flags), undefined);
  assert.equal(kindAt(7 * DAY_MS - 59_000, AGREED, flags), "skipped");
  assert.equal(kindAt(400 * DAY_MS, AGREED, flags), "skipped");
  const backfill = flagsOf({ retentionPeriod: "7d", maxBackfillAge: "2d" });
  assert.equal(kindAt(2 * DAY_MS, AGREED, backfill), "skipped");
});

Deno.test("A point further ahead than -futureRetention is refused, not stored", () => {
  assert.equal(kindAt(-2 * DAY_MS, AGREED, flagsOf({})), undefined);
  assert.equal(kindAt(-2 * DAY_MS - 1_000, AGREED, flagsOf({})), "refused");
  assert.equal(kindAt(-9 * DAY_MS, AGREED, flagsOf({ futureRetention: "10d" })), undefined);
});

Deno.test("Where nobody knows the retention, what is older than a day waits until it is set", () => {
  assert.equal(kindAt(DAY_MS - 120_000), undefined);
  assert.equal(kindAt(DAY_MS + 1_000), "limited");
  assert.equal(kindAt(DAY_MS + 1_000, AGREED, undefined, 31 * DAY_MS), undefined);
  assert.equal(kindAt(31 * DAY_MS + 1_000, AGREED, undefined, 31 * DAY_MS), "skipped");
});

Deno.test("A clock that is far off makes points wait, where only one of the two would lose them", () => {
  const flags = flagsOf({ retentionPeriod: "7d" });
  const behind = { theirsMs: NOW_MS - 300 * DAY_MS, oursMs: NOW_MS };
  const ahead = { theirsMs: NOW_MS + 300 * DAY_MS, oursMs: NOW_MS };
  const oursBehind = { theirsMs: NOW_MS, oursMs: NOW_MS - 300 * DAY_MS };
  assert.equal(kindAt(0, behind, flags), "limited");
  assert.equal(kindAt(0, ahead, flags), "limited");
  assert.equal(kindAt(0, oursBehind, flags), undefined, "the server keeps it");
  assert.equal(kindAt(100 * DAY_MS, oursBehind, flags), "limited");
  assert.equal(kindAt(400 * DAY_MS, oursBehind, flags), "skipped");
  const hourly = { theirsMs: NOW_MS, oursMs: NOW_MS - 3_000_000 };
  assert.equal(kindAt(7 * DAY_MS, hourly, flags), "skipped", "a clock of less than an hour off");
});

Deno.test("Where the server's clock is not known points wait that would be thrown away by ours", () => {
  const flags = flagsOf({ retentionPeriod: "7d" });
  const unknown = { theirsMs: undefined, oursMs: NOW_MS };
  assert.equal(kindAt(0, unknown, flags), undefined);
  assert.equal(kindAt(8 * DAY_MS, unknown, flags), "limited");
  assert.equal(kindAt(-8 * DAY_MS, unknown, flags), "limited");
});

Deno.test("A point beyond a limit of labels waits, with the flag that is to be raised", () => {
  const flags = flagsOf({
    maxLabelsPerTimeseries: "3",
    maxLabelNameLen: "10",
    maxLabelValueLen: "20",
  });
  const fateOf = (
    tags: Readonly<Record<string, string>>,
    { measurement = "m", field = "v", database = true } = {},
  ) => {
    const point = {
      ...pointAt(NOW_MS),
      measurement,
      tags: new Map(Object.entries(tags)),
      fields: new Map([[field, 1]]),
    };
    const fate = fateByLabels(point, database, flags);
    return fate?.kind === "limited" ? fate.limit.name : fate;
  };
  assert.equal(fateOf({ a: "1", b: "2" }), undefined);
  assert.equal(fateOf({ a: "1", b: "2", c: "3" }), "maxLabelsPerTimeseries");
  assert.equal(fateOf({ a: "1", b: "2", c: "3" }, { database: false }), undefined);
  assert.equal(fateOf({ a: "1", b: "2", db: "own" }), undefined);
  assert.equal(fateOf({ a: "1", b: "2", empty: "" }), undefined);
  assert.equal(fateOf({ ["é".repeat(5)]: "x" }), undefined);
  assert.equal(fateOf({ ["é".repeat(6)]: "x" }), "maxLabelNameLen");
  assert.equal(fateOf({ a: "y".repeat(20) }), undefined);
  assert.equal(fateOf({ a: `${"y".repeat(19)}\n` }), "maxLabelValueLen");
  assert.equal(fateOf({}, { measurement: "m".repeat(18) }), undefined);
  assert.equal(fateOf({}, { measurement: "m".repeat(19) }), "maxLabelValueLen");
  assert.equal(fateOf({}, { measurement: "m".repeat(17), field: '"' }), undefined);
  assert.equal(fateOf({}, { measurement: "m".repeat(18), field: '"' }), "maxLabelValueLen");
});
