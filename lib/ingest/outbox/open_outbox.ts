/** Opening the outbox, whatever state its file is in. */
import { isCorrupt, openingFault } from "../../sqlite.ts";
import { setAside } from "./damaged_files.ts";
import { Outbox, type OutboxOptions } from "./outbox.ts";

/**
 * Opens the outbox; a damaged file is set aside and a new one begun. Returns the name it was set
 * aside under, if so.
 */
export function openOutbox(options: OutboxOptions): { outbox: Outbox; setAside?: string } {
  // SQLite would delete the log of a file that is gone or empty, with the events that are in it
  if (sizeOf(options.path) === 0 && sizeOf(`${options.path}-wal`) > 0) {
    const name = setAside(options.path);
    return { outbox: new Outbox(options), setAside: name };
  }
  try {
    return { outbox: new Outbox(options) };
  } catch (error) {
    if (!isCorrupt(error)) throw openingFault(error, options.path);
    const name = setAside(options.path);
    return { outbox: new Outbox(options), setAside: name };
  }
}

function sizeOf(path: string): number {
  try {
    const { isFile, size } = Deno.statSync(path);
    return isFile ? size : 0;
  } catch {
    return 0;
  }
}
