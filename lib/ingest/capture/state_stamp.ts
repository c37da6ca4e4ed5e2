/** What an event says of when its entity's state was updated, and of that state. */
import { parseTimeUs } from "../../time.ts";
import type { EventHead } from "../hass/event_head.ts";
import type { StateStamp } from "../outbox/state_chain.ts";

/** `timeUs` is the event's own time. Undefined where the event is no state's. */
export function stampOf(
  { event_type, data }: EventHead,
  timeUs: number | undefined,
): StateStamp | undefined {
  const { entity_id: entityId, new_state: newState, old_state: oldState } = data;
  const lastUpdatedUs = newState?.last_updated ? parseTimeUs(newState.last_updated) : timeUs;
  if (event_type !== "state_changed" || !entityId || lastUpdatedUs === undefined) return undefined;
  const known = {
    state: newState?.state ?? null,
    lastUpdatedUs,
    lastChangedUs: parseTimeUs(newState?.last_changed ?? "") ?? lastUpdatedUs,
    deviceClass: newState?.attributes?.device_class,
    unit: newState?.attributes?.unit_of_measurement,
    friendlyName: newState?.attributes?.friendly_name,
  };
  return { entityId, previousUs: parseTimeUs(oldState?.last_updated ?? ""), known };
}
