/** Scrapes ingest all the time: each scrape must keep the equation, and take nothing back. */
import { setTimeout as delay } from "node:timers/promises";
import { equationOf, type Metrics, total } from "../real/parts/metrics_text.ts";
import type { Program } from "../real/parts/programs.ts";

const EVERY_MS = 50;

export class Scrapes implements AsyncDisposable {
  /** How many were answered. */
  count = 0;
  readonly problems: string[] = [];
  last: Metrics = new Map();
  /** Whether counters may begin anew, as those of an outbox that was set aside do. */
  mayBeginAnew = false;
  /** How many events ingest has said are committed while it heard all of them in their order. */
  committedInOrder = 0;
  #inOrder = true;
  #stopped = false;
  #received = 0;
  readonly #running: Promise<void>;

  constructor(private readonly ingest: Program) {
    this.#running = this.#run();
  }

  /** From now on how many are received does not say which. */
  lostOrder(): void {
    this.#inOrder = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      let metrics: Metrics | undefined;
      try {
        metrics = await this.ingest.metrics();
      } catch (error) {
        // it is down, or does not answer; what it answers must be right
        if (error instanceof Error && /equation|metric|read/i.test(error.message)) {
          this.problems.push(error.message);
        }
      }
      if (metrics) this.#take(metrics);
      await delay(EVERY_MS);
    }
  }

  #take(metrics: Metrics): void {
    const { received, ends, text } = equationOf(metrics);
    if (received !== ends) this.problems.push(text);
    if (received < this.#received && !this.mayBeginAnew) {
      this.problems.push(`${this.#received} were received, then ${received}`);
    }
    this.count++;
    this.#received = received;
    this.last = metrics;
    const dropped = total(metrics, "ingest_events_dropped_total");
    if (total(metrics, "ingest_connections_total") > 1 || dropped > 0) this.#inOrder = false;
    if (this.#inOrder) this.committedInOrder = received;
  }
}
