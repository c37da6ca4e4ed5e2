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
  finish({ state, statistics, rows, skipped, refused, seconds, reason }: ImportProgress): number {
    const { complain } = this.#output;
    const left = skipped > 0
      ? `, ${numberText(skipped)} left out (older than the store keeps, for example)`
      : "";
    this.#line.end(
      `Imported ${numberText(rows)} hours of ${numberText(statistics.done)} statistics in ` +
        `${durationText(seconds)}${left}`,
    );
    if (refused > 0) complain(`${numberText(refused)} hours cannot be stored: ${reason ?? ""}`);
    if (state === "failed") complain(`Not everything is imported: ${reason ?? ""}`);
    return state === "done" && refused === 0 ? 0 : 1;
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
