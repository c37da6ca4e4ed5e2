/** `ingest import-statistics`: has the running ingest import, through its routes, and shows how far it is. */
import { argumentsOf, type CommandOutput, complainOf, WrongUse } from "../../program/command.ts";
import { sleep } from "../../retry.ts";
import type { Environment } from "../../settings/settings_reader.ts";
import { ImportDisplay } from "./import_display.ts";
import { findProgram, ProgramAway, type RunningProgram } from "../../program/running_program.ts";
import {
  IMPORT_PATH,
  importProgressSchema,
  type ImportRequest,
  importRequestSchema,
} from "./statistics_request.ts";

const HELP = `ingest import-statistics: brings Home Assistant's hourly statistics of all years into
measurement "statistics". The running ingest puts them into its outbox, as it does with every event;
this starts that and shows its progress. Ended early, this lets the import go on; run again, it
imports what has come since. An hour that the store refuses becomes a dead letter.

Usage: ingest import-statistics [--since DATE] [--entities GLOB]

  --since DATE     Import again from there on, whatever was imported before: after a new database
                   or corrected statistics. 2024-01-31, or 2024-01-31T08:00:00+01:00
  --entities GLOB  Only statistics whose id matches, for example "sensor.*_energy" or "energy:*"

It finds ingest by INGEST_HOST, INGEST_PORT and SERVICE_TOKEN. Exit status: 0 all is imported,
1 not all of it, 2 it was asked or configured wrong.`;

/** An ingest that is upgraded meanwhile is waited for. */
const AWAY_MS = 300_000;

/** Runs the command. Returns its exit status. */
export async function importStatistics(
  args: readonly string[],
  readEnvironment: () => Environment,
  output: CommandOutput,
): Promise<number> {
  try {
    const request = requestOf(args);
    if (!request) return output.write(`${HELP}\n`), 0;
    const ingest = findProgram("ingest", readEnvironment());
    return await follow(ingest, request, output);
  } catch (error) {
    return complainOf(error, output);
  }
}

/** Undefined where only help is wanted. */
function requestOf(args: readonly string[]): ImportRequest | undefined {
  const option = { type: "string" } as const;
  const options = {
    since: option,
    entities: option,
    help: { type: "boolean", short: "h" },
  } as const;
  const { help, ...given } = argumentsOf({ args: [...args], options }).values;
  if (help) return undefined;
  const request = importRequestSchema.safeParse(given);
  if (request.success) return request.data;
  const [issue] = request.error.issues;
  throw new WrongUse(`--${issue?.path.join(".")} ${issue?.message}`);
}

/** Returns false where an import is under way already. */
async function start(ingest: RunningProgram, request: ImportRequest): Promise<boolean> {
  const answer = await ingest.post(IMPORT_PATH, request);
  if (answer.status !== 202 && answer.status !== 409) throw ingest.refusal(answer);
  return answer.status === 202;
}

async function follow(
  ingest: RunningProgram,
  request: ImportRequest,
  output: CommandOutput,
): Promise<number> {
  if (!await start(ingest, request)) {
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
      const progress = ingest.bodyOf(await ingest.get(IMPORT_PATH), importProgressSchema);
      heardMs = performance.now();
      // ingest was started anew; it goes on where it was
      if (progress.state === "none") await start(ingest, request);
      else if (progress.state === "running") display.show(progress);
      else return display.finish(progress);
    } catch (error) {
      if (!(error instanceof ProgramAway)) throw error;
      if (performance.now() - heardMs > AWAY_MS) {
        throw new Error(
          `Ingest has not answered for ${AWAY_MS / 60_000} minutes: see that it runs`,
        );
      }
    }
    await sleep(output.intervalMs, new AbortController().signal);
  }
}
