/** The last registry, in the outbox's file: what the next one is compared with, over a restart too. */
import type { Outbox } from "../outbox/outbox.ts";
import { Registry } from "./registry.ts";

/** All of it, where that is one part, as release 0.1.0 knows it. */
const WHOLE_KEY = "registry";
/** Stands there where it is in parts: 0.1.0 parses it, finds nothing, and reads all anew before it captures. */
const IN_PARTS = "{}";
/** Behind the last part stands an empty text. */
const partKey = (n: number) => `registry:${n}`;

/** The registry that was saved; an empty one where none was. */
export function loadRegistry(outbox: Outbox): Registry {
  const whole = outbox.meta(WHOLE_KEY);
  return whole === IN_PARTS ? Registry.load(...savedParts(outbox)) : Registry.load(whole);
}

function* savedParts(outbox: Outbox): Generator<string> {
  for (let n = 0;; n++) {
    const part = outbox.meta(partKey(n));
    if (!part) return;
    yield part;
  }
}

/**
 * What writes the registry, each for a transaction of its own, so that others have their turn between
 * them. Until the last one a file may have parts of two registries: what differs is found again.
 */
export function* registryWrites(registry: Registry, outbox: Outbox): Generator<() => void> {
  const set = (key: string, value: string) => {
    // megabytes in a large house, of which most are as before
    if (outbox.meta(key) !== value) outbox.setMeta(key, value);
  };
  const { partCount } = registry;
  let n = 0;
  for (const part of registry.save()) {
    const key = partCount === 1 ? WHOLE_KEY : partKey(n++);
    yield () => set(key, part);
  }
  if (partCount === 1) return;
  yield () => {
    set(partKey(partCount), "");
    set(WHOLE_KEY, IN_PARTS);
  };
}
