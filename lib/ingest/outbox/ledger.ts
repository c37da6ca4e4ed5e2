/**
 * The equation `received = delivered + left out + dead letters + dropped + waiting`: its counters
 * stand in the outbox's file and change in the transaction that moves the event, so that it holds
 * at every moment and over every crash.
 */
import type { DatabaseSync } from "node:sqlite";
import { Statements, transaction } from "../../sqlite.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
`;

/**
 * The last committed set of the equation's counters. The file, the metrics and the status call
 * what is left out `skipped`, dead letters `dead_lettered`, and what waits `queued`.
 */
export interface OutboxCounters {
  readonly received: number;
  readonly delivered: number;
  /** By enrich, by reason. */
  readonly leftOut: ReadonlyMap<string, number>;
  readonly deadLetters: number;
  /** By reason. */
  readonly dropped: ReadonlyMap<string, number>;
  readonly waiting: number;
}

/** By how much counters change, by their names in the file: `received`, `skipped:filter`, … */
export type Changes = Readonly<Record<string, number>>;

/**
 * Does the work and changes the counters as it says, in one transaction. It is on the disk when this
 * returns, unless it is said that it need not be `synced`.
 */
export type Transact = (work: () => Changes, options?: { readonly synced?: boolean }) => void;

export class Ledger {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  /** The committed counters, by name: `received`, `skipped:filter`, … */
  readonly #counters = new Map<string, number>();

  constructor(db: DatabaseSync) {
    this.#db = db;
    db.exec(SCHEMA);
    this.#statements = new Statements(db);
    for (const { name, value } of db.prepare("SELECT name, value FROM counter").all()) {
      this.#counters.set(String(name), Number(value));
    }
    // these rows must be there before the file is full, so that a refusal can still be counted
    this.transact(() => ({ received: 0, queued: 0, "dropped:outbox_full": 0 }));
  }

  /** Does the work and changes the counters as it says, in one transaction; `read` follows its commit. */
  transact(work: () => Changes, { synced = true } = {}): void {
    this.#setSynced(synced);
    try {
      this.#change(work);
    } finally {
      // whatever writes next is on the disk again when it returns
      if (!synced) this.#setSynced(true);
    }
  }

  /** By `exec`, outside of any transaction: SQLite takes no notice of it elsewhere. */
  #setSynced(synced: boolean): void {
    this.#db.exec(`PRAGMA synchronous=${synced ? "FULL" : "NORMAL"}`);
  }

  #change(work: () => Changes): void {
    const next = transaction(this.#db, () => {
      const changed = Object.entries(work())
        .filter(([name, change]) => change !== 0 || !this.#counters.has(name))
        .map(([name, change]): [string, number] => [name, this.#value(name) + change]);
      const write = this.#statements.get(
        "INSERT OR REPLACE INTO counter (name, value) VALUES (?, ?)",
      );
      for (const [name, value] of changed) write.run(name, value);
      return changed;
    });
    for (const [name, value] of next) this.#counters.set(name, value);
  }

  read(): OutboxCounters {
    return {
      received: this.#value("received"),
      delivered: this.#value("delivered"),
      leftOut: this.#family("skipped:"),
      deadLetters: this.#value("dead_lettered"),
      dropped: this.#family("dropped:"),
      waiting: this.#value("queued"),
    };
  }

  #value(name: string): number {
    return this.#counters.get(name) ?? 0;
  }

  #family(prefix: string): ReadonlyMap<string, number> {
    return new Map(
      [...this.#counters].filter(([name]) => name.startsWith(prefix))
        .map(([name, count]): [string, number] => [name.slice(prefix.length), count]),
    );
  }
}
