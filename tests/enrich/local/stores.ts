/** Local stores in folders of their own, and points for them. */
import { LocalStore } from "../../../lib/enrich/local/local_store.ts";
import type { FieldValue, StorePoint } from "../../../lib/enrich/store.ts";

export const DAY_MS = 86_400_000;
export const NOW_MS = Date.UTC(2026, 5, 25);

/** A store in a folder that goes with the test. */
export function newStore(
  { days = 30, maxBytes = 100_000_000 } = {},
): { store: LocalStore; readonly path: string; reopen(): void } & Disposable {
  const folder = Deno.makeTempDirSync();
  const path = `${folder}/store.db`;
  const test = {
    store: new LocalStore(path, { days, maxBytes }),
    path,
    reopen: () => test.store = new LocalStore(path, { days, maxBytes }),
    [Symbol.dispose]: () => {
      test.store.close();
      Deno.removeSync(folder, { recursive: true });
    },
  };
  return test;
}

export function pointOf(
  fields: Iterable<readonly [string, FieldValue]>,
  { measurement = "sensor", tags = [["entity_id", "sensor.a"]], timeNs = 1n }: {
    readonly measurement?: string;
    readonly tags?: Iterable<readonly [string, string]>;
    readonly timeNs?: bigint;
  } = {},
): StorePoint {
  return { measurement, tags: new Map(tags), fields: new Map(fields), timeNs };
}

export function pointAt(timeMs: number, entityId = "sensor.a"): StorePoint {
  return pointOf([["value", 1]], {
    tags: [["entity_id", entityId]],
    timeNs: BigInt(timeMs) * 1_000_000n,
  });
}
