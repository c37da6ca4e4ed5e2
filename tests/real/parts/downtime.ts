/** When ingest could not capture, as seen from outside. */
import { setTimeout as delay } from "node:timers/promises";
import { equationOf } from "./metrics_text.ts";
import type { Program } from "./programs.ts";
import { nowMs } from "./reader.ts";
import { until } from "../../until.ts";

const SAMPLE_MS = 25;
/** So many scrapes alike: nothing more comes in. */
const STILL_SAMPLES = 4;
/** How long before a kill an event may have been fired that was not yet on the disk. */
const COMMIT_MS = 100;

interface Sample {
  readonly atMs: number;
  /** Undefined where its metrics could not be reached. */
  readonly received: number | undefined;
}

/** From 100 ms before a kill until ingest was seen to receive again; milliseconds since 1970. */
export interface Downtime {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Scrapes ingest without a pause; every scrape checks the equation. */
export class Watch implements AsyncDisposable {
  readonly #samples: Sample[] = [];
  readonly #running: Promise<void>;
  #problem: unknown;
  #stopped = false;

  constructor(private readonly ingest: Program) {
    this.#running = this.#run();
  }

  /** How many scrapes succeeded. Throws where one broke the equation. */
  get scrapes(): number {
    if (this.#problem !== undefined) throw this.#problem;
    return this.#samples.filter(({ received }) => received !== undefined)
      .length;
  }

  /**
   * Kills something without which ingest cannot capture, starts it again, and waits until
   * ingest has received something since: its counter has risen above where it stood still.
   */
  async interrupt(kill: () => Promise<void>, start: () => Promise<void>): Promise<Downtime> {
    const fromMs = nowMs() - COMMIT_MS;
    await kill();
    const killedMs = nowMs();
    await until(() => {
      const last = this.#samples.slice(-STILL_SAMPLES);
      const [first] = last;
      return first !== undefined && first.atMs > killedMs &&
        last.every(({ received }) => received === first.received);
    }, "ingest receives nothing more");
    const still = this.#samples.at(-1)?.received;
    const startedMs = nowMs();
    await start();
    return await until(() => {
      const reached = this.#samples.filter(({ atMs, received }) =>
        atMs > startedMs && received !== undefined
      );
      const stood = still ?? reached[0]?.received ?? Infinity;
      const risen = reached.find(({ received = 0 }) => received > stood);
      return risen && { fromMs, untilMs: risen.atMs };
    }, "ingest receives again");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      let received: number | undefined;
      try {
        received = equationOf(await this.ingest.metrics()).received;
      } catch (error) {
        // fetch's TypeError: it is down; whatever it answers must be right
        if (!(error instanceof TypeError)) this.#problem ??= error;
      }
      this.#samples.push({ atMs: nowMs(), received });
      await delay(SAMPLE_MS);
    }
  }
}
