/** What makes two events the same: told live, sent again, or filled in from history. */
import { hash } from "node:crypto";
import type { Envelope, JsonObject } from "../contract.ts";
import { parseTimeUs } from "../time.ts";

/**
 * The event's id, 32 hexadecimal digits. A state_changed is known by source, entity and
 * last_updated (its time_fired where there is none, as in a removal); any other event by
 * source, type, time_fired and its own text. Never throws: a state_changed whose data is
 * not what it should be is known by its text too.
 */
export function eventId(envelope: Envelope, eventText: string): string {
  const { event, source } = envelope;
  const house = source || null;
  const timeUs = event.event_type === "state_changed" ? lastUpdatedUs(envelope) : undefined;
  const identity = timeUs === undefined
    ? [house, event.event_type, parseTimeUs(event.time_fired) ?? event.time_fired, eventText]
    : [house, event.data.entity_id, timeUs];
  return sha256(JSON.stringify(identity)).slice(0, 32);
}

/** 0 … 999: tells events of one microsecond apart, the same for the same text forever. */
export function nanosecondsOf(eventText: string): number {
  return parseInt(sha256(eventText).slice(0, 12), 16) % 1000;
}

/** In hexadecimal digits. */
function sha256(text: string): string {
  return hash("sha256", text, "hex");
}

/** Undefined where the data does not tell. */
function lastUpdatedUs({ event }: Envelope): number | undefined {
  const { entity_id: entityId, new_state: newState } = event.data;
  if (typeof entityId !== "string" || newState === undefined) return undefined;
  if (newState === null) return parseTimeUs(event.time_fired);
  if (!isObject(newState)) return undefined;
  const lastUpdated = newState.last_updated ?? event.time_fired;
  return typeof lastUpdated === "string" ? parseTimeUs(lastUpdated) : undefined;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
