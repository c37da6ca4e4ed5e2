/** What has just arrived, for the moment until it is committed together. */
import type { Spooled } from "./state_chain.ts";

/**
 * Behind so many events that were committed together twice as long is waited for the next ones: where
 * 400 and more come in a second, what each commit costs is more than they do.
 */
const SEVERAL_EVENTS = 8;
/** A large commit should take so many milliseconds, for all else waits for it. */
const COMMIT_MS = 25;
/**
 * What that is enough for, in characters, goes in the next turn. With many entities that is less: each of
 * them is another place in the file.
 */
const FEWEST_CHARS = 300_000;
const MANY_CHARS = 1_000_000;
/** By so much it rises at most: a commit that was fast may have been lucky. */
const GROWTH = 1.1;
/** So many do not wait for their turn: no transaction grows without end. */
const MOST_CHARS = 2 * MANY_CHARS;

export class CommitBuffer {
  readonly #commit: (events: readonly Spooled[]) => void;
  readonly #intervalMs: number;
  #events: Spooled[] = [];
  #chars = 0;
  /** How many were committed last. */
  #last = 0;
  #timer?: ReturnType<typeof setTimeout>;
  /** What the timer was set to, in milliseconds. */
  #timerMs = Infinity;
  /**
   * So many wait for a turn of their own, and no longer: what reads them is long enough by itself. Few at
   * first: what V8 has not compiled yet takes long.
   */
  #soonChars = FEWEST_CHARS;

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
    if (this.#chars >= MOST_CHARS) this.flush();
    else this.#flushWithin(this.#waitMs);
  }

  get #waitMs(): number {
    if (this.#chars >= this.#soonChars) return 0;
    return this.#last < SEVERAL_EVENTS ? this.#intervalMs : 2 * this.#intervalMs;
  }

  #flushWithin(ms: number): void {
    if (ms >= this.#timerMs) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), ms);
    this.#timerMs = ms;
  }

  /** Has what was added committed now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timerMs = Infinity;
    if (this.#events.length === 0) return;
    const [events, chars] = [this.#events, this.#chars];
    this.#last = events.length;
    this.#events = [];
    this.#chars = 0;
    const fromMs = performance.now();
    this.#commit(events);
    // the sync of a small one says nothing of a large one
    if (chars < FEWEST_CHARS) return;
    const enough = chars * COMMIT_MS / (performance.now() - fromMs);
    const most = Math.min(this.#soonChars * GROWTH, MANY_CHARS);
    this.#soonChars = Math.min(Math.max(enough, FEWEST_CHARS), most);
  }
}
