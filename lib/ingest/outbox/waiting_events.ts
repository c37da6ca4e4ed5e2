/** The events that wait for delivery, in the order in which they came: a table of the outbox's file. */
import type { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { isFull, Statements, transaction } from "../../sqlite.ts";
import { type Batch, batchOf, FREE, LAST_SEQ, NextEvents, type SeqRange } from "./next_events.ts";

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
const TRIED_ALONE = "FROM attempt JOIN outbox USING (seq)";

/** An envelope of ingest's own making ends in its `via`. */
const OLDEST_HEARD = `substr(line, -22) NOT LIKE '%,"via":"%' ORDER BY seq LIMIT 1`;

const spooledLine = z.object({ event: z.object({ time_fired: z.string() }) });

export class WaitingEvents {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  /** Which of them are delivered next. */
  readonly next: NextEvents;

  constructor(db: DatabaseSync) {
    db.exec(SCHEMA);
    this.#db = db;
    this.#statements = new Statements(db);
    this.next = new NextEvents(this.#statements);
  }

  /** Within a transaction: these lines are the last ones. */
  add(lines: readonly string[]): void {
    this.#statements.insert("INTO outbox (line)", lines.map((line) => [line]));
  }

  /** Within a transaction: the event waits no more. */
  remove(seq: number): void {
    this.#statements.get("DELETE FROM outbox WHERE seq = ?").run(seq);
    this.#statements.get("DELETE FROM attempt WHERE seq = ?").run(seq);
  }

  /** Within a transaction: none of these waits any more. Returns how many did. */
  removeAll(seqs: readonly number[]): number {
    let removed = 0;
    for (const { from, to } of runsOf(seqs)) {
      const events = this.#statements.get("DELETE FROM outbox WHERE seq BETWEEN ? AND ?");
      removed += Number(events.run(from, to).changes);
      this.#statements.get("DELETE FROM attempt WHERE seq BETWEEN ? AND ?").run(from, to);
    }
    return removed;
  }

  /** As `remove`; returns the event's line. */
  take(seq: number): string {
    const row = this.#statements.get("SELECT line FROM outbox WHERE seq = ?").get(seq);
    this.remove(seq);
    return String(row?.line);
  }

  /** Of the events that are tried alone the one behind `after`, or else the first. */
  aside(after = 0): Batch | undefined {
    const next = this.#statements.get(
      `SELECT seq AS seqs, CAST(line AS BLOB) AS body ${TRIED_ALONE} WHERE seq > ? ORDER BY seq LIMIT 1`,
    );
    const row = next.get(after) ?? next.get(0);
    return row && batchOf(row);
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
      this.#statements.get(`SELECT seq, line ${TRIED_ALONE} WHERE ${OLDEST_HEARD}`).get(),
      this.#statements.get(`SELECT seq, line FROM outbox WHERE ${FREE} AND ${OLDEST_HEARD}`)
        .get(this.next.first, LAST_SEQ),
    ].flatMap((row) => row ? [{ seq: Number(row.seq), line: String(row.line) }] : []);
    const [oldest] = found.sort((a, b) => a.seq - b.seq);
    const line = spooledLine.safeParse(oldest && JSON.parse(oldest.line));
    return line.success ? line.data.event.time_fired : undefined;
  }
}

/** The ranges of numbers that follow one another. */
function runsOf(seqs: readonly number[]): readonly SeqRange[] {
  const runs: { from: number; to: number }[] = [];
  let last: { from: number; to: number } | undefined;
  for (const seq of seqs) {
    if (last && seq === last.to + 1) last.to = seq;
    else runs.push(last = { from: seq, to: seq });
  }
  return runs;
}
