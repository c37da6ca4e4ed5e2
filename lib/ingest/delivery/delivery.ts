/**
 * Delivery: the outbox's events to enrich, in order, one batch in flight, for as long as it takes.
 *
 * While answers are fast a batch gets three quick attempts; then, and while answers are slow,
 * patient ones without end. Nothing is dropped because something else failed.
 */
import { MAX_BATCH_BYTES, MAX_BATCH_EVENTS } from "../../contract.ts";
import { getLogger } from "../../log.ts";
import { backoffMs, sleep } from "../../retry.ts";
import type { Outbox } from "../outbox/outbox.ts";
import type { OutboxRow } from "../outbox/waiting_events.ts";
import type { PostEvents, PostOutcome } from "./post_events.ts";
import { Suspects } from "./suspects.ts";

const log = getLogger("ingest", "delivery");

/** How long and how often is tried, in milliseconds; injected so that tests need not wait. */
export interface DeliveryTimes {
  readonly quickDeadlineMs: number;
  readonly quickPausesMs: readonly number[];
  readonly patientDeadlineMs: number;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
}

export const DELIVERY_TIMES: DeliveryTimes = {
  quickDeadlineMs: 5_000,
  quickPausesMs: [500, 1_000],
  patientDeadlineMs: 30_000,
  backoffBaseMs: 1_000,
  backoffMaxMs: 30_000,
};

/** The longest that a Retry-After is obeyed. */
const MAX_RETRY_AFTER_MS = 600_000;

export interface DeliveryOptions {
  readonly outbox: Outbox;
  readonly post: PostEvents;
  readonly times?: DeliveryTimes;
}

type Answered = Extract<PostOutcome, { kind: "answered" }>;
type Failed = Extract<PostOutcome, { kind: "failed" }>;

export class Delivery {
  readonly #outbox: Outbox;
  readonly #post: PostEvents;
  readonly #times: DeliveryTimes;
  readonly #suspects = new Suspects();
  /** How many events the next batch may have. */
  #limit = MAX_BATCH_EVENTS;
  #quick = true;
  #failures = 0;
  #problem: { readonly reason: string; readonly sinceMs: number } | undefined;
  #lastAnswerMs: number | undefined;

  constructor({ outbox, post, times = DELIVERY_TIMES }: DeliveryOptions) {
    this.#outbox = outbox;
    this.#post = post;
    this.#times = times;
  }

  /** Why nothing gets through, and since when, or undefined while all is well. */
  get problem(): { readonly reason: string; readonly forMs: number } | undefined {
    if (!this.#problem) return undefined;
    const { reason, sinceMs } = this.#problem;
    return { reason, forMs: performance.now() - sinceMs };
  }

  /** How many events the next batch may have: small while enrich fails. */
  get batchLimit(): number {
    return this.#limit;
  }

  /** How long the last answer took, in milliseconds. */
  get lastAnswerMs(): number | undefined {
    return this.#lastAnswerMs;
  }

  /** Delivers until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const more = this.#outbox.changed(signal);
      const waitMs = await this.#deliverNext(signal);
      if (waitMs === undefined) await more;
      else if (waitMs > 0) await sleep(waitMs, signal);
    }
  }

  /** Resolves when nothing waits any more, nothing gets through, or the signal is aborted. */
  async drained(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#problem && this.#outbox.counters().waiting > 0) {
      await this.#outbox.changed(signal);
    }
  }

  /** One batch. Returns the pause before the next, or undefined where nothing waits. */
  async #deliverNext(signal: AbortSignal): Promise<number | undefined> {
    const [suspect] = this.#suspects.due() ? this.#rowOf(this.#suspects.next()) : [];
    if (suspect) return await this.#tryAlone(suspect, signal);
    const rows = this.#outbox.waiting.peek({
      maxEvents: this.#suspects.firstAccusation ? 1 : this.#limit,
      maxBytes: MAX_BATCH_BYTES,
      without: this.#suspects.aside,
    });
    if (rows.length === 0) {
      this.#suspects.nobodyElse();
      return this.#suspects.due() ? 0 : undefined;
    }
    const outcome = await this.#attempt(rows, signal);
    if (signal.aborted) return 0;
    if (outcome.kind === "answered") return this.#passed(rows, outcome);
    return this.#failed(rows, outcome);
  }

  #rowOf(seq: number | undefined): OutboxRow[] {
    return seq === undefined ? [] : this.#outbox.waiting.row(seq);
  }

  /** The attempts of one batch: quick ones while answers are fast, else one patient one. */
  async #attempt(rows: readonly OutboxRow[], signal: AbortSignal): Promise<PostOutcome> {
    const lines = rows.map(({ line }) => line);
    const { quickDeadlineMs, quickPausesMs, patientDeadlineMs } = this.#times;
    if (this.#quick) {
      let outcome = await this.#send(lines, quickDeadlineMs, signal);
      for (const pauseMs of quickPausesMs) {
        if (outcome.kind === "answered" || outcome.meaning !== "again" || signal.aborted) {
          return outcome;
        }
        await sleep(Math.min(outcome.retryAfterMs ?? pauseMs, MAX_RETRY_AFTER_MS), signal);
        outcome = await this.#send(lines, quickDeadlineMs, signal);
      }
      if (outcome.kind === "answered" || signal.aborted) return outcome;
      this.#quick = false;
      this.#noteFailure(outcome.reason);
    }
    return await this.#send(lines, patientDeadlineMs, signal);
  }

  async #send(
    lines: readonly string[],
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<PostOutcome> {
    const sentMs = performance.now();
    const outcome = await this.#post(lines, deadlineMs, signal);
    if (outcome.kind === "answered") {
      this.#lastAnswerMs = performance.now() - sentMs;
      this.#quick = this.#lastAnswerMs < this.#times.quickDeadlineMs;
    }
    return outcome;
  }

  #passed(rows: readonly OutboxRow[], { answer }: Answered): number {
    const settled = this.#settle(rows, { kind: "answered", answer });
    if (settled === 0) {
      // every event was answered with "pending": a step that leads nowhere is a failure
      return this.#failed(rows, {
        kind: "failed",
        meaning: "again",
        reason: "the store is too slow",
      });
    }
    this.#recovered();
    this.#limit = Math.min(MAX_BATCH_EVENTS, this.#limit * 2);
    const guilty = this.#suspects.othersPassed();
    if (guilty) {
      const reason = `failed ${guilty.failures} times alone, while others passed: ${guilty.reason}`;
      this.#bury(guilty.seq, reason);
    }
    return 0;
  }

  #failed(rows: readonly OutboxRow[], { meaning, reason, retryAfterMs }: Failed): number {
    this.#noteFailure(reason);
    const [first] = rows;
    if (meaning !== "misconfigured") {
      if (rows.length > 1) this.#limit = Math.max(1, Math.floor(rows.length / 2));
      else if (meaning === "too large" && first) {
        this.#bury(first.seq, `alone too large for enrich: ${reason}`);
        return 0;
      } else if (first) this.#suspects.failedAlone(first.seq, reason);
    }
    return this.#pauseMs(retryAfterMs);
  }

  /** Another attempt of an event that failed alone. */
  async #tryAlone(row: OutboxRow, signal: AbortSignal): Promise<number> {
    const outcome = await this.#send([row.line], this.#times.patientDeadlineMs, signal);
    if (signal.aborted) return 0;
    if (outcome.kind === "answered" && this.#settle([row], outcome) > 0) {
      this.#suspects.cleared(row.seq);
      this.#recovered();
      return 0;
    }
    const reason = outcome.kind === "failed" ? outcome.reason : "the store is too slow";
    this.#suspects.failedAlone(row.seq, reason);
    this.#noteFailure(reason);
    return this.#pauseMs(outcome.kind === "failed" ? outcome.retryAfterMs : undefined);
  }

  /** Lets go of what was answered. Returns how many events that were. */
  #settle(rows: readonly OutboxRow[], { answer }: Answered): number {
    const problems = answer.problems.flatMap(({ index, reason }) => {
      const row = rows[index];
      return row ? [{ seq: row.seq, reason }] : [];
    });
    const kept = new Set([...answer.pending, ...answer.problems.map(({ index }) => index)]);
    const done = rows.filter((_, index) => !kept.has(index)).map(({ seq }) => seq);
    this.#outbox.settle({ done, delivered: answer.stored, leftOut: answer.skipped, problems });
    for (const { seq, reason } of problems) {
      log.warn("Event {seq} went to the dead letters: {reason}", { seq, reason });
    }
    return done.length + problems.length;
  }

  #bury(seq: number, reason: string): void {
    this.#outbox.settle({ done: [], delivered: 0, leftOut: {}, problems: [{ seq, reason }] });
    this.#suspects.cleared(seq);
    log.warn("Event {seq} went to the dead letters: {reason}", { seq, reason });
  }

  #noteFailure(reason: string): void {
    if (this.#problem?.reason !== reason) {
      log.warn("Cannot deliver, events wait in the outbox: enrich {reason}", { reason });
    }
    this.#problem = { reason, sinceMs: this.#problem?.sinceMs ?? performance.now() };
  }

  #recovered(): void {
    if (this.#problem) {
      const seconds = Math.round((performance.now() - this.#problem.sinceMs) / 1000);
      log.info("Delivering again after {seconds} s", { seconds });
    }
    this.#problem = undefined;
    this.#failures = 0;
  }

  #pauseMs(retryAfterMs: number | undefined): number {
    const { backoffBaseMs: baseMs, backoffMaxMs: maxMs } = this.#times;
    // 1 → 30 s apart: jitter alone could make a pause of nothing
    const pauseMs = Math.max(baseMs / 2, backoffMs(this.#failures++, { baseMs, maxMs }));
    return Math.max(pauseMs, Math.min(retryAfterMs ?? 0, MAX_RETRY_AFTER_MS));
  }
}
