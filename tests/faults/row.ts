/** What a row of the scorecard is. */
import type { Evidence, FindingKind } from "./oracle.ts";

/** How often and how long a run injects. */
export interface FaultSizes {
  readonly ingestKills: number;
  readonly enrichKills: number;
  readonly influxdKills: number;
  /** How long the store is away in row 4, in seconds. */
  readonly outageSeconds: number;
  /** How long a row waits until all is stored, in milliseconds. */
  readonly settleMs: number;
}

export const SIZES: FaultSizes = {
  ingestKills: 5,
  enrichKills: 5,
  influxdKills: 2,
  outageSeconds: 12,
  settleMs: 120_000,
};

export const LONG_SIZES: FaultSizes = {
  ingestKills: 50,
  enrichKills: 50,
  influxdKills: 20,
  outageSeconds: 7_200,
  settleMs: 1_800_000,
};

/** One run of a row, or of its control. */
export interface RowRun {
  readonly sizes: FaultSizes;
  /** The control need not wait for what never comes. */
  readonly isControl: boolean;
  /** Progress, for people. */
  readonly say: (text: string) => void;
}

/** A run whose flow was sabotaged: the oracle must see it. */
export interface Control {
  readonly sabotage: string;
  readonly red: FindingKind;
  /** What the finding's words must be like. */
  readonly words?: RegExp;
  readonly run: (run: RowRun) => Promise<Evidence>;
}

export interface Row {
  readonly number: string;
  readonly fault: string;
  readonly promise: string;
  readonly run: (run: RowRun) => Promise<Evidence>;
  readonly control: Control;
}

/** A row that another suite runs. */
export interface LinkedRow {
  readonly number: string;
  readonly fault: string;
  readonly promise: string;
  /** Its file or folder. */
  readonly suite: string;
}
