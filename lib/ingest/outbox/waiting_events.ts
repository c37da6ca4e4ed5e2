/** The events that wait for delivery, in the order in which they came: a table of the outbox's file. */
import type { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { Statements } from "../../sqlite.ts";

/**
 * `attempt` has the events that have failed alone while others passed, and how often. They are set
 * aside: batches go without them, and they are tried alone in between. It is a table and not a
 * column, so that a count never rewrites a large row, for which a full file has no room. Release
 * 0.1.0 leaves it alone, and may have delivered what it names.
 */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS attempt (seq INTEGER PRIMARY KEY, attempts INTEGER NOT NULL);
`;
const NOT_ASIDE = "seq NOT IN (SELECT seq FROM attempt)";

/** An envelope of ingest's own making ends in its `via`. */
const OLDEST_HEARD = `
  SELECT line FROM outbox WHERE substr(line, -22) NOT LIKE '%,"via":"%' ORDER BY seq LIMIT 1`;

const spooledLine = z.object({ event: z.object({ time_fired: z.string() }) });

export interface OutboxRow {
  readonly seq: number;
  readonly line: string;
}

export class WaitingEvents {
  readonly #statements: Statements;

  constructor(db: DatabaseSync) {
    db.exec(SCHEMA);
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

  /** Rows in order but those set aside, from the one after `skip` others on: the first one always, then as many as fit. */
  peek(
    { maxEvents, maxBytes, skip = 0 }: { maxEvents: number; maxBytes: number; skip?: number },
  ): OutboxRow[] {
    // not iterate(): Deno's (2.9.6) ends without a word where SQLite fails, as at a damaged page
    const candidates = this.#statements
      .get(
        `SELECT seq, octet_length(line) AS bytes FROM outbox WHERE ${NOT_ASIDE} ` +
          "ORDER BY seq LIMIT ? OFFSET ?",
      )
      .all(maxEvents, skip);
    let last = 0;
    let total = 0;
    for (const { seq, bytes } of candidates) {
      total += Number(bytes);
      if (last > 0 && total > maxBytes) break;
      last = Number(seq);
    }
    return this.#statements
      .get(`SELECT seq, line FROM outbox WHERE seq BETWEEN ? AND ? AND ${NOT_ASIDE} ORDER BY seq`)
      .all(Number(candidates[0]?.seq ?? 0), last).map(rowOf);
  }

  /** Of the events that are set aside the one behind `after`, or else the first. */
  aside(after = 0): OutboxRow | undefined {
    const row = this.#statements.get(
      "SELECT seq, line FROM attempt JOIN outbox USING (seq) ORDER BY seq <= ?, seq LIMIT 1",
    ).get(after);
    return row && rowOf(row);
  }

  /** The event has failed alone while others passed, and is set aside. Returns how often it has. */
  failedAlone(seq: number): number {
    const row = this.#statements.get(
      "INSERT INTO attempt (seq, attempts) SELECT seq, 1 FROM outbox WHERE seq = ? " +
        "ON CONFLICT DO UPDATE SET attempts = attempts + 1 RETURNING attempts",
    ).get(seq);
    return Number(row?.attempts ?? 0);
  }

  /**
   * When the event that has waited longest was fired, by Home Assistant's clock. What is filled in or
   * imported is old before it waits, and does not count.
   */
  oldestTimeFired(): string | undefined {
    const row = this.#statements.get(OLDEST_HEARD).get();
    const line = spooledLine.safeParse(
      row === undefined ? undefined : JSON.parse(String(row.line)),
    );
    return line.success ? line.data.event.time_fired : undefined;
  }
}

function rowOf({ seq, line }: Readonly<Record<string, unknown>>): OutboxRow {
  return { seq: Number(seq), line: String(line) };
}
