/**
 * Home Assistant's clock as ingest hears it: the newest stamp, plus the time since by this
 * machine's monotonic clock. What ingest itself makes is dated by it, never by the local clock,
 * which can be an hour off.
 */
export class HassClock {
  #newestUs: number | undefined;
  #heardMs = 0;

  /** Takes a stamp of Home Assistant's, in microseconds since 1970. */
  hear(timeUs: number): void {
    if (timeUs <= (this.nowUs() ?? -Infinity)) return;
    this.#newestUs = timeUs;
    this.#heardMs = performance.now();
  }

  /** Microseconds since 1970, or undefined while nothing has been heard. */
  nowUs(): number | undefined {
    if (this.#newestUs === undefined) return undefined;
    return this.#newestUs + Math.round((performance.now() - this.#heardMs) * 1000);
  }
}
