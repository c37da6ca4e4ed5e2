/** What a file system still has for the programs' files. */
import { statfsSync } from "node:fs";

/** On a disk that is truly full SQLite refuses even DELETE, and nothing else on it works either. */
const RESERVE_BYTES = 100_000_000;

export interface DiskSpace {
  readonly freeBytes: number;
  /** Less a reserve: 100 MB, of a small disk a twentieth. May be negative. */
  readonly spareBytes: number;
}

/** What the folder's file system has free. */
export function diskSpace(folder: string): DiskSpace {
  const { bavail, blocks, bsize } = statfsSync(folder);
  const freeBytes = bavail * bsize;
  return { freeBytes, spareBytes: freeBytes - Math.min(RESERVE_BYTES, (blocks * bsize) / 20) };
}

/** That the folder's disk is full, as health, log and page say it. */
export function sayDiskFull(folder: string): string {
  return `the disk of DATA_DIR is full: ${diskSpace(folder).freeBytes} bytes free`;
}
