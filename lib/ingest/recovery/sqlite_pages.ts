/**
 * The pages of a damaged SQLite file, as sqlite.org/fileformat2.html has them. Read without SQLite,
 * which stops at the first page that is damaged, and writes to a file that it opens.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { NumberSet } from "./number_set.ts";

const MAGIC = "SQLite format 3\0";
/** SQLite's default, which no release of ingest has changed. */
const PAGE_BYTES = 4_096;
const LOG_MAGIC = 0x377f0682;
const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

export class SqlitePages implements Disposable {
  readonly pageBytes: number;
  /** What of a page SQLite uses. */
  readonly usableBytes: number;
  /** How many pages there are: their numbers begin with 1. */
  readonly count: number;
  readonly #file: number | undefined;
  readonly #log: number | undefined;
  /** Where the log has the newest committed version of a page. */
  readonly #logged: ReadonlyMap<number, number>;
  readonly #hasHeader: boolean;

  /** Opens the file at `path` with its log `<path>-wal`, of which one may be missing, for reading alone. */
  constructor(path: string) {
    this.#file = openedFor(path);
    this.#log = openedFor(`${path}-wal`);
    const header = viewOf(bytesAt(this.#file, 0, 100));
    const logHeader = viewOf(bytesAt(this.#log, 0, LOG_HEADER_BYTES));
    const told = header && isHeader(header) ? header.getUint16(16) : logPageBytes(logHeader);
    this.pageBytes = told === 1 ? 65_536 : isPageSize(told) ? told : PAGE_BYTES;
    this.#logged = committedFrames(this.#log, this.pageBytes);
    const pages = Math.ceil(sizeOf(this.#file) / this.pageBytes);
    this.count = [...this.#logged.keys()].reduce((most, page) => Math.max(most, page), pages);
    const first = viewOf(this.page(1));
    this.#hasHeader = first !== undefined && isHeader(first);
    this.usableBytes = this.pageBytes - (this.#hasHeader ? first?.getUint8(20) ?? 0 : 0);
  }

  /** The page's bytes; undefined where the disk does not give them, or there is no such page. */
  page(number: number): Uint8Array | undefined {
    const offset = this.#logged.get(number);
    return offset === undefined
      ? bytesAt(this.#file, (number - 1) * this.pageBytes, this.pageBytes)
      : bytesAt(this.#log, offset, this.pageBytes);
  }

  /**
   * Pages that hold nothing: what stands there was deleted. As far as their list can be read; what
   * is behind its damage counts as used.
   */
  unused(): NumberSet {
    const unused = new NumberSet();
    let trunk = this.#hasHeader ? viewOf(this.page(1))?.getUint32(32) ?? 0 : 0;
    while (trunk > 0 && trunk <= this.count && !unused.has(trunk)) {
      const page = viewOf(this.page(trunk));
      const n = page?.getUint32(4) ?? Infinity;
      if (!page || n > this.usableBytes / 4 - 2) break;
      const leaves = Array.from({ length: n }, (_, at) => page.getUint32(8 + 4 * at));
      if (leaves.some((leaf) => leaf < 2 || leaf > this.count)) break;
      for (const number of [trunk, ...leaves]) unused.add(number);
      trunk = page.getUint32(0);
    }
    return unused;
  }

  [Symbol.dispose](): void {
    for (const file of [this.#file, this.#log]) if (file !== undefined) closeSync(file);
  }
}

/** Undefined where there is no such file. */
function openedFor(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

function sizeOf(file: number | undefined): number {
  return file === undefined ? 0 : fstatSync(file).size;
}

/** Undefined where the file ends before, or the disk fails there. */
function bytesAt(file: number | undefined, offset: number, length: number): Uint8Array | undefined {
  if (file === undefined) return undefined;
  const bytes = new Uint8Array(length);
  try {
    return readSync(file, bytes, 0, length, offset) === length ? bytes : undefined;
  } catch {
    return undefined;
  }
}

function viewOf(bytes: Uint8Array | undefined): DataView | undefined {
  return bytes && new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function isHeader(view: DataView): boolean {
  return [...MAGIC].every((character, at) => view.getUint8(at) === character.charCodeAt(0));
}

function isPageSize(bytes: number): boolean {
  return bytes >= 512 && bytes <= 65_536 && Number.isInteger(Math.log2(bytes));
}

function logPageBytes(header: DataView | undefined): number {
  return header && (header.getUint32(0) & ~1) === LOG_MAGIC ? header.getUint32(8) : 0;
}

/**
 * Where the newest committed version of each page stands in the log. Each frame's checksum builds on
 * the one before as it stands there, so that a frame that is damaged costs none of those behind it.
 */
function committedFrames(log: number | undefined, pageBytes: number): ReadonlyMap<number, number> {
  const committed = new Map<number, number>();
  let transaction: [page: number, offset: number][] = [];
  const header = viewOf(bytesAt(log, 0, LOG_HEADER_BYTES + FRAME_HEADER_BYTES));
  if (!header) return committed;
  const littleEndian = header.getUint32(0) !== LOG_MAGIC + 1;
  // frames with other salts are left from before the log was begun anew
  const salts = header.getBigUint64(LOG_HEADER_BYTES + 8);
  let seed: readonly [number, number] = [header.getUint32(24), header.getUint32(28)];
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  for (let offset = LOG_HEADER_BYTES; offset < sizeOf(log); offset += frameBytes) {
    const frame = viewOf(bytesAt(log, offset, frameBytes));
    if (!frame) continue;
    const [a, b] = [frame.getUint32(16), frame.getUint32(20)];
    if (frame.getBigUint64(8) === salts && isSum(frame, seed, littleEndian, [a, b])) {
      transaction.push([frame.getUint32(0), offset + FRAME_HEADER_BYTES]);
      const isCommit = frame.getUint32(4) > 0;
      if (isCommit) {
        for (const [page, at] of transaction) committed.set(page, at);
        transaction = [];
      }
    }
    seed = [a, b];
  }
  return committed;
}

/** Whether that is the checksum of a frame: of the page's number and the database's size, and of the page. */
function isSum(
  frame: DataView,
  [first, second]: readonly [number, number],
  littleEndian: boolean,
  sum: readonly [number, number],
): boolean {
  let [a, b] = [first, second];
  for (let at = 0; at < frame.byteLength; at += 8) {
    if (at >= 8 && at < FRAME_HEADER_BYTES) continue;
    a = (a + frame.getUint32(at, littleEndian) + b) >>> 0;
    b = (b + frame.getUint32(at + 4, littleEndian) + a) >>> 0;
  }
  return a === sum[0] && b === sum[1];
}
