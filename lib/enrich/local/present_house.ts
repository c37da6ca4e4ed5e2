/** What the local store knows of the house now, and how the last day went: for the page alone. */
import type { DatabaseSync } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";
import * as z from "zod";
import { Statements } from "../../sqlite.ts";

/** The newest series are looked at; of them so many entities are shown. */
const MAX_SERIES = 5_000;
const MAX_ENTITIES = 500;
/** A line of the last day has so many moments, each found by one seek however many points there are. */
const MOMENTS = 48;
const DAY_MS = 86_400_000;
/** Seeks in one turn of the event loop: some milliseconds, so that no write waits. */
const SEEKS_A_TURN = 500;
const FRESH_MS = 5_000;

const SERIES = `
  SELECT id, tags FROM series WHERE measurement NOT IN ('events', 'entities', 'statistics')
  ORDER BY id DESC LIMIT ${MAX_SERIES}`;
const NEWEST = `
  SELECT time_ns / 1000000 AS time_ms, fields FROM point WHERE series = ?
  ORDER BY time_ns DESC LIMIT 1`;
const FIRST_SINCE = `
  SELECT time_ns / 1000000 AS time_ms FROM point WHERE series = ? AND time_ns >= ? * 1000000
  ORDER BY time_ns LIMIT 1`;
const VALUE_AT = `
  SELECT json_extract(fields, '$.value') AS value FROM point
  WHERE series = ? AND time_ns <= ? * 1000000 ORDER BY time_ns DESC LIMIT 1`;

const tagsSchema = z.object({
  entity_id: z.string(),
  name: z.string().optional(),
  area: z.string().optional(),
  unit: z.string().optional(),
  source: z.string().optional(),
});
const fieldsSchema = z.object({
  value: z.number().optional(),
  state: z.union([z.string(), z.number()]).optional(),
  available: z.number().default(1),
});

interface NewestState extends z.infer<typeof tagsSchema>, z.infer<typeof fieldsSchema> {
  readonly series: number;
  readonly time_ms: number;
}

/** An entity, its present state, and its value at moments from `since_ms` to now, evenly apart. */
export interface ShownState extends Omit<NewestState, "series"> {
  readonly values: readonly (number | null)[];
}

export interface ShownHouse {
  /** How many entities there are; `states` has the first of them, by area and name. */
  readonly entities: number;
  readonly since_ms: number;
  readonly states: readonly ShownState[];
}

export class PresentHouse {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  #read: { readonly atMs: number; readonly house: Promise<ShownHouse | undefined> } | undefined;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#statements = new Statements(db);
  }

  /** The house, at most some seconds old. Undefined where the signal was aborted first. */
  read(signal: AbortSignal): Promise<ShownHouse | undefined> {
    const atMs = performance.now();
    if (!this.#read || atMs - this.#read.atMs > FRESH_MS) {
      this.#read = { atMs, house: this.#house(Date.now(), signal) };
    }
    return this.#read.house;
  }

  async #house(nowMs: number, signal: AbortSignal): Promise<ShownHouse | undefined> {
    let seeks = 0;
    const mayGoOn = async () => {
      if (++seeks % SEEKS_A_TURN === 0) await nextTurn();
      return !signal.aborted && this.#db.isOpen;
    };
    const states = new Map<string, NewestState>();
    for (const row of this.#statements.get(SERIES).all()) {
      if (!await mayGoOn()) return undefined;
      const state = this.#newest(Number(row.id), String(row.tags));
      if (!state) continue;
      // an entity that was renamed has a series of each name
      const key = `${state.source ?? ""} ${state.entity_id}`;
      if (state.time_ms > (states.get(key)?.time_ms ?? -Infinity)) states.set(key, state);
    }
    const present = [...states.values()].filter(({ state }) => state !== "removed").sort(byPlace);
    const shown = present.slice(0, MAX_ENTITIES);
    let sinceMs = nowMs;
    for (const { series } of shown) {
      if (!await mayGoOn()) return undefined;
      const first = this.#statements.get(FIRST_SINCE).get(series, nowMs - DAY_MS);
      sinceMs = Math.min(sinceMs, Number(first?.time_ms ?? nowMs));
    }
    const drawn: ShownState[] = [];
    for (const { series, ...state } of shown) {
      const values: (number | null)[] = [];
      for (let moment = 1; moment <= MOMENTS; moment++) {
        if (!await mayGoOn()) return undefined;
        const timeMs = Math.round(sinceMs + (nowMs - sinceMs) * moment / MOMENTS);
        const value = this.#statements.get(VALUE_AT).get(series, timeMs)?.value;
        // as exact as a small line can show
        values.push(typeof value === "number" ? Number(value.toPrecision(8)) : null);
      }
      drawn.push({ ...state, values });
    }
    return { entities: present.length, since_ms: sinceMs, states: drawn };
  }

  #newest(series: number, tagsJson: string): NewestState | undefined {
    const row = this.#statements.get(NEWEST).get(series);
    const tags = tagsSchema.safeParse(JSON.parse(tagsJson));
    if (!row || !tags.success) return undefined;
    const fields = fieldsSchema.safeParse(JSON.parse(String(row.fields)));
    return fields.success
      ? { series, time_ms: Number(row.time_ms), ...tags.data, ...fields.data }
      : undefined;
  }
}

/** Entities without an area come last. */
function byPlace(a: NewestState, b: NewestState): number {
  return Number(a.area === undefined) - Number(b.area === undefined) ||
    (a.area ?? "").localeCompare(b.area ?? "") ||
    (a.name ?? a.entity_id).localeCompare(b.name ?? b.entity_id);
}
