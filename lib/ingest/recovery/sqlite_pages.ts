/**
 * The pages of a damaged SQLite file, as sqlite.org/fileformat2.html has them. Read without SQLite,
 * which stops at the first page that is damaged, and writes to a file that it opens.
 */
import { Buffer } from "node:buffer";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** SQLite's default, which no release of ingest has changed. */
export const PAGE_BYTES = 4_096;
const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

export class SqlitePages implements Disposable {
  /** Those that the file and its log have. */
  readonly numbers: ReadonlySet<number>;
  readonly #file: number | undefined;
  readonly #log: number | undefined;
  /** Where the log has the newest committed version of a page. */
  readonly #logged: ReadonlyMap<number, number>;

  /** Opens the file at `path` with its log `<path>-wal`, of which one may be missing, for reading alone. */
  constructor(path: string) {
    this.#file = openedFor(path);
    this.#log = openedFor(`${path}-wal`);
    this.#logged = committedFrames(this.#log);
    const length = Math.floor(sizeOf(this.#file) / PAGE_BYTES);
    this.numbers = new Set([...Array.from({ length }, (_, at) => at + 1), ...this.#logged.keys()]);
  }

  /** The page's bytes; undefined where the disk does not give them, or there is no such page. */
  page(number: number): Buffer | undefined {
    const offset = this.#logged.get(number);
    if (offset !== undefined) return bytesAt(this.#log, offset, PAGE_BYTES);
    return number > 0 ? bytesAt(this.#file, (number - 1) * PAGE_BYTES, PAGE_BYTES) : undefined;
  }

  /**
   * Pages that hold nothing: what stands there was deleted. As far as their list can be read; what
   * is behind its damage counts as used.
   */
  unused(): ReadonlySet<number> {
    const unused = new Set<number>();
    let trunk = this.page(1)?.readUInt32BE(32) ?? 0;
    while (trunk > 0 && !unused.has(trunk)) {
      const page = this.page(trunk);
      const length = page?.readUInt32BE(4) ?? Infinity;
      if (!page || length > PAGE_BYTES / 4 - 2) break;
      const leaves = Array.from({ length }, (_, at) => page.readUInt32BE(8 + 4 * at));
      if (!leaves.every((leaf) => this.numbers.has(leaf))) break;
      for (const number of [trunk, ...leaves]) unused.add(number);
      trunk = page.readUInt32BE(0);
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
function bytesAt(file: number | undefined, offset: number, length: number): Buffer | undefined {
  if (file === undefined) return undefined;
  const bytes = Buffer.alloc(length);
  try {
    return readSync(file, bytes, 0, length, offset) === length ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Where the newest committed version of each page stands in the log. But for the first one, a
 * frame that is damaged costs none of those behind it: no checksum is asked, since each row is looked
 * at by itself.
 */
function committedFrames(log: number | undefined): ReadonlyMap<number, number> {
  const committed = new Map<number, number>();
  let transaction: [page: number, offset: number][] = [];
  // frames with other salts than the first are left from before the log was begun anew
  const salts = bytesAt(log, LOG_HEADER_BYTES + 8, 8);
  const frameBytes = FRAME_HEADER_BYTES + PAGE_BYTES;
  for (let end = LOG_HEADER_BYTES + frameBytes; end <= sizeOf(log); end += frameBytes) {
    const frame = bytesAt(log, end - frameBytes, FRAME_HEADER_BYTES);
    if (!frame || !salts?.equals(frame.subarray(8, 16))) continue;
    transaction.push([frame.readUInt32BE(0), end - PAGE_BYTES]);
    const isCommit = frame.readUInt32BE(4) > 0;
    if (!isCommit) continue;
    for (const [page, offset] of transaction) committed.set(page, offset);
    transaction = [];
  }
  return committed;
}
