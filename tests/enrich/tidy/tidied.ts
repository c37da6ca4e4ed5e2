/** Points as plain objects, of events made up or recorded. */
import assert from "node:assert/strict";
import { envelopeSchema } from "../../../lib/contract.ts";
import { tidyPoint, type TidyResult } from "../../../lib/enrich/tidy/tidy.ts";
import { recordedEvents, VERSIONS } from "../../recorded.ts";

export const FIRED = "2026-11-23T17:24:35.197847+00:00";
export const FIRED_NS = 1795454675197847000n;

/** The point of an event, as plain objects. */
export function tidy(
  event: object,
  envelope: object = {},
  attributes: "standard" | "all" | "none" = "standard",
) {
  const text = JSON.stringify({ time_fired: FIRED, origin: "LOCAL", data: {}, ...event });
  return tidyText(text, envelope, attributes);
}

/** The point of an event's very text, as plain objects. */
export function tidyText(
  text: string,
  envelope: object = {},
  attributes: "standard" | "all" | "none" = "standard",
) {
  return plain(
    tidyPoint(envelopeSchema.parse({ event: JSON.parse(text), ...envelope }), () => text, {
      attributes,
    }),
  );
}

function plain({ point, leftOut }: TidyResult) {
  return {
    measurement: point.measurement,
    tags: Object.fromEntries(point.tags),
    fields: Object.fromEntries(point.fields),
    timeNs: point.timeNs,
    leftOut: Object.fromEntries(leftOut),
  };
}

export function stateOf(entityId: string, state: string, attributes: object = {}, changed = FIRED) {
  return { entity_id: entityId, state, attributes, last_changed: changed, last_updated: changed };
}

/** A change of that entity from one state, 2.5 s old, to another. */
export function change(
  entityId: string,
  from: string | null,
  to: string | null,
  attributes: object = {},
) {
  const before = "2026-11-23T17:24:32.697847+00:00";
  return tidy({
    event_type: "state_changed",
    data: {
      entity_id: entityId,
      old_state: from === null ? null : stateOf(entityId, from, attributes, before),
      new_state: to === null ? null : stateOf(entityId, to, attributes),
    },
  });
}

/** The n-th event of the newer recording whose text holds all of these. */
export function recorded(needles: readonly string[], n = 0) {
  const [, version] = VERSIONS;
  const texts = [...recordedEvents()]
    .filter((event) => event.version === version && event.file === "all-events.jsonl")
    .map(({ text }) => text)
    .filter((text) => needles.every((needle) => text.includes(needle)));
  const text = texts[n];
  assert.ok(text, `No event was recorded with ${needles.join(" and ")}`);
  const envelope = envelopeSchema.parse({ event: JSON.parse(text) });
  return { text, ...plain(tidyPoint(envelope, () => text, { attributes: "standard" })) };
}
