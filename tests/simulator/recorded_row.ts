/** One row of the recorder's table of states. */
import { memberText } from "../../lib/json_text.ts";
import type { Stamp } from "./clock.ts";
import { floatText } from "./exact_json.ts";
import type { HassState } from "./states.ts";

/** What the recorder keeps of a state; times in seconds since 1970. */
export interface RecordedRow {
  /** null where the entity was removed. */
  readonly state: string | null;
  /** JSON text. */
  readonly attributes: string;
  readonly lastUpdated: number;
  readonly lastChanged: number;
}

/** More than this many bytes of attributes are not recorded. */
const MAX_ATTRIBUTES_BYTES = 16_384;

// homeassistant/components/recorder/history: the domains whose attributes are significant
export const SIGNIFICANT_DOMAINS = new Set([
  "climate",
  "device_tracker",
  "humidifier",
  "thermostat",
  "water_heater",
]);
export const NEED_ATTRIBUTE_DOMAINS = new Set([
  "climate",
  "humidifier",
  "input_datetime",
  "thermostat",
  "water_heater",
]);
// the `_unrecorded_attributes` of the components that the house has
const UNRECORDED: Readonly<Record<string, readonly string[]>> = {
  climate: ["hvac_modes", "fan_modes", "min_temp", "max_temp"],
  light: [
    "min_color_temp_kelvin",
    "max_color_temp_kelvin",
    "effect_list",
    "supported_color_modes",
    "color_mode",
    "brightness",
    "color_temp_kelvin",
  ],
  person: ["device_trackers"],
  sensor: ["options"],
  sun: [
    "next_dawn",
    "next_dusk",
    "next_midnight",
    "next_noon",
    "next_rising",
    "next_setting",
    "elevation",
    "azimuth",
    "rising",
  ],
  update: [
    "auto_update",
    "display_precision",
    "in_progress",
    "release_summary",
    "release_url",
    "skipped_version",
    "title",
    "update_percentage",
    "entity_picture",
  ],
};

/** The row of a new state; `byEntity` where an integration's entity wrote it, not a script or REST. */
export function rowOf(state: HassState, byEntity: boolean): RecordedRow {
  return {
    state: state.state,
    attributes: recordedAttributes(state, byEntity),
    lastUpdated: state.lastUpdated.seconds,
    lastChanged: state.lastChanged.seconds,
  };
}

/** The row that a removal leaves. */
export function removalRow({ seconds }: Stamp): RecordedRow {
  return { state: null, attributes: "{}", lastUpdated: seconds, lastChanged: seconds };
}

/** A row as history tells it; `attributes` undefined leaves them out. */
export function rowText(
  { state, lastUpdated, lastChanged }: RecordedRow,
  attributes: string | undefined,
): string {
  const a = attributes === undefined ? "" : `"a":${attributes},`;
  const lc = lastChanged === lastUpdated ? "" : `,"lc":${floatText(lastChanged)}`;
  return `{"s":${JSON.stringify(state)},${a}"lu":${floatText(lastUpdated)}${lc}}`;
}

/** `sensor` of `sensor.hall`. */
export function domainOf(entityId: string): string {
  return entityId.slice(0, entityId.indexOf("."));
}

function recordedAttributes(
  { entityId, attributes }: HassState,
  byEntity: boolean,
): string {
  const unrecorded = byEntity ? UNRECORDED[domainOf(entityId)] : undefined;
  const recorded = unrecorded === undefined ? attributes : without(attributes, unrecorded);
  return new TextEncoder().encode(recorded).length > MAX_ATTRIBUTES_BYTES ? "{}" : recorded;
}

function without(attributes: string, names: readonly string[]): string {
  const kept = Object.keys(JSON.parse(attributes))
    .filter((name) => !names.includes(name))
    .map((name) => `${JSON.stringify(name)}:${memberText(attributes, name)}`);
  return `{${kept.join(",")}}`;
}
