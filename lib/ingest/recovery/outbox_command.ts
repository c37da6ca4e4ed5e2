/** `ingest outbox`: has the running ingest recover a damaged outbox, through its routes. */
import {
  argumentsOf,
  type CommandOutput,
  commandTo,
  numberText,
  ProgressLine,
  WrongUse,
} from "../../program/command.ts";
import { followJob } from "../../program/job.ts";
import type { RunningProgram } from "../../program/running_program.ts";
import {
  RECOVERY_PATH,
  type RecoveryProgress,
  recoveryProgressSchema,
  type RecoveryRequest,
} from "./recovery_request.ts";

const HELP = `ingest outbox: works with outboxes that were damaged and set aside. The running ingest
puts what can be read of one into its outbox, to be delivered: events, counted as received, and dead
letters as dead letters, with their reasons; it says how many more there were, which are lost.
Then the file is called FILE.recovered, and health no longer tells of it; delete it when you like.

Usage: ingest outbox recover FILE

FILE is the name of a file in DATA_DIR, as outbox.sqlite.damaged-2026-06-25T212005.162Z. Ended early,
this lets ingest go on. Where ingest is stopped meanwhile, begin again: what was delivered before
changes nothing when it is delivered again, but its dead letters may be there twice.

It finds ingest by INGEST_HOST, INGEST_PORT and SERVICE_TOKEN. Exit status: 0 all that can be read is
in the outbox, 1 not all of it, 2 it was asked or configured wrong.`;

/** Runs the command. Returns its exit status. */
export const outboxCommand = commandTo("ingest", HELP, requestOf, run);

/** Undefined where only help is wanted. */
function requestOf(args: readonly string[]): RecoveryRequest | undefined {
  const options = { help: { type: "boolean", short: "h" } } as const;
  const { values, positionals } = argumentsOf({
    args: [...args],
    options,
    allowPositionals: true,
  });
  if (values.help) return undefined;
  const [action = "", file, ...more] = positionals;
  if (action !== "recover") throw new WrongUse(`Say recover, not "${action}"; see --help`);
  if (!file || more.length > 0) {
    throw new WrongUse("recover wants the name of one FILE, as health and the page tell it");
  }
  return { file };
}

async function run(
  request: RecoveryRequest,
  ingest: RunningProgram,
  output: CommandOutput,
): Promise<number> {
  const [path, schema] = [RECOVERY_PATH, recoveryProgressSchema];
  const begin = async () => {
    const answer = await ingest.post(path, request);
    if (answer.status === 202) return;
    // a recovery of the file that is under way already is as good
    const isSame = answer.status === 409 &&
      ingest.bodyOf(await ingest.get(path), schema).file === request.file;
    if (!isSame) throw ingest.refusal(answer);
  };
  const end = await followJob(ingest, { path, schema, begin, shown }, output);
  const { state, file, renamed, lost, reason } = end;
  if (state === "failed") throw new Error(`${file} is not recovered: ${reason}`);
  new ProgressLine(output).end(
    `Recovered ${takenText(end)}; ingest delivers what waits, and the file is now ${renamed}`,
  );
  if (lost === undefined) {
    output.complain("What else was in the file cannot be told: its counters cannot be read");
  } else if (lost > 0) {
    output.complain(`The file says that it held ${numberText(lost)} more: they cannot be read`);
  }
  return 0;
}

function shown(progress: RecoveryProgress): readonly [part: number, text: string] {
  const part = progress.pages_read / Math.max(1, progress.pages);
  const reason = progress.reason === undefined ? [] : [progress.reason];
  return [part, [`${Math.floor(100 * part)} %`, takenText(progress), ...reason].join(" · ")];
}

function takenText({ events, dead_letters: letters }: RecoveryProgress): string {
  return `${numberText(events)} events, ${numberText(letters)} dead letters`;
}
