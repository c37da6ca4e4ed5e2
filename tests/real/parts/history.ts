/** Home Assistant's own history: the list that a complete store is held against. */
import * as z from "zod";
import type { HomeAssistant } from "./home_assistant.ts";
import type { StoredPoint } from "./influxd.ts";
import { indexByEntity, stateKey } from "./pipeline.ts";
import type { ReadEvent } from "./reader.ts";

const ENTITIES_A_REQUEST = 50;
/** The bounds of a request are exclusive. */
const WIDENED_MS = 1;

/** A state that the recorder remembers. */
export interface HistoryRow {
  readonly entityId: string;
  /** `last_updated`, microseconds since 1970. */
  readonly timeUs: bigint;
  /** null where the entity was removed. */
  readonly state: string | null;
}

const entitiesSchema = z.array(z.looseObject({ entity_id: z.string() }));
const answerSchema = z.record(
  z.string(),
  z.array(z.looseObject({ s: z.string().nullable(), lu: z.number() })),
);

/** Microseconds of epoch seconds, as Python's `datetime.fromtimestamp` takes them: half to even. */
export function microsecondsOf(seconds: number): bigint {
  const whole = Math.floor(seconds);
  const us = (seconds - whole) * 1e6;
  const down = Math.floor(us);
  const rest = us - down;
  const up = rest > 0.5 || (rest === 0.5 && down % 2 === 1);
  return BigInt(whole) * 1_000_000n + BigInt(down + (up ? 1 : 0));
}

/**
 * Every row of all entities that Home Assistant has or had registered, and of `others`, from
 * `fromUs` (microseconds since 1970, inclusive) until now.
 */
export async function historyRows(
  hass: HomeAssistant,
  fromUs: bigint,
  others: Iterable<string> = [],
): Promise<HistoryRow[]> {
  using socket = await hass.connect();
  const entityIds = new Set(others);
  for (const type of ["get_states", "config/entity_registry/list"]) {
    for (const { entity_id } of entitiesSchema.parse(await socket.command({ type }))) {
      entityIds.add(entity_id);
    }
  }
  const asked = [...entityIds];
  const rows: HistoryRow[] = [];
  for (let at = 0; at < asked.length; at += ENTITIES_A_REQUEST) {
    const answer = answerSchema.parse(
      await socket.command({
        type: "history/history_during_period",
        start_time: new Date(Number(fromUs / 1000n) - WIDENED_MS).toISOString(),
        end_time: new Date(Date.now() + WIDENED_MS).toISOString(),
        entity_ids: asked.slice(at, at + ENTITIES_A_REQUEST),
        include_start_time_state: false,
        significant_changes_only: false,
        minimal_response: false,
        no_attributes: true,
      }),
    );
    for (const [entityId, states] of Object.entries(answer)) {
      for (const { s, lu } of states) {
        const timeUs = microsecondsOf(lu);
        if (timeUs >= fromUs) rows.push({ entityId, timeUs, state: s });
      }
    }
  }
  return rows;
}

/** Rows that have no point. */
export function missingRows(
  rows: readonly HistoryRow[],
  points: readonly StoredPoint[],
): HistoryRow[] {
  const states = indexByEntity(points);
  return rows.filter(({ entityId, timeUs }) => !states.has(stateKey(entityId, timeUs)));
}

/** What is wrong with a store, each list empty where nothing is. */
export interface Differences {
  /** Rows of the history that have no point. */
  readonly missing: readonly HistoryRow[];
  /** `measurement entity ns` that more than one series holds. */
  readonly twice: readonly string[];
  /** `measurement entity ns` of points that neither the history nor the second reader knows. */
  readonly invented: readonly string[];
}

/** Holds the states of a store from `fromUs` on against the history and what was read live. */
export function differences(
  rows: readonly HistoryRow[],
  points: readonly StoredPoint[],
  events: readonly ReadEvent[],
  fromUs: bigint,
): Differences {
  const states = indexByEntity(
    points.filter(({ measurement, timeNs }) =>
      measurement !== "entities" && timeNs >= fromUs * 1000n
    ),
  );
  const known = new Set(rows.map(({ entityId, timeUs }) => stateKey(entityId, timeUs)));
  for (const { entityId, timeFiredUs } of events) {
    if (entityId !== undefined) known.add(stateKey(entityId, timeFiredUs));
  }
  return {
    missing: missingRows(rows, points),
    twice: [...states].filter(([, same]) => same.length > 1).map(([key]) => key),
    invented: [...states.keys()].filter((key) => !known.has(key)),
  };
}

/** The first of each list, for an assertion's message that can be read. */
export function summary(found: Differences): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(found).map(([name, list]: [string, readonly unknown[]]) => [
      name,
      list.length === 0 ? [] : [`${list.length} in all`, ...list.slice(0, 5)],
    ]),
  );
}

/** What `summary` gives of a complete store. */
export const NO_DIFFERENCES = { missing: [], twice: [], invented: [] } as const;
