/** How both programs begin and end: arguments, settings, log, signals, exit status. */
import manifest from "../../deno.json" with { type: "json" };
import { argumentsOf, type Command, complainOf, processOutput } from "./command.ts";
import { health } from "./health_command.ts";
import type { ProgramName } from "./running_program.ts";
import { readEnvironment } from "../settings/environment.ts";
import { getLogger, LOG_FORMATS, LOG_LEVELS, startLog, stopLog } from "../log.ts";
import { describeError } from "../retry.ts";
import type { Configured, Environment } from "../settings/settings_reader.ts";

export const VERSION = manifest.version;

/** A stop takes at most this long; what is not done by then waits in the outbox. */
export const STOP_MS = 3_000;

interface LogSettings {
  readonly logLevel: (typeof LOG_LEVELS)[number];
  readonly logFormat: (typeof LOG_FORMATS)[number];
}

export interface Program<Settings extends LogSettings> {
  readonly name: ProgramName;
  /** The text of `--help`. */
  readonly help: string;
  /** Besides `health`, which both have; by the first argument. */
  readonly commands: Readonly<Record<string, Command>>;
  readonly readSettings: (env: Environment) => Configured<Settings>;
  /** Does the work until the signal is aborted, then ends within `STOP_MS`. */
  readonly run: (settings: Settings, signal: AbortSignal) => Promise<void>;
}

/** Runs a program until SIGTERM or SIGINT, or one of its commands. Returns its exit status: 0, 1 it failed, 2 it was asked or configured wrong. */
export async function runProgram<Settings extends LogSettings>(
  program: Program<Settings>,
  args: readonly string[],
): Promise<number> {
  const output = processOutput(program.name);
  const [name = "", ...rest] = args;
  if (name === "health") return await health(program.name, readEnvironment, output);
  const command = Object.hasOwn(program.commands, name) ? program.commands[name] : undefined;
  if (command) return await command(rest, readEnvironment, output);
  const options = {
    help: { type: "boolean", short: "h" },
    version: { type: "boolean" },
  } as const;
  let configured: Configured<Settings>;
  try {
    const { help, version } = argumentsOf({ args: [...args], options }).values;
    if (help) return output.write(`${program.help}\n`), 0;
    if (version) return output.write(`${program.name} ${VERSION}\n`), 0;
    configured = program.readSettings(readEnvironment());
  } catch (error) {
    return complainOf(error, output);
  }
  const { settings, warnings } = configured;
  await startLog({ level: settings.logLevel, format: settings.logFormat });
  const log = getLogger(program.name);
  for (const warning of warnings) log.warn("{warning}", { warning });
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, stop);
  try {
    await program.run(settings, stopping.signal);
    log.info("Stopped");
    return 0;
  } catch (error) {
    log.error("Cannot go on: {reason}", { reason: describeError(error) });
    return 1;
  } finally {
    for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.removeSignalListener(signal, stop);
    await stopLog();
  }
}
