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

/** What each part can do alone, in events a second. */
export interface Limits {
  /** The source, for a reader that does nothing. */
  readonly source: number;
  /** The floor, where nothing is stored. */
  readonly reading: number;
  /** The store, from a plain writer. */
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
 * Why a round in which the floor has that rate is void; undefined where it counts. On one core reading
 * and storing would take turns, each as fast as it is alone. A floor far below even that was disturbed,
 * and ratios to it mean nothing.
 */
export function voidReason(
  floorRate: number,
  { reading, store }: Pick<Limits, "reading" | "store">,
): string | undefined {
  const inTurn = 1 / (1 / reading + 1 / store);
  if (floorRate >= FLOOR_PART * inTurn) return undefined;
  return `the floor reached ${thousands(floorRate)} events/s, less than ${FLOOR_PART} × the ` +
    `${thousands(inTurn)} of its reading (${thousands(reading)}) and the store's writing ` +
    `(${thousands(store)}) in turn`;
}

/** The rounds that count; all of them where none does, for then the table says so. */
export function soundRounds(rounds: readonly Round[]): readonly Round[] {
  const sound = rounds.filter((round) => round.void === undefined);
  return sound.length > 0 ? sound : rounds;
}

function figuresOf({ runs }: Pick<Round, "runs">, contestant: string): Figures | undefined {
  return runs.find((run) => run.contestant === contestant)?.figures;
}

/** How many events a second became readable by way of the floor; 0 where that was not measured. */
export function floorRateOf(round: Pick<Round, "runs">): number {
  return figuresOf(round, FLOOR)?.get("per_second") ?? 0;
}

/** A row's figure of one contestant over the rounds; undefined where it was not measured. */
export function figureOf(
  rounds: readonly Round[],
  contestant: string,
  { key, over }: Row,
): number | undefined {
  const values = rounds.flatMap((round) => figuresOf(round, contestant)?.get(key) ?? []);
  if (values.length === 0) return undefined;
  return over === "most" ? Math.max(...values) : median(values);
}

/**
 * The median over the rounds of the ratio within a round, between two that were measured in the same
 * minutes. Undefined where one was not, and for what must not happen at all.
 */
export function ratioOf(
  rounds: readonly Round[],
  contestant: string,
  base: string,
  { key, over }: Row,
): number | undefined {
  const ratios = rounds.flatMap((round) => {
    const [value, of] = [contestant, base].map((name) => figuresOf(round, name)?.get(key));
    return value === undefined || !of ? [] : value / of;
  });
  return ratios.length === 0 || over === "most" ? undefined : median(ratios);
}

export function thousands(value: number, digits = 0): string {
  return value.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}
