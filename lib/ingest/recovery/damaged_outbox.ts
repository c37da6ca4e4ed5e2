/**
 * What can be read of a damaged outbox: each page is looked at by itself, so that none needs another
 * to be found, but for the pages that a long line goes on in.
 */
import type { LostLetter } from "../outbox/dead_letters.ts";
import { SqlitePages } from "./sqlite_pages.ts";
import { rowsOn, type SqliteRow } from "./sqlite_rows.ts";

/** How much is read and committed at once, so that capture does not wait. */
const STEP_PAGES = 128;
const STEP_BYTES = 1_000_000;
/** So many numbers take some 150 MB: of more events, one that is there twice may be delivered twice. */
const MOST_TAKEN = 4_000_000;

/** What some of its pages hold. */
export interface Salvaged {
  readonly lines: readonly string[];
  readonly letters: readonly LostLetter[];
  /** How many pages have been read until now. */
  readonly pagesRead: number;
}

export class DamagedOutbox implements Disposable {
  readonly #pages: SqlitePages;
  readonly #counters = new Map<string, number>();

  /** Opens the file at `path` for reading alone. */
  constructor(path: string) {
    this.#pages = new SqlitePages(path);
  }

  /** How many pages it has. */
  get pages(): number {
    return this.#pages.numbers.size;
  }

  /** How many events it says that it holds, dead letters with them; undefined where that was not read. */
  get counted(): number | undefined {
    const waiting = this.#counters.get("queued");
    return waiting === undefined ? undefined : waiting + (this.#counters.get("dead_lettered") ?? 0);
  }

  /** All that can be read, step by step, each event once: an old version of a page may hold one again. */
  *read(): Generator<Salvaged> {
    const unused = this.#pages.unused();
    const taken = new Set<number>();
    const lines: string[] = [];
    const letters: LostLetter[] = [];
    let [bytes, pagesRead] = [0, 0];
    for (const page of this.#pages.numbers) {
      for (const row of unused.has(page) ? [] : rowsOn(this.#pages, page)) {
        this.#count(row);
        const { rowid, values: [first, line, reason, refusedAt] } = row;
        // the rows of other tables have other columns
        if (first !== null || typeof line !== "string" || taken.has(rowid)) continue;
        if (typeof reason === "string" && typeof refusedAt === "string") {
          letters.push({ line: oneLine(line), reason, refusedAt: timeOr(refusedAt) });
        } else if (isEvent(line)) lines.push(line);
        else continue;
        if (taken.size < MOST_TAKEN) taken.add(rowid);
        bytes += Buffer.byteLength(line);
      }
      pagesRead++;
      if (pagesRead % STEP_PAGES > 0 && pagesRead < this.pages && bytes < STEP_BYTES) continue;
      yield { lines: lines.splice(0), letters: letters.splice(0), pagesRead };
      bytes = 0;
    }
  }

  [Symbol.dispose](): void {
    this.#pages[Symbol.dispose]();
  }

  #count({ values: [name, value, ...more] }: SqliteRow): void {
    if (typeof name === "string" && typeof value === "number" && more.length === 0) {
      this.#counters.set(name, value);
    }
  }
}

/** A line break would tear it in two; any other character stays: JSON may have U+0080 and the like. */
function oneLine(text: string): string {
  return text.replace(/[\r\n]/g, " ");
}

/** Whether the line is whole: one that is damaged itself is no event any more. */
function isEvent(line: string): boolean {
  try {
    JSON.parse(line);
    return line.startsWith("{") && line === oneLine(line);
  } catch {
    return false;
  }
}

/** Now, where it is no time. */
function timeOr(text: string): string {
  return Number.isNaN(Date.parse(text)) ? new Date().toISOString() : text;
}
