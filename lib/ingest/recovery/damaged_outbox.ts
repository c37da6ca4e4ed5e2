/**
 * What can be read of a damaged outbox: each page is looked at by itself, so that none needs another
 * to be found, but for the pages that a long line goes on in.
 */
import type { LostLetter } from "../outbox/dead_letters.ts";
import { NumberSet } from "./number_set.ts";
import { SqlitePages } from "./sqlite_pages.ts";
import { rowsOn, type SqliteRow } from "./sqlite_rows.ts";

/** What a page of it holds. */
export interface Salvaged {
  readonly lines: readonly string[];
  /** Dead letters of that file, and events that are damaged themselves. */
  readonly letters: readonly LostLetter[];
  /** How many of the dead letters are such events. */
  readonly torn: number;
}

export class DamagedOutbox implements Disposable {
  readonly #pages: SqlitePages;
  readonly #name: string;
  readonly #unused: NumberSet;
  readonly #taken = new NumberSet();
  readonly #counters = new Map<string, number>();

  /** Opens the file at `path` for reading alone. `name`: what messages call it. */
  constructor(path: string, name: string) {
    this.#pages = new SqlitePages(path);
    this.#name = name;
    this.#unused = this.#pages.unused();
  }

  /** How many pages it has, numbered from 1. */
  get pages(): number {
    return this.#pages.count;
  }

  /** How many events it says that it holds, dead letters with them; undefined where that was not read. */
  get counted(): number | undefined {
    const [waiting, letters] = ["queued", "dead_lettered"].map((name) => this.#counters.get(name));
    return waiting === undefined ? undefined : waiting + (letters ?? 0);
  }

  /** What is on the page, each event once: an old version of a page may hold one again. */
  read(page: number): Salvaged {
    const lines: string[] = [];
    const letters: LostLetter[] = [];
    let torn = 0;
    if (this.#unused.has(page)) return { lines, letters, torn };
    for (const row of rowsOn(this.#pages, page)) {
      this.#count(row);
      const [, line, reason, refusedAt] = row.values;
      if (!isEvent(row) || this.#taken.has(row.rowid)) continue;
      this.#taken.add(row.rowid);
      // what a line break or a control character is in would be torn in two, or is no JSON
      const text = String(line).replace(/\p{Cc}/gu, " ");
      if (typeof reason === "string" && typeof refusedAt === "string") {
        letters.push({ line: text, reason, refusedAt: timeOr(refusedAt) });
      } else if (row.isWhole && text === line && isJson(line)) {
        lines.push(line);
      } else {
        torn++;
        letters.push({ line: text, reason: this.#reason(), refusedAt: timeOr("") });
      }
    }
    return { lines, letters, torn };
  }

  [Symbol.dispose](): void {
    this.#pages[Symbol.dispose]();
  }

  #reason(): string {
    return `The event is damaged: what could be read of it in ${this.#name} is no whole line`;
  }

  #count({ values }: SqliteRow): void {
    const [name, value] = values;
    if (values.length === 2 && typeof name === "string" && typeof value === "number") {
      this.#counters.set(name, value);
    }
  }
}

/**
 * Whether it is a row of `outbox` or `dead_letter`: its number, which no two events have, a line, and
 * why and when it was refused. Rows of other tables have other columns.
 */
function isEvent({ rowid, values: [first, line, ...more] }: SqliteRow): boolean {
  return first === null && typeof line === "string" && Number.isSafeInteger(rowid) && rowid > 0 &&
    (more.length === 0 || more.length === 2 || line.startsWith("{"));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Now, where it is no time. */
function timeOr(text: string): string {
  return Number.isNaN(Date.parse(text)) ? new Date().toISOString() : text;
}
