/**
 * Events that failed alone. One is to blame only where the event behind it passes; at the tenth
 * such failure it is given up. Where both fail nobody is to blame: enrich or the store is away.
 */

const GIVE_UP_FAILURES = 10;

interface Suspect {
  failures: number;
  reason: string;
}

export class Suspects {
  /** Set aside, by seq; all but the accused one have failed while others passed. */
  readonly #suspects = new Map<number, Suspect>();
  #accused: number | undefined;
  #due = false;

  /** Whether an event has failed alone for the first time: the one behind it is tried alone too. */
  get firstAccusation(): boolean {
    return this.#accused !== undefined && this.#suspects.get(this.#accused)?.failures === 0;
  }

  /** Events that a batch leaves out. */
  get aside(): ReadonlySet<number> {
    return new Set(this.#suspects.keys());
  }

  /** Whether a suspect is to be tried again now, alone. */
  due(): boolean {
    return this.#due && this.#suspects.size > 0;
  }

  /** The suspect that has waited longest. */
  next(): number | undefined {
    return this.#suspects.keys().next().value;
  }

  /** An event failed alone: it is set aside, and the one behind it is tried. */
  failedAlone(seq: number, reason: string): void {
    this.#due = false;
    if (this.#accused !== undefined && this.#accused !== seq) {
      // two in a row: neither is to blame, and the order is as it was
      const accused = this.#suspects.get(this.#accused);
      if (accused?.failures === 0) this.#suspects.delete(this.#accused);
      this.#accused = undefined;
      return;
    }
    const failures = this.#suspects.get(seq)?.failures ?? 0;
    this.#suspects.delete(seq);
    this.#suspects.set(seq, { failures, reason });
    this.#accused = seq;
  }

  /** Others passed. Returns the accused event where that was its last chance. */
  othersPassed(): { seq: number; failures: number; reason: string } | undefined {
    this.#due = true;
    const seq = this.#accused;
    const suspect = seq === undefined ? undefined : this.#suspects.get(seq);
    this.#accused = undefined;
    if (seq === undefined || !suspect) return undefined;
    suspect.failures++;
    return suspect.failures >= GIVE_UP_FAILURES ? { seq, ...suspect } : undefined;
  }

  /** Nobody else waits: the suspects are all there is to try. */
  nobodyElse(): void {
    this.#due = true;
  }

  /** The event has left the outbox. */
  cleared(seq: number): void {
    this.#suspects.delete(seq);
    if (this.#accused === seq) this.#accused = undefined;
  }
}
