/** How much is measured where it is not rounds: see plan.ts for those. */
/** How large everything is. */
export interface LoopSizes {
  readonly entities: number;
  /** So many have a registry of 30 MB, and states of 31. */
  readonly manyEntities: number;
  readonly waiting: number;
  readonly deadLetters: number;
  /** How many events are fired as fast as they are taken. */
  readonly flood: number;
  /** How long pages are open, in milliseconds; 1,000 events a second are fired meanwhile. */
  readonly pageMs: number;
  /** How long nothing moves before an activity is over, in milliseconds. */
  readonly restMs: number;
}

export const LOOP_SIZES: LoopSizes = {
  entities: 20_000,
  manyEntities: 60_000,
  waiting: 1_000_000,
  deadLetters: 100_000,
  flood: 100_000,
  pageMs: 15_000,
  // longer than what the registries are asked after
  restMs: 4_000,
};

export const LOOP_SIZES_QUICK: LoopSizes = {
  entities: 200,
  manyEntities: 400,
  waiting: 2_000,
  deadLetters: 200,
  flood: 2_000,
  pageMs: 500,
  restMs: 300,
};

/** How far `--growth` goes. */
export interface GrowthSizes {
  readonly entities: readonly number[];
  /** How many events wait. */
  readonly waiting: readonly number[];
  /** How many are fired before those that are measured: until then functions become faster. */
  readonly warmUp: number;
  readonly events: number;
  /** How many are captured while others wait, and how many of them a second. */
  readonly captured: number;
  readonly capturedPerSecond: number;
  readonly restMs: number;
}

export const GROWTH_SIZES: GrowthSizes = {
  entities: [10, 100, 1_000, 10_000, 50_000],
  waiting: [10, 100, 1_000, 10_000, 100_000, 1_000_000],
  warmUp: 50_000,
  events: 100_000,
  captured: 20_000,
  capturedPerSecond: 2_000,
  restMs: 3_000,
};

export const GROWTH_SIZES_QUICK: GrowthSizes = {
  ...GROWTH_SIZES,
  entities: [10, 100],
  waiting: [10, 1_000],
  warmUp: 500,
  events: 2_000,
  captured: 4_000,
  restMs: 500,
};

/** What `--slow-sync` fires while each sync takes so long. */
export interface SlowSyncSizes {
  readonly syncMs: number;
  readonly count: number;
  readonly perSecond: number;
}

export const SLOW_SYNC_SIZES: SlowSyncSizes = { syncMs: 200, count: 120_000, perSecond: 2_000 };
export const SLOW_SYNC_SIZES_QUICK: SlowSyncSizes = { ...SLOW_SYNC_SIZES, count: 4_000 };
