/**
 * A disk without a free byte, for tests that are no root: what SQLite wants to write is refused as it
 * is on a full tmpfs. Seen there, with Deno 2.9.6 and a file in WAL mode:
 * - statements pass, for their pages wait in memory; COMMIT throws, without an errcode, and the
 *   transaction is gone. A transaction that changes nothing passes.
 * - a transaction that outgrows the cache fails in a statement, with errcode 13, and is gone.
 * - outside a transaction `exec` throws without an errcode, `run` with errcode 13, and `get` of a
 *   statement with RETURNING answers as if all were well, though nothing is kept.
 * - `PRAGMA user_version=` writes, even the value that stands there; CREATE IF NOT EXISTS does not.
 * - a file that exists can be opened, read and closed, a new one cannot be made.
 */
import { DatabaseSync, StatementSync } from "node:sqlite";

const SQLITE_FULL = 13;
const exec = DatabaseSync.prototype.exec;
const statement = {
  run: StatementSync.prototype.run,
  get: StatementSync.prototype.get,
  all: StatementSync.prototype.all,
};
const WRITES = /^\s*(INSERT|UPDATE|DELETE)/;

function isFull(more = {}): Error {
  return Object.assign(new Error("database or disk is full"), more);
}

/** Stands between node:sqlite and every database of this process until it is disposed of. */
export class FullDisk implements Disposable {
  /** The database that was used last. */
  db: DatabaseSync | undefined;
  /** So many rows can still be written. */
  #freeRows = Infinity;
  /** Whether the next transactions outgrow the cache. */
  #spills = false;
  #writtenBefore = 0;

  readonly #syncs: boolean;

  /** `syncs`: the file is synced as it would be without this. */
  constructor({ syncs = false } = {}) {
    this.#syncs = syncs;
    const onExec = (db: DatabaseSync, sql: string) => this.#exec(db, sql);
    const onStep = this.#step.bind(this);
    DatabaseSync.prototype.exec = function (sql) {
      onExec(this, sql);
    };
    for (const name of ["run", "get", "all"] as const) {
      StatementSync.prototype[name] = function (this: StatementSync, ...values: unknown[]) {
        return onStep(name, this.sourceSQL, () => Reflect.apply(statement[name], this, values));
      };
    }
  }

  [Symbol.dispose](): void {
    DatabaseSync.prototype.exec = exec;
    Object.assign(StatementSync.prototype, statement);
  }

  get isFree(): boolean {
    return this.#freeRows === Infinity;
  }

  fill({ freeRows = 0, spills = false } = {}): void {
    this.#freeRows = freeRows;
    this.#spills = spills;
  }

  free(): void {
    this.#freeRows = Infinity;
  }

  /** Rows of a query, whatever the disk. */
  query(sql: string): Record<string, unknown>[] {
    if (!this.db) throw new Error("No database was opened");
    return Reflect.apply(statement.all, this.db.prepare(sql), []);
  }

  #exec(db: DatabaseSync, text: string): void {
    this.db = db;
    // a power cut is not what is tested here, and the disk is spared
    const sql = this.#syncs ? text : text
      .replace(/^PRAGMA locking_mode/, "PRAGMA synchronous=OFF; $&")
      .replace(/synchronous ?= ?(FULL|NORMAL)/, "synchronous=OFF");
    const pass = (passed = sql) => exec.call(db, passed);
    if (this.isFree) pass();
    else if (db.isTransaction) {
      if (sql === "COMMIT") this.#end(db, pass, () => isFull());
      else this.#within(db, sql, pass);
    } else if (/^BEGIN IMMEDIATE;? *(COMMIT;)?$/.test(sql)) {
      pass();
      this.#writtenBefore = this.#written();
    } else if (/journal_mode/.test(sql) && this.#pragma("page_count") === 0) throw isFull();
    else if (/^PRAGMA user_version ?=/.test(sql)) {
      if (this.#freeRows < 1) throw isFull();
      pass();
    } else if (/^PRAGMA/.test(sql)) pass();
    else this.#alone(db, pass, () => isFull());
  }

  #step<T>(name: "run" | "get" | "all", sql: string, pass: () => T): T {
    const { db } = this;
    if (this.isFree || !db || !WRITES.test(sql)) return pass();
    if (db.isTransaction) return this.#within(db, sql, pass);
    return this.#alone(
      db,
      pass,
      () => name === "get" ? undefined : isFull({ errcode: SQLITE_FULL }),
    );
  }

  #within<T>(db: DatabaseSync, sql: string, pass: () => T): T {
    if (!this.#spills || !WRITES.test(sql)) return pass();
    exec.call(db, "ROLLBACK");
    throw isFull({ errcode: SQLITE_FULL });
  }

  /** A statement that is a transaction of its own. */
  #alone<T>(db: DatabaseSync, pass: () => T, fault: () => Error | undefined): T {
    exec.call(db, "BEGIN IMMEDIATE");
    this.#writtenBefore = this.#written();
    try {
      const result = pass();
      this.#end(db, () => exec.call(db, "COMMIT"), fault);
      return result;
    } catch (error) {
      if (db.isTransaction) exec.call(db, "ROLLBACK");
      throw error;
    }
  }

  #end(db: DatabaseSync, commit: () => void, fault: () => Error | undefined): void {
    const rows = this.#written() - this.#writtenBefore;
    if (rows <= this.#freeRows) {
      this.#freeRows -= rows;
      commit();
      return;
    }
    exec.call(db, "ROLLBACK");
    const error = fault();
    if (error) throw error;
  }

  #written(): number {
    return Number(this.query("SELECT total_changes() AS n")[0]?.n) + this.#pragma("schema_version");
  }

  #pragma(name: string): number {
    return Number(this.query(`PRAGMA ${name}`)[0]?.[name]);
  }
}
