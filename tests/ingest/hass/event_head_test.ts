import fc from "fast-check";
import assert from "node:assert/strict";
import {
  type EventHead,
  eventHead,
  isPlainEventHead,
  readEventHead,
} from "../../../lib/ingest/hass/event_head.ts";
import { changed, paths } from "../../changed_json.ts";

const TIME = "2026-06-25T21:20:05.162552+00:00";

function state(attributes: object) {
  return { state: "21.5", attributes, last_changed: TIME, last_updated: TIME };
}

const EVENT = {
  event_type: "state_changed",
  data: {
    entity_id: "sensor.kitchen",
    device_id: "abc",
    old_state: state({ friendly_name: "Kitchen", device_class: "temperature" }),
    new_state: state({ unit_of_measurement: "°C", state_class: "measurement", restored: true }),
  },
  time_fired: TIME,
};

const VALUES: readonly unknown[] = [undefined, null, "", "text", 5, true, [], ["a"], {}, { id: 5 }];

/** Without members that are undefined: zod leaves them out. */
const saidBy = (head: EventHead): unknown => JSON.parse(JSON.stringify(head));

/** Compares what is read with what the schema reads. Returns whether it was read at a glance. */
function isReadAlike(json: unknown): boolean {
  const head = eventHead.safeParse(json);
  if (head.success) assert.deepEqual(saidBy(readEventHead(json)), saidBy(head.data));
  else assert.throws(() => readEventHead(json));
  return isPlainEventHead(json);
}

Deno.test("What is read of an event at a glance is what the schema reads of it", () => {
  for (const path of paths(EVENT)) {
    for (const value of VALUES) isReadAlike(changed(EVENT, path, value));
  }
  const place = fc.constantFrom(...paths(EVENT));
  const change = fc.tuple(place, fc.oneof(fc.constantFrom(...VALUES), fc.jsonValue()));
  let plain = 0;
  fc.assert(
    fc.property(fc.array(change, { maxLength: 3 }), (changes) => {
      const json = changes.reduce<unknown>(
        (all, [path, other]) => changed(all, path, other),
        EVENT,
      );
      if (isReadAlike(JSON.parse(JSON.stringify(json) ?? "null"))) plain++;
    }),
    { numRuns: 20_000 },
  );
  assert.ok(plain > 1_000, `${plain} were plain`);
});

Deno.test("What Home Assistant sends is read at a glance", () => {
  assert.ok(isPlainEventHead(EVENT));
  for (const name of ["old_state", "new_state"]) {
    assert.ok(isPlainEventHead(changed(EVENT, ["data", name], null)), name);
  }
  assert.ok(isPlainEventHead({ event_type: "call_service", data: {}, time_fired: TIME }));
});
