/** Counts of the last hour, so that a page that is opened has a past to show. */

const STEP_MS = 10_000;
const STEPS_A_MINUTE = 60_000 / STEP_MS;
const KEPT = 61 * STEPS_A_MINUTE;

type Counters = Readonly<Record<string, number>>;

export class PerMinute {
  readonly #read: () => Counters;
  /** What the counters were every `STEP_MS`, the oldest first. */
  readonly #samples: Counters[];

  /** `read` gives counters that only grow. They are looked at until the signal is aborted. */
  constructor(read: () => Counters, signal: AbortSignal) {
    this.#read = read;
    this.#samples = [read()];
    const timer = setInterval(() => this.sample(), STEP_MS);
    // where a program cannot begin, nobody aborts the signal
    Deno.unrefTimer(timer);
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  /** Keeps what the counters are now. */
  sample(): void {
    this.#samples.push(this.#read());
    if (this.#samples.length > KEPT) this.#samples.shift();
  }

  /** How much each counter has grown in the last minute. */
  now(): Counters {
    return this.#grown(this.#read(), this.#samples.length);
  }

  /** What `now` was every ten seconds of the last hour, or since the program's start. */
  history(): Counters[] {
    return this.#samples.map((sample, at) => this.#grown(sample, at));
  }

  #grown(counters: Counters, at: number): Counters {
    const before = this.#samples[Math.max(0, at - STEPS_A_MINUTE)];
    return Object.fromEntries(
      Object.entries(counters).map(([name, n]) => [name, n - (before?.[name] ?? n)]),
    );
  }
}
