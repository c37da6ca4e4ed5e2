/** How far an import of statistics is. */
import type { ImportProgress } from "./statistics_request.ts";

export class StatisticsTally {
  readonly #beganMs = performance.now();
  #endedMs: number | undefined;
  #state: "running" | "done" | "failed" = "running";
  #statistics = 0;
  #done = 0;
  #part = 0;
  #rows = 0;
  #waitsFor: (() => string) | undefined;
  #problem: string | undefined;

  /** How many statistics there are. */
  found(statistics: number): void {
    this.#statistics = statistics;
  }

  /** The part of the present statistic that is imported, 0 … 1. */
  reached(part: number): void {
    this.#part = part;
  }

  /** One statistic is done with. */
  finishedOne(): void {
    this.#part = 0;
    this.#done++;
  }

  /** So many hours are in the outbox. */
  spooled(hours: number): void {
    this.#rows += hours;
  }

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
    this.#state = "failed";
    this.#problem = reason;
  }

  ended(): void {
    this.#endedMs = performance.now();
    this.#waitsFor = undefined;
    if (this.#state === "running") this.#state = "done";
  }

  get running(): boolean {
    return this.#endedMs === undefined;
  }

  get progress(): ImportProgress {
    const seconds = ((this.#endedMs ?? performance.now()) - this.#beganMs) / 1000;
    const part = this.#statistics === 0 ? 0 : (this.#done + this.#part) / this.#statistics;
    return {
      state: this.running ? "running" : this.#state,
      statistics: { done: this.#done, to_do: this.#statistics - this.#done },
      rows: this.#rows,
      rows_per_second: Math.round(this.#rows / Math.max(seconds, 0.001)),
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
