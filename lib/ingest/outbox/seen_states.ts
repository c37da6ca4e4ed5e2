/**
 * The end of each entity's chain of states: the last one that was spooled, as Home Assistant stamped
 * it; and up to when anything was heard. Both stand in the outbox's file, change in the transaction
 * of the event, and know Home Assistant's own stamps alone, in microseconds since 1970.
 */
import type { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { Statements } from "../../sqlite.ts";
import { Meta } from "./meta.ts";

/**
 * `seen` is as release 0.1.0 knows it. What else is known of that state is in `seen_state`, for 0.1.0
 * writes `seen` without naming columns, and holds as long as both have the same stamp. Its state is
 * NULL where the entity is gone.
 */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS seen (
    entity_id TEXT PRIMARY KEY, last_updated_us INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS seen_state (
    entity_id TEXT PRIMARY KEY, last_updated_us INTEGER NOT NULL, state TEXT) WITHOUT ROWID;
`;
const HEARD = "heard";
/** So many entities are looked through at once. */
const PAGE = 2_000;
/** So many entities' last states are kept in memory; a large house has some thousand. */
const MAX_KEPT = 100_000;

/** What is known of a state: as much as the one that replaces it says of it. */
export const knownStateSchema = z.object({
  /** Null where the entity was removed. */
  state: z.string().nullable(),
  lastUpdatedUs: z.number(),
  lastChangedUs: z.number(),
  deviceClass: z.string().optional(),
  unit: z.string().optional(),
  friendlyName: z.string().optional(),
});
export type KnownState = z.infer<typeof knownStateSchema>;

/** The last state of an entity that was spooled. */
export interface SeenState {
  readonly lastUpdatedUs: number;
  /** Undefined where only the stamp is known, as release 0.1.0 leaves it. */
  readonly known: KnownState | undefined;
  readonly isGone: boolean;
}

/** The last event that was heard. */
const heardSchema = z.object({
  us: z.number(),
  /** When that was by this machine's clock, milliseconds since 1970; it only measures how long ago. */
  atMs: z.number(),
});
export type Heard = z.infer<typeof heardSchema>;

export class SeenStates {
  readonly #statements: Statements;
  readonly #meta: Meta;
  /** The last state of each entity that was asked for, as the file has it. */
  readonly #last = new Map<string, SeenState>();
  /** The last event, and when that was by the monotonic clock, in milliseconds; it may have been undone. */
  #lastHeard: { readonly us: number; readonly monotonicMs: number } | undefined;

  constructor(db: DatabaseSync) {
    db.exec(SCHEMA);
    this.#statements = new Statements(db);
    this.#meta = new Meta(db);
  }

  last(entityId: string): SeenState | undefined {
    const kept = this.#last.get(entityId);
    if (kept) return kept;
    const row = this.#statements.get(
      "SELECT seen.last_updated_us AS us, state, seen_state.entity_id IS NOT NULL AS is_known " +
        "FROM seen LEFT JOIN seen_state USING (entity_id, last_updated_us) WHERE entity_id = ?",
    ).get(entityId);
    if (row === undefined) return undefined;
    const known = typeof row.state === "string"
      ? knownStateSchema.parse(JSON.parse(row.state))
      : undefined;
    return this.#keep(entityId, {
      lastUpdatedUs: Number(row.us),
      known,
      isGone: row.is_known === 1 && known === undefined,
    });
  }

  #keep(entityId: string, last: SeenState): SeenState {
    if (this.#last.size >= MAX_KEPT) this.#last.clear();
    this.#last.set(entityId, last);
    return last;
  }

  /** What is kept in memory is forgotten: a transaction was rolled back. */
  reload(): void {
    this.#last.clear();
  }

  /** Within a transaction: this is the entity's last state. It may be older than the one before, where a clock went back. */
  see(entityId: string, known: KnownState): void {
    this.seeAll([[entityId, known]]);
  }

  /** As `see`, of several entities. */
  seeAll(states: readonly (readonly [entityId: string, known: KnownState])[]): void {
    this.#statements.insert(
      "OR REPLACE INTO seen (entity_id, last_updated_us)",
      states.map(([entityId, { lastUpdatedUs }]) => [entityId, lastUpdatedUs]),
    );
    this.#statements.insert(
      "OR REPLACE INTO seen_state (entity_id, last_updated_us, state)",
      states.map(([entityId, known]) => [
        entityId,
        known.lastUpdatedUs,
        known.state === null ? null : JSON.stringify(known),
      ]),
    );
    for (const [entityId, known] of states) {
      const isGone = known.state === null;
      const { lastUpdatedUs } = known;
      this.#keep(entityId, { lastUpdatedUs, known: isGone ? undefined : known, isGone });
    }
  }

  /** Within a transaction: the entity is gone, since that time, its removal or the last state that is known of it. */
  gone(entityId: string, lastUpdatedUs = this.last(entityId)?.lastUpdatedUs): void {
    if (lastUpdatedUs === undefined) return;
    this.see(entityId, { state: null, lastUpdatedUs, lastChangedUs: lastUpdatedUs });
  }

  /** Every entity that was seen and is not known to be gone. */
  entityIds(): string[] {
    return [...this.entityIdPages()].flat();
  }

  /** As `entityIds`, a few thousand at a time, so that others may have their turn in between. */
  *entityIdPages(): Generator<string[]> {
    for (let after = "";;) {
      const page = this.#statements.get(
        "SELECT entity_id, seen_state.entity_id IS NULL OR state IS NOT NULL AS is_there " +
          "FROM seen LEFT JOIN seen_state USING (entity_id, last_updated_us) " +
          "WHERE entity_id > ? ORDER BY entity_id LIMIT ?",
      ).all(after, PAGE);
      if (page.length === 0) return;
      after = String(page.at(-1)?.entity_id);
      yield page.filter(({ is_there }) => is_there === 1).map(({ entity_id }) => String(entity_id));
    }
  }

  /** Within a transaction: all of Home Assistant's events up to this one were heard. */
  hear(us: number): void {
    this.#lastHeard = { us, monotonicMs: performance.now() };
    this.#meta.set(HEARD, JSON.stringify({ us, atMs: Date.now() }));
  }

  /** The last event that was heard; undefined where none ever was. */
  heard(): Heard | undefined {
    const kept = this.#meta.get(HEARD);
    if (kept !== undefined) return heardSchema.parse(JSON.parse(kept));
    // release 0.1.0 did not write it
    const newest = this.#statements.get("SELECT max(last_updated_us) AS us FROM seen").get()?.us;
    return newest === null || newest === undefined
      ? undefined
      : { us: Number(newest), atMs: Date.now() };
  }

  /** How long ago that was, in microseconds. */
  sinceUs({ us, atMs }: Heard): number {
    const last = this.#lastHeard;
    const sinceMs = last?.us === us ? performance.now() - last.monotonicMs : Date.now() - atMs;
    return Math.round(sinceMs * 1000);
  }
}
