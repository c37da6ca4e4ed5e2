/** What an event says of when its entity's state was updated. */
import { parseTimeUs } from "../../time.ts";
import type { EventHead } from "../hass/protocol.ts";
import type { StateStamp } from "../outbox/missing_states.ts";

/** `timeUs` is the event's own time. Undefined where the event is no state's. */
export function stampOf(
  { event_type, data }: EventHead,
  timeUs: number | undefined,
): StateStamp | undefined {
  const { entity_id: entityId, new_state: newState, old_state: oldState } = data;
  const lastUpdatedUs = newState?.last_updated ? parseTimeUs(newState.last_updated) : timeUs;
  if (event_type !== "state_changed" || !entityId || lastUpdatedUs === undefined) return undefined;
  return { entityId, lastUpdatedUs, previousUs: parseTimeUs(oldState?.last_updated ?? "") };
}
