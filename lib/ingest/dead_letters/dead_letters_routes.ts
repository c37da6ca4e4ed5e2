/** The routes under `/dead-letters`, by which `ingest dead-letters` reaches the running ingest. */
import type { Context, Hono } from "hono";
import { describeIssues } from "../../contract.ts";
import { getLogger } from "../../log.ts";
import { readJson } from "../../serve/body.ts";
import { failure } from "../../serve/server.ts";
import type { DeadLetters, Moved } from "../outbox/dead_letters.ts";
import {
  DEAD_LETTERS_PATH,
  deadLetterMoveSchema,
  deadLetterQuerySchema,
} from "./dead_letters_request.ts";

const log = getLogger("ingest", "dead letters");

const ACTIONS = { replay: "replayed", discard: "discarded" } as const;
type Action = keyof typeof ACTIONS;

/** Adds the routes. What they do ends early when the signal is aborted. */
export function addDeadLetterRoutes(app: Hono, letters: DeadLetters, stopping: AbortSignal): void {
  app.get(DEAD_LETTERS_PATH, async (c) => {
    const query = deadLetterQuerySchema.safeParse(c.req.query());
    if (!query.success) return failure(422, describeIssues(query.error));
    const page = await letters.list(query.data, stopping);
    return page ? c.json(page) : failure(503, "Ingest is stopping: ask again");
  });
  app.get(`${DEAD_LETTERS_PATH}/:seq{[0-9]+}`, (c) => {
    const { seq } = c.req.param();
    const letter = letters.get(Number(seq));
    return letter ? c.json(letter) : failure(404, `There is no dead letter ${seq}`);
  });
  for (const action of ["replay", "discard"] as const) {
    app.post(`${DEAD_LETTERS_PATH}/${action}`, (c) => move(c, letters, action, stopping));
  }
}

async function move(
  c: Context,
  letters: DeadLetters,
  action: Action,
  stopping: AbortSignal,
): Promise<Response> {
  const body = await readJson(c.req.raw, { maxBytes: 100_000, deadlineMs: 10_000 });
  const request = deadLetterMoveSchema.safeParse(body);
  if (!request.success) return failure(422, describeIssues(request.error));
  const { all: _, ...selection } = request.data;
  const { moved, stopped } = await letters[action](selection, stopping);
  if (moved > 0) log.info("{moved} dead letters {done}", { moved, done: ACTIONS[action] });
  return stopped ? failure(...refusalOf(action, moved, stopped)) : c.json({ moved });
}

function refusalOf(
  action: Action,
  moved: number,
  stopped: NonNullable<Moved["stopped"]>,
): [status: number, detail: string] {
  const soFar = `${moved} dead letters are ${ACTIONS[action]} so far, the others are as they were`;
  return stopped === "full"
    ? [
      507,
      `The outbox, or its disk, is full: ${soFar}; raise OUTBOX_MAX_MB, free the disk or ` +
      `discard dead letters, and run it again`,
    ]
    : [503, `Ingest is stopping: ${soFar}; run it again once it is back`];
}
