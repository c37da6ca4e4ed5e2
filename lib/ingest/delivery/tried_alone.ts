/**
 * The events that are tried alone: what fails with others around it is tried by itself, and where
 * others pass meanwhile, it is to blame.
 */
import type { Batch } from "../outbox/next_events.ts";
import type { WaitingEvents } from "../outbox/waiting_events.ts";

/** An event that has failed alone so often, while others passed, goes to the dead letters. */
const GIVE_UP_ATTEMPTS = 10;

export class TriedAlone {
  readonly #waiting: WaitingEvents;
  /**
   * Events that have failed alone, one after the other. What is tried next tells whether they are to
   * blame: where that passes, each has failed once more; as long as everything fails, enrich or the
   * store is away.
   */
  #failed: { readonly seq: number; readonly reason: string; readonly isAside: boolean }[] = [];
  /** Whether others have passed since an event that is set aside was tried, and which one that was. */
  #isDue = false;
  #last = 0;
  /** How often all that was tried has failed, with nobody else left to try. */
  #rounds = 0;

  constructor(waiting: WaitingEvents) {
    this.#waiting = waiting;
  }

  /** How many of those that are not set aside have failed: what is tried next is tried alone. */
  get failures(): number {
    return this.#failed.filter(({ isAside }) => !isAside).length;
  }

  /**
   * How many others stand before the one that is tried next: each time about twice as many, for those
   * to blame may stand side by side, and in each round other ones, so that all are tried at last.
   */
  get skip(): number {
    if (this.failures === 0) return 0;
    const distance = 2 ** (this.failures - 1);
    return 2 * distance - 1 - this.#rounds % distance;
  }

  /** The event that is set aside and is to be tried now, or undefined where others come first. */
  next(): Batch | undefined {
    const batch = this.#isDue ? this.#waiting.aside(this.#last) : undefined;
    this.#isDue = false;
    this.#last = batch?.seqs[0] ?? this.#last;
    return batch;
  }

  /** What is set aside is to be tried: others have passed, or there is nobody else. */
  due(): void {
    this.#isDue = true;
  }

  failed(seq: number, reason: string, isAside: boolean): void {
    this.#failed.push({ seq, reason, isAside });
  }

  /**
   * Others have passed: what has failed alone is set aside, and has failed once more. Returns those
   * of it, and those to be given up with why.
   */
  passed(): { seqs: number[]; givenUp: { seq: number; reason: string }[] } {
    this.#isDue = true;
    this.#rounds = 0;
    // one that was tried twice meanwhile has failed once
    const failed = [...new Map(this.#failed.splice(0).map((one) => [one.seq, one])).values()];
    const givenUp = failed.flatMap(({ seq, reason }) => {
      const attempts = this.#waiting.failedAlone(seq);
      return attempts < GIVE_UP_ATTEMPTS
        ? []
        : [{ seq, reason: `failed ${attempts} times alone, while others passed: ${reason}` }];
    });
    return { seqs: failed.map(({ seq }) => seq), givenUp };
  }

  /**
   * Nobody else waits, so that nothing tells who is to blame: all of it is tried again. Returns
   * false where there is nothing.
   */
  tryAgain(): boolean {
    if (this.#failed.length === 0 && !this.#waiting.aside()) return false;
    this.#failed = [];
    this.#rounds++;
    this.#isDue = true;
    return true;
  }
}
