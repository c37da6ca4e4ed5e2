/**
 * Starts ingest and enrich side by side, for `deno task dev` and `deno task start`, and tells what
 * is connected to what and how the flow does. Names the permissions of each program; only this
 * runner may run Deno.
 *
 * `start.ts [--simulate] [ingest|enrich [ARGUMENT…]]`: `--simulate` stands a simulated house in
 * where HASS_URL is not set; without a name both programs are started; with arguments that program
 * alone runs with them, a command such as `ingest import-statistics`.
 */
import { dirname, join } from "node:path";
import { complainOf, processOutput } from "./lib/program/command.ts";
import { watchFlow } from "./lib/program/flow.ts";
import { NO_CODE_CACHE, V8_FLAGS } from "./lib/program/deno_flags.ts";
import {
  findProgram,
  type ProgramName,
  type RunningProgram,
} from "./lib/program/running_program.ts";
import { readEnvironment } from "./lib/settings/environment.ts";
import { SUPERVISED_URL } from "./lib/settings/ingest_settings.ts";
import { ConfigError, type Environment } from "./lib/settings/settings_reader.ts";

const SIMULATED_URL = "http://127.0.0.1:18123";
/** A program that stops has 3 s to drain, and some to end. */
const END_MS = 10_000;

const output = processOutput("start");
/** Of an address only where it leads: a password may be anywhere in the rest. */
const shownUrl = (url: string) => URL.parse(url)?.origin ?? "HASS_URL";
const say = (text: string) => output.write(`${text}\n`);

/** Folders and files that a program must read, out of the settings that name them. */
function readable(env: Environment, dataDir: string): string {
  const named = /^((HASS|SERVICE|INFLUXDB)_\w+|CONFIG)_FILE$/;
  const files = Object.entries(env).flatMap(([name, value]) =>
    value && (named.test(name) || name === "CREDENTIALS_DIRECTORY")
      // the folder, so that a file that is replaced can still be read
      ? [name.endsWith("_FILE") ? dirname(value) : value]
      : []
  );
  return [".env", dataDir, ...files].join(",");
}

/** In the working directory: what `enrich from-home-assistant FOLDER` writes. */
const TAKEOVER_FOLDER = "config";

/** What a command reads and writes besides. */
function besides([command, ...args]: readonly string[]): { read: string; write: string } {
  if (command !== "from-home-assistant") return { read: "", write: "" };
  const folders = args.map((path) => `,${path}`).join("");
  return { read: `,${TAKEOVER_FOLDER}${folders}`, write: `,${TAKEOVER_FOLDER}` };
}

interface Running {
  readonly name: string;
  readonly process: Deno.ChildProcess;
}

function run(
  name: string,
  script: string,
  flags: readonly string[],
  env: Environment,
  args: readonly string[] = [],
): Running {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", ...flags, script, ...args],
    env: Object.fromEntries(
      Object.entries(env).flatMap(([key, value]) => value ? [[key, value]] : []),
    ),
    stdin: "null",
  }).spawn();
  return { name, process };
}

function runProgram(
  name: string,
  dataDir: string,
  env: Environment,
  args: readonly string[] = [],
): Running {
  const { read, write } = besides(args);
  const flags = [
    V8_FLAGS,
    NO_CODE_CACHE,
    "--deny-import",
    "--allow-net",
    "--allow-env",
    "--allow-sys=statfs",
    `--allow-read=${readable(env, dataDir)}${read}`,
    `--allow-write=${dataDir}${write}`,
  ];
  return run(name, `${name}.ts`, flags, env, args);
}

/** Ends the programs one after the other, capture first, so that what it holds can still be stored. */
async function end(running: readonly Running[]): Promise<void> {
  for (const { process } of running.toReversed()) {
    const timer = setTimeout(() => kill(process, "SIGKILL"), END_MS);
    kill(process, "SIGTERM");
    await process.status;
    clearTimeout(timer);
  }
}

function kill(process: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    process.kill(signal);
  } catch {
    // it has ended by itself
  }
}

/** Where the programs are found; empty where the settings do not say: each says itself all that is wrong. */
function found(names: readonly ProgramName[], env: Environment): RunningProgram[] {
  try {
    return names.map((name) => findProgram(name, env));
  } catch (error) {
    if (error instanceof ConfigError) return [];
    throw error;
  }
}

async function main(): Promise<number> {
  const [first, ...rest] = Deno.args;
  const simulate = first === "--simulate";
  const alone = first === "ingest" || first === "enrich" ? first : undefined;
  if (first !== undefined && !simulate && !alone) {
    say(`There is no ${first}: say ingest, enrich or --simulate`);
    return 2;
  }
  const names: ProgramName[] = alone ? [alone] : ["enrich", "ingest"];
  // a variable that is set to nothing, as in an .env that was copied and not filled in, is not set
  const set = Object.entries(readEnvironment()).filter(([, value]) => value?.trim());
  let env: Environment = Object.fromEntries(set);
  const simulated = simulate && !env.HASS_URL;
  if (simulated) {
    env = {
      ...env,
      HASS_URL: SIMULATED_URL,
      HASS_TOKEN: "simulated",
      HASS_TOKEN_FILE: undefined,
      SOURCE: env.SOURCE ?? "simulated",
      // a simulated house's events have no business among a real one's
      DATA_DIR: join(env.DATA_DIR ?? "data", "simulated"),
    };
  }
  if (alone && rest.length > 0) {
    return (await runProgram(alone, env.DATA_DIR ?? "data", env, rest).process.status).code;
  }
  if (names.includes("ingest") && !env.HASS_URL && !env.SUPERVISOR_TOKEN) {
    say(WELCOME);
    return 2;
  }
  const dataDir = env.DATA_DIR ?? "data";
  const programs = found(names, env);
  for (const program of programs) {
    if (await program.nameItself() !== program.name) continue;
    output.complain(
      `${program.name} is already running at ${program.url}; end it before you start it here, or ` +
        `set ${program.name.toUpperCase()}_PORT and DATA_DIR to others`,
    );
    return 1;
  }
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => stopping.abort());
  }
  const running: Running[] = [];
  if (simulated) {
    const flags = [`--allow-net=${new URL(SIMULATED_URL).host}`];
    running.push(run("the simulated house", "tests/simulator/main.ts", flags, env));
  }
  for (const name of names) running.push(runProgram(name, dataDir, env));
  if (names.includes("ingest")) {
    say(
      `Home Assistant  ${env.HASS_URL ? shownUrl(env.HASS_URL) : SUPERVISED_URL}${
        simulated ? "  (a simulated house: HASS_URL is not set)" : ""
      }`,
    );
  }
  for (const { name, url } of programs) say(`${name.padEnd(15)} ${url}`);
  const ended = Promise.race(
    running.map(async ({ name, process }) => ({ name, status: await process.status })),
  );
  const aborted = new Promise<undefined>((resolve) =>
    stopping.signal.addEventListener("abort", () => resolve(undefined))
  );
  const [enrich, ingest] = programs;
  const watching = enrich && ingest && watchFlow({ enrich, ingest }, output, stopping.signal);
  const over = await Promise.race([ended, aborted]);
  const asked = stopping.signal.aborted;
  if (over && !asked) say(`${over.name} has ended with status ${over.status.code}`);
  stopping.abort();
  await end(running);
  await watching;
  if (asked) say("Stopped");
  return asked ? 0 : over?.status.code || 1;
}

const WELCOME =
  `HASS_URL is not set. To keep what your house says, set, in the environment or in a file .env here:

  HASS_URL=http://192.168.1.10:8123     the address of your Home Assistant
  HASS_TOKEN=...                        a long-lived access token: in Home Assistant open your
                                        profile (bottom left), Security, and create one at the end

Optional: INFLUXDB_URL and the like, see .env.example. Without InfluxDB events go to a local file.
To see it work with a simulated house first: deno task dev`;

if (import.meta.main) {
  Deno.exit(await main().catch((error: unknown) => complainOf(error, output)));
}
