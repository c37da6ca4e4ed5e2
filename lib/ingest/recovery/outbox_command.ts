/** `ingest outbox`: has the running ingest recover a damaged outbox, through its routes. */
import {
  argumentsOf,
  type CommandOutput,
  complainOf,
  numberText,
  ProgressLine,
  WrongUse,
} from "../../program/command.ts";
import { findProgram, ProgramAway, type RunningProgram } from "../../program/running_program.ts";
import { sleep } from "../../retry.ts";
import type { Environment } from "../../settings/settings_reader.ts";
import {
  RECOVERY_PATH,
  type RecoveryProgress,
  recoveryProgressSchema,
  type RecoveryRequest,
} from "./recovery_request.ts";

const HELP = `ingest outbox: works with outboxes that were damaged and set aside. The running ingest
puts what can be read of one into its outbox, to be delivered: events, counted as received, and dead
letters as dead letters, with their reasons. An event that is damaged itself becomes a dead letter.
Then the file is called FILE.recovered, and health no longer tells of it; delete it when you like.

Usage: ingest outbox recover FILE

FILE is the name of a file in DATA_DIR, as outbox.sqlite.damaged-2026-06-25T212005.162Z. Ended early,
this lets ingest go on. Where ingest is stopped meanwhile, begin again: what was delivered before
changes nothing when it is delivered again, but its dead letters may be there twice.

It finds ingest by INGEST_HOST, INGEST_PORT and SERVICE_TOKEN. Exit status: 0 all that can be read is
in the outbox, 1 not all of it, 2 it was asked or configured wrong.`;

/** An ingest that is upgraded meanwhile is waited for. */
const AWAY_MS = 300_000;

/** Runs the command. Returns its exit status. */
export async function outboxCommand(
  args: readonly string[],
  readEnvironment: () => Environment,
  output: CommandOutput,
): Promise<number> {
  try {
    const request = requestOf(args);
    if (!request) return output.write(`${HELP}\n`), 0;
    const ingest = findProgram("ingest", readEnvironment());
    await start(ingest, request);
    return await follow(ingest, request, output);
  } catch (error) {
    return complainOf(error, output);
  }
}

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

/** A recovery of the file that is under way already is as good. */
async function start(ingest: RunningProgram, { file }: RecoveryRequest): Promise<void> {
  const answer = await ingest.post(RECOVERY_PATH, { file });
  if (answer.status === 202) return;
  if (answer.status === 409 && (await progressOf(ingest)).file === file) return;
  throw ingest.refusal(answer);
}

async function progressOf(ingest: RunningProgram): Promise<RecoveryProgress> {
  return ingest.bodyOf(await ingest.get(RECOVERY_PATH), recoveryProgressSchema);
}

async function follow(
  ingest: RunningProgram,
  request: RecoveryRequest,
  output: CommandOutput,
): Promise<number> {
  const line = new ProgressLine(output);
  let heardMs = performance.now();
  for (;;) {
    try {
      const progress = await progressOf(ingest);
      heardMs = performance.now();
      // ingest was started anew
      if (progress.state === "none") await start(ingest, request);
      else if (progress.state !== "running") return finish(progress, line, output);
      else line.show(progress.pages_read / Math.max(1, progress.pages), textOf(progress));
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

function textOf({ pages, pages_read, reason, ...taken }: RecoveryProgress): string {
  const percent = Math.floor(100 * pages_read / Math.max(1, pages));
  return [`${percent} %`, takenText(taken), ...(reason ? [reason] : [])].join(" · ");
}

function takenText(
  { events, dead_letters: letters, torn }: Pick<
    RecoveryProgress,
    "events" | "dead_letters" | "torn"
  >,
): string {
  const damaged = torn === 0 ? "" : `, of which ${numberText(torn)} are damaged events`;
  return `${numberText(events)} events, ${numberText(letters)} dead letters${damaged}`;
}

/** Returns the exit status. */
function finish(progress: RecoveryProgress, line: ProgressLine, output: CommandOutput): number {
  const { state, file, renamed, lost, reason } = progress;
  if (state === "failed") {
    output.complain(`${file} is not recovered: ${reason}`);
    return 1;
  }
  line.end(
    `Recovered ${takenText(progress)}; ingest delivers what waits, and the file is now ${renamed}`,
  );
  if (lost === undefined) {
    output.complain("What else was in the file cannot be told: its counters cannot be read");
  } else if (lost > 0) {
    output.complain(`The file says that it held ${numberText(lost)} more: they cannot be read`);
  }
  return 0;
}
