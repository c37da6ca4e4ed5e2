/** SQLite files as both programs want them: durable, written by one process, refused when too new. */
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { dataDirFault, makePrivateFile } from "./data_dir.ts";
import { sayDiskFull } from "./disk.ts";

/** SQLite's result codes (sqlite.org/rescode.html) that somebody acts on. */
const SQLITE_FULL = 13;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;
const SQLITE_BUSY = 5;

function errcode(error: unknown): number | undefined {
  return error instanceof Error && "errcode" in error &&
      typeof error.errcode === "number"
    ? error.errcode & 0xff
    : undefined;
}

/** Whether SQLite said that the file, or the disk, is full. `exec`, so a COMMIT too, gives no errcode. */
export function isFull(error: unknown): boolean {
  return errcode(error) === SQLITE_FULL ||
    (error instanceof Error && /database or disk is full/.test(error.message));
}

/** Whether SQLite failed in a way that does not pass, as a full disk does: nobody can go on with the file. */
export function isBroken(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_SQLITE_ERROR" &&
    !isFull(error);
}

/** Whether another process holds the file, or writes to it now. */
export function isBusy(error: unknown): boolean {
  return errcode(error) === SQLITE_BUSY ||
    (error instanceof Error && /database( table)? is locked/.test(error.message));
}

/** Whether SQLite said that the file is damaged, or none of its own. */
export function isCorrupt(error: unknown): boolean {
  const code = errcode(error);
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB ||
    (error instanceof Error &&
      // the last of them where a bit of the header is wrong
      /image is malformed|malformed database schema|file is not a database|unsupported file format/
        .test(error.message));
}

export interface DatabaseFormat {
  readonly userVersion: number;
  readonly schema?: string;
  /** Whether other processes may read the file meanwhile; then `holdAlone` says who writes. */
  readonly readers?: boolean;
}

/** What is wrong where the file at `path` cannot be opened, with what to do; the error itself where it says so. */
export function openingFault(error: unknown, path: string): unknown {
  if (isBusy(error)) {
    return new Error(
      `Cannot open ${path}: another process holds it; two programs at once need two DATA_DIRs`,
      { cause: error },
    );
  }
  if (isFull(error)) {
    return new Error(`Cannot open ${path}: ${sayDiskFull(dirname(path))}; free space on it`);
  }
  return dataDirFault(error, path) ?? error;
}

/**
 * Holds a file that others may read: until what it returns is closed, or the process ends, however
 * that is. The lock is on a file beside it that holds nothing, for one on the file itself keeps readers out.
 * Throws an Error with a hint where another process holds it.
 */
export function holdAlone(path: string): DatabaseSync {
  const lockPath = `${path}.lock`;
  makePrivateFile(lockPath);
  const lock = new DatabaseSync(lockPath, { timeout: 1_000 });
  try {
    lock.exec(
      "PRAGMA journal_mode=MEMORY; PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;",
    );
    giveToOwner(lockPath);
    return lock;
  } catch (error) {
    lock.close();
    throw openingFault(error, path);
  }
}

/** As SQLite does with its files: one that root has made must not keep out whom the folder belongs to. */
function giveToOwner(path: string): void {
  const { uid, gid } = Deno.statSync(dirname(path));
  if (uid === null || uid === Deno.statSync(path).uid) return;
  try {
    Deno.chownSync(path, uid, gid);
  } catch {
    // only root can, and nobody else needs to
  }
}

/**
 * Opens (or makes, for this user alone) the file for this process alone, unless it is for readers
 * too. WAL with `synchronous=FULL`: a commit is on the disk when it returns.
 *
 * Format changes are additive, so unknown tables and columns are left alone; `userVersion`
 * rises only for a break, and a file of a higher one is refused.
 *
 * Throws an Error with a hint where another process holds the file, it is too new, or it cannot be
 * written.
 */
export function openDatabase(
  path: string,
  { userVersion, schema = "", readers = false }: DatabaseFormat,
): DatabaseSync {
  makePrivateFile(path);
  const db = new DatabaseSync(path, { timeout: 1_000 });
  try {
    // the exclusive lock is taken by the first access to the file, which is the change of journal_mode
    if (!readers) db.exec("PRAGMA locking_mode=EXCLUSIVE");
    db.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
    db.exec("BEGIN IMMEDIATE; COMMIT;");
    const found = Number(db.prepare("PRAGMA user_version").get()?.user_version);
    if (found > userVersion) {
      throw new Error(
        `Cannot open ${path}: its format is version ${found}, this program reads up to ${userVersion}; ` +
          "run the newer release that wrote it, or give this one another DATA_DIR",
      );
    }
    tryToWrite(db, found);
    // nothing that is there is written again: a file on a full disk opens too
    db.exec(schema);
    if (found < userVersion) db.exec(`PRAGMA user_version=${userVersion}`);
    return db;
  } catch (error) {
    db.close();
    throw openingFault(error, path);
  }
}

/**
 * Throws as of a damaged file where a bit of its header makes SQLite only read it (sqlite.org/fileformat,
 * 1.3.3): that would be found at the first event. Nothing is written, so that a full disk does not matter.
 */
function tryToWrite(db: DatabaseSync, userVersion: number): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    db.exec(`PRAGMA user_version=${userVersion}`);
  } catch (error) {
    // who may not write has failed before, at the lock
    if (!/readonly database/.test(String(error))) throw error;
    throw new Error("unsupported file format: its header says that it is only to be read", {
      cause: error,
    });
  } finally {
    if (db.isTransaction) db.exec("ROLLBACK");
  }
}

/** Runs `work` in one transaction: all of it is committed, or, where it throws, none. */
export function transaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    db.exec("COMMIT");
    return result;
  } catch (error) {
    // SQLite has rolled back by itself after some errors (a full disk, for example)
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

/** One statement for each row costs half as much again. */
const ROWS_AT_ONCE = 10;

/**
 * Statements of a database, each prepared once: one prepared for every row would hold native
 * memory until the next garbage collection.
 */
export class Statements {
  readonly #db: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** The statement of that text; the texts must be few. */
  get(sql: string): StatementSync {
    const known = this.#prepared.get(sql);
    if (known) return known;
    const prepared = this.#db.prepare(sql);
    this.#prepared.set(sql, prepared);
    return prepared;
  }

  /** Inserts rows: `into` says where, before `VALUES`. A row in the place of another needs `OR REPLACE` there. */
  insert(into: string, rows: readonly (readonly (string | number | null)[])[]): void {
    const values = `(${rows[0]?.map(() => "?").join()})`;
    const one = `INSERT ${into} VALUES ${values}`;
    const many = one + `,${values}`.repeat(ROWS_AT_ONCE - 1);
    for (let at = 0; at < rows.length;) {
      const isMany = rows.length - at >= ROWS_AT_ONCE;
      const some = rows.slice(at, at + (isMany ? ROWS_AT_ONCE : 1));
      this.get(isMany ? many : one).run(...some.flat());
      at += some.length;
    }
  }

  /** The number that the pragma says. */
  pragma(name: string): number {
    return Number(Object.values(this.get(`PRAGMA ${name}`).get() ?? {})[0]);
  }
}
