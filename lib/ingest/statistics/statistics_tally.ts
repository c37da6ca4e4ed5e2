/** How far an import of statistics is. */
import type { ImportProgress } from "./statistics_request.ts";

export class StatisticsTally {
  /** How many statistics there are, and how many of them are done with. */
  statistics = 0;
  done = 0;
  /** The part of the present one that is imported, 0 … 1. */
  part = 0;
  /** Hours that are in the outbox. */
  rows = 0;
  readonly #beganMs = performance.now();
  #endedMs: number | undefined;
  #waitsFor: (() => string) | undefined;
  #problem: string | undefined;

  /** Something is in the way; `reason` is asked whenever it is shown. Returns whether that is news. */
  waits(reason: () => string): boolean {
    const isNews = this.#waitsFor?.() !== reason();
    this.#waitsFor = reason;
    return isNews;
  }

  goesOn(): void {
    this.#waitsFor = undefined;
  }

  /** One that failed stays so. */
  failed(reason: string): void {
    this.#problem = reason;
  }

  ended(): void {
    this.#endedMs = performance.now();
    this.#waitsFor = undefined;
  }

  get running(): boolean {
    return this.#endedMs === undefined;
  }

  get progress(): ImportProgress {
    const seconds = ((this.#endedMs ?? performance.now()) - this.#beganMs) / 1000;
    const part = this.statistics === 0 ? 0 : (this.done + this.part) / this.statistics;
    const end = this.#problem === undefined ? "done" : "failed";
    return {
      state: this.running ? "running" : end,
      statistics: { done: this.done, to_do: this.statistics - this.done },
      rows: this.rows,
      rows_per_second: Math.round(this.rows / Math.max(seconds, 0.001)),
      seconds: Math.round(seconds),
      seconds_left: this.running && part > 0 ? Math.round(seconds * (1 - part) / part) : undefined,
      reason: this.#waitsFor?.() ?? this.#problem,
    };
  }
}

/** Before the first import. */
export const NO_IMPORT: ImportProgress = {
  state: "none",
  statistics: { done: 0, to_do: 0 },
  rows: 0,
  rows_per_second: 0,
  seconds: 0,
};
