/**
 * Whether an event is what the contract says, at a glance: zod makes a copy of all that it checks,
 * which takes longer than everything else that is done with an event. A yes here is one of zod's;
 * where it is no, zod decides, and says what is wrong.
 */
import type * as z from "zod";
import {
  type Envelope,
  isJsonObject,
  type JsonObject,
  type State,
  type stateChangedSchema,
} from "../contract.ts";
import { parseTimeUs } from "../time.ts";

const VIA: ReadonlySet<unknown> = new Set([
  undefined,
  null,
  "history",
  "snapshot",
  "registry",
  "statistics",
]);

/** Whether it plainly is what `envelopeSchema` asks for. */
export function isPlainEnvelope(json: unknown): json is Envelope {
  if (!isJsonObject(json)) return false;
  const { event, registry, source, via } = json;
  return isPlainEvent(event) && areTexts(registry, NAMES) && isTextOrNone(source) && VIA.has(via);
}

/** Whether it plainly is what `stateChangedSchema` asks for. */
export function isPlainStateChanged(data: JsonObject): data is z.infer<typeof stateChangedSchema> {
  const { entity_id: entityId, old_state: oldState, new_state: newState } = data;
  return isEntityId(entityId) && (newState === null || isPlainState(newState)) &&
    (oldState === null || oldState === undefined || isPlainState(oldState));
}

function isPlainEvent(event: unknown): boolean {
  if (!isJsonObject(event)) return false;
  const { event_type: type, data, time_fired: fired, origin, context } = event;
  return typeof type === "string" && type !== "" && isJsonObject(data) && isTime(fired) &&
    typeof origin === "string" && areTexts(context, CONTEXT);
}

function isPlainState(state: unknown): state is State {
  if (!isJsonObject(state)) return false;
  const { last_changed: changed, last_updated: updated } = state;
  return typeof state.entity_id === "string" && typeof state.state === "string" &&
    isJsonObject(state.attributes) && (changed === undefined || isTime(changed)) &&
    (updated === undefined || isTime(updated));
}

const NAMES = ["name", "area", "floor", "device"] as const;
const CONTEXT = ["id", "parent_id", "user_id"] as const;

/** Whether it is an object in which all these are a text, or nothing; or nothing itself. */
function areTexts(value: unknown, names: readonly string[]): boolean {
  if (value === undefined || value === null) return true;
  return isJsonObject(value) && names.every((name) => isTextOrNone(value[name]));
}

function isTextOrNone(value: unknown): boolean {
  return value === undefined || value === null || typeof value === "string";
}

function isTime(value: unknown): boolean {
  return typeof value === "string" && parseTimeUs(value) !== undefined;
}

/** `<domain>.<object_id>`, with one point between two that are not empty. */
function isEntityId(value: unknown): boolean {
  if (typeof value !== "string") return false;
  const point = value.indexOf(".");
  return point > 0 && point < value.length - 1 && value.indexOf(".", point + 1) === -1;
}
