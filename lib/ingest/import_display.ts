/** How far an import is, for people. */
import { redact } from "../log.ts";
import type { ImportProgress } from "./statistics_request.ts";

/** Where the command writes, and how often it looks; a test has its own. */
export interface CommandOutput {
  readonly write: (text: string) => void;
  readonly complain: (text: string) => void;
  /** Width of the terminal, where one line can be written over again; else undefined. */
  readonly columns: number | undefined;
  /** How often ingest is asked, in milliseconds. */
  readonly intervalMs: number;
  /** How often a line is written where there is no terminal, in milliseconds. */
  readonly lineIntervalMs: number;
}

/** Standard output and error. */
export function processOutput(): CommandOutput {
  const encoder = new TextEncoder();
  return {
    write: (text) => void Deno.stdout.writeSync(encoder.encode(text)),
    complain: (text) => void Deno.stderr.writeSync(encoder.encode(`ingest: ${redact(text)}\n`)),
    columns: Deno.stdout.isTerminal() ? Deno.consoleSize().columns : undefined,
    intervalMs: 500,
    lineIntervalMs: 10_000,
  };
}

/** A bar on a terminal, else a line now and then. */
export class ImportDisplay {
  readonly #output: CommandOutput;
  #shownMs = -Infinity;

  constructor(output: CommandOutput) {
    this.#output = output;
  }

  show(progress: ImportProgress): void {
    const { columns, lineIntervalMs, write } = this.#output;
    if (columns !== undefined) {
      // a line that wraps cannot be written over
      const line = `${barOf(progress)} ${lineOf(progress)}`.slice(0, columns - 1);
      return write(`\r${line}\x1b[K`);
    }
    if (performance.now() - this.#shownMs < lineIntervalMs) return;
    this.#shownMs = performance.now();
    write(`${lineOf(progress)}\n`);
  }

  /** Returns the exit status. */
  finish({ state, statistics, rows, skipped, refused, seconds, reason }: ImportProgress): number {
    const { columns, write, complain } = this.#output;
    const left = skipped > 0
      ? `, ${number(skipped)} left out (older than the store keeps, for example)`
      : "";
    write(
      `${columns === undefined ? "" : "\r\x1b[K"}Imported ${number(rows)} hours of ` +
        `${number(statistics.done)} statistics in ${duration(seconds)}${left}\n`,
    );
    if (refused > 0) complain(`${number(refused)} hours cannot be stored: ${reason ?? ""}`);
    if (state === "failed") complain(`Not everything is imported: ${reason ?? ""}`);
    return state === "done" && refused === 0 ? 0 : 1;
  }
}

const BAR_WIDTH = 24;

function barOf({ seconds, seconds_left: left }: ImportProgress): string {
  const part = left === undefined ? 0 : seconds / Math.max(1, seconds + left);
  const filled = Math.floor(BAR_WIDTH * part);
  return `[${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}]`;
}

function lineOf(
  { statistics: { done, to_do }, rows, rows_per_second, seconds_left, reason }: ImportProgress,
): string {
  if (done + to_do === 0) return reason ?? "Asking Home Assistant which statistics there are";
  return [
    `${number(done)} of ${number(done + to_do)} statistics`,
    `${number(rows)} hours`,
    `${number(rows_per_second)}/s`,
    ...(seconds_left === undefined ? [] : [`${duration(seconds_left)} left`]),
    ...(reason === undefined ? [] : [reason]),
  ].join(" · ");
}

function number(n: number): string {
  return n.toLocaleString("en");
}

function duration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds} s` : `${minutes} min ${seconds % 60} s`;
}
