import assert from "node:assert/strict";
import * as z from "zod";
import { envelopeSchema } from "../../../lib/contract.ts";
import { toLine } from "../../../lib/enrich/influxdb/line.ts";
import { EventProblem } from "../../../lib/enrich/event_problem.ts";
import { tidyPoint } from "../../../lib/enrich/tidy/tidy.ts";
import { readLine } from "../influxdb/line_protocol.ts";
import { recordedEvents, recordedResult, VERSIONS } from "../../recorded.ts";
import { FIRED_NS, stateOf, tidy } from "./tidied.ts";

Deno.test("tidyPoint makes of each recorded event one point, and its line says the same", () => {
  const kinds = new Set<string>();
  for (const attributes of ["standard", "all", "none"] as const) {
    for (const { text } of recordedEvents()) {
      const envelope = envelopeSchema.parse({ event: JSON.parse(text), source: "house" });
      const { point } = tidyPoint(envelope, () => text, { attributes });
      const read = readLine(toLine(point));
      assert.deepEqual(read.fields, new Map([...point.fields].map(withoutNegativeZero)));
      assert.deepEqual(new Map([...read.tags].sort()), new Map([...point.tags].sort()));
      assert.deepEqual([read.measurement, read.timeNs], [point.measurement, point.timeNs]);
      kinds.add(envelope.event.event_type);
    }
  }
  assert.ok(kinds.size > 20, `only ${kinds.size} types of events were recorded`);
});

function withoutNegativeZero<T>([name, value]: readonly [string, T]): [string, T | number] {
  return [name, typeof value === "number" ? value + 0 : value];
}

Deno.test("tidyPoint makes a point of each recorded state's snapshot, at the snapshot's time", () => {
  for (const version of VERSIONS) {
    const states = z.array(z.looseObject({ entity_id: z.string() }))
      .parse(recordedResult(version, "states.jsonl", "get_states"));
    assert.ok(states.length > 50);
    for (const state of states) {
      const point = tidy({
        event_type: "state_snapshot",
        data: { entity_id: state.entity_id, new_state: state },
      }, { via: "snapshot" });
      assert.equal(point.timeNs, FIRED_NS);
      assert.equal(point.tags.entity_id, state.entity_id);
      assert.ok(!("old_state" in point.fields));
    }
  }
});

Deno.test("tidyPoint names the field of an event that breaks its shape", () => {
  const broken: readonly (readonly [string, object, RegExp])[] = [
    ["state_changed", {}, /data\.entity_id: must be a text/],
    ["state_changed", { entity_id: "light", new_state: null }, /data\.entity_id: must be <domain>/],
    ["state_changed", { entity_id: "a.b" }, /data\.new_state/],
    ["state_changed", { entity_id: "a.b", new_state: { state: 5 } }, /data\.new_state\.state/],
    [
      "state_changed",
      { entity_id: "a.b", new_state: { ...stateOf("a.b", "1"), last_updated: "now" } },
      /data\.new_state\.last_updated: must be an ISO 8601 time/,
    ],
    ["state_snapshot", { entity_id: "a.b", new_state: null }, /data\.new_state/],
    ["entity_info", { entity_id: "a.b", labels: "x" }, /data\.labels/],
  ];
  for (const [eventType, data, message] of broken) {
    assert.throws(
      () => tidy({ event_type: eventType, data }),
      (error) => error instanceof EventProblem && message.test(error.message),
      eventType,
    );
  }
});
