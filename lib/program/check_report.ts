/** What `ingest check` and `enrich check` have in common: their arguments, and how a finding is written. */
import type { ParseArgsOptionsConfig } from "node:util";
import { argumentsOf, type CommandOutput, complainOf } from "./command.ts";
import { redact } from "../log.ts";
import { ConfigError, type Configured, type Environment } from "../settings/settings_reader.ts";

/** A warning is no failure: the program works, but not as well as it could. */
type Level = "ok" | "warn" | "FAIL";

const COLOURS = { ok: 32, warn: 33, FAIL: 31 } as const satisfies Record<Level, number>;

/** Behind the options of its own. */
export const CHECK_HELP =
  `  --json     One JSON object a line: {"check", "ok", "detail", "action"}, and "warning": true where
             all is not lost

It reads the settings of the program, and stores nothing. Exit status: 0 all is well, or there are
warnings only; 1 something failed; 2 it was asked or configured wrong.`;

/** Writes findings, a line each. `check` names what was tried, for machines. */
export class CheckReport {
  readonly #output: CommandOutput;
  readonly #json: boolean;
  #isWell = true;

  constructor(output: CommandOutput, json: boolean) {
    this.#output = output;
    this.#json = json;
  }

  /** Whether nothing has failed. */
  get isWell(): boolean {
    return this.#isWell;
  }

  ok(check: string, text: string): void {
    this.#write("ok", check, text);
  }

  /** As other messages: action, state, and behind the last semicolon the wish. */
  warn(check: string, message: string): void {
    this.#write("warn", check, message);
  }

  fail(check: string, message: string): void {
    this.#isWell = false;
    this.#write("FAIL", check, message);
  }

  #write(level: Level, check: string, message: string): void {
    const { write, colours } = this.#output;
    // others' words may be in it, which a terminal must not obey
    const text = redact(message).replace(/\p{Cc}/gu, " ");
    if (!this.#json) {
      const word = colours ? `\x1b[1;${COLOURS[level]}m${level}\x1b[0m` : level;
      return write(`${word}${" ".repeat(6 - level.length)}${text}\n`);
    }
    const at = text.lastIndexOf("; ");
    const finding = {
      check,
      ok: level !== "FAIL",
      ...(level === "warn" && { warning: true }),
      detail: at < 0 ? text : text.slice(0, at),
      ...(at >= 0 && { action: text.slice(at + 2) }),
    };
    write(`${JSON.stringify(finding)}\n`);
  }
}

export interface CheckCommand<Settings> {
  /** The text of `--help`. */
  readonly help: string;
  /** Besides `--help` and `--json`. */
  readonly options?: ParseArgsOptionsConfig;
  readonly readSettings: (env: Environment) => Configured<Settings>;
  /** Tries everything. */
  readonly check: (settings: Settings, report: CheckReport, asked: Asked) => Promise<void>;
}

export interface Asked {
  readonly env: Environment;
  readonly isGiven: (option: string) => boolean;
}

/** Runs the command. Returns its exit status. */
export async function runCheck<Settings>(
  { help, options, readSettings, check }: CheckCommand<Settings>,
  args: readonly string[],
  readEnvironment: () => Environment,
  output: CommandOutput,
): Promise<number> {
  const flag = { type: "boolean" } as const;
  const known = { ...options, json: flag, help: { ...flag, short: "h" } };
  let report: CheckReport | undefined;
  try {
    const given: Readonly<Record<string, unknown>> =
      argumentsOf({ args: [...args], options: known }).values;
    if (given.help) return output.write(`${help}\n`), 0;
    report = new CheckReport(output, given.json === true);
    const env = readEnvironment();
    const { settings, warnings } = readSettings(env);
    for (const warning of warnings) report.warn("settings", warning);
    await check(settings, report, { env, isGiven: (option) => given[option] === true });
    return report.isWell ? 0 : 1;
  } catch (error) {
    if (!report || !(error instanceof ConfigError)) return complainOf(error, output);
    for (const warning of error.warnings) report.warn("settings", warning);
    for (const problem of error.problems) report.fail("settings", problem);
    return 2;
  }
}
