/** What is measured: the rows of the table, and the arithmetic of runs. */

/** By the row's key. */
export type Figures = ReadonlyMap<string, number>;

export interface Row {
  readonly key: string;
  readonly label: string;
  readonly digits: number;
  /** Over several runs the median counts, but of what must not happen at all the most. */
  readonly over?: "median" | "most";
}

/** One run of one contestant. */
export interface Run {
  readonly contestant: string;
  readonly figures: Figures;
}

/** What the store and the source can do alone, and so what the floor's rate is to be judged by. */
export interface Limits {
  /** Events a second that the source has for a reader that does nothing. */
  readonly source: number;
  /** Lines a second that the store takes from a plain writer. */
  readonly store: number;
}

/** All of one round: its limits, and a run of each contestant. */
export interface Round {
  readonly limits: Limits;
  readonly runs: readonly Run[];
  /** Why the round does not count. */
  readonly void: string | undefined;
}

export const FLOOR = "floor";
const FLOOR_PART = 0.6;

/** The smallest value that at least the part `q` of the values does not exceed; NaN of none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? NaN;
}

/** The middle value, or the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[sorted.length / 2 - 1] ?? NaN)) / 2;
}

/**
 * Why a round in which the floor has that rate is void; undefined where it counts. A floor far below
 * what the store takes from a plain writer was disturbed, and ratios to it mean nothing. `limit` is
 * undefined where nothing is stored.
 */
export function voidReason(floorRate: number, limit: number | undefined): string | undefined {
  if (limit === undefined || floorRate >= FLOOR_PART * limit) return undefined;
  return `the floor reached ${thousands(floorRate)} events/s, ` +
    `less than ${FLOOR_PART} × the store's own ${thousands(limit)}`;
}

/** Each row's figure over the runs of one contestant. */
export function overRuns(runs: readonly Run[], contestant: string, rows: readonly Row[]): Figures {
  const own = runs.filter((run) => run.contestant === contestant);
  return new Map(rows.flatMap(({ key, over }): [string, number][] => {
    const values = own.flatMap(({ figures }) => figures.get(key) ?? []);
    if (values.length === 0) return [];
    return [[key, over === "most" ? Math.max(...values) : median(values)]];
  }));
}

export function thousands(value: number, digits = 0): string {
  return value.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}
