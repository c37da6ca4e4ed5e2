import assert from "node:assert/strict";
import { LimitMemory, shapeOf } from "../../../lib/enrich/influxdb/limit_memory.ts";

const LIMIT = { name: "max-series-per-database", reason: "exceeded", wish: "raise it" };
const OTHER = { name: "max-values-per-tag", reason: "exceeded", wish: "raise it" };

Deno.test("LimitMemory knows for half a minute what is not to be tried, and tells of the limit for an hour", () => {
  let nowMs = 0;
  const memory = new LimitMemory(() => nowMs);
  memory.noteLimited(LIMIT, ["a"]);
  assert.equal(memory.limitOf("a"), LIMIT);
  assert.equal(memory.limitOf("b"), undefined);
  nowMs = 30_001;
  assert.equal(memory.limitOf("a"), undefined);
  assert.deepEqual(memory.limits(), [LIMIT]);
  memory.noteLimited(LIMIT, []);
  nowMs += 3_599_999;
  assert.deepEqual(memory.limits(), [LIMIT]);
  nowMs += 2;
  assert.deepEqual(memory.limits(), []);
});

Deno.test("LimitMemory ends a limit when what it was in the way of is stored, and no other limit", () => {
  let nowMs = 0;
  const memory = new LimitMemory(() => nowMs);
  memory.noteTaken(["a", "b"]);
  memory.noteLimited(LIMIT, ["c", "d"]);
  memory.noteLimited(OTHER, ["e"]);
  memory.noteTaken(["a"]);
  assert.deepEqual(memory.limits(), [LIMIT, OTHER]);
  // it is tried again when half a minute is over
  nowMs = 31_000;
  memory.noteTaken(["c"]);
  assert.deepEqual(memory.limits(), [OTHER]);
  nowMs = 0;
  assert.equal(memory.limitOf("d"), undefined);
  assert.equal(memory.limitOf("e"), OTHER);
  assert.ok(memory.isTaken("c") && !memory.isTaken("d"));
});

Deno.test("LimitMemory is bounded: what it has known longest goes first", () => {
  const memory = new LimitMemory(() => 0);
  const many = (kind: string) => Array.from({ length: 10_001 }, (_, n) => `${kind}${n}`);
  memory.noteTaken(many("taken"));
  memory.noteLimited(LIMIT, many("limited"));
  assert.deepEqual([memory.isTaken("taken0"), memory.isTaken("taken1")], [false, true]);
  assert.equal(memory.limitOf("limited0"), undefined);
  assert.equal(memory.limitOf("limited10000"), LIMIT);
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
