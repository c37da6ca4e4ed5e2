/** Finds the very items that a store refuses, by writing the halves of what it refused again. */
import { type PointOutcome, StoreUnavailable } from "../store.ts";

/**
 * What became of a slice: one outcome of all of it, or `mixed`, where at least one item was not
 * stored: `alone` is what becomes of an item that gets this answer alone. The slice is cut in the
 * middle, or, where `apart` holds for some of its items only, into those and the others. `later` is
 * a slice that is worth another look once others turn out to be stored, and is pending until then.
 * `each` has one outcome an item, in their order.
 */
export type SliceOutcome<T> =
  | PointOutcome
  | { readonly kind: "later" }
  | { readonly kind: "each"; readonly outcomes: readonly PointOutcome[] }
  | {
    readonly kind: "mixed";
    readonly alone: PointOutcome;
    readonly apart?: (item: T) => boolean;
  };

/**
 * Writes the items and returns one outcome an item, in their order. Of n items with
 * b refused it calls `write` at most 1 + 2·b·⌈log₂ n⌉ times where slices are halved, one after
 * the other, the front first. An item beside a refused one is written again, so that writing must be
 * idempotent: a store may have taken it, but does not say which ones.
 *
 * `known` is asked before each write, whose answers may have taught something: an item of
 * which it tells the outcome is not written.
 *
 * Where `write` throws StoreUnavailable, what was not reached is `pending`; it is
 * thrown on where nothing is known of any item. Any other error is thrown on.
 */
export async function bisect<T>(
  items: readonly T[],
  write: (slice: readonly T[]) => Promise<SliceOutcome<T>>,
  known: (item: T) => PointOutcome | undefined = () => undefined,
): Promise<PointOutcome[]> {
  const outcomes = items.map((): PointOutcome => ({ kind: "pending" }));
  const open: (readonly number[])[] = [items.map((_, index) => index)];
  const later: (readonly number[])[] = [];
  let isAnyStored = false;
  const next = () => open.pop() ?? (isAnyStored ? later.pop() : undefined);
  try {
    for (let range = next(); range; range = next()) {
      const slice = range.filter((index) => {
        const told = known(items[index]);
        if (told) outcomes[index] = told;
        return !told;
      });
      if (slice.length === 0) continue;
      const outcome = await write(slice.map((index) => items[index]));
      if (outcome.kind === "later") {
        later.push(slice);
        continue;
      }
      isAnyStored ||= outcome.kind === "stored";
      if (outcome.kind === "each") {
        slice.forEach((index, i) => outcomes[index] = outcome.outcomes[i]);
        continue;
      }
      if (outcome.kind === "mixed" && slice.length > 1) {
        const [front, back] = cut(slice, (index) => outcome.apart?.(items[index]) ?? false);
        open.push(back, front);
        continue;
      }
      const ofAll = outcome.kind === "mixed" ? outcome.alone : outcome;
      for (const index of slice) outcomes[index] = ofAll;
    }
  } catch (error) {
    const nothingKnown = outcomes.every(({ kind }) => kind === "pending");
    if (nothingKnown || !(error instanceof StoreUnavailable)) throw error;
  }
  return outcomes;
}

function cut(
  slice: readonly number[],
  apart: (index: number) => boolean,
): readonly [readonly number[], readonly number[]] {
  const { yes = [], no = [] } = Object.groupBy(slice, (index) => apart(index) ? "yes" : "no");
  if (yes.length > 0 && no.length > 0) return [yes, no];
  const middle = Math.ceil(slice.length / 2);
  return [slice.slice(0, middle), slice.slice(middle)];
}
