/** How much of the disk the local store may take, with its write-ahead log, and how much it does. */
import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { diskSpace } from "../../disk.ts";
import { Statements } from "../../sqlite.ts";

/** SQLite folds the write-ahead log into the file when it has so many pages. */
const WAL_PAGES = 1_000;
/** What the write-ahead log may take of all: it grows while somebody reads on and on, longer in a large file. */
const WAL_PART = 1 / 16;
const WAL_LEAST_BYTES = 32_000_000;

/** There is no room to write, and what to do about it. */
export class NoRoom extends Error {
  override readonly name = "NoRoom";
  constructor(message: string, readonly wish: string) {
    super(message);
  }
}

function spareIn(folder: string): number {
  return diskSpace(folder).spareBytes;
}

export class StoreSize {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  readonly #spare: (folder: string) => number;
  readonly #path: string;
  readonly #pageBytes: number;
  readonly #maxBytes: number;
  readonly #walMaxBytes: number;

  /** `spare` is what the disk has to spare in a folder, in bytes. */
  constructor(db: DatabaseSync, path: string, maxBytes: number, spare = spareIn) {
    this.#spare = spare;
    this.#db = db;
    this.#statements = new Statements(db);
    this.#path = path;
    this.#pageBytes = this.#statements.pragma("page_size");
    this.#walMaxBytes = Math.min(Math.max(maxBytes * WAL_PART, WAL_LEAST_BYTES), maxBytes / 2);
    this.#maxBytes = maxBytes - this.#walMaxBytes;
    // what a long reading has made it grow to is given back
    const keptBytes = WAL_PAGES * this.#pageBytes;
    db.exec(`PRAGMA wal_autocheckpoint=${WAL_PAGES}; PRAGMA journal_size_limit=${keptBytes}`);
  }

  /** The bytes of the file and of its write-ahead log. */
  get bytes(): number {
    return this.#fileBytes() + this.#walBytes();
  }

  /** The part of the allowed size that is in use, beyond 1 after a bound was lowered. Pages that pruning has freed are not. */
  get fullness(): number {
    const usedBytes = this.#fileBytes() -
      this.#statements.pragma("freelist_count") * this.#pageBytes;
    return usedBytes / this.#limitBytes();
  }

  /** What gives it more room. */
  get wish(): string {
    return this.#limitBytes() < this.#maxBytes
      ? "free space on its disk"
      : "raise LOCAL_STORE_MAX_MB";
  }

  /**
   * Before a transaction: from then on SQLite itself keeps the file below its bound, and `morePages`.
   * Throws NoRoom where the write-ahead log has grown beyond its own.
   */
  enforce(morePages = 0): void {
    if (this.#walBytes() > this.#walMaxBytes && !this.#foldIn()) {
      const megabytes = Math.round(this.#walBytes() / 1e6);
      throw new NoRoom(
        `another program has been reading it for so long that ${megabytes} MB wait in ${this.#path}-wal`,
        "end that program, or its transaction",
      );
    }
    const pages = Math.floor(this.#limitBytes() / this.#pageBytes) + morePages;
    this.#db.exec(`PRAGMA max_page_count=${Math.max(1, pages)}`);
  }

  /** Empties the write-ahead log, and waits a second for readers to end. Whether they have. */
  #foldIn(): boolean {
    return this.#db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()?.busy === 0;
  }

  /**
   * A short disk does not make it less than the file is, which does not shrink: what the disk cannot
   * give must not be taken from what is kept already.
   */
  #limitBytes(): number {
    const spareBytes = Math.max(0, this.#spare(dirname(this.#path)));
    return Math.min(this.#maxBytes, this.#fileBytes() + spareBytes);
  }

  #fileBytes(): number {
    return this.#statements.pragma("page_count") * this.#pageBytes;
  }

  #walBytes(): number {
    return statSync(`${this.#path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }
}
