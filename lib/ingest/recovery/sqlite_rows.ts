/** The rows on a page of an SQLite file that can be read: sqlite.org/fileformat2.html. */
import { Buffer } from "node:buffer";
import { PAGE_BYTES, type SqlitePages } from "./sqlite_pages.ts";

/** The types of the pages that have rows: of a table, and of a table without rowid. */
const TABLE_LEAF = 0x0d;
const INDEX_LEAF = 0x0a;
const PAGE_HEADER_BYTES = 8;
/** The columns of a table that is looked for are fewer. */
const MAX_COLUMNS = 20;

/** Where a row has more bytes than the most, so many or more are on its page. */
const MOST_BYTES = PAGE_BYTES - 35;
const LEAST_BYTES = Math.floor((PAGE_BYTES - 12) * 32 / 255) - 23;
/** The others are on a chain of pages, each of which begins with the next one's number. */
const LINK_BYTES = 4;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export interface SqliteRow {
  /** 0 of a table without rowid. */
  readonly rowid: number;
  /** A value that is neither a text nor a whole number is null; the rowid's own column too. */
  readonly values: readonly (string | number | null)[];
}

/** The rows on the page; none where it is another kind of page. What makes no sense is left out. */
export function rowsOn(pages: SqlitePages, number: number): SqliteRow[] {
  const page = pages.page(number);
  const type = page?.[0];
  if (!page || (type !== TABLE_LEAF && type !== INDEX_LEAF)) return [];
  const rows: SqliteRow[] = [];
  const end = PAGE_HEADER_BYTES + 2 * page.readUInt16BE(3);
  for (let at = PAGE_HEADER_BYTES; at < end && end <= PAGE_BYTES; at += 2) {
    try {
      rows.push(rowAt(pages, page, page.readUInt16BE(at), type === TABLE_LEAF));
    } catch (error) {
      // it points beyond the page, or is no text
      if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    }
  }
  return rows;
}

/** Throws RangeError where there is no row, or not all of it, and TypeError where a text is no UTF-8. */
function rowAt(pages: SqlitePages, page: Buffer, cellAt: number, hasRowid: boolean): SqliteRow {
  const cell = new Varints(page, cellAt);
  const bytes = cell.next();
  const rowid = hasRowid ? cell.next() : 0;
  const header = new Varints(page, cell.at);
  const headerBytes = header.next();
  const types: number[] = [];
  while (header.at < cell.at + headerBytes && types.length < MAX_COLUMNS) types.push(header.next());
  const lengths = types.map(lengthOf);
  const sum = lengths.reduce((sum, length) => sum + length, header.at - cell.at);
  // what is no row hardly ever adds up, and a chain in a circle would not end
  const isRow = header.at === cell.at + headerBytes && sum === bytes;
  if (!isRow || bytes > pages.numbers.size * PAGE_BYTES) throw new RangeError("No row");
  const payload = payloadAt(pages, page, cell.at, bytes);
  let at = headerBytes;
  const values = types.map((type, column) =>
    valueOf(type, payload.subarray(at, at += lengths[column] ?? 0))
  );
  return { rowid, values };
}

/** A row's bytes: some on its page, and the rest on a chain of others. */
function payloadAt(pages: SqlitePages, page: Buffer, at: number, bytes: number): Buffer {
  const wished = LEAST_BYTES + (bytes - LEAST_BYTES) % (PAGE_BYTES - LINK_BYTES);
  const local = bytes <= MOST_BYTES ? bytes : wished <= MOST_BYTES ? wished : LEAST_BYTES;
  const parts = [page.subarray(at, at + local)];
  let left = bytes - local;
  let next = left > 0 ? page.readUInt32BE(at + local) : 0;
  while (left > 0) {
    const part = pages.page(next);
    if (!part) throw new RangeError("The row goes on where nothing can be read");
    parts.push(part.subarray(LINK_BYTES, LINK_BYTES + left));
    left -= PAGE_BYTES - LINK_BYTES;
    next = part.readUInt32BE(0);
  }
  const payload = Buffer.concat(parts);
  if (payload.length !== bytes) throw new RangeError("The row ends beyond its page");
  return payload;
}

/** How many bytes a value of that serial type takes. */
function lengthOf(type: number): number {
  if (type >= 12) return Math.floor((type - 12) / 2);
  return [0, 1, 2, 3, 4, 6, 8, 8][type] ?? 0;
}

function valueOf(type: number, bytes: Buffer): string | number | null {
  if (type >= 13 && type % 2 === 1) return UTF8.decode(bytes);
  if (type === 8 || type === 9) return type - 8;
  if (type === 6) return Number(bytes.readBigInt64BE());
  return type >= 1 && type <= 5 ? bytes.readIntBE(0, bytes.length) : null;
}

/** SQLite's varints, one behind the other: 1 to 9 bytes. */
class Varints {
  readonly #page: Uint8Array;
  at: number;

  constructor(page: Uint8Array, at: number) {
    this.#page = page;
    this.at = at;
  }

  /** Throws RangeError beyond the page. */
  next(): number {
    let value = 0;
    for (let n = 1; n <= 9; n++) {
      const byte = this.#page[this.at++];
      if (byte === undefined) throw new RangeError("Beyond the page");
      if (n === 9) return value * 256 + byte;
      value = value * 128 + byte % 128;
      if (byte < 128) break;
    }
    return value;
  }
}
