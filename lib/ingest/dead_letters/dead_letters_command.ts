/** `ingest dead-letters`: shows and moves dead letters, through the routes of the running ingest. */
import type { ParseArgsOptionsConfig } from "node:util";
import type * as z from "zod";
import {
  argumentsOf,
  type CommandOutput,
  commandTo,
  numberText,
  WrongUse,
} from "../../program/command.ts";
import { deadline } from "../../retry.ts";
import { jsonLine, lettersText, letterText, NONE, pageText } from "./dead_letters_display.ts";
import {
  DEAD_LETTERS_PATH,
  type DeadLetterMove,
  deadLetterMoveSchema,
  deadLetterQuerySchema,
  deadLettersMovedSchema,
} from "./dead_letters_request.ts";
import { deadLetterPageSchema, fullDeadLetterSchema } from "../outbox/dead_letter.ts";
import type { RunningProgram } from "../../program/running_program.ts";

const HELP = `ingest dead-letters: works with the events that can never be stored as they are. The
running ingest keeps each with the reason; once that is fixed, replay has them delivered again,
with the names that they had.

Usage: ingest dead-letters list [SELECTION] [--limit N] [--before SEQ] [--json]
       ingest dead-letters show SEQ… [--json]
       ingest dead-letters replay SEQ…|SELECTION|--all
       ingest dead-letters discard SEQ…|SELECTION|--all

SELECTION, of which all that is given must hold:
  --reason TEXT     Only those whose reason contains it, in capitals or not
  --entity GLOB     Only those of an entity that matches, for example "sensor.*_energy"
  --older-than AGE  Only those refused longer ago: 30s, 10m, 12h, 7d, 2w
  --newer-than AGE  Only those refused since

list shows the newest 50, the newest last, and how many there are by reason; a state_changed is
shown as its entity. --json writes one JSON object a line. discard counts them as dropped.
Ended early, this lets ingest go on with what it was told.

It finds ingest by INGEST_HOST, INGEST_PORT and SERVICE_TOKEN. Exit status: 0 done, 1 not or not
all of it, 2 it was asked or configured wrong.`;

/** Looking through a full outbox takes a while, and moving all of it longer. */
const DEADLINE_MS = 3_600_000;

const AGE_UNIT_S = new Map([["s", 1], ["m", 60], ["h", 3_600], ["d", 86_400], ["w", 604_800]]);

const option = { type: "string" } as const;
const flag = { type: "boolean" } as const;
const HELP_ONLY = { help: { ...flag, short: "h" } };
const SELECTION = {
  ...HELP_ONLY,
  reason: option,
  entity: option,
  "older-than": option,
  "newer-than": option,
};
const OPTIONS = new Map<string, ParseArgsOptionsConfig>([
  ["list", { ...SELECTION, limit: option, before: option, json: flag }],
  ["show", { ...HELP_ONLY, json: flag }],
  ["replay", { ...SELECTION, all: flag }],
  ["discard", { ...SELECTION, all: flag }],
]);

type Order =
  | { readonly action: "list"; readonly query: URLSearchParams; readonly json: boolean }
  | { readonly action: "show"; readonly seqs: readonly number[]; readonly json: boolean }
  | { readonly action: "replay" | "discard"; readonly request: DeadLetterMove };

/** Runs the command. Returns its exit status. */
export const deadLetters = commandTo("ingest", HELP, askedOf, run);

/** Undefined where only help is wanted. */
function askedOf([action = "", ...args]: readonly string[]): Order | undefined {
  if (action === "--help" || action === "-h") return undefined;
  const options = OPTIONS.get(action);
  if (!options) {
    throw new WrongUse(`Say list, show, replay or discard, not "${action}"; see --help`);
  }
  const parsed = argumentsOf({ args, options, allowPositionals: action !== "list" });
  const { help, json = false, "older-than": older, "newer-than": newer, ...given } = parsed.values;
  if (help) return undefined;
  const selection = { ...given, ...ageOf("older-than", older), ...ageOf("newer-than", newer) };
  const seqs = [...new Set(parsed.positionals.map(seqOf))];
  switch (action) {
    case "list": {
      const query = new URLSearchParams(
        Object.entries(selection).map(([name, value]) => [name, String(value)]),
      );
      checked(deadLetterQuerySchema, Object.fromEntries(query));
      return { action, query, json: json === true };
    }
    case "show":
      if (seqs.length === 0) throw new WrongUse("show wants SEQ numbers, see list");
      return { action, seqs, json: json === true };
    case "replay":
    case "discard": {
      const wanted = seqs.length > 0 ? { seqs, ...selection } : selection;
      return { action, request: checked(deadLetterMoveSchema, wanted) };
    }
  }
}

function seqOf(given: string): number {
  if (/^\d{1,15}$/.test(given)) return Number(given);
  throw new WrongUse(`SEQ is "${given}": it must be the number of a dead letter, see list`);
}

function ageOf(name: string, given: unknown): Readonly<Record<string, number>> {
  if (given === undefined) return {};
  const [, n, unit = ""] = /^(\d+)([a-z])$/.exec(String(given)) ?? [];
  const unitS = AGE_UNIT_S.get(unit);
  if (unitS !== undefined) return { [`${name.replace("-", "_")}_s`]: Number(n) * unitS };
  throw new WrongUse(`--${name} is "${given}": it must be an age as 30s, 10m, 12h, 7d or 2w`);
}

function checked<T extends z.ZodType>(schema: T, request: unknown): z.output<T> {
  const result = schema.safeParse(request);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const name = String(issue?.path[0]);
  if (name === "all") {
    throw new WrongUse("Say which: SEQ numbers or a selection, or else --all alone; see --help");
  }
  throw new WrongUse(
    `${name === "seqs" ? "SEQ" : `--${name.replace("_than_s", "-than")}`} ${issue?.message}`,
  );
}

async function run(asked: Order, ingest: RunningProgram, output: CommandOutput): Promise<number> {
  switch (asked.action) {
    case "list":
      return await list(asked, ingest, output);
    case "show":
      for (const seq of asked.seqs) {
        const answer = await ingest.get(`${DEAD_LETTERS_PATH}/${seq}`);
        const letter = ingest.bodyOf(answer, fullDeadLetterSchema);
        output.write(asked.json ? jsonLine(letter.line) : letterText(letter));
      }
      return 0;
    case "replay":
    case "discard":
      return await move(asked, ingest, output);
  }
}

async function list(
  { query, json }: Extract<Order, { action: "list" }>,
  ingest: RunningProgram,
  { write, complain, columns }: CommandOutput,
): Promise<number> {
  const answer = await ingest.get(`${DEAD_LETTERS_PATH}?${query}`, deadline(DEADLINE_MS));
  const page = ingest.bodyOf(answer, deadLetterPageSchema);
  if (!json) return write(pageText(page, columns)), 0;
  for (const letter of page.letters) write(jsonLine(JSON.stringify(letter)));
  const [first] = page.letters;
  if (first && page.older > 0) {
    complain(`There are ${numberText(page.older)} older: --before ${first.seq}`);
  }
  return 0;
}

async function move(
  { action, request }: Extract<Order, { action: "replay" | "discard" }>,
  ingest: RunningProgram,
  { write, complain }: CommandOutput,
): Promise<number> {
  const path = `${DEAD_LETTERS_PATH}/${action}`;
  const answer = await ingest.post(path, request, deadline(DEADLINE_MS));
  const { moved } = ingest.bodyOf(answer, deadLettersMovedSchema);
  const done = action === "replay"
    ? `Replayed ${lettersText(moved)}: ingest delivers what waits`
    : `Discarded ${lettersText(moved)}`;
  write(`${moved === 0 ? NONE : done}\n`);
  const missing = (request.seqs?.length ?? moved) - moved;
  if (missing <= 0) return 0;
  complain(`${numberText(missing)} of the numbers given are no dead letters that match`);
  return 1;
}
