/**
 * A second batch in flight, while all goes well and many events wait: enrich and the store work at it
 * while ingest settles the first one and reads the next. It blames nobody: what fails beside is free
 * again, and its turn with the first ones comes.
 */
import type { Batch, SeqRange } from "../outbox/next_events.ts";

/** So many events are worth a request of their own at once. */
export const WORTH_EVENTS = 500;

interface BatchBesideOptions {
  /** The last row of the batch in flight; undefined while there is none, or all does not go well. */
  readonly behind: () => number | undefined;
  /** The events behind the one of that number. */
  readonly next: (behind: number) => Batch;
  /** Sends and settles them. Throws where SQLite fails. */
  readonly deliver: (batch: Batch, signal: AbortSignal) => Promise<void>;
}

export class BatchBeside {
  readonly #options: BatchBesideOptions;
  #inFlight: SeqRange | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: BatchBesideOptions) {
    this.#options = options;
  }

  /** Its rows, which no other batch may have. */
  get inFlight(): SeqRange | undefined {
    return this.#inFlight;
  }

  /** Settles once none is in flight. Rejects where SQLite failed. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Sends one, unless there is one, and the next when it has its answer, for as long as it is worth it. */
  start(signal: AbortSignal): void {
    if (this.#inFlight) return;
    this.#ended = this.#run(signal);
    // it is heard of by who waits for the end
    this.#ended.catch(() => {});
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { behind, next, deliver } = this.#options;
    for (let last = behind(); last !== undefined && !signal.aborted; last = behind()) {
      const batch = next(last);
      const [from, to] = [batch.seqs[0], batch.seqs.at(-1)];
      if (from === undefined || to === undefined || batch.seqs.length < WORTH_EVENTS) return;
      this.#inFlight = { from, to };
      try {
        await deliver(batch, signal);
      } finally {
        this.#inFlight = undefined;
      }
    }
  }
}
