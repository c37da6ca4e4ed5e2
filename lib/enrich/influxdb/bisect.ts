/** Finds the very items that a store refuses, by writing the halves of what it refused again. */
import { StoreUnavailable, type Verdict } from "../store.ts";

type KnownVerdict = Exclude<Verdict, { readonly kind: "pending" }>;

/**
 * What became of a slice: one verdict on all of it, or `mixed`, where at least one item was
 * refused, for that reason.
 */
export type SliceOutcome =
  | KnownVerdict
  | { readonly kind: "mixed"; readonly reason: string };

/**
 * Writes the items and returns one verdict an item, in their order. Of n items with
 * b refused it calls `write` at most 1 + 2·b·⌈log₂ n⌉ times, one after the other, the
 * front first. An item beside a refused one is written again, so that writing must be
 * idempotent: a store may have taken it, but does not say which ones.
 *
 * `known` is asked before each write, whose answers may have taught something: an item of
 * which it tells the verdict is not written.
 *
 * Where `write` throws StoreUnavailable, what was not reached is `pending`; it is
 * thrown on where nothing is known of any item. Any other error is thrown on.
 */
export async function bisect<T>(
  items: readonly T[],
  write: (slice: readonly T[]) => Promise<SliceOutcome>,
  known: (item: T) => KnownVerdict | undefined = () => undefined,
): Promise<Verdict[]> {
  const verdicts = items.map((): Verdict => ({ kind: "pending" }));
  const open: (readonly number[])[] = [items.map((_, index) => index)];
  try {
    for (let range = open.pop(); range; range = open.pop()) {
      const slice = range.filter((index) => {
        const verdict = known(items[index]);
        if (verdict) verdicts[index] = verdict;
        return !verdict;
      });
      if (slice.length === 0) continue;
      const outcome = await write(slice.map((index) => items[index]));
      const { kind } = outcome;
      if (kind === "mixed" && slice.length > 1) {
        const middle = Math.ceil(slice.length / 2);
        open.push(slice.slice(middle), slice.slice(0, middle));
        continue;
      }
      const verdict = kind === "mixed" ? { ...outcome, kind: "refused" } as const : outcome;
      for (const index of slice) verdicts[index] = verdict;
    }
  } catch (error) {
    const nothingKnown = verdicts.every(({ kind }) => kind === "pending");
    if (nothingKnown || !(error instanceof StoreUnavailable)) throw error;
  }
  return verdicts;
}
