import assert from "node:assert/strict";
import { type Envelope, envelopeSchema } from "../../lib/contract.ts";
import { eventId, nanosecondsOf } from "../../lib/enrich/event_id.ts";
import { tidyPoint } from "../../lib/enrich/tidy/tidy.ts";
import { recordedEvents, VERSIONS } from "../recorded.ts";

const FIRED = "2026-11-23T17:24:35.197847+00:00";
const UPDATED = "2026-11-23T17:24:35.197848+00:00";

function idOf(event: object, rest: Partial<Envelope> = {}): string {
  const text = JSON.stringify({
    event_type: "state_changed",
    time_fired: FIRED,
    origin: "LOCAL",
    data: {},
    ...event,
  });
  return eventId(envelopeSchema.parse({ event: JSON.parse(text), ...rest }), text);
}

function changed(newState: unknown, entityId: unknown = "sensor.a") {
  return { data: { entity_id: entityId, new_state: newState } };
}

Deno.test("eventId of a state_changed is that of the state, however it came", () => {
  const live = idOf(changed({ state: "1", attributes: { a: 1 }, last_updated: UPDATED }));
  assert.match(live, /^[0-9a-f]{32}$/);
  const backfilled = idOf(
    changed({ state: "1", attributes: {}, last_updated: "2026-11-23T18:24:35.197848+01:00" }),
    { via: "history", registry: { name: "A" } },
  );
  assert.equal(backfilled, live);
  assert.notEqual(idOf(changed({ last_updated: FIRED })), live);
  assert.notEqual(idOf(changed({ last_updated: UPDATED }, "sensor.b")), live);
  assert.notEqual(idOf(changed({ last_updated: UPDATED }), { source: "house" }), live);
  assert.equal(idOf(changed({ last_updated: UPDATED }), { source: "" }), live);
});

Deno.test("eventId of a removal is that of its time_fired", () => {
  assert.equal(idOf(changed(null)), idOf(changed({ last_updated: FIRED })));
  assert.equal(idOf(changed(null)), idOf(changed({})));
});

Deno.test("eventId of any other event is that of its own text", () => {
  const first = idOf({ event_type: "a", data: { n: 1 } });
  assert.equal(idOf({ event_type: "a", data: { n: 1 } }), first);
  assert.notEqual(idOf({ event_type: "a", data: { n: 2 } }), first);
  assert.notEqual(idOf({ event_type: "a", data: { n: 1 } }, { source: "house" }), first);
  assert.notEqual(
    idOf({ event_type: "state_snapshot", ...changed({ last_updated: UPDATED }) }),
    idOf(changed({ last_updated: UPDATED })),
  );
});

Deno.test("eventId of a state_changed that is none is that of its text, and no error", () => {
  const broken = [
    {},
    changed(undefined),
    changed([]),
    changed("on"),
    changed({ last_updated: "yesterday" }),
    changed({ last_updated: 5 }),
    changed(null, 5),
  ];
  assert.equal(new Set(broken.map((event) => idOf(event))).size, broken.length);
});

Deno.test("eventId is one for each recorded event, and for each point", () => {
  for (const version of VERSIONS) {
    const ids = new Map<string, string>();
    for (const { text } of [...recordedEvents()].filter((event) => event.version === version)) {
      const envelope = envelopeSchema.parse({ event: JSON.parse(text) });
      const { measurement, tags, timeNs } = tidyPoint(envelope, () =>
        text, { attributes: "standard" }).point;
      const identity = `${measurement} ${JSON.stringify([...tags])} ${timeNs}`;
      const id = eventId(envelope, text);
      assert.equal(ids.get(id) ?? identity, identity);
      ids.set(id, identity);
    }
    assert.ok(ids.size > 100);
    assert.equal(new Set(ids.values()).size, ids.size);
  }
});

Deno.test("nanosecondsOf stays the same forever, and below a microsecond", () => {
  assert.equal(nanosecondsOf("{}"), 0x44136fa355b3 % 1000, "sha256 of {} begins with 44136fa355b3");
  const all = Array.from({ length: 2_000 }, (_, n) => nanosecondsOf(String(n)));
  assert.ok(all.every((ns) => Number.isInteger(ns) && ns >= 0 && ns < 1_000));
  assert.ok(new Set(all).size > 800);
});
