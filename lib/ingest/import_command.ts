/** `ingest import-statistics`: has the running ingest import, through its routes, and shows how far it is. */
import { parseArgs } from "node:util";
import { z } from "zod";
import { failureSchema } from "../contract.ts";
import { deadline, describeError, sleep } from "../retry.ts";
import type { Secret } from "../secret.ts";
import { ConfigError, type Environment, host, port, SettingsReader } from "../settings.ts";
import { type CommandOutput, ImportDisplay } from "./import_display.ts";
import {
  IMPORT_PATH,
  type ImportProgress,
  importProgressSchema,
  type ImportRequest,
  importRequestSchema,
} from "./statistics_request.ts";

const HELP = `ingest import-statistics: brings Home Assistant's hourly statistics of all years into
measurement "statistics". The running ingest does the work; this starts it and shows its progress.
Ended early, this lets the import go on; run again, it imports what has come since.

Usage: ingest import-statistics [--since DATE] [--entities GLOB]

  --since DATE     Import again from there on, whatever was imported before: after a new database
                   or corrected statistics. 2024-01-31, or 2024-01-31T08:00:00+01:00
  --entities GLOB  Only statistics whose id matches, for example "sensor.*_energy" or "energy:*"

It finds ingest by INGEST_HOST, INGEST_PORT and SERVICE_TOKEN. Exit status: 0 all is imported,
1 not all of it, 2 it was asked or configured wrong.`;

const REQUEST_DEADLINE_MS = 10_000;
/** An ingest that is upgraded meanwhile is waited for. */
const AWAY_MS = 300_000;

/** It was asked or configured wrong. */
class WrongUse extends Error {}

/** Runs the command. Returns its exit status. */
export async function importStatistics(
  args: readonly string[],
  readEnvironment: () => Environment,
  output: CommandOutput,
): Promise<number> {
  try {
    const request = requestOf(args);
    if (!request) return output.write(`${HELP}\n`), 0;
    const ingest = new RunningIngest(readEnvironment());
    return await follow(ingest, request, output);
  } catch (error) {
    const problems = error instanceof ConfigError ? error.problems : [describeError(error)];
    for (const problem of problems) output.complain(problem);
    return error instanceof ConfigError || error instanceof WrongUse ? 2 : 1;
  }
}

/** Undefined where only help is wanted. */
function requestOf(args: readonly string[]): ImportRequest | undefined {
  const option = { type: "string" } as const;
  let values: { since?: string; entities?: string; help?: boolean };
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: { since: option, entities: option, help: { type: "boolean", short: "h" } },
    }));
  } catch (error) {
    throw new WrongUse(`${describeError(error)}; see --help`);
  }
  const { help, ...given } = values;
  if (help) return undefined;
  const request = importRequestSchema.safeParse(given);
  if (request.success) return request.data;
  const [issue] = request.error.issues;
  throw new WrongUse(`--${issue?.path.join(".")} ${issue?.message}`);
}

/** The routes of the ingest that runs. */
class RunningIngest {
  readonly url: string;
  readonly #serviceToken: Secret | undefined;

  /** Throws ConfigError. */
  constructor(env: Environment) {
    const reader = new SettingsReader(env);
    const address = reader.parse(z.object({
      INGEST_HOST: host.default("127.0.0.1"),
      INGEST_PORT: port.default(8001),
    }));
    this.#serviceToken = reader.secret("SERVICE_TOKEN");
    if (!address || reader.problems.length > 0) throw new ConfigError(reader.problems);
    const { INGEST_HOST: host_, INGEST_PORT: port_ } = address;
    // an address that stands for all of this machine's is none to connect to
    const reached = { "0.0.0.0": "127.0.0.1", "::": "::1" }[host_] ?? host_;
    this.url = `http://${reached.includes(":") ? `[${reached}]` : reached}:${port_}`;
  }

  /** Returns false where an import is under way already. */
  async start(request: ImportRequest): Promise<boolean> {
    const response = await this.#fetch({
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request),
    });
    if (response.status !== 202 && response.status !== 409) throw await refusal(response);
    await response.body?.cancel();
    return response.status === 202;
  }

  async progress(): Promise<ImportProgress> {
    const response = await this.#fetch({});
    if (response.status !== 200) throw await refusal(response);
    return importProgressSchema.parse(await response.json());
  }

  /** Throws TypeError or a TimeoutError where ingest cannot be reached. */
  #fetch(init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#serviceToken) headers.set("authorization", `Bearer ${this.#serviceToken()}`);
    return fetch(this.url + IMPORT_PATH, {
      ...init,
      headers,
      redirect: "error",
      signal: deadline(REQUEST_DEADLINE_MS),
    });
  }
}

async function refusal(response: Response): Promise<Error> {
  const text = await response.text();
  let detail = response.statusText;
  try {
    detail = failureSchema.parse(JSON.parse(text)).detail;
  } catch {
    // something that is no ingest has answered
  }
  return new Error(`Ingest answered ${response.status}: ${detail}`);
}

async function follow(
  ingest: RunningIngest,
  request: ImportRequest,
  output: CommandOutput,
): Promise<number> {
  let started: boolean;
  try {
    started = await ingest.start(request);
  } catch (error) {
    if (!isAway(error)) throw error;
    throw new Error(
      `Cannot reach ingest at ${ingest.url}: see that it runs, and INGEST_HOST and INGEST_PORT ` +
        `(${describeError(error)})`,
    );
  }
  if (!started) {
    const wishes = Object.keys(request).length > 0;
    output.complain(
      "An import is under way already; " + (wishes ? "try again after it" : "this follows it"),
    );
    if (wishes) return 1;
  }
  const display = new ImportDisplay(output);
  let heardMs = performance.now();
  for (;;) {
    try {
      const progress = await ingest.progress();
      heardMs = performance.now();
      // ingest was started anew; it goes on where it was
      if (progress.state === "none") await ingest.start(request);
      else if (progress.state === "running") display.show(progress);
      else return display.finish(progress);
    } catch (error) {
      if (!isAway(error)) throw error;
      if (performance.now() - heardMs > AWAY_MS) {
        throw new Error(
          `Ingest has not answered for ${AWAY_MS / 60_000} minutes: see that it runs`,
        );
      }
    }
    await sleep(output.intervalMs, new AbortController().signal);
  }
}

function isAway(error: unknown): boolean {
  return error instanceof TypeError ||
    (error instanceof DOMException && error.name === "TimeoutError");
}
