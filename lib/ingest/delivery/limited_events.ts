/**
 * The events that a limit of the store holds (too many series, tag values, tables): set aside, and
 * tried again together, further and further apart.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { MAX_BATCH_EVENTS } from "../../contract.ts";
import { getLogger } from "../../log.ts";
import { sleep } from "../../retry.ts";
import { isFull } from "../../sqlite.ts";
import type { Outbox } from "../outbox/outbox.ts";
import type { DeliveryTimes } from "./delivery_times.ts";

const log = getLogger("ingest", "delivery");

/** So many batches are tried although none of their events gets through: each costs the store much. */
const TRY_BATCHES = 10;
/** Below what a timer takes (2³¹ ms). */
const LONGEST_SLEEP_MS = 1e9;

export class LimitedEvents {
  readonly #outbox: Outbox;
  readonly #times: DeliveryTimes;
  /** Those that were released and have no answer yet: to the outside they are still held. */
  readonly #tried = new Set<number>();
  /** Up to which event the others have been tried, and how many batches more are. */
  #after = 0;
  #batchesLeft = TRY_BATCHES;
  #gotThrough = false;
  #pauseMs: number;
  /** The next try, by performance.now(): at the start one is due. */
  #dueMs = 0;
  #wake = new AbortController();
  #reason: string | undefined;

  constructor(outbox: Outbox, times: DeliveryTimes) {
    this.#outbox = outbox;
    this.#times = times;
    this.#pauseMs = times.limitedMinMs;
  }

  get count(): number {
    return this.#outbox.waiting.limited + this.#tried.size;
  }

  /** Which limit it is, as enrich said last; undefined before it has since the start. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** Milliseconds to the next try, or undefined where none is planned or one is under way. */
  get nextTryMs(): number | undefined {
    return this.#dueMs === Infinity ? undefined : Math.max(0, this.#dueMs - performance.now());
  }

  /** Has all of them tried at once, as a person wants who has raised the limit. */
  tryNow(): void {
    this.#after = 0;
    this.#batchesLeft = Infinity;
    this.#pauseMs = this.#times.limitedMinMs;
    if (this.#tried.size === 0) this.#plan(0);
  }

  /** Sets these aside. Returns false where the file has no room to note it: they are sent again. */
  hold(limited: readonly { readonly seq: number; readonly reason: string }[]): boolean {
    const [first] = limited;
    if (!first) return false;
    const seqs = limited.map(({ seq }) => seq);
    const isNoted = this.#outbox.waiting.limit(seqs);
    if (isNoted) {
      if (this.#reason === undefined) {
        log.warn("Events wait because of a limit of the store: {reason}", { reason: first.reason });
      }
      this.#reason = first.reason;
      if (this.#tried.size === 0 && this.#dueMs === Infinity) this.#planLater();
    }
    this.answered(seqs, false);
    return isNoted;
  }

  /** These are tried no more: they have got through, or are set aside. */
  answered(seqs: readonly number[], gotThrough: boolean): void {
    const before = this.#tried.size;
    for (const seq of seqs) {
      if (this.#tried.delete(seq)) this.#gotThrough ||= gotThrough;
    }
    if (before > 0 && this.#tried.size === 0) this.#batchTried();
  }

  /** Tries them whenever it is time to, until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const restMs = this.#dueMs - performance.now();
      const woken = AbortSignal.any([signal, this.#wake.signal]);
      if (restMs > 0) await sleep(Math.min(restMs, LONGEST_SLEEP_MS), woken);
      else {
        // a batch of other events goes between two of these
        await nextTurn();
        if (!signal.aborted) this.#release();
      }
    }
  }

  #release(): void {
    try {
      const released = this.#outbox.release(this.#after, MAX_BATCH_EVENTS);
      if (!released) {
        // the last try ended at the very last one: this one begins with the first
        const isUntried = this.#after > 0 && this.#batchesLeft === TRY_BATCHES;
        if (!isUntried) return this.#end();
        this.#after = 0;
        return this.#plan(0);
      }
      this.#dueMs = Infinity;
      this.#after = released.last;
      for (const seq of released.seqs) this.#tried.add(seq);
      // 0.1.0 may have delivered all of them
      if (this.#tried.size === 0) this.#plan(0);
    } catch (error) {
      if (!isFull(error)) throw error;
      this.#end();
    }
  }

  #batchTried(): void {
    if (this.#gotThrough) {
      this.#batchesLeft = Math.max(this.#batchesLeft, TRY_BATCHES);
      this.#pauseMs = this.#times.limitedMinMs;
    } else this.#batchesLeft--;
    this.#gotThrough = false;
    if (this.#batchesLeft > 0) this.#plan(0);
    else this.#end(false);
  }

  /** The try is over. `isRound`: none is left behind those that were tried. */
  #end(isRound = true): void {
    if (isRound) this.#after = 0;
    this.#batchesLeft = TRY_BATCHES;
    if (this.#outbox.waiting.limited > 0) return this.#planLater();
    if (this.#reason !== undefined) log.info("No limit of the store holds events any more");
    this.#reason = undefined;
    this.#pauseMs = this.#times.limitedMinMs;
    this.#plan(Infinity);
  }

  #planLater(): void {
    this.#plan(this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, this.#times.limitedMaxMs);
  }

  #plan(pauseMs: number): void {
    this.#dueMs = performance.now() + pauseMs;
    this.#wake.abort();
    this.#wake = new AbortController();
  }
}
