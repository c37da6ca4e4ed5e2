import assert from "node:assert/strict";
import { DELIVERY_TIMES } from "../../../lib/ingest/delivery/delivery_times.ts";
import { LimitMemory, shapeOf } from "../../../lib/enrich/influxdb/limit_memory.ts";

const LIMIT = { name: "max-series-per-database", reason: "exceeded", wish: "raise it" };
const OTHER = { name: "max-values-per-tag", reason: "exceeded", wish: "raise it" };

Deno.test("LimitMemory tells of a limit until after the hour within which ingest tries again", () => {
  let nowMs = 0;
  const memory = new LimitMemory(() => nowMs);
  memory.noteLimited(LIMIT, ["a"]);
  nowMs = 30_001;
  assert.deepEqual(memory.limits(), [LIMIT]);
  memory.noteLimited(LIMIT, []);
  nowMs += DELIVERY_TIMES.limitedMaxMs + 60_000;
  assert.deepEqual(memory.limits(), [LIMIT]);
  nowMs += DELIVERY_TIMES.limitedMaxMs;
  assert.deepEqual(memory.limits(), []);
});

Deno.test("LimitMemory ends a limit when what it was in the way of is stored, and no other limit", () => {
  const memory = new LimitMemory();
  memory.noteTaken(["a", "b"]);
  memory.noteLimited(LIMIT, ["c", "d"]);
  memory.noteLimited(OTHER, ["e"]);
  memory.noteTaken(["a"]);
  assert.deepEqual(memory.limits(), [LIMIT, OTHER]);
  assert.deepEqual(["a", "c", "e", "f"].map((shape) => memory.isLimited(shape)), [
    false,
    true,
    true,
    false,
  ]);
  memory.noteTaken(["c"]);
  assert.equal(memory.isLimited("c"), false);
  assert.deepEqual(memory.limits(), [OTHER]);
  assert.ok(memory.isTaken("c") && !memory.isTaken("d") && !memory.isTaken("e"));
  // what it does not know was not in the way of anything
  memory.noteTaken(["f"]);
  assert.deepEqual(memory.limits(), [OTHER]);
});

Deno.test("LimitMemory is bounded: what it has known longest goes first", () => {
  const memory = new LimitMemory();
  memory.noteTaken(Array.from({ length: 10_001 }, (_, n) => `taken${n}`));
  assert.deepEqual([memory.isTaken("taken0"), memory.isTaken("taken1")], [false, true]);
  memory.noteTaken(["taken1", "more"]);
  assert.deepEqual([memory.isTaken("taken1"), memory.isTaken("taken2")], [true, false]);
});

Deno.test("A shape is measurement, tags and the names of fields, and neither values nor time", () => {
  const point = {
    measurement: "sensor",
    tags: new Map([["entity_id", "sensor.a"]]),
    fields: new Map<string, number | string>([["value", 1]]),
    timeNs: 1n,
  };
  const same = { ...point, fields: new Map([["value", 2]]), timeNs: 2n };
  assert.equal(shapeOf(point), shapeOf(same));
  const others = [
    { ...point, measurement: "light" },
    { ...point, tags: new Map([["entity_id", "sensor.b"]]) },
    { ...point, fields: new Map([["state", "on"]]) },
  ];
  for (const other of others) assert.notEqual(shapeOf(point), shapeOf(other));
});
