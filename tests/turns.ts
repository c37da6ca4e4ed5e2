/** The turns of the event loop. */
import { setImmediate as nextTurn } from "node:timers/promises";

/** Counts the turns that others have while the work is going on; `turn` says how many there were so far. */
export async function turnsDuring(
  work: (turn: () => number) => Promise<unknown>,
): Promise<number> {
  let turns = 0;
  let ended = false;
  const counting = (async () => {
    for (;;) {
      await nextTurn();
      if (ended) return;
      turns++;
    }
  })();
  try {
    await work(() => turns);
  } finally {
    ended = true;
    await counting;
  }
  return turns;
}

/** The most that fell into one turn, of what is noted with the turn that it is in. */
export function mostInOneTurn(noted: readonly (readonly [turn: number, count: number])[]): number {
  const sums = new Map<number, number>();
  for (const [turn, count] of noted) sums.set(turn, (sums.get(turn) ?? 0) + count);
  return Math.max(0, ...sums.values());
}
