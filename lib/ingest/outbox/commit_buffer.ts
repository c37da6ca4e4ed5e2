/** What has just arrived, for the moment until it is committed together. */
import type { Spooled } from "./state_chain.ts";

/**
 * Behind so many events that were committed together twice as long is waited for the next ones: where
 * 400 and more come in a second, what each commit costs is more than they do.
 */
const SEVERAL_EVENTS = 8;
/** So many characters are committed at once: others wait for that, and no transaction outgrows the log. */
const FLUSH_CHARS = 1_000_000;

export class CommitBuffer {
  readonly #commit: (events: readonly Spooled[]) => void;
  readonly #intervalMs: number;
  #events: Spooled[] = [];
  #chars = 0;
  /** How many were committed last. */
  #last = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * `commit` gets what was added, `intervalMs` after the first of it at the latest, or twice as long
   * while several come.
   */
  constructor(commit: (events: readonly Spooled[]) => void, intervalMs: number) {
    this.#commit = commit;
    this.#intervalMs = intervalMs;
  }

  add(event: Spooled): void {
    this.#events.push(event);
    this.#chars += event.line.length;
    if (this.#chars >= FLUSH_CHARS) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), this.#waitMs);
  }

  get #waitMs(): number {
    return this.#last < SEVERAL_EVENTS ? this.#intervalMs : 2 * this.#intervalMs;
  }

  /** Has what was added committed now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#events.length === 0) return;
    const events = this.#events;
    this.#last = events.length;
    this.#events = [];
    this.#chars = 0;
    this.#commit(events);
  }
}
