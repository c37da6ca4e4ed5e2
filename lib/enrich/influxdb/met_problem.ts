/** What is wrong with InfluxDB, as writes have met it, and as a write of nothing has. */

/**
 * What a write has met is not cleared by a write of nothing, which may pass while no other does,
 * unless there has been no write for so long: where others store the events, none may come.
 */
const WRITES_MISSED_MS = 600_000;

interface Met {
  readonly text: string;
  readonly atMs: number;
}

export class MetProblem {
  readonly #monotonicMs: () => number;
  #byWrite: Met | undefined;
  #byNothing: Met | undefined;

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** What was met last, or undefined while all is well. */
  get text(): string | undefined {
    const [write, nothing] = [this.#byWrite, this.#byNothing];
    return nothing && nothing.atMs >= (write?.atMs ?? 0) ? nothing.text : write?.text;
  }

  /** `byWrite`: whether a write has met it, or a write of nothing. */
  note(text: string, byWrite: boolean): void {
    const met = { text, atMs: this.#monotonicMs() };
    if (byWrite) this.#byWrite = met;
    else this.#byNothing = met;
  }

  /** A write has passed. */
  clear(): void {
    this.#byWrite = this.#byNothing = undefined;
  }

  /** A write of nothing has passed. */
  clearOfNothing(): void {
    this.#byNothing = undefined;
    if (this.#monotonicMs() - (this.#byWrite?.atMs ?? 0) > WRITES_MISSED_MS) {
      this.#byWrite = undefined;
    }
  }
}
