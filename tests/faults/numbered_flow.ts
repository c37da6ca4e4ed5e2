/** Numbered states of a simulated house, and an event for each ten of them, at a steady pace. */
import type { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { until } from "../until.ts";

const TICK_MS = 20;

export interface FlowOptions {
  /** States a second. */
  readonly perSecond?: number;
  readonly entities?: number;
  /** How long a text each state has as an attribute. */
  readonly textChars?: number;
}

export class NumberedFlow implements Disposable {
  #n = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  readonly #perSecond: number;
  readonly #entities: number;
  readonly #text: string;

  constructor(
    private readonly hass: SimulatedHomeAssistant,
    { perSecond = 100, entities = 10, textChars = 20 }: FlowOptions = {},
  ) {
    this.#perSecond = perSecond;
    this.#entities = entities;
    this.#text = "x".repeat(textChars);
  }

  /** Goes on until `stop`. While Home Assistant is down nothing changes. */
  start(): void {
    const from = performance.now();
    const first = this.#n;
    this.#timer ??= setInterval(() => {
      const due = first + (performance.now() - from) / 1000 * this.#perSecond;
      // what a busy machine has kept from it comes at once, but not all
      for (let i = 0; i < 50 && this.#n < due; i++) this.#one();
    }, TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Fires so many at once. */
  fire(count: number): void {
    for (let i = 0; i < count; i++) this.#one();
  }

  /** Waits until so many more were fired. */
  async more(count: number): Promise<void> {
    const wanted = this.#n + count;
    await until(() => this.#n >= wanted, `${count} more states were set`);
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  #one(): void {
    if (this.hass.life.aborted) return;
    const n = this.#n++;
    const attributes = { note: `${this.#text} ${n}`, half: n / 2 };
    this.hass.setState(`sensor.numbered_${n % this.#entities}`, String(n), attributes);
    if (n % 10 === 0) this.hass.fire("numbered", { n });
  }
}
