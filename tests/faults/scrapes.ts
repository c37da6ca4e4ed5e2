/** Scrapes ingest all the time: each scrape must keep the equation, and take nothing back. */
import { setTimeout as delay } from "node:timers/promises";
import { type Metrics, total, WrongScrape } from "../real/parts/metrics_text.ts";

const EVERY_MS = 50;

export class Scrapes implements AsyncDisposable {
  /** How many were answered. */
  count = 0;
  readonly problems: string[] = [];
  /** Whether counters may begin anew, as those of an outbox that was set aside do. */
  mayBeginAnew = false;
  /** How many events ingest has said are committed while it heard all of them in their order. */
  committedInOrder = 0;
  #inOrder = true;
  #stopped = false;
  #received = 0;
  readonly #running: Promise<void>;

  /** `scrape` throws WrongScrape where what ingest answers cannot be true. */
  constructor(private readonly scrape: () => Promise<Metrics>) {
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
        metrics = await this.scrape();
      } catch (error) {
        // it is down, or ends in the middle of an answer; what it answers must be right
        if (error instanceof WrongScrape) this.problems.push(error.message);
      }
      if (metrics) this.#take(metrics);
      await delay(EVERY_MS);
    }
  }

  #take(metrics: Metrics): void {
    const received = total(metrics, "ingest_events_received_total");
    if (received < this.#received && !this.mayBeginAnew) {
      this.problems.push(`${this.#received} were received, then ${received}`);
    }
    this.count++;
    this.#received = received;
    const dropped = total(metrics, "ingest_events_dropped_total");
    if (total(metrics, "ingest_connections_total") > 1 || dropped > 0) this.#inOrder = false;
    if (this.#inOrder) this.committedInOrder = received;
  }
}
