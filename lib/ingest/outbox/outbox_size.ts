/** How much of the disk the outbox may take, and whether that is used up. */
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { Statements } from "../../sqlite.ts";

/** Pages that the write-ahead log may take before it is folded into the file. */
const WAL_PAGES = 1_000;
/** Spooling resumes when the outbox is this full. */
const RESUME_BELOW = 0.8;
/** How often the free space of the file system is looked at. */
const LIMIT_INTERVAL_MS = 10_000;

export class OutboxSize {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  readonly #folder: string;
  readonly #maxBytes: number;
  #full = false;
  #limitCheckedMs = -Infinity;

  /** `maxBytes`: the most that the file at `path` may take; SQLite itself enforces it. */
  constructor(db: DatabaseSync, path: string, maxBytes: number) {
    this.#db = db;
    this.#statements = new Statements(db);
    this.#folder = dirname(path);
    this.#maxBytes = maxBytes;
    db.exec(`PRAGMA wal_autocheckpoint=${WAL_PAGES}; PRAGMA journal_size_limit=0;`);
    this.#limit();
  }

  /** Whether SQLite has said that the file, or the disk, is full, and no room was seen since. */
  get full(): boolean {
    return this.#full;
  }

  /** The part of the allowed size that is in use, 0 … 1. */
  get fullness(): number {
    const pages = this.#pragma("page_count") - this.#pragma("freelist_count");
    return pages / this.#pragma("max_page_count");
  }

  /** SQLite has said that it is full. */
  ranOut(): void {
    this.#full = true;
  }

  /** Looks whether there is room again. */
  stillFull(): boolean {
    if (performance.now() - this.#limitCheckedMs > LIMIT_INTERVAL_MS) this.#limit();
    if (this.#full && this.fullness < RESUME_BELOW) this.#full = false;
    return this.#full;
  }

  /**
   * Caps the file below what the file system has free, less a reserve: on a disk that is truly
   * full SQLite refuses even DELETE, and the outbox would never drain.
   */
  #limit(): void {
    this.#limitCheckedMs = performance.now();
    const pageBytes = this.#pragma("page_size");
    const { bavail, blocks, bsize } = statfsSync(this.#folder);
    const reserveBytes = Math.min(100_000_000, (blocks * bsize) / 20);
    const heldBytes = this.#pragma("page_count") * pageBytes;
    const spaceBytes = heldBytes + bavail * bsize - reserveBytes;
    const walBytes = WAL_PAGES * pageBytes;
    const maxBytes = Math.min(this.#maxBytes, spaceBytes) - walBytes;
    this.#db.exec(`PRAGMA max_page_count=${Math.max(1, Math.floor(maxBytes / pageBytes))}`);
  }

  #pragma(name: string): number {
    return Number(Object.values(this.#statements.get(`PRAGMA ${name}`).get() ?? {})[0]);
  }
}
