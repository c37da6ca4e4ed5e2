/** How far an import is, for people. */
import {
  type CommandOutput,
  durationText,
  numberText,
  ProgressLine,
} from "../../program/command.ts";
import type { ImportProgress } from "./statistics_request.ts";

/** A bar on a terminal, else a line now and then. */
export class ImportDisplay {
  readonly #output: CommandOutput;
  readonly #line: ProgressLine;

  constructor(output: CommandOutput) {
    this.#output = output;
    this.#line = new ProgressLine(output);
  }

  show(progress: ImportProgress): void {
    const { seconds, seconds_left: left } = progress;
    const part = left === undefined ? 0 : seconds / Math.max(1, seconds + left);
    this.#line.show(part, lineOf(progress));
  }

  /** Returns the exit status. */
  finish({ state, statistics, rows, seconds, reason }: ImportProgress): number {
    this.#line.end(
      `Imported ${numberText(rows)} hours of ${numberText(statistics.done)} statistics in ` +
        `${durationText(seconds)}; ingest delivers what waits`,
    );
    if (state === "failed") {
      this.#output.complain(`Not everything is imported: ${reason ?? ""}`);
    }
    return state === "done" ? 0 : 1;
  }
}

function lineOf(
  { statistics: { done, to_do }, rows, rows_per_second, seconds_left, reason }: ImportProgress,
): string {
  if (done + to_do === 0) return reason ?? "Asking Home Assistant which statistics there are";
  return [
    `${numberText(done)} of ${numberText(done + to_do)} statistics`,
    `${numberText(rows)} hours`,
    `${numberText(rows_per_second)}/s`,
    ...(seconds_left === undefined ? [] : [`${durationText(seconds_left)} left`]),
    ...(reason === undefined ? [] : [reason]),
  ].join(" · ");
}
