/** A simulated Home Assistant that some commands get no answer from, and a clock to set it by. */
import type { Client } from "../simulator/client.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import type { Json } from "../simulator/schema.ts";

export class SilentHomeAssistant extends SimulatedHomeAssistant {
  /** Whether a command of that type gets no answer. */
  ignores: (type: string) => boolean = () => false;

  override execute(client: Client, id: number, message: Json): boolean {
    return this.ignores(String(message.type)) || super.execute(client, id, message);
  }
}

/** Runs as true clocks do, from a chosen moment on, and can be put forward. */
export class SetClock {
  readonly #startedMs = performance.now();
  #fromMs: number;
  #standsAtUs: number | undefined;

  constructor(fromMs: number) {
    this.#fromMs = fromMs;
  }

  get nowMs(): number {
    return this.#fromMs + performance.now() - this.#startedMs;
  }

  /** Seconds since 1970, as a simulated Home Assistant asks for them. */
  readonly seconds = (): number =>
    this.#standsAtUs === undefined ? this.nowMs / 1000 : this.#standsAtUs / 1e6;

  forward(minutes: number): void {
    this.#fromMs += minutes * 60_000;
  }

  /** Stands at that microsecond while the work is done. */
  at(us: number, work: () => void): void {
    this.#standsAtUs = us;
    work();
    this.#standsAtUs = undefined;
  }

  /** Puts it forward to that moment. */
  set(ms: number): void {
    this.#fromMs += Math.max(0, ms - this.nowMs);
  }
}
