/** Work that is long in a large house, cut into steps. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";

/** Does all steps, with a turn of the event loop between them, and returns what comes of them. */
export async function inTurns<T>(steps: Generator<void, T>): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await nextTurn();
  }
}

/** Hands over what it is given, and ends a step behind every so many. */
export function* each<T>(
  all: Iterable<T>,
  countInStep: number,
  work: (one: T) => void,
): Generator<void> {
  let count = 0;
  for (const one of all) {
    work(one);
    if (++count % countInStep === 0) yield;
  }
}

/** Whether both have the same entries, in whatever order; found in steps. */
export function* areEqual<T>(
  one: ReadonlyMap<string, T>,
  other: ReadonlyMap<string, T>,
  countInStep: number,
): Generator<void, boolean> {
  let equal = one.size === other.size;
  yield* each(one, countInStep, ([key, value]) => {
    equal &&= isDeepStrictEqual(value, other.get(key));
  });
  return equal;
}
