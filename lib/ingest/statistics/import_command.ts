/** `ingest import-statistics`: has the running ingest import, through its routes, and shows how far it is. */
import {
  argumentsOf,
  type CommandOutput,
  commandTo,
  durationText,
  numberText,
  ProgressLine,
  WrongUse,
} from "../../program/command.ts";
import { followJob } from "../../program/job.ts";
import type { RunningProgram } from "../../program/running_program.ts";
import {
  IMPORT_PATH,
  type ImportProgress,
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

/** Runs the command. Returns its exit status. */
export const importStatistics = commandTo("ingest", HELP, requestOf, run);

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

async function run(
  request: ImportRequest,
  ingest: RunningProgram,
  output: CommandOutput,
): Promise<number> {
  const begin = async () => {
    const answer = await ingest.post(IMPORT_PATH, request);
    if (answer.status === 202) return;
    if (answer.status !== 409) throw ingest.refusal(answer);
    const underWay = "An import is under way already";
    if (Object.keys(request).length > 0) throw new Error(`${underWay}; try again after it`);
    output.complain(`${underWay}; this follows it`);
  };
  const job = { path: IMPORT_PATH, schema: importProgressSchema, begin, shown };
  const { state, statistics, rows, seconds, reason } = await followJob(ingest, job, output);
  new ProgressLine(output).end(
    `Imported ${numberText(rows)} hours of ${numberText(statistics.done)} statistics in ` +
      `${durationText(seconds)}; ingest delivers what waits`,
  );
  if (state === "done") return 0;
  output.complain(`Not everything is imported: ${reason ?? ""}`);
  return 1;
}

function shown(progress: ImportProgress): readonly [part: number, text: string] {
  const { statistics: { done, to_do }, rows, rows_per_second, seconds, seconds_left } = progress;
  const reason = progress.reason === undefined ? [] : [progress.reason];
  if (done + to_do === 0) {
    return [0, reason[0] ?? "Asking Home Assistant which statistics there are"];
  }
  const text = [
    `${numberText(done)} of ${numberText(done + to_do)} statistics`,
    `${numberText(rows)} hours`,
    `${numberText(rows_per_second)}/s`,
    ...(seconds_left === undefined ? [] : [`${durationText(seconds_left)} left`]),
    ...reason,
  ].join(" · ");
  const part = seconds_left === undefined ? 0 : seconds / Math.max(1, seconds + seconds_left);
  return [part, text];
}
