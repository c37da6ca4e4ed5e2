/** The rows on a page of an SQLite file, as far as they can be read: sqlite.org/fileformat2.html. */
import type { SqlitePages } from "./sqlite_pages.ts";

/** The types of the pages that have rows: of a table, and of a table without rowid. */
const TABLE_LEAF = 0x0d;
const INDEX_LEAF = 0x0a;
/** The first page begins with the file's header. */
const FILE_HEADER_BYTES = 100;
/** The columns of a table that is looked for are fewer. */
const MAX_COLUMNS = 100;

export interface SqliteRow {
  /** 0 of a table without rowid. */
  readonly rowid: number;
  /** A value that is neither a text nor a whole number is null; the rowid's own column too. */
  readonly values: readonly (string | number | null)[];
  /** Whether all its bytes were there, and its texts are UTF-8. */
  readonly isWhole: boolean;
}

/** The rows on the page; none where it is another kind of page. What makes no sense is left out. */
export function rowsOn(pages: SqlitePages, number: number): SqliteRow[] {
  const page = pages.page(number);
  if (!page) return [];
  const start = number === 1 ? FILE_HEADER_BYTES : 0;
  const type = page[start];
  if (type !== TABLE_LEAF && type !== INDEX_LEAF) return [];
  const view = new DataView(page.buffer);
  const cells = view.getUint16(start + 3);
  const cellsAt = start + 8;
  if (cellsAt + 2 * cells > pages.usableBytes) return [];
  return Array.from({ length: cells }, (_, at) => view.getUint16(cellsAt + 2 * at))
    .flatMap((at) => {
      try {
        return rowAt(pages, page, at, type === TABLE_LEAF) ?? [];
      } catch (error) {
        if (error instanceof RangeError) return []; // it points beyond the page
        throw error;
      }
    });
}

/** Undefined where there is no row. Throws RangeError where it would end beyond the page. */
function rowAt(
  pages: SqlitePages,
  page: Uint8Array,
  cellAt: number,
  hasRowid: boolean,
): SqliteRow | undefined {
  const cell = new Varints(page, cellAt);
  const bytes = cell.next();
  if (bytes > pages.count * pages.pageBytes) return undefined;
  const rowid = hasRowid ? cell.next() : 0;
  const header = new Varints(page, cell.at);
  const headerBytes = header.next();
  const types: number[] = [];
  while (header.at < cell.at + headerBytes) {
    types.push(header.next());
    if (types.length > MAX_COLUMNS) return undefined;
  }
  const lengths = types.map(lengthOf);
  // what is no row hardly ever adds up
  if (header.at !== cell.at + headerBytes) return undefined;
  if (lengths.reduce((sum, length) => sum + length, headerBytes) !== bytes) return undefined;
  const { payload, isWhole } = payloadAt(pages, page, { at: cell.at, bytes, hasRowid });
  let at = headerBytes;
  let isText = true;
  const values = types.map((type, column) => {
    const part = payload.subarray(at, at += lengths[column] ?? 0);
    if (type < 13 || type % 2 === 0) return numberOf(type, part);
    isText &&= isUtf8(part);
    return new TextDecoder().decode(part);
  });
  return { rowid, values, isWhole: isWhole && isText };
}

/** A row's bytes: some on its page, and the rest on a chain of others. Only what can be read. */
function payloadAt(
  pages: SqlitePages,
  page: Uint8Array,
  { at, bytes, hasRowid }: { at: number; bytes: number; hasRowid: boolean },
): { payload: Uint8Array; isWhole: boolean } {
  const usable = pages.usableBytes;
  const most = hasRowid ? usable - 35 : Math.floor((usable - 12) * 64 / 255) - 23;
  if (bytes <= most) {
    const payload = page.subarray(at, at + bytes);
    return { payload, isWhole: payload.length === bytes };
  }
  const least = Math.floor((usable - 12) * 32 / 255) - 23;
  const wished = least + (bytes - least) % (usable - 4);
  const local = wished <= most ? wished : least;
  const parts = [page.subarray(at, at + local)];
  let left = bytes - local;
  let next = new DataView(page.buffer).getUint32(at + local);
  while (left > 0) {
    // a chain in a circle ends too: each page takes some of what is left
    const part = next > 1 ? pages.page(next) : undefined;
    if (!part) break;
    parts.push(part.subarray(4, 4 + Math.min(left, usable - 4)));
    left -= usable - 4;
    next = new DataView(part.buffer).getUint32(0);
  }
  return { payload: joined(parts), isWhole: left <= 0 };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** How many bytes a value of that serial type takes. */
function lengthOf(type: number): number {
  if (type >= 12) return Math.floor((type - 12) / 2);
  return [0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0][type] ?? 0;
}

function numberOf(type: number, bytes: Uint8Array): number | null {
  if (type === 8 || type === 9) return type - 8;
  if (type < 1 || type > 6 || bytes.length === 0) return null;
  const [first = 0, ...rest] = bytes;
  return rest.reduce((sum, byte) => sum * 256 + byte, first << 24 >> 24);
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** SQLite's varints, one behind the other: 1 to 9 bytes. */
class Varints {
  readonly #view: DataView;
  at: number;

  constructor(page: Uint8Array, at: number) {
    this.#view = new DataView(page.buffer);
    this.at = at;
  }

  /** Throws RangeError beyond the page. */
  next(): number {
    let value = 0;
    for (let n = 1; n < 9; n++) {
      const byte = this.#view.getUint8(this.at++);
      value = value * 128 + (byte & 0x7f);
      if (byte < 0x80) return value;
    }
    return value * 256 + this.#view.getUint8(this.at++);
  }
}
