/** The events that wait for delivery, in the order in which they came: a table of the outbox's file. */
import type { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { Statements } from "../../sqlite.ts";

/**
 * `attempts`: how often the event has failed alone while others passed. What has is set aside:
 * batches go without it, and it is tried alone between them. A file of release 0.1.0 gets the
 * column, and 0.1.0 does not mind it.
 */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0);
`;
const HAS_ATTEMPTS = "SELECT 1 FROM pragma_table_info('outbox') WHERE name = 'attempts'";
const ADD_ATTEMPTS = "ALTER TABLE outbox ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0";
const INDEX = `
  CREATE INDEX IF NOT EXISTS outbox_aside ON outbox (attempts, seq) WHERE attempts > 0;
`;

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
    if (!db.prepare(HAS_ATTEMPTS).get()) db.exec(ADD_ATTEMPTS);
    db.exec(INDEX);
    this.#statements = new Statements(db);
  }

  /** Within a transaction: the line is the last one. */
  add(line: string): void {
    this.#statements.get("INSERT INTO outbox (line) VALUES (?)").run(line);
  }

  /** Within a transaction: the event waits no more. */
  remove(seq: number): void {
    this.#statements.get("DELETE FROM outbox WHERE seq = ?").run(seq);
  }

  /** Rows in order but those set aside and the one of `without`; the first one always, then as many as fit. */
  peek(
    { maxEvents, maxBytes, without = 0 }: {
      maxEvents: number;
      maxBytes: number;
      without?: number;
    },
  ): OutboxRow[] {
    // not iterate(): Deno's (2.9.6) ends without a word where SQLite fails, as at a damaged page
    const candidates = this.#statements
      .get(
        "SELECT seq, octet_length(line) AS bytes FROM outbox " +
          "WHERE attempts = 0 AND seq != ? ORDER BY seq LIMIT ?",
      )
      .all(without, maxEvents);
    let last = 0;
    let total = 0;
    for (const { seq, bytes } of candidates) {
      total += Number(bytes);
      if (last > 0 && total > maxBytes) break;
      last = Number(seq);
    }
    return this.#statements
      .get("SELECT seq, line FROM outbox WHERE attempts = 0 AND seq != ? AND seq <= ? ORDER BY seq")
      .all(without, last).map(rowOf);
  }

  /** Of the events that are set aside the one that was tried least. */
  aside(): OutboxRow | undefined {
    const row = this.#statements.get(
      "SELECT seq, line FROM outbox WHERE attempts > 0 ORDER BY attempts, seq LIMIT 1",
    ).get();
    return row && rowOf(row);
  }

  /** The event has failed alone while others passed, and is set aside. Returns how often it has. */
  failedAlone(seq: number): number {
    const row = this.#statements.get(
      "UPDATE outbox SET attempts = attempts + 1 WHERE seq = ? RETURNING attempts",
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
