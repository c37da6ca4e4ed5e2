/** Opening the outbox, whatever state its file is in. */
import { existsSync, renameSync } from "node:fs";
import { isCorrupt } from "../../sqlite.ts";
import { Outbox, type OutboxOptions } from "./outbox.ts";

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
