/** That nothing gets through: why, since when, and how long until the next attempt. */
import { getLogger } from "../../log.ts";
import { backoffMs } from "../../retry.ts";
import type { DeliveryTimes } from "./delivery_times.ts";

const log = getLogger("ingest", "delivery");

export class Outage {
  readonly #times: DeliveryTimes;
  #now: { readonly reason: string; readonly sinceMs: number } | undefined;
  #pauses = 0;

  constructor(times: DeliveryTimes) {
    this.#times = times;
  }

  /** Why nothing gets through, and since when, or undefined while all is well. */
  get now(): { readonly reason: string; readonly forMs: number } | undefined {
    if (!this.#now) return undefined;
    const { reason, sinceMs } = this.#now;
    return { reason, forMs: performance.now() - sinceMs };
  }

  note(reason: string): void {
    if (this.#now?.reason !== reason) {
      log.warn("Cannot deliver, events wait in the outbox: enrich {reason}", { reason });
    }
    this.#now = { reason, sinceMs: this.#now?.sinceMs ?? performance.now() };
  }

  over(): void {
    if (this.#now) {
      const seconds = Math.round((performance.now() - this.#now.sinceMs) / 1000);
      log.info("Delivering again after {seconds} s", { seconds });
    }
    this.#now = undefined;
    this.#pauses = 0;
  }

  /** How long to pause, in milliseconds: longer each time, and no less than enrich asks for. */
  pauseMs(retryAfterMs = 0): number {
    const { backoffBaseMs: baseMs, backoffMaxMs: maxMs } = this.#times;
    // 1 → 30 s apart: jitter alone could make a pause of nothing
    const pauseMs = Math.max(baseMs / 2, backoffMs(this.#pauses++, { baseMs, maxMs }));
    return Math.max(pauseMs, retryAfterMs);
  }
}
