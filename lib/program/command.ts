/** What the programs' commands have in common: arguments, output, how they fail, and their progress. */
import { parseArgs, type ParseArgsConfig } from "node:util";
import { redact } from "../log.ts";
import { describeError } from "../retry.ts";
import { ConfigError, type Environment } from "../settings/settings_reader.ts";
import { findProgram, type ProgramName, type RunningProgram } from "./running_program.ts";

/** Where a command writes, and how often it looks; a test has its own. */
export interface CommandOutput {
  readonly write: (text: string) => void;
  readonly complain: (text: string) => void;
  /** Width of the terminal, where one line can be written over again; else undefined. */
  readonly columns: number | undefined;
  /** Whether what is written may be coloured. */
  readonly colours?: boolean;
  /** How often progress is asked for, in milliseconds. */
  readonly intervalMs: number;
  /** How often a line is written where there is no terminal, in milliseconds. */
  readonly lineIntervalMs: number;
}

/** A command of a program. Returns its exit status. */
export type Command = (
  args: readonly string[],
  readEnvironment: () => Environment,
  output: CommandOutput,
) => Promise<number>;

/** Standard output and error of the program of that name. */
export function processOutput(name: string): CommandOutput {
  const encoder = new TextEncoder();
  return {
    write: (text) => void Deno.stdout.writeSync(encoder.encode(text)),
    complain: (text) => void Deno.stderr.writeSync(encoder.encode(`${name}: ${redact(text)}\n`)),
    columns: Deno.stdout.isTerminal() ? Deno.consoleSize().columns : undefined,
    colours: Deno.stdout.isTerminal() && !Deno.noColor,
    intervalMs: 500,
    lineIntervalMs: 10_000,
  };
}

/** It was asked wrong: exit status 2. */
export class WrongUse extends Error {
  override readonly name = "WrongUse";
}

/** As `parseArgs` of node:util. Throws WrongUse. */
export function argumentsOf<T extends ParseArgsConfig>(
  config: T,
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new WrongUse(`${describeError(error)}; see --help`);
  }
}

/** Says why the command ends. Returns its exit status: 2 it was asked or configured wrong, 1 anything else. */
export function complainOf(error: unknown, { complain }: CommandOutput): number {
  if (!(error instanceof ConfigError)) {
    complain(describeError(error));
    return error instanceof WrongUse ? 2 : 1;
  }
  for (const warning of error.warnings) complain(`warning: ${warning}`);
  for (const problem of error.problems) complain(problem);
  return 2;
}

/**
 * A command that has the running program of that name do what `run` asks of it, and returns the
 * exit status. `orderOf` is undefined where only help is wanted; it may throw WrongUse.
 */
export function commandTo<Order>(
  name: ProgramName,
  help: string,
  orderOf: (args: readonly string[]) => Order | undefined,
  run: (order: Order, program: RunningProgram, output: CommandOutput) => Promise<number>,
): Command {
  return async (args, readEnvironment, output) => {
    try {
      const order = orderOf(args);
      if (order === undefined) return output.write(`${help}\n`), 0;
      return await run(order, findProgram(name, readEnvironment()), output);
    } catch (error) {
      return complainOf(error, output);
    }
  };
}

/** One line of progress that is written over on a terminal; elsewhere a line now and then, where it says anything new. */
export class ProgressLine {
  readonly #output: CommandOutput;
  #shownMs = -Infinity;
  #shown = "";

  constructor(output: CommandOutput) {
    this.#output = output;
  }

  /** Shows how far it is; `part` is 0 … 1. */
  show(part: number, text: string): void {
    const { columns, lineIntervalMs, write } = this.#output;
    if (columns !== undefined) {
      // a line that wraps cannot be written over
      return write(`\r${`${barOf(part)} ${text}`.slice(0, columns - 1)}\x1b[K`);
    }
    if (text === this.#shown || performance.now() - this.#shownMs < lineIntervalMs) return;
    this.#shownMs = performance.now();
    this.#shown = text;
    write(`${text}\n`);
  }

  /** The last line, which stays. */
  end(text: string): void {
    const { columns, write } = this.#output;
    write(`${columns === undefined ? "" : "\r\x1b[K"}${text}\n`);
  }
}

const BAR_WIDTH = 24;

function barOf(part: number): string {
  const filled = Math.floor(BAR_WIDTH * part);
  return `[${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}]`;
}

/** A whole number as people read it: 1,234,567. */
export function numberText(n: number): string {
  return n.toLocaleString("en");
}

/** Seconds as people read them: `42 s`, `3 min 5 s`. */
export function durationText(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds} s` : `${minutes} min ${seconds % 60} s`;
}
