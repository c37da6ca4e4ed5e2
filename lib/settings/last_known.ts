/** What files held last, for the time in which they cannot be read: a mount that is away, a careless copy. */
import { getLogger } from "../log.ts";
import { describeError } from "../retry.ts";

const faults = new Map<string, string>();

/**
 * Reads again at each use, and where that fails gives what was read last: who may come in, and what
 * is sent, stay as they were. `name` is the setting's. Throws as `read` while nothing was read.
 */
export function lastKnown<T>(name: string, read: () => T): () => T {
  const log = getLogger("settings");
  let last: { readonly value: T } | undefined;
  return () => {
    try {
      last = { value: read() };
      if (faults.delete(name)) log.info("{name} can be read again", { name });
    } catch (error) {
      if (!last) throw error;
      const fault = describeError(error);
      if (faults.get(name) !== fault) {
        log.warn("{fault}; what it held last is used, until a restart", { fault });
      }
      faults.set(name, fault);
    }
    return last.value;
  };
}

/** That setting is read anew, or is gone: what was wrong with its file says nothing any more. */
export function forgetFault(name: string): void {
  faults.delete(name);
}

/** What is wrong with the files of settings that could be read before, one sentence each. */
export function fileFaults(): readonly string[] {
  return [...faults.values()];
}
