/** The events that wait for delivery, in the order in which they came: a table of the outbox's file. */
import type { DatabaseSync } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";
import { z } from "zod";
import { isFull, Statements, transaction } from "../../sqlite.ts";

/**
 * Events that are set aside: batches go without them. `attempt` has those that are tried alone in
 * between, and how often they have failed so while others passed. `limited` has those that a limit
 * of the store holds; to be tried again they are taken out of it. Both are tables and not columns,
 * so that setting aside never rewrites a large row, for which a full file has no room. Release 0.1.0
 * leaves them alone, and may have delivered what they name.
 */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS attempt (seq INTEGER PRIMARY KEY, attempts INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS limited (seq INTEGER PRIMARY KEY);
`;
const FREE = `seq BETWEEN ? AND ?
  AND seq NOT IN (SELECT seq FROM attempt) AND seq NOT IN (SELECT seq FROM limited)`;

const TRIED_ALONE = "SELECT seq, line FROM attempt JOIN outbox USING (seq)";

/** An envelope of ingest's own making ends in its `via`. */
const OLDEST_HEARD = `substr(line, -22) NOT LIKE '%,"via":"%' ORDER BY seq LIMIT 1`;

const LAST_SEQ = Number.MAX_SAFE_INTEGER;
/** So many numbers are looked through at once for the first event that is not set aside: some 10 ms. */
const STEP = 10_000;

const spooledLine = z.object({ event: z.object({ time_fired: z.string() }) });

export interface OutboxRow {
  readonly seq: number;
  readonly line: string;
}

/** Numbers of events, both ends included. */
interface SeqRange {
  readonly from: number;
  readonly to: number;
}

export class WaitingEvents {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  /**
   * Every event before this one is set aside or released: hundreds of thousands may be, which no
   * batch is to look through. In memory alone, so that a restart finds whatever there is.
   */
  #firstFree = 0;
  /** Where events are that were released, to be delivered ahead of the others. */
  #released: SeqRange | undefined;

  constructor(db: DatabaseSync) {
    db.exec(SCHEMA);
    this.#db = db;
    this.#statements = new Statements(db);
  }

  /** Within a transaction: the line is the last one. */
  add(line: string): void {
    this.#statements.get("INSERT INTO outbox (line) VALUES (?)").run(line);
  }

  /** Within a transaction: the event waits no more. */
  remove(seq: number): void {
    this.#statements.get("DELETE FROM outbox WHERE seq = ?").run(seq);
    this.#statements.get("DELETE FROM attempt WHERE seq = ?").run(seq);
  }

  /** As `remove`; returns the event's line. */
  take(seq: number): string {
    const row = this.#statements.get("SELECT line FROM outbox WHERE seq = ?").get(seq);
    this.remove(seq);
    return String(row?.line);
  }

  /** Finds the first event that is not set aside, in steps, so that capture does not wait. */
  async findFirst(signal: AbortSignal): Promise<void> {
    const ends = this.#statements.get("SELECT min(seq) AS first, max(seq) AS last FROM outbox")
      .get();
    const last = Number(ends?.last ?? -1);
    this.#firstFree = Number(ends?.first ?? 0);
    while (this.#firstFree <= last && !signal.aborted) {
      const step = { from: this.#firstFree, to: Math.min(this.#firstFree + STEP - 1, last) };
      const [free] = this.#candidates(step, 1, 0);
      this.#firstFree = free?.seq ?? step.to + 1;
      if (free) return;
      await nextTurn();
    }
  }

  /**
   * Rows in order but those set aside, from the one after `skip` others on: the first one always,
   * then as many as fit. Released ones come first.
   */
  peek(
    { maxEvents, maxBytes, skip = 0 }: { maxEvents: number; maxBytes: number; skip?: number },
  ): OutboxRow[] {
    // what is skipped is skipped of all, or others behind released ones would not be reached
    const ahead = skip === 0 ? this.#released : undefined;
    let candidates = ahead ? this.#candidates(ahead, maxEvents, 0) : [];
    if (candidates.length === 0) {
      if (skip === 0) this.#released = undefined;
      const from = Math.min(this.#firstFree, this.#released?.from ?? LAST_SEQ);
      const others = { from, to: LAST_SEQ };
      candidates = this.#candidates(others, maxEvents, skip);
      if (skip === 0) this.#firstFree = candidates[0]?.seq ?? this.#nextSeq();
    }
    let last = 0;
    let total = 0;
    for (const { seq, bytes } of candidates) {
      total += bytes;
      if (last > 0 && total > maxBytes) break;
      last = seq;
    }
    return this.#statements
      .get(`SELECT seq, line FROM outbox WHERE ${FREE} ORDER BY seq`)
      .all(candidates[0]?.seq ?? 0, last).map(rowOf);
  }

  #candidates({ from, to }: SeqRange, maxEvents: number, skip: number) {
    // not iterate(): Deno's (2.9.6) ends without a word where SQLite fails, as at a damaged page
    return this.#statements.get(
      `SELECT seq, octet_length(line) AS bytes FROM outbox WHERE ${FREE} ` +
        "ORDER BY seq LIMIT ? OFFSET ?",
    ).all(from, to, maxEvents, skip)
      .map(({ seq, bytes }) => ({ seq: Number(seq), bytes: Number(bytes) }));
  }

  /** No event that comes has a lower number (AUTOINCREMENT). */
  #nextSeq(): number {
    const row = this.#statements.get("SELECT max(seq) AS seq FROM outbox").get();
    return Math.max(this.#firstFree, Number(row?.seq ?? 0) + 1);
  }

  /** Of the events that are tried alone the one behind `after`, or else the first. */
  aside(after = 0): OutboxRow | undefined {
    const next = this.#statements.get(`${TRIED_ALONE} WHERE seq > ? ORDER BY seq LIMIT 1`);
    const row = next.get(after) ?? next.get(0);
    return row && rowOf(row);
  }

  /** These are tried alone from now on. Where the file is full they stay where they are. */
  suspect(seqs: readonly number[]): void {
    this.#note(
      "INSERT OR IGNORE INTO attempt (seq, attempts) " +
        "SELECT seq, 0 FROM outbox WHERE seq IN (SELECT value FROM json_each(?))",
      JSON.stringify(seqs),
    );
  }

  /**
   * The event has failed alone while others passed, and is set aside. Returns how often it has; 0
   * where it waits no more, or the file is too full to count.
   */
  failedAlone(seq: number): number {
    const row = this.#note(
      "INSERT INTO attempt (seq, attempts) SELECT seq, 1 FROM outbox WHERE seq = ? " +
        "ON CONFLICT DO UPDATE SET attempts = attempts + 1 RETURNING attempts",
      seq,
    );
    return Number(row?.attempts ?? 0);
  }

  /**
   * A limit of the store holds these: that they have failed alone before counts no more. Returns
   * false, and leaves them where they are, where the file is full.
   */
  limit(seqs: readonly number[]): boolean {
    const list = JSON.stringify(seqs);
    const chosen = "seq IN (SELECT value FROM json_each(?))";
    try {
      transaction(this.#db, () => {
        this.#statements.get(
          `INSERT OR IGNORE INTO limited (seq) SELECT seq FROM outbox WHERE ${chosen}`,
        ).run(list);
        this.#statements.get(`DELETE FROM attempt WHERE ${chosen}`).run(list);
      });
      return true;
    } catch (error) {
      if (!isFull(error)) throw error;
      return false;
    }
  }

  /** How many are set aside, for either reason. */
  get setAside(): number {
    const row = this.#statements.get("SELECT count(*) AS n FROM attempt").get();
    return Number(row?.n) + this.limited;
  }

  /** How many a limit of the store holds. */
  get limited(): number {
    return Number(this.#statements.get("SELECT count(*) AS n FROM limited").get()?.n);
  }

  /**
   * Within a transaction: of those that a limit holds the next behind `after` are delivered again, at
   * most `maxEvents`, ahead of the others. Returns them, and where the next ones begin; undefined
   * where there is none.
   */
  release(after: number, maxEvents: number): { seqs: number[]; last: number } | undefined {
    const found = this.#statements.get("SELECT seq FROM limited WHERE seq > ? ORDER BY seq LIMIT ?")
      .all(after, maxEvents).map(({ seq }) => Number(seq));
    const [from, to] = [found[0], found.at(-1)];
    if (from === undefined || to === undefined) return undefined;
    const seqs = this.#statements
      .get("SELECT seq FROM limited JOIN outbox USING (seq) WHERE seq BETWEEN ? AND ? ORDER BY seq")
      .all(from, to).map(({ seq }) => Number(seq));
    this.#statements.get("DELETE FROM limited WHERE seq BETWEEN ? AND ?").run(from, to);
    // what is left of the last ones must not be forgotten behind these
    const [left] = this.#released ? this.#candidates(this.#released, 1, 0) : [];
    if (left) this.#firstFree = Math.min(this.#firstFree, left.seq);
    this.#released = { from, to };
    return { seqs, last: to };
  }

  /** Returns undefined where the file is full; SQLite has changed nothing then. */
  #note(sql: string, value: string | number) {
    try {
      return this.#statements.get(sql).get(value) ?? {};
    } catch (error) {
      if (!isFull(error)) throw error;
      return undefined;
    }
  }

  /**
   * When the event that has waited longest was fired, by Home Assistant's clock. What is filled in or
   * imported is old before it waits, and does not count; neither does what a limit holds.
   */
  oldestTimeFired(): string | undefined {
    const found = [
      this.#statements.get(`${TRIED_ALONE} WHERE ${OLDEST_HEARD}`).get(),
      this.#statements.get(`SELECT seq, line FROM outbox WHERE ${FREE} AND ${OLDEST_HEARD}`)
        .get(this.#firstFree, LAST_SEQ),
    ].flatMap((row) => row ? [rowOf(row)] : []);
    const [oldest] = found.sort((a, b) => a.seq - b.seq);
    const line = spooledLine.safeParse(oldest && JSON.parse(oldest.line));
    return line.success ? line.data.event.time_fired : undefined;
  }
}

function rowOf({ seq, line }: Readonly<Record<string, unknown>>): OutboxRow {
  return { seq: Number(seq), line: String(line) };
}
