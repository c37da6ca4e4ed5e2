import assert from "node:assert/strict";
import { EventProblem } from "../../../lib/enrich/event_problem.ts";
import { tidy } from "./tidied.ts";

const START = "2026-11-23T18:00:00.000000+00:00";
const START_NS = 1795456800000000000n;

function hour(data: object, envelope: object = {}) {
  const event = { event_type: "statistics", data: { start: START, ...data }, time_fired: START };
  return tidy(event, { via: "statistics", ...envelope });
}

Deno.test("An hour of an entity's statistic is tagged as its states are, at the start of the hour", () => {
  const registry = { name: "House", area: "Hall", floor: "Ground", device: "Sensor" };
  const point = hour({
    statistic_id: "sensor.house",
    entity_id: "sensor.house",
    name: "friendly",
    unit: "°C",
    device_class: "temperature",
    mean: 20.5,
    min: 19,
    max: -0.25,
    sum: null,
  }, { registry, source: "home" });
  assert.deepEqual(point, {
    measurement: "statistics",
    tags: {
      statistic_id: "sensor.house",
      entity_id: "sensor.house",
      ...registry,
      device_class: "temperature",
      unit: "°C",
      source: "home",
    },
    fields: { mean: 20.5, min: 19, max: -0.25 },
    timeNs: START_NS,
    leftOut: {},
  });
});

Deno.test("An hour of an external statistic has the statistic's own name, and no entity", () => {
  const point = hour({ statistic_id: "energy:solar", name: "Solar", sum: 0, state: 1e-7 });
  assert.deepEqual(point.tags, { statistic_id: "energy:solar", name: "Solar" });
  assert.deepEqual(point.fields, { sum: 0, state: 1e-7 });
});

Deno.test("An hour has the same time whatever else it says, so that a corrected one takes its place", () => {
  const one = hour({ statistic_id: "energy:solar", sum: 1 });
  const other = hour({ statistic_id: "energy:solar", sum: 2 });
  assert.deepEqual([one.timeNs, one.tags], [other.timeNs, other.tags]);
});

Deno.test("An hour that says nothing, or breaks its shape, is a problem that names the field", () => {
  const problem = (data: object, message: RegExp) =>
    assert.throws(
      () => hour(data),
      (error) => error instanceof EventProblem && message.test(error.message),
    );
  problem({ statistic_id: "energy:solar" }, /data: must have at least one of mean, min/);
  problem({ statistic_id: "energy:solar", sum: null }, /data: must have at least one/);
  problem({ statistic_id: "energy:solar", sum: "1" }, /data\.sum: must be a number/);
  problem({ statistic_id: "", sum: 1 }, /data\.statistic_id: must not be empty/);
  problem({ sum: 1 }, /data\.statistic_id/);
  problem({ statistic_id: "energy:solar", sum: 1, start: "18:00" }, /data\.start: must be an ISO/);
});

Deno.test("An hour's unit has one sign for micro, as the entity's states have", () => {
  const { tags } = hour({ statistic_id: "sensor.a", unit: "\u00b5g/m³", sum: 1 });
  assert.equal(tags.unit, "\u03bcg/m³");
});
