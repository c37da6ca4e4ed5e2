/** Outboxes that were found damaged: set aside beside the new one, until a person has them recovered. */
import { existsSync, renameSync } from "node:fs";
import { basename } from "node:path";

/** SQLite's log, and the log's index, are part of the file. */
const SUFFIXES = ["", "-wal", "-shm"] as const;
const NAME = /^(outbox\.sqlite\.damaged-[\dT.-]+Z)(?:-wal)?$/;

/**
 * Renames a damaged file, with its log, to `<path>.damaged-<time>`, where `damagedFiles` finds it.
 * Returns that name.
 */
export function setAside(path: string): string {
  const name = `${path}.damaged-${new Date().toISOString().replaceAll(":", "")}`;
  rename(path, name);
  return name;
}

/** The names of the files in the folder that are set aside and not recovered, the oldest first. */
export function damagedFiles(dataDir: string): readonly string[] {
  try {
    const names = [...Deno.readDirSync(dataDir)].flatMap(({ name }) => NAME.exec(name)?.[1] ?? []);
    return [...new Set(names)].sort();
  } catch {
    return []; // that a folder cannot be read shows when it is written to
  }
}

/** What can be read of the file is in the outbox: it keeps lying there under another name, which is returned. */
export function markRecovered(path: string): string {
  const name = `${path}.recovered`;
  rename(path, name);
  return basename(name);
}

/** The file last: while it, or its log, has the old name, it counts as damaged. */
function rename(path: string, name: string): void {
  for (const suffix of SUFFIXES.toReversed()) {
    if (existsSync(path + suffix)) renameSync(path + suffix, name + suffix);
  }
}
