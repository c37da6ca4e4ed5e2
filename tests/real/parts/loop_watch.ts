/** How long a program's event loop is busy at a stretch, as seen from outside. */
import { setTimeout as delay } from "node:timers/promises";
import type { Program } from "./programs.ts";

const EVERY_MS = 5;

/** Asks `/health/live` again and again: an answer takes at least as long as the turn that it waits for. */
export class LoopWatch implements AsyncDisposable {
  readonly #running: Promise<void>;
  #stopped = false;
  #longestMs = 0;
  #answers = 0;

  constructor(private readonly program: Program) {
    this.#running = this.#run();
  }

  /** The longest answer since the last call, in milliseconds, and how many there were. */
  take(): { readonly longestMs: number; readonly answers: number } {
    const taken = { longestMs: this.#longestMs, answers: this.#answers };
    this.#longestMs = this.#answers = 0;
    return taken;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const startedMs = performance.now();
      try {
        await (await fetch(`${this.program.url}/health/live`)).body?.cancel();
        this.#longestMs = Math.max(this.#longestMs, performance.now() - startedMs);
        this.#answers++;
      } catch {
        // it is off
      }
      await delay(EVERY_MS);
    }
  }
}
