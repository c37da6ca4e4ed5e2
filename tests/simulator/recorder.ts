/** The recorder: what was, as `history/history_during_period` tells it. */
import { memberText } from "../../lib/json_text.ts";
import type { HassState } from "./states.ts";
import type { Stamp } from "./clock.ts";

interface Row {
  /** null where the entity was removed. */
  readonly state: string | null;
  readonly attributes: string;
  readonly lastUpdated: number;
  readonly lastChanged: number;
}

/** What is asked of the recorder; times in seconds since 1970. */
export interface HistoryQuery {
  readonly start: number;
  readonly end: number;
  readonly entityIds: readonly string[];
  readonly includeStartTimeState: boolean;
  readonly significantChangesOnly: boolean;
  readonly minimalResponse: boolean;
  readonly noAttributes: boolean;
}

/** More than this many bytes of attributes are not recorded. */
const MAX_ATTRIBUTES_BYTES = 16_384;
const MAX_ROWS_PER_ENTITY = 100_000;

// homeassistant/components/recorder/history: the domains whose attributes are significant
const SIGNIFICANT_DOMAINS = new Set([
  "climate",
  "device_tracker",
  "humidifier",
  "thermostat",
  "water_heater",
]);
const NEED_ATTRIBUTE_DOMAINS = new Set([
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

/** Keeps every state, and shows those that it has committed. */
export class Recorder {
  readonly #rows = new Map<string, Row[]>();
  readonly #commitIntervalMs: number;

  /** Rows show once the interval in which they came has passed; 0 shows them at once. */
  constructor(commitIntervalMs: number) {
    this.#commitIntervalMs = commitIntervalMs;
  }

  /** Records a new state; `byEntity` where an integration's entity wrote it, not a script or REST. */
  record(state: HassState, byEntity: boolean): void {
    this.#push(state.entityId, {
      state: state.state,
      attributes: recordedAttributes(state, byEntity),
      lastUpdated: state.lastUpdated.seconds,
      lastChanged: state.lastChanged.seconds,
    });
  }

  /** Records that an entity was removed. */
  recordRemoval(entityId: string, { seconds }: Stamp): void {
    this.#push(entityId, {
      state: null,
      attributes: "{}",
      lastUpdated: seconds,
      lastChanged: seconds,
    });
  }

  /** The JSON text of the answer. Entities without a row are left out; the bounds are exclusive. */
  history(query: HistoryQuery, nowSeconds: number): string {
    if (query.start > nowSeconds || query.end < query.start) return "{}";
    const members: string[] = [];
    for (const entityId of new Set(query.entityIds)) {
      const rows = this.#committed(entityId, nowSeconds);
      const texts = rowTexts(entityId, select(entityId, rows, query), query);
      if (texts.length > 0) {
        members.push(`${JSON.stringify(entityId)}:[${texts.join(",")}]`);
      }
    }
    return `{${members.join(",")}}`;
  }

  #push(entityId: string, row: Row): void {
    const rows = this.#rows.get(entityId);
    if (rows === undefined) this.#rows.set(entityId, [row]);
    else if (rows.push(row) > MAX_ROWS_PER_ENTITY) rows.shift();
  }

  #committed(entityId: string, nowSeconds: number): readonly Row[] {
    const rows = this.#rows.get(entityId) ?? [];
    const intervalSeconds = this.#commitIntervalMs / 1000;
    if (intervalSeconds === 0) return rows;
    const committed = Math.floor(nowSeconds / intervalSeconds) *
      intervalSeconds;
    return rows.filter(({ lastUpdated }) => lastUpdated < committed);
  }
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

function select(
  entityId: string,
  rows: readonly Row[],
  query: HistoryQuery,
): Row[] {
  const { start, end, includeStartTimeState, significantChangesOnly } = query;
  const significant = !significantChangesOnly ||
    SIGNIFICANT_DOMAINS.has(domainOf(entityId));
  const selected = rows.filter(({ lastUpdated, lastChanged }) =>
    lastUpdated > start && lastUpdated < end &&
    (significant || lastUpdated === lastChanged)
  );
  const before = includeStartTimeState
    ? rows.findLast(({ lastUpdated }) => lastUpdated < start)
    : undefined;
  // the state that held at the start gets the start as its time
  return before ? [{ ...before, lastUpdated: start, lastChanged: start }, ...selected] : selected;
}

function rowTexts(
  entityId: string,
  rows: readonly Row[],
  { minimalResponse, noAttributes }: HistoryQuery,
): string[] {
  if (!minimalResponse || NEED_ATTRIBUTE_DOMAINS.has(domainOf(entityId))) {
    return rows.map((row) => rowText({ ...row, attributes: noAttributes ? "{}" : row.attributes }));
  }
  return rows.flatMap((row, i) => {
    if (i === 0 && !noAttributes) return rowText(row);
    if (i > 0 && rows[i - 1].state === row.state) return [];
    return `{"s":${JSON.stringify(row.state)},"lu":${row.lastUpdated}}`;
  });
}

function rowText({ state, attributes, lastUpdated, lastChanged }: Row): string {
  const changed = lastChanged === lastUpdated ? "" : `,"lc":${lastChanged}`;
  return `{"s":${JSON.stringify(state)},"a":${attributes},"lu":${lastUpdated}${changed}}`;
}

function domainOf(entityId: string): string {
  return entityId.slice(0, entityId.indexOf("."));
}
