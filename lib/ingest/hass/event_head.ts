/** As much of an event as capture needs; what it means is enrich's business. */
import * as z from "zod";
import { isJsonObject, type JsonObject } from "../../contract.ts";

const text = z.string().optional().catch(undefined);

/** As much of a state as ingest needs. */
export const stateHead = z.object({
  state: text,
  last_changed: text,
  last_updated: text,
  attributes: z.object({
    friendly_name: text,
    device_class: text,
    unit_of_measurement: text,
    state_class: text,
    restored: z.unknown().optional(),
  }).optional().catch(undefined),
});
export type StateHead = z.infer<typeof stateHead>;
const entityState = stateHead.nullish().catch(undefined);

export const eventHead = z.object({
  event_type: z.string().catch(""),
  time_fired: z.string().catch(""),
  data: z.object({
    entity_id: z.string().optional().catch(undefined),
    device_id: z.string().optional().catch(undefined),
    new_state: entityState,
    old_state: entityState,
  }).catch({}),
});
export type EventHead = z.infer<typeof eventHead>;

/**
 * What an event's JSON says of it, copied, so that the rest may be forgotten. What zod does for that is a
 * fifth of what reading an event costs: it is asked only where it is not plain that it would take all as
 * it is. Throws ZodError where it is no event.
 */
export function readEventHead(json: unknown): EventHead {
  return isPlainEventHead(json) ? headOf(json) : eventHead.parse(json);
}

/** Whether `eventHead` plainly takes it as it is. */
export function isPlainEventHead(json: unknown): json is EventHead {
  if (!isJsonObject(json)) return false;
  const { event_type: type, time_fired: fired, data } = json;
  return typeof type === "string" && typeof fired === "string" && isJsonObject(data) &&
    areTexts(data, IDS) && isPlainState(data.new_state) && isPlainState(data.old_state);
}

function isPlainState(state: unknown): boolean {
  if (state === null || state === undefined) return true;
  if (!isJsonObject(state) || !areTexts(state, STATE)) return false;
  const { attributes } = state;
  return attributes === undefined || isJsonObject(attributes) && areTexts(attributes, ATTRIBUTES);
}

const IDS = ["entity_id", "device_id"] as const;
const STATE = ["state", "last_changed", "last_updated"] as const;
const ATTRIBUTES = ["friendly_name", "device_class", "unit_of_measurement", "state_class"] as const;

/** Whether each of these is a text, or not there. */
function areTexts(object: JsonObject, names: readonly string[]): boolean {
  return names.every((name) => object[name] === undefined || typeof object[name] === "string");
}

function headOf({ event_type, time_fired, data }: EventHead): EventHead {
  const { entity_id, device_id, new_state, old_state } = data;
  return {
    event_type,
    time_fired,
    data: { entity_id, device_id, new_state: stateOf(new_state), old_state: stateOf(old_state) },
  };
}

function stateOf(state: StateHead | null | undefined): StateHead | null | undefined {
  if (!state) return state;
  const { last_changed, last_updated, attributes } = state;
  const head = { state: state.state, last_changed, last_updated };
  if (!attributes) return head;
  const { friendly_name, device_class, unit_of_measurement, state_class, restored } = attributes;
  const said = { friendly_name, device_class, unit_of_measurement, state_class, restored };
  return { ...head, attributes: said };
}
