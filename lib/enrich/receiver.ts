/** `POST /events`: one event or many lines in, one outcome an event out. Keeps nothing. */
import type { Context, Hono } from "hono";
import {
  type BatchAnswer,
  describeIssues,
  type Envelope,
  envelopeSchema,
  type EventAnswer,
  eventSchema,
  MAX_BODY_BYTES,
} from "../contract.ts";
import { memberText } from "../json_text.ts";
import { deadline, describeError } from "../retry.ts";
import { failure, readBody } from "../serve/server.ts";
import { eventId } from "./event_id.ts";
import { EventProblem } from "./event_problem.ts";
import type { Enrichment, Schema } from "./schema.ts";
import { type PointOutcome, type Store, StoreUnavailable } from "./store.ts";

const BODY = { maxBytes: MAX_BODY_BYTES, deadlineMs: 30_000 };
/** What a batch may take in the store, below ingest's deadline of 30 s. */
const BUDGET_MS = 20_000;
/** Reasons hold free text: so many are told apart. */
const MAX_REASONS = 50;
/** Requests at work at once; each may hold a body of 16 MB. */
const MAX_REQUESTS = 16;

/** What the receiver has done since the program's start. */
export interface ReceiverCounters {
  received: number;
  stored: number;
  /** By reason. */
  readonly problems: Map<string, number>;
  readonly skipped: Map<string, number>;
  readonly leftOut: Map<string, number>;
  readonly requests: Map<string, number>;
}

export interface ReceiverOptions {
  readonly store: Store;
  readonly schema: Schema;
  readonly budgetMs?: number;
}

/** What became of a line before the store was asked. */
type Enriched =
  | Enrichment & { readonly eventId: string }
  | { readonly kind: "problem"; readonly eventId?: string; readonly reason: string };

export class Receiver {
  readonly #options: ReceiverOptions;
  /** Counts from the next request on. */
  schema: Schema;
  #requestsNow = 0;
  readonly counters: ReceiverCounters = {
    received: 0,
    stored: 0,
    problems: new Map(),
    skipped: new Map(),
    leftOut: new Map(),
    requests: new Map(),
  };

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.schema = options.schema;
  }

  /** Adds `POST /events` to the program's routes. */
  addTo(app: Hono): void {
    app.post(
      "/events",
      async (c, next) => {
        await next();
        add(this.counters.requests, String(c.res.status), 1);
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
    const signal = deadline(this.#budgetMs(c.req.header("prefer") ?? ""));
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

  /**
   * What the store may take, in milliseconds: less than the client waits (`Prefer: wait=SECONDS`,
   * RFC 7240 4.3), so that what is known by then is answered. Of a client that leaves Deno tells
   * only where the body was small (2.9.6): time alone ends a request.
   */
  #budgetMs(prefer: string): number {
    const { budgetMs = BUDGET_MS } = this.#options;
    const waitS = /(?:^|[,;\s])wait=(\d{1,6})\b/i.exec(prefer)?.[1];
    return waitS === undefined
      ? budgetMs
      : Math.min(budgetMs, Math.max(1, Number(waitS) - 0.5) * 1_000);
  }

  async #one(body: string, signal: AbortSignal): Promise<Response> {
    let json: unknown;
    try {
      json = JSON.parse(body);
    } catch (error) {
      return failure(400, `The body is no JSON: ${describeError(error)}`);
    }
    this.counters.received++;
    const event = eventSchema.safeParse(json);
    if (!event.success) return this.#refuse(describeIssues(event.error));
    const enriched = this.#enrich({ event: event.data }, body.trim());
    if (enriched.kind === "problem") return this.#refuse(enriched.reason);
    const [outcome] = enriched.kind === "skipped"
      ? [enriched]
      : await this.#options.store.write([enriched.point], signal);
    if (outcome?.kind === "refused") return this.#refuse(outcome.reason);
    if (!outcome || outcome.kind === "pending") {
      throw new StoreUnavailable("the store did not answer in time");
    }
    const answer: EventAnswer = { status: "success", event_id: enriched.eventId };
    if (outcome.kind === "skipped") {
      add(this.counters.skipped, outcome.reason, 1);
      return Response.json({ ...answer, skipped: outcome.reason });
    }
    this.#countStored(enriched);
    return Response.json(answer);
  }

  #refuse(reason: string): Response {
    this.#countProblem(reason);
    return failure(422, reason);
  }

  async #many(body: string, signal: AbortSignal): Promise<Response> {
    const lines = body.split("\n");
    if (lines.at(-1)?.trim() === "") lines.pop();
    const enriched = lines.map((line) => this.#enrichLine(line));
    const points = enriched.flatMap((one) => one.kind === "point" ? [one.point] : []);
    const outcomes = points.length > 0 ? await this.#options.store.write(points, signal) : [];
    const answer = this.#judge(enriched, outcomes);
    this.counters.received += lines.length;
    return Response.json(answer);
  }

  #judge(enriched: readonly Enriched[], outcomes: readonly PointOutcome[]): BatchAnswer {
    const answer: BatchAnswer = {
      status: "success",
      stored: 0,
      skipped: {},
      problems: [],
      pending: [],
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
        this.#countStored(one);
      } else if (outcome.kind === "skipped") {
        answer.skipped[outcome.reason] = (answer.skipped[outcome.reason] ?? 0) + 1;
        add(this.counters.skipped, outcome.reason, 1);
      } else {
        answer.status = "partial";
        if (outcome.kind === "pending") answer.pending.push(index);
        else {
          answer.problems.push({ index, event_id: one.eventId, reason: outcome.reason });
          this.#countProblem(outcome.reason);
        }
      }
    }
    return answer;
  }

  #enrichLine(line: string): Enriched {
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch (error) {
      return { kind: "problem", reason: `the line is no JSON: ${describeError(error)}` };
    }
    const envelope = envelopeSchema.safeParse(json);
    if (!envelope.success) return { kind: "problem", reason: describeIssues(envelope.error) };
    return this.#enrich(envelope.data, memberText(line, "event") ?? "");
  }

  /** An exception in one event's enrichment is that event's problem. */
  #enrich(envelope: Envelope, eventText: string): Enriched {
    const id = eventId(envelope, eventText);
    try {
      return { eventId: id, ...this.schema(envelope, eventText) };
    } catch (error) {
      const reason = error instanceof EventProblem
        ? error.message
        : `the event cannot be enriched: ${describeError(error)}`;
      return { kind: "problem", eventId: id, reason };
    }
  }

  #countProblem(reason: string): void {
    const { problems } = this.counters;
    const isKnown = problems.has(reason) || problems.size < MAX_REASONS;
    add(problems, isKnown ? reason : "other reasons", 1);
  }

  #countStored(one: Enriched): void {
    this.counters.stored++;
    if (one.kind !== "point") return;
    for (const [reason, count] of one.leftOut) add(this.counters.leftOut, reason, count);
  }
}

function add(counts: Map<string, number>, key: string, n: number): void {
  counts.set(key, (counts.get(key) ?? 0) + n);
}

/** A 500 says nothing about what was stored: sending it all again is harmless. */
function unavailable(cause: string, retryAfterMs: number | undefined): Response {
  const headers = retryAfterMs === undefined
    ? undefined
    : { "retry-after": String(Math.ceil(retryAfterMs / 1000)) };
  return failure(500, "Event processing failed", cause, headers);
}
