/** How much is measured: the numbers of a run. */
import type { Load } from "./source_worker.ts";

export interface Plan {
  /**
   * Loads at which the time until an event is readable is measured, by what the table calls them. The
   * first comes nearest to none: behind it the memory of an idle program is read.
   */
  readonly paced: readonly (Load & { readonly name: string })[];
  /** The load at which an ordinary event's processor time is measured. */
  readonly ordinary: Load;
  /** How many events are fired as fast as they are taken. */
  readonly full: number;
  readonly burst: Load;
  /** How long after all that the memory is read again. */
  readonly afterMs: number;
  /** How many events wait while enrich is away. */
  readonly backlog: number;
  /** How many more floods of `full` events there are, and how far apart. */
  readonly moreFloods: number;
  readonly floodsApartMs: number;
  /** What the source and the store are given to show their own limits. */
  readonly limit: number;
  /** Whether it is so much that a round may count. */
  readonly counts: boolean;
}

const WHOLE: Plan = {
  paced: [
    // a whole minute: V8 gives back what a start has used once little happened for some 40 s
    { name: "17 a minute", count: 18, perSecond: 17 / 60 },
    { name: "100/s", count: 2_000, perSecond: 100 },
    { name: "1,000/s", count: 10_000, perSecond: 1_000 },
  ],
  ordinary: { count: 10_000, perSecond: 500 },
  full: 100_000,
  burst: { count: 20_000, perSecond: 10_000 },
  afterMs: 10_000,
  backlog: 100_000,
  moreFloods: 0,
  floodsApartMs: 60_000,
  limit: 200_000,
  counts: true,
};

/** So little that it only shows that everything works. */
const QUICK: Plan = {
  ...WHOLE,
  paced: [{ name: "100/s", count: 50, perSecond: 100 }],
  ordinary: { count: 200, perSecond: 500 },
  full: 2_000,
  burst: { count: 1_000, perSecond: 10_000 },
  afterMs: 100,
  backlog: 1_000,
  floodsApartMs: 100,
  limit: 10_000,
  counts: false,
};

/** The plan that the options ask for. */
export function planOf(
  { quick, backlog, floods }: { quick: boolean; backlog?: number | undefined; floods: boolean },
): Plan {
  const plan = quick ? QUICK : WHOLE;
  return { ...plan, backlog: backlog ?? plan.backlog, moreFloods: floods ? 2 : 0 };
}
