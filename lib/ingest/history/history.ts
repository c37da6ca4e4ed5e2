/**
 * Rows of Home Assistant's recorder as events, pure. A row of `history/history_during_period` is
 * `{"s": state, "a": attributes, "lu": last_updated, "lc"?: last_changed}`, times in seconds since
 * 1970; `s` null where the entity was removed. Recorded in tests/fixtures, history.jsonl.
 */
import * as z from "zod";
import { elementTexts, members, memberText } from "../../json_text.ts";
import { formatTimeUs } from "../../time.ts";
import type { KnownState } from "../outbox/seen_states.ts";

const rowSchema = z.object({
  s: z.string().nullable(),
  a: z.looseObject({
    device_class: z.string().optional().catch(undefined),
    unit_of_measurement: z.string().optional().catch(undefined),
    friendly_name: z.string().optional().catch(undefined),
  }).catch({}),
  lu: z.number(),
  lc: z.number().optional(),
});

export interface HistoryRow extends KnownState {
  /** The attributes' own text. */
  readonly attributes: string;
}

/**
 * Microseconds since 1970 of the recorder's seconds, exactly as Python's
 * `datetime.fromtimestamp` makes them: the fraction is rounded half to even.
 */
export function historyUs(seconds: number): number {
  const whole = Math.floor(seconds);
  const fraction = (seconds - whole) * 1e6;
  const below = Math.floor(fraction);
  const rest = fraction - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 === 1);
  return whole * 1_000_000 + below + (up ? 1 : 0);
}

/** The rows of an answer by entity, the oldest first, out of the result's text. Rows that cannot be read are counted. */
export function readHistory(
  result: string,
): { readonly rows: ReadonlyMap<string, readonly HistoryRow[]>; readonly malformed: number } {
  const rows = new Map<string, HistoryRow[]>();
  let malformed = 0;
  for (const [entityId, texts] of members(result)) {
    const read = elementTexts(texts).flatMap((text) => {
      const row = readRow(text);
      if (!row) malformed++;
      return row ? [row] : [];
    });
    rows.set(entityId, read.sort((a, b) => a.lastUpdatedUs - b.lastUpdatedUs));
  }
  return { rows, malformed };
}

function readRow(text: string): HistoryRow | undefined {
  const parsed = rowSchema.safeParse(JSON.parse(text));
  if (!parsed.success) return undefined;
  const { s, a, lu, lc } = parsed.data;
  const lastUpdatedUs = historyUs(lu);
  return {
    state: s,
    attributes: memberText(text, "a") ?? "{}",
    deviceClass: a.device_class,
    unit: a.unit_of_measurement,
    friendlyName: a.friendly_name,
    lastUpdatedUs,
    lastChangedUs: lc === undefined ? lastUpdatedUs : historyUs(lc),
  };
}

/**
 * The text of the state_changed that the row stands for. `previous` is the one before it: of the
 * state that was replaced it tells its text, since when it held, and what it measured.
 */
export function stateChangedText(
  entityId: string,
  row: HistoryRow,
  previous: KnownState | undefined,
): string {
  const id = JSON.stringify(entityId);
  const at = formatTimeUs(row.lastUpdatedUs);
  const old = previous === undefined || previous.state === null ? "null" : JSON.stringify({
    entity_id: entityId,
    state: previous.state,
    attributes: { device_class: previous.deviceClass, unit_of_measurement: previous.unit },
    last_changed: formatTimeUs(previous.lastChangedUs),
    last_updated: formatTimeUs(previous.lastUpdatedUs),
  });
  const state = row.state === null
    ? "null"
    : `{"entity_id":${id},"state":${
      JSON.stringify(row.state)
    },"attributes":${row.attributes},"last_changed":"${
      formatTimeUs(row.lastChangedUs)
    }","last_updated":"${at}"}`;
  return `{"event_type":"state_changed","data":{"entity_id":${id},"old_state":${old},"new_state":${state}},` +
    `"origin":"LOCAL","time_fired":"${at}"}`;
}
