/** Attributes as fields: one name and one type forever, and what is left out, counted by reason. */
import { Buffer } from "node:buffer";
import type { JsonObject } from "../../contract.ts";
import { isSecretAttribute, jsonWithoutSecrets } from "../never_stored.ts";
import type { FieldValue } from "../store.ts";

/** `standard` leaves out what never changes and what is large; `all` keeps everything up to 64 KiB. */
export type AttributeMode = "standard" | "all" | "none";

/** Which attributes of an entity are stored: what is named one by one goes before the mode. */
export interface AttributeChoice {
  readonly mode: AttributeMode;
  readonly listed: (name: string) => "include" | "exclude" | undefined;
}

/** The JSON text of the attribute of that name, where its value has lost digits of it. */
export type AttributeText = (name: string) => string | undefined;

/** How many values were left out, by reason. */
export type LeftOut = Map<string, number>;

/** The tags and fields of a state's point: an attribute must not take their place. */
export const STATE_NAMES: ReadonlySet<string> = new Set([
  "entity_id",
  "name",
  "area",
  "floor",
  "device",
  "device_class",
  "unit",
  "source",
  "value",
  "state",
  "available",
  "old_state",
  "old_state_s",
  "time",
]);

const MAX_STANDARD_CHARACTERS = 255;
const MAX_VALUE_BYTES = 65_536;

const CONSTANTS: ReadonlySet<string> = new Set(
  `friendly_name icon entity_picture entity_picture_local attribution supported_features
  device_class unit_of_measurement state_class assumed_state editable restored id user_id initial
  min max step mode pattern options code_format code_arm_required battery_icon
  frontend_stream_type auto_update display_precision in_progress update_percentage
  release_summary release_url title media_position media_position_updated_at last_triggered
  current has_date has_time min_temp max_temp target_temp_step min_humidity max_humidity
  min_mireds max_mireds min_color_temp_kelvin max_color_temp_kelvin percentage_step description
  next_event`.split(/\s+/),
);
const CONSTANT_ENDING = /_(?:unit|list|modes)$/;

const TYPE_ENDING = /(?:_str|_json|_)$/;

/** Counts a value that is left out. */
export function leaveOut(leftOut: LeftOut, reason: string): void {
  leftOut.set(reason, (leftOut.get(reason) ?? 0) + 1);
}

/** Whether a text, as UTF-8, is larger than any one value may be: 64 KiB. */
export function isTooLarge(text: string): boolean {
  return text.length > MAX_VALUE_BYTES / 3 && Buffer.byteLength(text) > MAX_VALUE_BYTES;
}

/** Whether a text is longer than 255 characters, as Python counts them. */
export function isLongText(text: string): boolean {
  return text.length > MAX_STANDARD_CHARACTERS && [...text].length > MAX_STANDARD_CHARACTERS;
}

/**
 * The field of an attribute, or the reason why it has none. The name tells the type, and no two
 * attributes share a name: what ends like a type, in `_`, or is in `taken` gets one `_` more.
 */
export function fieldOf(
  name: string,
  value: unknown,
  taken: ReadonlySet<string>,
  textOf?: AttributeText,
): readonly [name: string, value: FieldValue] | string {
  if (name === "") return "empty_name";
  const stem = taken.has(name) || TYPE_ENDING.test(name) ? `${name}_` : name;
  if (typeof value === "number") return Number.isFinite(value) ? [stem, value] : "not_finite";
  if (typeof value === "boolean") return [stem, value ? 1 : 0];
  const isText = typeof value === "string";
  const text = isText ? value : jsonWithoutSecrets(value, textOf?.(name));
  if (text === undefined) return "too_deep";
  if (isTooLarge(text)) return "too_large";
  return [isText ? `${stem}_str` : `${stem}_json`, text];
}

/** Adds a state's attributes to the fields. Null is nothing; what else is left out is counted. */
export function addAttributes(
  fields: Map<string, FieldValue>,
  attributes: JsonObject,
  choice: AttributeChoice,
  leftOut: LeftOut,
  textOf?: AttributeText,
): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null) continue;
    const field = reasonToLeaveOut(name, value, choice) ??
      fieldOf(name, value, STATE_NAMES, textOf);
    if (typeof field === "string") leaveOut(leftOut, field);
    else fields.set(field[0], field[1]);
  }
}

function reasonToLeaveOut(
  name: string,
  value: unknown,
  { mode, listed }: AttributeChoice,
): string | undefined {
  if (isSecretAttribute(name, value)) return "secret";
  const list = listed(name);
  if (list === "exclude") return "excluded";
  if (list === "include" || mode === "all") return undefined;
  if (mode === "none") return "attributes_none";
  if (CONSTANTS.has(name) || CONSTANT_ENDING.test(name)) return "constant";
  if (typeof value === "object") return Array.isArray(value) ? "list" : "object";
  if (typeof value === "string" && isLongText(value)) return "long_text";
  return undefined;
}
