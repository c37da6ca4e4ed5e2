/** The point of an event that is no state: of the bus, or of what the registries say of an entity. */
import type { EntityInfo, Envelope, JsonObject } from "../../contract.ts";
import {
  type AttributeMode,
  fieldOf,
  isLongText,
  isTooLarge,
  leaveOut,
  type LeftOut,
  STATE_NAMES,
} from "./attributes.ts";
import { hasLongInteger, memberText } from "../../json_text.ts";
import { jsonWithoutSecrets, textWithoutSecret, withoutSecret } from "../never_stored.ts";
import { tagsOf, tagText } from "./tags.ts";
import type { FieldValue, StorePoint } from "../store.ts";

/** The tags and fields of an event's point: what its data holds must not take their place. */
const EVENT_NAMES: ReadonlySet<string> = new Set([
  ...STATE_NAMES,
  "event_type",
  "domain",
  "service",
  "entity_ids",
  "origin",
  "context_id",
  "parent_id",
  "user_id",
]);
/** What of `data` is a tag, and need not be a field too. */
const DATA_TAGS: ReadonlySet<string> = new Set(["domain", "service", "entity_id"]);
const MAX_SCALARS = 20;

const ENTITY_INFO_FIELDS = [
  "name",
  "area",
  "floor",
  "device",
  "manufacturer",
  "model",
  "platform",
  "entity_category",
  "unit",
  "device_class",
  "state_class",
] as const;

/**
 * The point of what the registries say of an entity. What they say nothing of is an empty
 * text: the last area of an entity that was taken out of it must not be the old one.
 */
export function entityPoint(info: EntityInfo, { source }: Envelope, timeNs: bigint): StorePoint {
  const fields = new Map<string, FieldValue>(
    ENTITY_INFO_FIELDS.map((name) => [name, tagText(name, info[name] ?? "")]),
  );
  fields.set("labels", info.labels?.map(textWithoutSecret).join(", ") ?? "");
  fields.set("removed", info.removed ? 1 : 0);
  if (info.old_entity_id) fields.set("old_entity_id", info.old_entity_id);
  const tags = tagsOf({ entity_id: info.entity_id, source });
  return { measurement: "entities", tags, fields, timeNs };
}

/**
 * The point of any other event, by its very text where a number in it may have more digits than
 * JavaScript's. What is left out of its data is counted.
 */
export function eventPoint(
  { event, source }: Envelope,
  eventText: string,
  mode: AttributeMode,
  leftOut: LeftOut,
  timeNs: bigint,
): StorePoint {
  const { event_type, data, origin, context } = event;
  const entityIds = entityIdsOf(data);
  const tags = tagsOf({
    event_type,
    domain: data.domain,
    service: data.service,
    entity_id: entityIds.length === 1 ? entityIds[0] : undefined,
    source,
  });
  const fields = new Map<string, FieldValue>([["origin", textWithoutSecret(origin)]]);
  if (context?.id) fields.set("context_id", textWithoutSecret(context.id));
  if (context?.parent_id) fields.set("parent_id", textWithoutSecret(context.parent_id));
  if (context?.user_id) fields.set("user_id", textWithoutSecret(context.user_id));
  if (entityIds.length > 1) {
    addText(fields, "entity_ids", entityIds.map(textWithoutSecret).join(", "), leftOut);
  }
  const dataText = hasLongInteger(eventText) ? memberText(eventText, "data") : undefined;
  addText(fields, "data_json", jsonWithoutSecrets(data, dataText), leftOut);
  addScalars(fields, data, tags, mode, leftOut);
  return { measurement: "events", tags, fields, timeNs };
}

function addText(
  fields: Map<string, FieldValue>,
  name: string,
  text: string | undefined,
  leftOut: LeftOut,
): void {
  if (text === undefined) leaveOut(leftOut, "too_deep");
  else if (isTooLarge(text)) leaveOut(leftOut, "too_large");
  else fields.set(name, text);
}

/** Adds the first of the scalars at the top of `data`. */
function addScalars(
  fields: Map<string, FieldValue>,
  data: JsonObject,
  tags: ReadonlyMap<string, string>,
  mode: AttributeMode,
  leftOut: LeftOut,
): void {
  let count = 0;
  for (const [name, raw] of Object.entries(data)) {
    const value = withoutSecret(name, raw);
    if (value === null || typeof value === "object") continue;
    if (DATA_TAGS.has(name) && tags.get(name) === value) continue;
    const isLong = mode !== "all" && typeof value === "string" && isLongText(value);
    const field = isLong ? "long_text" : fieldOf(name, value, EVENT_NAMES);
    if (typeof field === "string") leaveOut(leftOut, field);
    else if (count === MAX_SCALARS) leaveOut(leftOut, "too_many");
    else {
      fields.set(field[0], field[1]);
      count++;
    }
  }
}

/** The entities an event is about: of its data, else of the service's data, else of the target. */
export function entityIdsOf(data: JsonObject): readonly string[] {
  for (const holder of [data, data.service_data, data.target]) {
    const entityIds = entityIdsIn(holder);
    if (entityIds.length > 0) return entityIds;
  }
  return [];
}

/** Home Assistant takes a list of entities, and a text of several with commas between. */
function entityIdsIn(holder: unknown): readonly string[] {
  if (typeof holder !== "object" || holder === null || !("entity_id" in holder)) return [];
  const { entity_id: given } = holder;
  const texts = (Array.isArray(given) ? given : [given]).filter((id) => typeof id === "string");
  return texts.flatMap((text) => text.split(",")).map((id) => id.trim()).filter((id) => id !== "");
}
