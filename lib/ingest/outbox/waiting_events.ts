/** The events that wait for delivery, in the order in which they came: a table of the outbox's file. */
import type { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { Statements } from "../../sqlite.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT NOT NULL);
`;

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
  }

  /** Rows in order, the first one always, then as many as fit. */
  peek(
    { maxEvents, maxBytes, without }: {
      maxEvents: number;
      maxBytes: number;
      without?: ReadonlySet<number>;
    },
  ): OutboxRow[] {
    // not iterate(): Deno's (2.9.6) ends without a word where SQLite fails, as at a damaged page
    const candidates = this.#statements
      .get("SELECT seq, octet_length(line) AS bytes FROM outbox ORDER BY seq LIMIT ?")
      .all(maxEvents + (without?.size ?? 0));
    const chosen: number[] = [];
    let total = 0;
    for (const { seq, bytes } of candidates) {
      if (without?.has(Number(seq))) continue;
      total += Number(bytes);
      if (chosen.length > 0 && (total > maxBytes || chosen.length >= maxEvents)) break;
      chosen.push(Number(seq));
    }
    return this.#statements
      .get("SELECT seq, line FROM outbox WHERE seq BETWEEN ? AND ? ORDER BY seq")
      .all(chosen.at(0) ?? 0, chosen.at(-1) ?? -1)
      .map(({ seq, line }) => ({ seq: Number(seq), line: String(line) }))
      .filter(({ seq }) => !without?.has(seq));
  }

  /** The row of that number, or none where it has left the outbox. */
  row(seq: number): OutboxRow[] {
    return this.#statements.get("SELECT line FROM outbox WHERE seq = ?").all(seq)
      .map(({ line }) => ({ seq, line: String(line) }));
  }

  /** When the event that has waited longest was fired, by Home Assistant's clock. */
  oldestTimeFired(): string | undefined {
    const row = this.#statements.get("SELECT line FROM outbox ORDER BY seq LIMIT 1").get();
    const line = spooledLine.safeParse(
      row === undefined ? undefined : JSON.parse(String(row.line)),
    );
    return line.success ? line.data.event.time_fired : undefined;
  }
}
