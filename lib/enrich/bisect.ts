/** Finds the very items that a store refuses, by writing the halves of what it refused again. */
import { StoreUnavailable, type Verdict } from "./store.ts";

/**
 * What became of a slice: one verdict on all of it, or `mixed`, where at least one item was
 * refused, for that reason.
 */
export type SliceOutcome =
  | Exclude<Verdict, { readonly kind: "pending" }>
  | { readonly kind: "mixed"; readonly reason: string };

/**
 * Writes the items and returns one verdict an item, in their order. Of n items with
 * b refused it calls `write` at most 1 + 2·b·⌈log₂ n⌉ times, one after the other, the
 * front first. An item beside a refused one is written again, so that writing must be
 * idempotent: a store may have taken it, but does not say which ones.
 *
 * Where `write` throws StoreUnavailable, what was not reached is `pending`; it is
 * thrown on where nothing is known of any item. Any other error is thrown on.
 */
export async function bisect<T>(
  items: readonly T[],
  write: (slice: readonly T[]) => Promise<SliceOutcome>,
): Promise<Verdict[]> {
  const verdicts = items.map((): Verdict => ({ kind: "pending" }));
  const unknown: (readonly [start: number, end: number])[] = [];
  if (items.length > 0) unknown.push([0, items.length]);
  try {
    for (let range = unknown.pop(); range; range = unknown.pop()) {
      const [start, end] = range;
      const outcome = await write(items.slice(start, end));
      if (outcome.kind !== "mixed") {
        verdicts.fill(outcome, start, end);
      } else if (end - start === 1) {
        verdicts.fill({ kind: "refused", reason: outcome.reason }, start, end);
      } else {
        const middle = Math.ceil((start + end) / 2);
        unknown.push([middle, end], [start, middle]);
      }
    }
  } catch (error) {
    const nothingKnown = verdicts.every(({ kind }) => kind === "pending");
    if (nothingKnown || !(error instanceof StoreUnavailable)) throw error;
  }
  return verdicts;
}
