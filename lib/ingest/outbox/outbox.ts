/**
 * The outbox: one SQLite file that holds every event from its arrival until enrich has answered
 * for it. What arrives within some 20 ms is committed together; only then does it count as captured.
 */
import { existsSync, renameSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { isCorrupt, isFull, openDatabase, Statements } from "../../sqlite.ts";
import { DeadLetters } from "./dead_letters.ts";
import { Gaps, type StateStamp } from "./missing.ts";
import { Ledger, type OutboxCounters } from "./ledger.ts";

const USER_VERSION = 1;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`;

/** Pages that the write-ahead log may take before it is folded into the file. */
const WAL_PAGES = 1_000;
/** A buffer of this many characters is committed at once, so that no transaction outgrows the log. */
const FLUSH_CHARS = 2_000_000;
/** Spooling resumes when the outbox is this full. */
const RESUME_BELOW = 0.8;
/** How often the free space of the file system is looked at. */
const LIMIT_INTERVAL_MS = 10_000;

const spooledLine = z.object({ event: z.object({ time_fired: z.string() }) });

export interface OutboxOptions {
  readonly path: string;
  /** The most that the file may take, in bytes; dead letters count. */
  readonly maxBytes: number;
  /** How long events wait for others to be committed with, in milliseconds. */
  readonly commitIntervalMs?: number;
  /** Told when a commit fails for another reason than a full file: capture cannot go on. */
  readonly onFailure: (error: unknown) => void;
}

/** A line to be spooled, and what it says of an entity's state. */
export interface Spooled {
  readonly line: string;
  readonly stamp?: StateStamp;
}

export interface OutboxRow {
  readonly seq: number;
  readonly line: string;
}

/** What enrich has answered for: rows that leave the outbox, all in one transaction. */
export interface Settlement {
  /** Rows that are stored or skipped. */
  readonly done: readonly number[];
  /** How many of them are stored. */
  readonly delivered: number;
  /** How many of them were left out, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Rows that can never be stored. */
  readonly problems: readonly { readonly seq: number; readonly reason: string }[];
}

export class Outbox implements Disposable {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  readonly #options: OutboxOptions;
  readonly #ledger: Ledger;
  readonly gaps: Gaps;
  readonly deadLetters: DeadLetters;
  #buffer: Spooled[] = [];
  #bufferChars = 0;
  #commitTimer: ReturnType<typeof setTimeout> | undefined;
  #changed = Promise.withResolvers<void>();
  #refusedUncounted = 0;
  #full = false;
  /** Whether events have been refused since the last commit. */
  #refusing = false;
  #limitCheckedMs = -Infinity;

  /**
   * Opens or makes the file. A damaged one is set aside beside it, see `setAside`.
   * Throws where another process holds it or a newer release wrote it.
   */
  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#db = openDatabase(options.path, { userVersion: USER_VERSION, schema: SCHEMA });
    this.#db.exec(`PRAGMA wal_autocheckpoint=${WAL_PAGES}; PRAGMA journal_size_limit=0;`);
    this.#statements = new Statements(this.#db);
    this.#ledger = new Ledger(this.#db);
    this.gaps = new Gaps(this.#db);
    this.deadLetters = new DeadLetters(this.#db, this.#transact.bind(this));
    this.#limit();
  }

  /** Takes one event, to be committed within `commitIntervalMs`. While the outbox is full it is counted as dropped. */
  add(event: Spooled): void {
    this.#buffer.push(event);
    this.#bufferChars += event.line.length;
    if (this.#bufferChars >= FLUSH_CHARS) this.flush();
    else this.#commitTimer ??= setTimeout(() => this.flush(), this.#options.commitIntervalMs ?? 20);
  }

  /** Commits what was added. Failures other than a full file go to `onFailure`. */
  flush(): void {
    clearTimeout(this.#commitTimer);
    this.#commitTimer = undefined;
    if (this.#buffer.length === 0) return;
    const events = this.#buffer;
    this.#buffer = [];
    this.#bufferChars = 0;
    try {
      const committed = this.append(events.map(({ line }) => line), () => {
        for (const { stamp } of events) if (stamp) this.gaps.heard(stamp);
      });
      if (!committed) this.#refuse(events.length);
    } catch (error) {
      this.#options.onFailure(error);
    }
  }

  /**
   * Commits lines, and what `also` writes with them, in one transaction. Returns false, and
   * commits nothing, while the file is full. Throws where SQLite fails for another reason.
   */
  append(lines: readonly string[], also: () => void = () => {}): boolean {
    if (this.#stillFull()) return false;
    const n = lines.length;
    try {
      const insert = this.#statements.get("INSERT INTO outbox (line) VALUES (?)");
      this.#transact({ received: n, queued: n }, () => {
        // what was refused while the file was full is a gap like any other
        if (this.#refusing) this.gaps.open();
        for (const line of lines) insert.run(line);
        also();
      });
      this.#refusing = false;
      return true;
    } catch (error) {
      this.gaps.reload();
      if (!isFull(error)) throw error;
      this.#full = true;
      return false;
    }
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

  /** Resolves at the next commit that moves events, or when the signal is aborted. */
  async changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const abort = () => resolve();
    signal.addEventListener("abort", abort, { once: true });
    await Promise.race([this.#changed.promise, promise]);
    signal.removeEventListener("abort", abort);
  }

  /** Lets go of what enrich has answered for. */
  settle({ done, delivered, skipped, problems }: Settlement): void {
    const remove = this.#statements.get("DELETE FROM outbox WHERE seq = ?");
    const changes: Record<string, number> = {
      delivered,
      dead_lettered: problems.length,
      queued: -(done.length + problems.length),
    };
    for (const [reason, count] of Object.entries(skipped)) changes[`skipped:${reason}`] = count;
    this.#transact(changes, () => {
      for (const { seq, reason } of problems) {
        this.deadLetters.bury(seq, reason);
        remove.run(seq);
      }
      for (const seq of done) remove.run(seq);
    });
  }

  /** The last committed set of the equation's counters. */
  counters(): OutboxCounters {
    return this.#ledger.read();
  }

  /** Dead letters by reason, the most frequent first. */
  deadLetterReasons(): { reason: string; count: number }[] {
    return this.deadLetters.reasons();
  }

  /** When the event that has waited longest was fired, by Home Assistant's clock. */
  oldestTimeFired(): string | undefined {
    const row = this.#statements.get("SELECT line FROM outbox ORDER BY seq LIMIT 1").get();
    const line = spooledLine.safeParse(
      row === undefined ? undefined : JSON.parse(String(row.line)),
    );
    return line.success ? line.data.event.time_fired : undefined;
  }

  /** Whether events are being refused because the file, or the disk, is full. */
  get full(): boolean {
    return this.#full;
  }

  /** The part of the allowed size that is in use, 0 … 1. */
  get fullness(): number {
    const pages = this.#pragma("page_count") - this.#pragma("freelist_count");
    return pages / this.#pragma("max_page_count");
  }

  meta(key: string): string | undefined {
    const row = this.#statements.get("SELECT value FROM meta WHERE key = ?").get(key);
    return row === undefined ? undefined : String(row.value);
  }

  /** Commits what was added and closes the file. */
  [Symbol.dispose](): void {
    this.flush();
    this.#db.close();
  }

  /** Keeps a value; within a transaction (`append`) or by itself. */
  setMeta(key: string, value: string): void {
    this.#statements.get("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)").run(key, value);
  }

  #pragma(name: string): number {
    return Number(Object.values(this.#statements.get(`PRAGMA ${name}`).get() ?? {})[0]);
  }

  /** One transaction that moves events and changes the counters. */
  #transact(changes: Readonly<Record<string, number>>, work: () => void): void {
    this.#ledger.transact(changes, work);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Counts refused events. On a disk that is truly full not even that can be written: it is made up for later. */
  #refuse(n: number): void {
    this.#refusing = true;
    this.#refusedUncounted += n;
    try {
      const refused = this.#refusedUncounted;
      this.#transact({ received: refused, "dropped:outbox_full": refused }, () => {});
      this.#refusedUncounted = 0;
    } catch (error) {
      if (!isFull(error)) throw error;
    }
  }

  #stillFull(): boolean {
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
    const { bavail, blocks, bsize } = statfsSync(dirname(this.#options.path));
    const reserveBytes = Math.min(100_000_000, (blocks * bsize) / 20);
    const heldBytes = this.#pragma("page_count") * pageBytes;
    const spaceBytes = heldBytes + bavail * bsize - reserveBytes;
    const walBytes = WAL_PAGES * pageBytes;
    const maxBytes = Math.min(this.#options.maxBytes, spaceBytes) - walBytes;
    this.#db.exec(`PRAGMA max_page_count=${Math.max(1, Math.floor(maxBytes / pageBytes))}`);
  }
}

/**
 * Opens the outbox; a damaged file is set aside and a new one begun. Returns the name it was set
 * aside under, if so.
 */
export function openOutbox(options: OutboxOptions): { outbox: Outbox; setAside?: string } {
  try {
    return { outbox: new Outbox(options) };
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    const name = setAside(options.path);
    return { outbox: new Outbox(options), setAside: name };
  }
}

/**
 * Renames a damaged file, with its log, to `<path>.damaged-<time>` for a person to look into.
 * Returns that name.
 */
export function setAside(path: string): string {
  const name = `${path}.damaged-${new Date().toISOString().replaceAll(":", "")}`;
  for (const suffix of ["", "-wal", "-shm"]) {
    if (existsSync(path + suffix)) renameSync(path + suffix, name + suffix);
  }
  return name;
}
