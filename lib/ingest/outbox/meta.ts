/** Single values that outlast a restart: a table of the outbox's file. */
import type { DatabaseSync } from "node:sqlite";
import { Statements } from "../../sqlite.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`;

export class Meta {
  readonly #statements: Statements;

  constructor(db: DatabaseSync) {
    db.exec(SCHEMA);
    this.#statements = new Statements(db);
  }

  get(key: string): string | undefined {
    const row = this.#statements.get("SELECT value FROM meta WHERE key = ?").get(key);
    return row === undefined ? undefined : String(row.value);
  }

  /** Within a transaction or by itself. */
  set(key: string, value: string): void {
    this.#statements.get("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)").run(key, value);
  }

  /** Within a transaction or by itself. */
  delete(key: string): void {
    this.#statements.get("DELETE FROM meta WHERE key = ?").run(key);
  }
}
