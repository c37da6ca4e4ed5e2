/**
 * Home Assistant's clock as ingest hears it: the last stamp that was given just now, plus the time
 * since by this machine's monotonic clock. What ingest itself makes is dated by it, never by the
 * local clock, which can be an hour off. It goes back where Home Assistant's does.
 */
export class HassClock {
  #us: number | undefined;
  #atMs = 0;
  #isHeard = false;

  /**
   * Takes what Home Assistant's clock says, in microseconds since 1970, now or at `atMs` of the monotonic
   * clock, in milliseconds.
   */
  hear(timeUs: number, atMs = performance.now()): void {
    this.#isHeard = true;
    this.#us = timeUs;
    this.#atMs = atMs;
  }

  /** Takes the stamp of a present state: while nothing better is known it is at least so late. */
  atLeast(timeUs: number): void {
    if (this.#isHeard || timeUs <= (this.nowUs() ?? -Infinity)) return;
    this.#us = timeUs;
    this.#atMs = performance.now();
  }

  /** Whether `nowUs` is Home Assistant's time: a state can have a stamp of a clock that ran ahead. */
  get isHeard(): boolean {
    return this.#isHeard;
  }

  /** Microseconds since 1970, or undefined while nothing has been heard. */
  nowUs(): number | undefined {
    if (this.#us === undefined) return undefined;
    return this.#us + Math.round((performance.now() - this.#atMs) * 1000);
  }
}
