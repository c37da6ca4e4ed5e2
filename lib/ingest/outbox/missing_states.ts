/**
 * What has been seen of each entity, and what is missing: table `seen` has the newest last_updated
 * spooled, table `gap` the bounds between which states of one entity are still to be filled in.
 * Both stand in the outbox's file and change in the transaction of the event. All stamps are Home
 * Assistant's own, in microseconds since 1970, never this machine's clock.
 */
import type { DatabaseSync } from "node:sqlite";
import { Statements } from "../../sqlite.ts";

/**
 * What is missing is filled in from its newer end to its older one, in looks. `cursor_us`: all from here on has
 * been read in this look, null between looks. `held`: the oldest row read, which waits for the row
 * before it to say what it replaced. `newest_us`: the newest row found in this look.
 * `proof`: 1 the row at from_us was found, so nothing is missing; 2 older rows are gone. `looked`: 1
 * once a look has come to its end.
 */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS seen (
    entity_id TEXT PRIMARY KEY, last_updated_us INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS gap (
    id INTEGER PRIMARY KEY,
    entity_id TEXT NOT NULL,
    from_us INTEGER NOT NULL,
    to_us INTEGER,
    cursor_us INTEGER,
    newest_us INTEGER,
    held TEXT,
    proof INTEGER NOT NULL DEFAULT 0,
    looked INTEGER NOT NULL DEFAULT 0);
  CREATE INDEX IF NOT EXISTS gap_cursor ON gap (cursor_us);
`;

/** A state that was heard: its entity, its last_updated and that of the state before it. */
export interface StateStamp {
  readonly entityId: string;
  readonly lastUpdatedUs: number;
  readonly previousUs?: number;
}

/** What is missing of one entity in one gap: its states between two that are known. */
export interface Missing {
  readonly id: number;
  readonly entityId: string;
  /** The newest state that is known; what is missing is later. */
  readonly fromUs: number;
  /** The first state that is known again; undefined while none has come. */
  readonly toUs: number | undefined;
  readonly cursorUs: number;
  readonly newestUs: number | undefined;
  readonly held: string | undefined;
  readonly proof: number;
}

/** Where a page leaves what is missing of an entity. */
export interface MissingProgress {
  readonly id: number;
  readonly cursorUs: number;
  readonly newestUs: number | undefined;
  readonly held: string | undefined;
  readonly proof: number;
}

export class MissingStates {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  /** Entities of which a part without an end is missing; kept here so that an event of any other costs nothing. */
  #endless = new Set<string>();

  constructor(db: DatabaseSync) {
    this.#db = db;
    db.exec(SCHEMA);
    this.#statements = new Statements(db);
    this.reload();
  }

  /** Reads again what is kept in memory, after a transaction was rolled back. */
  reload(): void {
    this.#endless = new Set(
      this.#statements.get("SELECT entity_id FROM gap WHERE to_us IS NULL").all()
        .map(({ entity_id }) => String(entity_id)),
    );
  }

  /** Within the transaction of a state: it is the newest of its entity, and ends what is missing of it. */
  heard({ entityId, lastUpdatedUs, previousUs }: StateStamp): void {
    this.#see(entityId, lastUpdatedUs);
    if (!this.#endless.has(entityId)) return;
    if (previousUs !== undefined) {
      // the state that it replaces is the last one known: nothing is missing
      this.#statements.get("DELETE FROM gap WHERE entity_id = ? AND to_us IS NULL AND from_us = ?")
        .run(entityId, previousUs);
    }
    this.#statements.get("UPDATE gap SET to_us = ? WHERE entity_id = ? AND to_us IS NULL")
      .run(lastUpdatedUs, entityId);
    this.#endless.delete(entityId);
  }

  /** Within the transaction of rows from history. */
  filled(stamps: Iterable<StateStamp>, progress: Iterable<MissingProgress>): void {
    for (const { entityId, lastUpdatedUs } of stamps) this.#see(entityId, lastUpdatedUs);
    const write = this.#statements.get(
      "UPDATE gap SET cursor_us = ?, newest_us = ?, held = ?, proof = ? WHERE id = ?",
    );
    for (const { id, cursorUs, newestUs, held, proof } of progress) {
      write.run(cursorUs, newestUs ?? null, held ?? null, proof, id);
    }
  }

  #see(entityId: string, lastUpdatedUs: number): void {
    this.#statements.get(
      "INSERT INTO seen (entity_id, last_updated_us) VALUES (?, ?) ON CONFLICT DO UPDATE " +
        "SET last_updated_us = max(last_updated_us, excluded.last_updated_us)",
    ).run(entityId, lastUpdatedUs);
  }

  /** Capture has stopped: from now on something may be missing of every entity. */
  open(): void {
    this.#db.exec(
      "INSERT INTO gap (entity_id, from_us) SELECT entity_id, last_updated_us FROM seen " +
        "WHERE entity_id NOT IN (SELECT entity_id FROM gap WHERE to_us IS NULL)",
    );
    this.reload();
  }

  /** Of entities that were never seen everything is missing, from that time on. */
  openUnseen(entityIds: Iterable<string>, fromUs: number): void {
    const add = this.#statements.get(
      "INSERT INTO gap (entity_id, from_us, proof) SELECT ?1, ?2, 1 " +
        "WHERE NOT EXISTS (SELECT 1 FROM gap WHERE entity_id = ?1) " +
        "AND NOT EXISTS (SELECT 1 FROM seen WHERE entity_id = ?1)",
    );
    for (const entityId of entityIds) {
      if (add.run(entityId, fromUs).changes) this.#endless.add(entityId);
    }
  }

  /** Of all these entities everything is missing from that time on, whatever was seen: their history is wanted. */
  openAll(entityIds: Iterable<string>, fromUs: number): void {
    const add = this.#statements.get(
      "INSERT INTO gap (entity_id, from_us, proof) VALUES (?, ?, 1)",
    );
    for (const entityId of entityIds) add.run(entityId, fromUs);
    this.reload();
  }

  /** The newest state of an entity that was spooled. */
  seenUs(entityId: string): number | undefined {
    const row = this.#statements.get("SELECT last_updated_us AS us FROM seen WHERE entity_id = ?")
      .get(entityId);
    return row === undefined ? undefined : Number(row.us);
  }

  /** The newest state that was spooled of any entity: when capture was last known to work. */
  newestSeenUs(): number | undefined {
    const us = this.#statements.get("SELECT max(last_updated_us) AS us FROM seen").get()?.us;
    return us === null || us === undefined ? undefined : Number(us);
  }

  /** The entity's present state is the last one known: nothing is missing. */
  unchanged(entityId: string, lastUpdatedUs: number): void {
    this.#statements.get(
      "DELETE FROM gap WHERE entity_id = ? AND to_us IS NULL AND from_us = ? AND cursor_us IS NULL",
    ).run(entityId, lastUpdatedUs);
    const endless = this.#statements.get("SELECT 1 FROM gap WHERE entity_id = ? AND to_us IS NULL");
    if (!endless.get(entityId)) this.#endless.delete(entityId);
  }

  /** Begins a look at all that none is under way in. `endUs`: the end of what has none. */
  beginLook(endUs: number): void {
    this.#statements.get("UPDATE gap SET cursor_us = ifnull(to_us, ?) WHERE cursor_us IS NULL")
      .run(endUs);
  }

  /** What is to be read next: that with the newest unread part, in this look. */
  next(limit: number): Missing[] {
    return this.#read(
      "WHERE cursor_us > from_us ORDER BY cursor_us DESC, id LIMIT ?",
      limit,
    );
  }

  all(): Missing[] {
    return this.#read("ORDER BY id");
  }

  /** The same as it is now; an event may have ended or removed some meanwhile. */
  again(missing: readonly Missing[]): Missing[] {
    return missing.flatMap(({ id }) => this.#read("WHERE id = ?", id));
  }

  #read(where: string, ...parameters: number[]): Missing[] {
    const optional = (value: unknown) => value === null ? undefined : Number(value);
    return this.#statements.get(`SELECT * FROM gap ${where}`).all(...parameters).map((row) => ({
      id: Number(row.id),
      entityId: String(row.entity_id),
      fromUs: Number(row.from_us),
      toUs: optional(row.to_us),
      cursorUs: Number(row.cursor_us),
      newestUs: optional(row.newest_us),
      held: row.held === null ? undefined : String(row.held),
      proof: Number(row.proof),
    }));
  }

  /** Ends a look: what it found is known, the next one looks behind it. */
  endLook(): void {
    this.#db.exec(
      "UPDATE gap SET from_us = ifnull(newest_us, from_us), " +
        "cursor_us = NULL, newest_us = NULL, held = NULL, looked = 1 WHERE cursor_us <= from_us",
    );
  }

  /** Gives one up. */
  remove(id: number): void {
    this.#statements.get("DELETE FROM gap WHERE id = ?").run(id);
  }

  /** Removes all that was looked at to its end. Returns how many entities may lack older states. */
  close(): { readonly entities: number; readonly unproven: number } {
    const row = this.#statements.get(
      "SELECT count(*) AS entities, count(*) FILTER (WHERE proof != 1) AS unproven FROM gap " +
        "WHERE cursor_us IS NULL AND looked = 1",
    ).get();
    this.#db.exec("DELETE FROM gap WHERE cursor_us IS NULL AND looked = 1");
    this.reload();
    return { entities: Number(row?.entities), unproven: Number(row?.unproven) };
  }

  /** Of how many entities states are missing, and how many microseconds up to now are not read yet. */
  extent(nowUs = Number.MAX_SAFE_INTEGER): {
    readonly entities: number;
    readonly unreadUs: number;
  } {
    const row = this.#statements.get(
      "SELECT count(DISTINCT entity_id) AS entities, " +
        "sum(max(0, min(ifnull(cursor_us, from_us), ?) - from_us)) AS unread FROM gap",
    ).get(nowUs);
    return { entities: Number(row?.entities), unreadUs: Number(row?.unread ?? 0) };
  }
}
