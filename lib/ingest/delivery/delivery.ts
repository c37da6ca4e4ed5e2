/**
 * Delivery: the outbox's events to enrich, oldest first, for as long as it takes. While all goes well and
 * many wait there is a second batch in flight; who is to blame for a failure, and how the next ones
 * are tried, is told by the first ones alone. Nothing is dropped because something else failed.
 */
import { type BatchAnswer, MAX_BATCH_BYTES, MAX_BATCH_EVENTS } from "../../contract.ts";
import { sleep } from "../../retry.ts";
import type { Outbox } from "../outbox/outbox.ts";
import type { Settlement } from "../outbox/settlement.ts";
import type { Batch, BatchSize } from "../outbox/next_events.ts";
import { answeredRows } from "./answered_rows.ts";
import { Attempts } from "./attempts.ts";
import { BatchBeside } from "./batch_beside.ts";
import { BuriedLog } from "./buried_log.ts";
import { DELIVERY_TIMES, type DeliveryTimes } from "./delivery_times.ts";
import { LimitedEvents } from "./limited_events.ts";
import { Outage } from "./outage.ts";
import type { PostEvents, PostOutcome } from "./post_events.ts";
import { TriedAlone } from "./tried_alone.ts";

export interface DeliveryOptions {
  readonly outbox: Outbox;
  readonly post: PostEvents;
  readonly times?: DeliveryTimes;
}

type Failed = Extract<PostOutcome, { kind: "failed" }>;

/** Every event was answered with "pending": a step that leads nowhere is a failure. */
const TOO_SLOW: Failed = {
  kind: "failed",
  meaning: "again",
  reason: "could store nothing in time: the store is too slow",
};
const PENDING_ALONE: Failed = {
  kind: "failed",
  meaning: "again",
  reason: "could not store it in time: the store fails at it, or is too slow",
};
/** No event is to blame: what enrich has answered cannot be noted, and is asked again. */
const NO_ROOM: Failed = {
  kind: "failed",
  meaning: "misconfigured",
  reason: "has answered, but there is no room to note it",
};

export class Delivery {
  readonly #outbox: Outbox;
  readonly #attempts: Attempts;
  readonly #outage: Outage;
  readonly #alone: TriedAlone;
  readonly #beside: BatchBeside;
  readonly #buried = new BuriedLog();
  /** What a limit of the store holds. */
  readonly limited: LimitedEvents;
  /** How many events the next batch may have. */
  #limit = MAX_BATCH_EVENTS;
  /** Whether nothing has failed since a batch was answered whole that was sent after the last failure. */
  #flows = false;
  /** The last row of the batch in flight. */
  #lastInFlight: number | undefined;

  constructor({ outbox, post, times = DELIVERY_TIMES }: DeliveryOptions) {
    this.#outbox = outbox;
    this.#attempts = new Attempts(post, times);
    this.#outage = new Outage(times);
    this.#alone = new TriedAlone(outbox.waiting);
    this.#beside = new BatchBeside({
      behind: () => this.#besideWhich(),
      next: (behind) => outbox.waiting.next.peekBehind(behind, this.#size()),
      deliver: (batch, signal) => this.#deliverBeside(batch, signal),
    });
    this.limited = new LimitedEvents(outbox, times);
  }

  /** Why nothing gets through, and since when, or undefined while all is well. */
  get problem(): Outage["now"] {
    return this.#outage.now;
  }

  /** How many events the next batch may have: small while enrich fails. */
  get batchLimit(): number {
    return this.#limit;
  }

  /** How long the last answer took, in milliseconds. */
  get lastAnswerMs(): number | undefined {
    return this.#attempts.lastAnswerMs;
  }

  /** Delivers until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#outbox.waiting.next.findFirst(signal);
    await Promise.all([this.#deliver(signal), this.limited.run(signal)]);
    this.#buried.end();
  }

  async #deliver(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#attempts.gathered(signal);
      const more = this.#outbox.changed(signal);
      const waitMs = await this.#deliverNext(signal);
      if (waitMs === undefined) await more;
      else if (waitMs > 0) await sleep(waitMs, signal);
    }
    await this.#beside.ended;
  }

  /** Resolves when nothing waits that can be stored now, nothing gets through, or the signal is aborted. */
  async drained(signal: AbortSignal): Promise<void> {
    const isDone = () => this.#outbox.counters().waiting <= this.limited.count;
    while (!signal.aborted && !this.problem && !isDone()) await this.#outbox.changed(signal);
  }

  /** One batch. Returns the pause before the next, or undefined where nothing waits. */
  async #deliverNext(signal: AbortSignal): Promise<number | undefined> {
    const aside = this.#alone.next();
    if (aside) return await this.#tryAside(aside, signal);
    const { failures, skip } = this.#alone;
    const { inFlight } = this.#beside;
    const size = this.#size(failures > 0 ? 1 : this.#limit);
    const batch = this.#outbox.waiting.next.peek({ ...size, skip, inFlight });
    if (batch.seqs.length === 0) {
      if (inFlight) {
        await this.#beside.ended;
        return 0;
      }
      if (this.#alone.tryAgain()) return 0;
      // the last that failed may have become a dead letter: nothing is kept from being delivered
      this.#outage.over();
      return undefined;
    }
    this.#lastInFlight = batch.seqs.at(-1);
    this.#beside.start(signal);
    const outcome = await this.#attempts.all(batch, signal, (reason, left) => {
      this.#flows = false;
      if (left === 0) this.#outage.note(reason);
    });
    this.#lastInFlight = undefined;
    if (signal.aborted) return 0;
    if (outcome.kind === "failed") return this.#failed(batch, outcome);
    const failure = this.#settle(batch, outcome.answer);
    if (failure) return this.#failed(batch, failure);
    this.#flows = isWhole(outcome.answer);
    // what is left out, refused or held by a limit may never have come to the store: that it has its
    // answer is no sign that others pass
    const isStored = outcome.answer.stored > 0;
    if (isStored || failures === 0) {
      this.#outage.over();
      this.#limit = Math.min(MAX_BATCH_EVENTS, this.#limit * 2);
    }
    if (isStored) this.#passed();
    return 0;
  }

  #size(maxEvents = this.#limit): BatchSize {
    return { maxEvents, maxBytes: MAX_BATCH_BYTES };
  }

  /** What is in flight, where another batch may go beside it: not while anything fails. */
  #besideWhich(): number | undefined {
    const isWell = this.#flows && this.#limit === MAX_BATCH_EVENTS && this.#alone.failures === 0;
    return isWell ? this.#lastInFlight : undefined;
  }

  async #deliverBeside(batch: Batch, signal: AbortSignal): Promise<void> {
    const outcome = await this.#attempts.quick(batch, signal);
    if (signal.aborted) return;
    const isWell = outcome.kind === "answered" && !this.#settle(batch, outcome.answer) &&
      isWhole(outcome.answer);
    // that it flows again only those tell that were sent after a failure
    if (!isWell) this.#flows = false;
  }

  /** What failed alone before these is to blame. */
  #passed(): void {
    const { seqs, givenUp } = this.#alone.passed();
    for (const { seq, reason } of givenUp) this.#bury(seq, reason);
    this.limited.answered(seqs, false);
  }

  #failed(
    { seqs }: Batch,
    { meaning, reason, retryAfterMs }: Failed,
    isAside = false,
  ): number {
    this.#flows = false;
    // one that is set aside says nothing of the others, where there are any
    const isOnly = () => this.#outbox.waiting.next.peek(this.#size(1)).seqs.length === 0;
    if (!isAside || isOnly()) this.#outage.note(reason);
    const only = seqs.length === 1 ? seqs[0] : undefined;
    if (only !== undefined && meaning === "too large") {
      const isBuried = this.#bury(only, `alone too large for enrich: ${reason}`);
      return isBuried ? 0 : this.#outage.pauseMs(retryAfterMs);
    }
    if (meaning !== "misconfigured") {
      if (only === undefined) this.#limit = Math.max(1, Math.floor(seqs.length / 2));
      else this.#alone.failed(only, reason, isAside);
    }
    return this.#outage.pauseMs(retryAfterMs);
  }

  /** Another attempt of an event that is set aside. */
  async #tryAside(batch: Batch, signal: AbortSignal): Promise<number> {
    const outcome = await this.#attempts.patient(batch, signal);
    if (signal.aborted) return 0;
    const failure = outcome.kind === "failed" ? outcome : this.#settle(batch, outcome.answer);
    if (failure) return this.#failed(batch, failure, true);
    this.#alone.due();
    this.#outage.over();
    return 0;
  }

  /** Lets go of what was answered, and sets aside. Returns what is wrong where neither was to be done. */
  #settle(batch: Batch, answer: BatchAnswer): Failed | undefined {
    const { settlement, limited, suspects } = answeredRows(batch, answer);
    const { length } = batch.seqs;
    if (answer.pending.length === length && limited.length === 0) {
      return length === 1 ? PENDING_ALONE : TOO_SLOW;
    }
    const letGo = this.#letGo(settlement);
    this.#outbox.waiting.suspect(suspects);
    this.limited.answered(suspects, false);
    return this.limited.hold(limited) || letGo ? undefined : NO_ROOM;
  }

  /** Returns false where there is no room for a dead letter. */
  #bury(seq: number, reason: string): boolean {
    return this.#letGo({ done: [], delivered: 0, leftOut: {}, problems: [{ seq, reason }] });
  }

  /** Returns whether anything has left the outbox. */
  #letGo(settlement: Settlement): boolean {
    const buried = this.#outbox.settle(settlement);
    for (const { seq, reason } of buried ?? []) {
      this.#buried.note(seq, reason);
    }
    if (!buried) return false;
    const gone = [...settlement.done, ...buried.map(({ seq }) => seq)];
    this.limited.answered(gone, true);
    return gone.length > 0;
  }
}

/** Whether nothing is pending but what a limit of the store holds. */
function isWhole({ pending, limited }: BatchAnswer): boolean {
  return pending.length === limited.length;
}
