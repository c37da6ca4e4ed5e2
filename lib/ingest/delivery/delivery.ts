/**
 * Delivery: the outbox's events to enrich, in order, one batch in flight, for as long as it takes.
 *
 * While answers are fast a batch gets three quick attempts; then, and while answers are slow,
 * patient ones without end. Nothing is dropped because something else failed.
 */
import { type BatchAnswer, MAX_BATCH_BYTES, MAX_BATCH_EVENTS } from "../../contract.ts";
import { getLogger } from "../../log.ts";
import { backoffMs, sleep } from "../../retry.ts";
import type { Outbox } from "../outbox/outbox.ts";
import type { Settlement } from "../outbox/settlement.ts";
import type { OutboxRow } from "../outbox/waiting_events.ts";
import { DELIVERY_TIMES, type DeliveryTimes } from "./delivery_times.ts";
import type { PostEvents, PostOutcome } from "./post_events.ts";

const log = getLogger("ingest", "delivery");

/** An event that has failed alone so often, while others passed, goes to the dead letters. */
const GIVE_UP_ATTEMPTS = 10;

export interface DeliveryOptions {
  readonly outbox: Outbox;
  readonly post: PostEvents;
  readonly times?: DeliveryTimes;
}

type Failed = Extract<PostOutcome, { kind: "failed" }>;

/** Every event was answered with "pending": a step that leads nowhere is a failure. */
const TOO_SLOW: Failed = { kind: "failed", meaning: "again", reason: "the store is too slow" };
/** No event is to blame: what enrich has answered cannot be noted, and is asked again. */
const NO_ROOM: Failed = {
  kind: "failed",
  meaning: "misconfigured",
  reason: "has answered, but there is no room to note it",
};

export class Delivery {
  readonly #outbox: Outbox;
  readonly #post: PostEvents;
  readonly #times: DeliveryTimes;
  /**
   * Events that have failed alone, one after the other. What is tried next tells whether they are to
   * blame: where that passes, each has failed once more; as long as everything fails, enrich or the
   * store is away.
   */
  #alone: { readonly seq: number; readonly reason: string; readonly isAside: boolean }[] = [];
  /** Whether others have passed since an event that is set aside was tried, and which one that was. */
  #asideIsDue = false;
  #lastAside = 0;
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
    const { waiting } = this.#outbox;
    const aside = this.#asideIsDue ? waiting.aside(this.#lastAside) : undefined;
    if (aside) return await this.#tryAside(aside, signal);
    // the next one alone is tried at twice the distance: those to blame may stand side by side
    const alone = this.#alone.filter(({ isAside }) => !isAside).length;
    const rows = waiting.peek({
      maxEvents: alone > 0 ? 1 : this.#limit,
      maxBytes: MAX_BATCH_BYTES,
      skip: 2 ** alone - 1,
    });
    if (rows.length === 0) {
      if (this.#alone.length === 0 && !waiting.aside()) return undefined;
      // nobody else waits, so that nothing tells who is to blame: all of it is tried again
      this.#alone = [];
      this.#asideIsDue = true;
      return 0;
    }
    const outcome = await this.#attempt(rows, signal);
    if (signal.aborted) return 0;
    const failure = outcome.kind === "failed" ? outcome : this.#settle(rows, outcome.answer);
    if (failure) return this.#failed(rows, failure);
    this.#passed();
    return 0;
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
        await sleep(outcome.retryAfterMs ?? pauseMs, signal);
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

  #passed(): void {
    this.#recovered();
    this.#limit = Math.min(MAX_BATCH_EVENTS, this.#limit * 2);
    this.#asideIsDue = true;
    for (const { seq, reason } of this.#alone.splice(0)) {
      const attempts = this.#outbox.waiting.failedAlone(seq);
      if (attempts < GIVE_UP_ATTEMPTS) continue;
      this.#bury(seq, `failed ${attempts} times alone, while others passed: ${reason}`);
    }
  }

  #failed(
    rows: readonly OutboxRow[],
    { meaning, reason, retryAfterMs }: Failed,
    isAside = false,
  ): number {
    this.#noteFailure(reason);
    const [only] = rows.length === 1 ? rows : [];
    if (only && meaning === "too large") {
      this.#bury(only.seq, `alone too large for enrich: ${reason}`);
      return 0;
    }
    if (meaning !== "misconfigured") {
      if (!only) this.#limit = Math.max(1, Math.floor(rows.length / 2));
      else this.#alone.push({ seq: only.seq, reason, isAside });
    }
    return this.#pauseMs(retryAfterMs);
  }

  /** Another attempt of an event that is set aside. */
  async #tryAside(row: OutboxRow, signal: AbortSignal): Promise<number> {
    this.#asideIsDue = false;
    this.#lastAside = row.seq;
    const outcome = await this.#send([row.line], this.#times.patientDeadlineMs, signal);
    if (signal.aborted) return 0;
    const failure = outcome.kind === "failed" ? outcome : this.#settle([row], outcome.answer);
    if (failure) return this.#failed([row], failure, true);
    this.#asideIsDue = true;
    this.#recovered();
    return 0;
  }

  /** Lets go of what was answered. Returns what is wrong where nothing has left the outbox. */
  #settle(rows: readonly OutboxRow[], answer: BatchAnswer): Failed | undefined {
    if (answer.pending.length === rows.length) return TOO_SLOW;
    const problems = answer.problems.flatMap(({ index, reason }) => {
      const row = rows[index];
      return row ? [{ seq: row.seq, reason }] : [];
    });
    const kept = new Set([...answer.pending, ...answer.problems.map(({ index }) => index)]);
    const done = rows.filter((_, index) => !kept.has(index)).map(({ seq }) => seq);
    return this.#letGo({ done, delivered: answer.stored, leftOut: answer.skipped, problems })
      ? undefined
      : NO_ROOM;
  }

  #bury(seq: number, reason: string): void {
    this.#letGo({ done: [], delivered: 0, leftOut: {}, problems: [{ seq, reason }] });
  }

  /** Returns whether anything has left the outbox. */
  #letGo(settlement: Settlement): boolean {
    const buried = this.#outbox.settle(settlement);
    for (const { seq, reason } of buried ?? []) {
      log.warn("Event {seq} went to the dead letters: {reason}", { seq, reason });
    }
    return buried !== undefined && settlement.done.length + buried.length > 0;
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
    return Math.max(pauseMs, retryAfterMs ?? 0);
  }
}
