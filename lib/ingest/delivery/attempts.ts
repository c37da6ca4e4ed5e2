/**
 * The attempts of a batch. While answers are fast it gets three quick ones; then, and while answers
 * are slow, one patient one.
 */
import { sleep } from "../../retry.ts";
import type { Batch } from "../outbox/next_events.ts";
import { WORTH_EVENTS } from "./batch_beside.ts";
import type { DeliveryTimes } from "./delivery_times.ts";
import type { PostEvents, PostOutcome } from "./post_events.ts";

/**
 * Behind a batch of so many events twice as many are gathered, for what a request costs is more than
 * they do. At 100 events/s, where one is to be read within 100 ms, batches stay smaller.
 */
const SEVERAL_EVENTS = 20;

export class Attempts {
  readonly #post: PostEvents;
  readonly #times: DeliveryTimes;
  #quick = true;
  #lastAnswerMs: number | undefined;
  #gatherUntilMs = -Infinity;

  constructor(post: PostEvents, times: DeliveryTimes) {
    this.#post = post;
    this.#times = times;
  }

  /** How long the last answer took, in milliseconds; undefined before the first. */
  get lastAnswerMs(): number | undefined {
    return this.#lastAnswerMs;
  }

  /** Waits until the next batch may go: behind a small one some more events come to go with it. */
  async gathered(signal: AbortSignal): Promise<void> {
    const restMs = this.#gatherUntilMs - performance.now();
    if (restMs > 0) await sleep(restMs, signal);
  }

  /** All that it gets now. `onQuickFailed` hears of each quick one that fails, and how many are left. */
  async all(
    batch: Batch,
    signal: AbortSignal,
    onQuickFailed: (reason: string, left: number) => void,
  ): Promise<PostOutcome> {
    const { quickPausesMs, gatherMs } = this.#times;
    if (batch.seqs.length < WORTH_EVENTS) {
      const factor = batch.seqs.length < SEVERAL_EVENTS ? 1 : 2;
      this.#gatherUntilMs = performance.now() + factor * gatherMs;
    }
    for (let left = quickPausesMs.length; this.#quick; left--) {
      const outcome = await this.quick(batch, signal);
      const isDone = outcome.kind === "answered" || outcome.meaning !== "again";
      if (isDone || signal.aborted) return outcome;
      onQuickFailed(outcome.reason, left);
      if (left === 0) this.#quick = false;
      else await sleep(outcome.retryAfterMs ?? quickPausesMs.at(-left) ?? 0, signal);
    }
    return await this.patient(batch, signal);
  }

  quick(batch: Batch, signal: AbortSignal): Promise<PostOutcome> {
    return this.#send(batch, this.#times.quickDeadlineMs, signal);
  }

  patient(batch: Batch, signal: AbortSignal): Promise<PostOutcome> {
    return this.#send(batch, this.#times.patientDeadlineMs, signal);
  }

  async #send(
    batch: Batch,
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<PostOutcome> {
    const sentMs = performance.now();
    const outcome = await this.#post(batch, deadlineMs, signal);
    if (outcome.kind === "answered") {
      this.#lastAnswerMs = performance.now() - sentMs;
      this.#quick = this.#lastAnswerMs < this.#times.quickDeadlineMs;
    }
    return outcome;
  }
}
