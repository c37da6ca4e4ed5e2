/** `POST /events`: one event or many lines in, one outcome an event out. Keeps nothing. */
import type { Context, Hono } from "hono";
import {
  type BatchAnswer,
  describeIssues,
  envelopeSchema,
  type EventAnswer,
  eventSchema,
  MAX_BODY_BYTES,
  MAX_REQUEST_LINES,
  shortReason,
} from "../contract.ts";
import { each, inTurns } from "../in_turns.ts";
import { parseJson } from "../json_text.ts";
import { deadline } from "../retry.ts";
import { jsonIn, readBody } from "../serve/body.ts";
import { failure } from "../serve/server.ts";
import { enrich, type Enriched, enrichLine, eventTextIn } from "./enriched.ts";
import { EventCounters } from "./event_counters.ts";
import { eventId } from "./event_id.ts";
import type { Schema } from "./schema.ts";
import { type PointOutcome, type Store, type StorePoint, StoreUnavailable } from "./store.ts";

const BODY = { maxBytes: MAX_BODY_BYTES, deadlineMs: 30_000 };
/** What a batch may take in the store, below ingest's deadline of 30 s. */
const BUDGET_MS = 20_000;
/** Requests at work at once; each may hold a body of 16 MB. */
const MAX_REQUESTS = 16;
/** So many lines are enriched before others have their turn. */
const LINES_IN_TURN = 100;

export interface ReceiverOptions {
  readonly store: Store;
  readonly schema: Schema;
  readonly budgetMs?: number;
}

export class Receiver {
  readonly #budgetMs: number;
  /** Both may be set, and count from the next request on. */
  store: Store;
  schema: Schema;
  #requestsNow = 0;
  readonly counters = new EventCounters();

  constructor(options: ReceiverOptions) {
    this.#budgetMs = options.budgetMs ?? BUDGET_MS;
    this.store = options.store;
    this.schema = options.schema;
  }

  /** Adds `POST /events` to the program's routes. */
  addTo(app: Hono): void {
    app.post(
      "/events",
      async (c, next) => {
        await next();
        this.counters.countRequest(c.res.status);
      },
      async (c) => {
        if (this.#requestsNow >= MAX_REQUESTS) {
          return unavailable("too many requests at once", 1_000);
        }
        this.#requestsNow++;
        try {
          return await this.#answer(c);
        } catch (error) {
          if (error instanceof StoreUnavailable) {
            return unavailable(error.message, error.retryAfterMs);
          }
          throw error;
        } finally {
          this.#requestsNow--;
        }
      },
    );
  }

  async #answer(c: Context): Promise<Response> {
    const encoding = c.req.header("content-encoding") ?? "identity";
    if (encoding !== "identity") {
      return failure(415, `Content-Encoding must be absent, not ${encoding}`);
    }
    const type = c.req.header("content-type")?.split(";")[0]?.trim().toLowerCase();
    const signal = deadline(budgetMs(c.req.header("prefer") ?? "", this.#budgetMs));
    switch (type) {
      case "application/json":
        return await this.#one(await readBody(c.req.raw, BODY), signal);
      case "application/x-ndjson":
        return await this.#many(await readBody(c.req.raw, BODY), signal);
      default:
        return failure(
          415,
          `Content-Type must be application/json or application/x-ndjson, not ${type ?? "absent"}`,
        );
    }
  }

  async #one(body: string, signal: AbortSignal): Promise<Response> {
    const json = jsonIn(body);
    this.counters.received++;
    const event = eventSchema.safeParse(json);
    if (!event.success) return this.#refuse(describeIssues(event.error));
    const envelope = { event: event.data };
    const text = body.trim();
    const enriched = enrich(envelope, () => text, this.schema);
    if (enriched.kind === "problem") return this.#refuse(enriched.reason);
    const [outcome] = enriched.kind === "skipped"
      ? [enriched]
      : await this.store.write([enriched.point], signal);
    if (outcome?.kind === "refused") return this.#refuse(outcome.reason);
    // it will be stored once the limit is raised, so that it must be sent again: no 422
    if (outcome?.kind === "limited") throw new StoreUnavailable(outcome.reason);
    if (!outcome || outcome.kind === "pending") {
      throw new StoreUnavailable("the store did not answer in time");
    }
    const answer: EventAnswer = { status: "success", event_id: eventId(envelope, text) };
    if (outcome.kind === "skipped") {
      this.counters.countSkipped(outcome.reason);
      return Response.json({ ...answer, skipped: outcome.reason });
    }
    if (enriched.kind === "point") this.counters.countStored(enriched.leftOut, outcome.texts);
    return Response.json(answer);
  }

  #refuse(text: string): Response {
    const reason = shortReason(text);
    this.counters.countProblem(reason);
    return failure(422, reason);
  }

  async #many(body: string, signal: AbortSignal): Promise<Response> {
    // no more than tell that there are too many: a body may hold millions of line breaks
    const lines = body.split("\n", MAX_REQUEST_LINES + 2);
    if (lines.at(-1)?.trim() === "") lines.pop();
    if (lines.length > MAX_REQUEST_LINES) {
      return failure(413, `The body must not have more than ${MAX_REQUEST_LINES} lines`);
    }
    this.counters.received += lines.length;
    const { schema, store } = this;
    const enriched: Enriched[] = [];
    await inTurns(
      each(lines, LINES_IN_TURN, (line) => enriched.push(enrichLine(line, schema))),
    );
    const points: StorePoint[] = [];
    for (const one of enriched) if (one.kind === "point") points.push(one.point);
    const outcomes = points.length > 0 ? await store.write(points, signal) : [];
    return Response.json(this.#judge(lines, enriched, outcomes));
  }

  #judge(
    lines: readonly string[],
    enriched: readonly Enriched[],
    outcomes: readonly PointOutcome[],
  ): BatchAnswer {
    const answer: BatchAnswer = {
      status: "success",
      stored: 0,
      skipped: {},
      problems: [],
      pending: [],
      limited: [],
    };
    let asked = 0;
    for (const [index, one] of enriched.entries()) {
      const outcome = one.kind === "problem"
        ? { kind: "refused", reason: one.reason } as const
        : one.kind === "skipped"
        ? one
        : outcomes[asked++] ?? { kind: "pending" };
      if (outcome.kind === "stored") {
        answer.stored++;
        if (one.kind === "point") this.counters.countStored(one.leftOut, outcome.texts);
      } else if (outcome.kind === "skipped") {
        answer.skipped[outcome.reason] = (answer.skipped[outcome.reason] ?? 0) + 1;
        this.counters.countSkipped(outcome.reason);
      } else {
        answer.status = "partial";
        if (outcome.kind !== "refused") {
          answer.pending.push(index);
          const isLimited = outcome.kind === "limited";
          if (isLimited) answer.limited.push({ index, reason: shortReason(outcome.reason) });
        } else {
          const reason = shortReason(outcome.reason);
          answer.problems.push({ index, event_id: idOf(lines[index]), reason });
          this.counters.countProblem(reason);
        }
      }
    }
    return answer;
  }
}

/** The id of a line's event, or undefined where the line has none. */
function idOf(line: string): string | undefined {
  try {
    const envelope = envelopeSchema.safeParse(parseJson(line));
    return envelope.success ? eventId(envelope.data, eventTextIn(line)) : undefined;
  } catch {
    return undefined;
  }
}

/** A 500 says nothing about what was stored: sending it all again is harmless. */
function unavailable(cause: string, retryAfterMs: number | undefined): Response {
  const headers = retryAfterMs === undefined
    ? undefined
    : { "retry-after": String(Math.ceil(retryAfterMs / 1000)) };
  return failure(500, "Event processing failed", cause, headers);
}

/**
 * What the store may take, in milliseconds: less than the client waits (`Prefer: wait=SECONDS`,
 * RFC 7240 4.3), so that what is known by then is answered. Of a client that leaves Deno tells
 * only where the body was small (2.9.6): time alone ends a request.
 */
function budgetMs(prefer: string, mostMs: number): number {
  const waitS = /(?:^|[,;\s])wait=(\d{1,6})\b/i.exec(prefer)?.[1];
  return waitS === undefined ? mostMs : Math.min(mostMs, Math.max(1, Number(waitS) - 0.5) * 1_000);
}
