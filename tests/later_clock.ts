/** Stands for time that passes: this process's monotonic clock, so much later than it is, until disposed of. */
export class LaterClock implements Disposable {
  readonly #now = performance.now;

  constructor(passedMs: () => number) {
    const now = this.#now.bind(performance);
    performance.now = () => now() + passedMs();
  }

  [Symbol.dispose](): void {
    performance.now = this.#now;
  }
}
