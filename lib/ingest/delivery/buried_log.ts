/** What the log says of events that become dead letters: each where they are few, in a flood how many. */
import { getLogger } from "../../log.ts";

const log = getLogger("ingest", "delivery");

/** So many a minute are named one by one. The letters themselves keep every reason. */
const MAX_NAMED = 10;
const WINDOW_MS = 60_000;

export class BuriedLog {
  readonly #windowMs: number;
  #named = 0;
  #unnamed = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(windowMs = WINDOW_MS) {
    this.#windowMs = windowMs;
  }

  note(seq: number, reason: string): void {
    this.#timer ??= this.#begin();
    if (this.#named === MAX_NAMED) return void this.#unnamed++;
    this.#named++;
    log.warn("Event {seq} went to the dead letters: {reason}", { seq, reason });
  }

  /** Says what is not said yet. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#named = 0;
    if (this.#unnamed === 0) return;
    log.warn("{count} more events went to the dead letters; see them by ingest dead-letters list", {
      count: this.#unnamed,
    });
    this.#unnamed = 0;
  }

  #begin() {
    const timer = setTimeout(() => this.end(), this.#windowMs);
    // a program that ends says it by itself
    Deno.unrefTimer(timer);
    return timer;
  }
}
