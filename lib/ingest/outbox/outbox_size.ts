/** How much of the disk the outbox may take, how that is shared out, and whether it is used up. */
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { diskSpace, sayDiskFull } from "../../disk.ts";
import { getLogger } from "../../log.ts";
import { Statements } from "../../sqlite.ts";

const log = getLogger("ingest", "outbox");

/** Pages that the write-ahead log may take before it is folded into the file. */
const WAL_PAGES = 1_000;
/** Spooling resumes when the events' part is this full. */
const RESUME_BELOW = 0.8;
/** Dead letters have this part for themselves. */
const DEAD_LETTERS_PART = 1 / 5;
/** What a row takes besides its text, and pages that a transaction takes besides its rows. */
const ROW_OVERHEAD = 1.1;
const SPARE_PAGES = 16;
/** How often the free space of the file system is looked at. */
const LIMIT_INTERVAL_MS = 10_000;
/** So long a refusal counts for health where the next event, or a smaller one, may well be taken. */
const REFUSAL_MS = 10_000;
/** A disk that is nearly full may take some events and refuse others: it is said once in this time. */
const SAY_INTERVAL_MS = 60_000;

export class OutboxSize {
  readonly #statements: Statements;
  readonly #db: DatabaseSync;
  readonly #folder: string;
  readonly #maxBytes: number;
  readonly #pageBytes: number;
  readonly #deadLetterBytes: () => number;
  /** What the dead letters may take before the oldest of them go, in bytes. */
  readonly deadLettersMaxBytes: number;
  #allowedPages = Infinity;
  #limitCheckedMs = -Infinity;
  /** Whether the file system, and not `maxBytes`, is what limits the file. */
  #diskIsShort = false;
  /** Whether events were refused, and none was taken since. */
  #full = false;
  #ranOutMs = -Infinity;
  /** Whether nothing at all can be written, not even a counter. */
  #stuck = false;
  #saidMs = -Infinity;
  #said = false;

  /** `maxBytes`: the most that the file at `path` may take. `deadLetterBytes`: what they take of it now. */
  constructor(
    db: DatabaseSync,
    { path, maxBytes }: { readonly path: string; readonly maxBytes: number },
    deadLetterBytes: () => number,
  ) {
    this.#db = db;
    this.#statements = new Statements(db);
    this.#folder = dirname(path);
    this.#maxBytes = maxBytes;
    this.#deadLetterBytes = deadLetterBytes;
    this.#pageBytes = this.#statements.pragma("page_size");
    const walBytes = WAL_PAGES * this.#pageBytes;
    this.deadLettersMaxBytes = (maxBytes - walBytes) * DEAD_LETTERS_PART;
    // the log keeps what it has taken, so that a disk that others have filled still lets events go
    db.exec(`PRAGMA wal_autocheckpoint=${WAL_PAGES}; PRAGMA journal_size_limit=${walBytes};`);
    this.#limit();
  }

  /** Whether events are refused, or were a moment ago and none has been taken since. */
  get full(): boolean {
    const isRecent = performance.now() - this.#ranOutMs < REFUSAL_MS;
    return this.#stuck || this.#full && (isRecent || this.#isOverfull);
  }

  /** Whether nothing at all can be written. */
  get stuck(): boolean {
    return this.#stuck;
  }

  /** Whether it is the disk that has no room, and not the outbox that has reached its cap. */
  get diskIsFull(): boolean {
    // a cap that was lowered leaves no page free either, on whatever disk
    const isAtCap = this.#usedPages + SPARE_PAGES > this.#allowedPages;
    return this.#diskIsShort || this.#stuck && !isAtCap;
  }

  /** Why events are refused, for people. Looks at the disk. */
  get reason(): string {
    this.#limit();
    if (!this.diskIsFull) return "the outbox has reached OUTBOX_MAX_MB";
    return sayDiskFull(this.#folder);
  }

  /** The used part of what events may take, 0 … 1; 1 where nothing can be written. */
  get fullness(): number {
    return this.#stuck ? 1 : this.#usedPart;
  }

  /** The used part of what dead letters may take before the oldest of them go; above 1 in a file of an older release. */
  get deadLettersFullness(): number {
    return this.#deadLetterBytes() / this.deadLettersMaxBytes;
  }

  /** Whether there is room for rows of so many bytes beside what is kept for dead letters. */
  hasRoomFor(bytes: number): boolean {
    const pages = Math.ceil(bytes * ROW_OVERHEAD / this.#pageBytes) + SPARE_PAGES;
    const kept = Math.max(0, this.#reservedPages - this.#deadLetterPages);
    return this.#usedPages + pages <= this.#allowedPages - kept;
  }

  /** Events are refused for want of room; `stuck` where nothing at all can be written. */
  ranOut({ stuck = false } = {}): void {
    this.#limit();
    const nowMs = performance.now();
    this.#full = true;
    this.#ranOutMs = nowMs;
    this.#stuck ||= stuck;
    if (this.#said || nowMs - this.#saidMs < SAY_INTERVAL_MS) return;
    this.#said = true;
    this.#saidMs = nowMs;
    log.error("Events are refused: {reason}", { reason: this.reason });
  }

  /** Something was written; `events` where it was events. */
  wrote({ events }: { readonly events: boolean }): void {
    // the disk takes something again: what it refused is past
    if (this.#stuck) this.#ranOutMs = -Infinity;
    this.#stuck = false;
    if (!events || !this.#full) return;
    this.#full = false;
    if (this.#said) log.info("The outbox takes events again");
    this.#said = false;
  }

  /** Whether the next event would be refused for the cap, whatever its size. Looks at the disk now and then. */
  stillFull(): boolean {
    if (performance.now() - this.#limitCheckedMs > LIMIT_INTERVAL_MS) this.#limit();
    return this.#isOverfull;
  }

  get #isOverfull(): boolean {
    return this.#full && this.#usedPart >= RESUME_BELOW;
  }

  get #usedPart(): number {
    const reserved = this.#reservedPages;
    const events = this.#usedPages - Math.min(this.#deadLetterPages, reserved);
    return Math.min(1, Math.max(0, events) / (this.#allowedPages - reserved));
  }

  get #usedPages(): number {
    return this.#statements.pragma("page_count") - this.#statements.pragma("freelist_count");
  }

  get #deadLetterPages(): number {
    return Math.ceil(this.#deadLetterBytes() / this.#pageBytes);
  }

  /** What is kept for dead letters, whether they use it or not. */
  get #reservedPages(): number {
    return Math.min(
      this.deadLettersMaxBytes / this.#pageBytes,
      this.#allowedPages * DEAD_LETTERS_PART,
    );
  }

  /** Caps the file below what the disk has to spare, or the outbox would not drain: see `diskSpace`. */
  #limit(): void {
    this.#limitCheckedMs = performance.now();
    const { spareBytes } = diskSpace(this.#folder);
    const heldPages = this.#statements.pragma("page_count");
    const spaceBytes = heldPages * this.#pageBytes + spareBytes;
    this.#diskIsShort = spaceBytes < this.#maxBytes;
    const maxBytes = Math.min(this.#maxBytes, spaceBytes) - WAL_PAGES * this.#pageBytes;
    // SQLite allows no less than the file has
    this.#allowedPages = Math.max(heldPages, Math.floor(maxBytes / this.#pageBytes));
    this.#db.exec(`PRAGMA max_page_count=${this.#allowedPages}`);
  }
}
