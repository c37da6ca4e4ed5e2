/**
 * What is missing: stretches of the chains of entities' states, each between two that are known. They
 * stand in the outbox's file. Stamps are Home Assistant's own, in microseconds since 1970.
 */
import type { DatabaseSync } from "node:sqlite";
import { Statements } from "../../sqlite.ts";
import { makeGapTable } from "./gap_table.ts";
import { type KnownState, knownStateSchema } from "./seen_states.ts";

/** The stretch to be noted: see Missing. */
export interface Stretch
  extends Pick<Missing, "entityId" | "fromUs" | "toUs" | "beginUs" | "lastState" | "proofUs"> {
  /** Whether `start` says later where reading begins; else at `fromUs`. */
  readonly startsLater: boolean;
}

/** Where a clock went back so much more is read. */
export const SLACK_US = 60_000_000;
/** So late may be what is heard without a clock having been set. */
export const LATE_US = 1_000_000;

/** As a limit of SQLite's. */
const ALL = -1;
/** As many as the last parameter says of those that have no start yet. */
const UNSTARTED = "id IN (SELECT id FROM gap WHERE start_us IS NULL LIMIT ?)";

/** What is missing of one entity: the states between two that are known. */
export interface Missing {
  readonly id: number;
  readonly entityId: string;
  readonly fromUs: number;
  /** Undefined where the entity was gone when capture went on. */
  readonly toUs: number | undefined;
  /** Where the clock went back: up to there states may be missing behind `toUs`. */
  readonly untilUs: number | undefined;
  /** The begin of the gap that it belongs to. */
  readonly beginUs: number;
  readonly startUs: number;
  readonly readUs: number;
  readonly lastState: KnownState | undefined;
  readonly proofUs: number | undefined;
  readonly isProven: boolean;
}

/** Where a page leaves what is missing of an entity. */
export type MissingProgress = Pick<Missing, "id" | "readUs" | "lastState" | "isProven">;

export class MissingStates {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  /** SQLite would give a number again once the newest ones are removed. */
  #newestId = 0;

  constructor(db: DatabaseSync) {
    this.#db = db;
    makeGapTable(db);
    this.#statements = new Statements(db);
  }

  /**
   * Within a transaction: notes it as missing, or, where that has no end yet, the end of what is missing
   * of the entity. Either way it gets a new number, for no barrier stands behind it yet. An end from
   * before its entity was gone is behind a step back of the clock.
   */
  add({ entityId, fromUs, toUs, beginUs, lastState, proofUs, startsLater }: Stretch): void {
    const end = [toUs ?? null, proofUs ?? null, proofUs === undefined ? 1 : 0];
    const open = this.#statements.get("SELECT id FROM gap WHERE entity_id = ? AND to_us IS NULL")
      .all(entityId);
    // several where another entity that was gone, too, was renamed to this one; where the clock went
    // back before this end it is to be read from there
    for (const { id } of open) {
      this.#statements.get(
        "UPDATE gap SET id = ?1, to_us = ?2, proof_us = ?3, proof = ?4, " +
          "until_us = iif(?2 >= until_us - ?7, NULL, until_us), " +
          "start_us = iif(?5, NULL, start_us) WHERE id = ?6",
      ).run(this.#nextId(), ...end, Number(startsLater), Number(id), SLACK_US + LATE_US);
    }
    if (open.length > 0) return;
    const startUs = startsLater ? null : fromUs;
    this.#statements.get(
      "INSERT INTO gap (id, to_us, proof_us, proof, entity_id, from_us, begin_us, start_us, read_us, last_state) " +
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    ).run(this.#nextId(), ...end, entityId, fromUs, beginUs, startUs, startUs, textOf(lastState));
  }

  #nextId(): number {
    return this.#newestId = Math.max(this.#newestId, this.lastId()) + 1;
  }

  /**
   * Within a transaction: reading of what has no start yet begins where its gap does, at the earliest
   * behind what is known; and by `earlyUs` earlier, for a step back of Home Assistant's clock may be too
   * small to be noticed. It begins at `backUs` where that clock went back: of all
   * where `isAll`, else of what says so itself, at that time of the clock. All up to the gap's begin was
   * heard, so what is missing of all is before the step back, behind that and up to `untilUs`, or after
   * the step. What nobody had seen misses nothing where its state, or the one before it, is older than
   * the gap. Does it for at most `most` of them, and returns for how many.
   */
  start(
    nowUs: number,
    { backUs, untilUs, earlyUs, isAll }: {
      readonly backUs: number;
      readonly untilUs?: number;
      readonly earlyUs: number;
      readonly isAll: boolean;
    },
    most = ALL,
  ): number {
    if (!isAll) {
      this.#db.exec(
        "DELETE FROM gap WHERE start_us IS NULL AND last_state IS NULL AND from_us = begin_us " +
          "AND (to_us <= from_us OR proof_us <= from_us)",
      );
    }
    const start = "iif(?1 OR from_us > ?2 OR to_us <= from_us, min(?3, begin_us), " +
      "max(begin_us - ?4, from_us))";
    const { changes } = this.#statements.get(
      "UPDATE gap SET from_us = iif(?1, max(from_us, begin_us), from_us), " +
        "until_us = max(ifnull(until_us, ?5), ifnull(?5, until_us)), " +
        `start_us = ${start}, read_us = ifnull(read_us, ${start}) WHERE ${UNSTARTED}`,
    ).run(Number(isAll), nowUs, backUs, earlyUs, untilUs ?? null, most);
    this.#db.exec(
      "UPDATE gap SET read_us = start_us WHERE start_us < from_us AND read_us IS NOT start_us",
    );
    return Number(changes);
  }

  /** Within a transaction: whose entity was gone at that time of Home Assistant's clock had no state after it. */
  gone(us: number): void {
    this.#statements.get(
      "UPDATE gap SET until_us = max(ifnull(until_us, 0), ?) WHERE to_us IS NULL",
    ).run(us + SLACK_US);
  }

  /**
   * Within a transaction: of what has no start yet all is wanted from that time on; but where a
   * state was heard meanwhile, and no clock went back, only what comes after it. Does it for at most
   * `most` of them, and returns for how many.
   */
  startImport(beginUs: number, most = ALL): number {
    const start = "iif(from_us = begin_us OR to_us <= from_us, ?1, max(from_us, ?1))";
    const { changes } = this.#statements.get(
      "UPDATE gap SET from_us = iif(from_us = begin_us, ?1, from_us), " +
        `start_us = ${start}, read_us = ifnull(read_us, ${start}) WHERE ${UNSTARTED}`,
    ).run(beginUs, most);
    return Number(changes);
  }

  /**
   * Within a transaction: the entity has another id now. Some releases of Home Assistant move its rows
   * there, some do not, so what is missing is also asked for under the new one, where it proves nothing.
   */
  renamed(oldId: string, newId: string): void {
    const newestId = Math.max(this.#newestId, this.lastId());
    const copied = "from_us, to_us, until_us, begin_us, start_us, read_us, last_state";
    const begin = (row: string) => `max(${row}.from_us, ${row}.begin_us)`;
    const { changes } = this.#statements.get(
      `INSERT INTO gap (id, entity_id, proof, ${copied}) ` +
        `SELECT ?1 + row_number() OVER (), ?2, 1, ${copied} FROM gap ` +
        // what is missing of the new id from before that in the same gap has these rows anyway
        "WHERE entity_id = ?3 AND start_us IS NOT NULL AND NOT EXISTS (SELECT 1 FROM gap AS own " +
        `WHERE own.entity_id = ?2 AND own.begin_us = gap.begin_us AND ${begin("own")} <= ${
          begin("gap")
        })`,
    ).run(newestId, newId, oldId);
    this.#newestId = newestId + Number(changes);
  }

  /** The number of the newest one: what a barrier stands behind. */
  lastId(): number {
    return Number(this.#statements.get("SELECT max(id) AS id FROM gap").get()?.id ?? 0);
  }

  /** What is to be read next, up to that number: the newest gap's oldest unread part. */
  next(limit: number, lastId: number): Missing[] {
    const unread = "read_us IS NOT NULL AND id <= ?1";
    // two steps along the index: in one SQLite would sort all that is missing, for every page anew
    const newest = `SELECT begin_us FROM gap WHERE ${unread} ORDER BY begin_us DESC LIMIT 1`;
    return this.#read(
      `WHERE begin_us = (${newest}) AND ${unread} ORDER BY read_us LIMIT ?2`,
      lastId,
      limit,
    );
  }

  /** The same as it is now; an event may have ended some meanwhile. */
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
      untilUs: optional(row.until_us),
      beginUs: Number(row.begin_us),
      startUs: Number(row.start_us),
      readUs: Number(row.read_us),
      lastState: typeof row.last_state === "string"
        ? knownStateSchema.parse(JSON.parse(row.last_state))
        : undefined,
      proofUs: optional(row.proof_us),
      isProven: row.proof === 1,
    }));
  }

  /** Within the transaction of rows from history. */
  filled(progress: Iterable<MissingProgress>): void {
    const write = this.#statements.get(
      "UPDATE gap SET read_us = ?, last_state = ?, proof = ? WHERE id = ?",
    );
    for (const { id, readUs, lastState, isProven } of progress) {
      write.run(readUs, textOf(lastState), Number(isProven), id);
    }
  }

  /** Within a transaction: nothing more of it can be filled in. */
  remove(id: number): void {
    this.#statements.get("DELETE FROM gap WHERE id = ?").run(id);
  }

  /** Of how many entities states of each gap are missing, by its begin. */
  byGap(): ReadonlyMap<number, number> {
    const rows = this.#statements.get(
      "SELECT begin_us, count(DISTINCT entity_id) AS n FROM gap GROUP BY begin_us",
    ).all();
    return new Map(rows.map(({ begin_us, n }) => [Number(begin_us), Number(n)]));
  }

  /** Of how many entities states are missing, and how many microseconds up to now are not read yet. */
  extent(nowUs = Number.MAX_SAFE_INTEGER): {
    readonly entities: number;
    readonly unreadUs: number;
  } {
    const row = this.#statements.get(
      // by itself it is counted along its index
      "SELECT (SELECT count(DISTINCT entity_id) FROM gap) AS entities, " +
        // a whole number that JavaScript cannot hold would be an error
        "total(max(0, min(ifnull(to_us, ?1), ?1) - ifnull(read_us, begin_us))) AS unread FROM gap",
    ).get(nowUs);
    return { entities: Number(row?.entities), unreadUs: Number(row?.unread) };
  }
}

function textOf(state: KnownState | undefined): string | null {
  return state ? JSON.stringify(state) : null;
}
