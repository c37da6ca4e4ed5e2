/**
 * What VictoriaMetrics has acknowledged, but may hold in memory only: it writes to its disk seconds
 * later (SIGKILL loses up to 8 s of acknowledged samples with 1.151.0, and `/internal/force_flush` does
 * not change that). It is kept here, to be written again where it was killed meanwhile.
 */
import type { StorePoint } from "../store.ts";
import type { ServerFlags } from "./server_flags.ts";

/** So many points are kept at the most. From half of that on writing is slowed down, to what reaches the disk meanwhile. */
const MAX_POINTS = 50_000;
/** And so many characters of their tags, names and numbers: 100 MB of memory at the most. */
const MAX_CHARS = 50_000_000;
const POINTS_PER_MS = 1.25;
/** VictoriaMetrics' own where its flags cannot be read. */
const USUAL_FLUSH_MS = 5_000;
/** A sample waits 2 s for others, up to an interval for its deadline, another for the next look at that, and is written. */
const MARGIN_MS = 10_000;

export class UnsavedPoints {
  #points: { readonly point: StorePoint; readonly ackedMs: number }[] = [];
  #chars = 0;
  /** The process that has acknowledged them. */
  #process: string | undefined;

  get isFull(): boolean {
    return this.#points.length >= MAX_POINTS || this.#chars >= MAX_CHARS;
  }

  get count(): number {
    return this.#points.length;
  }

  /** How long so many more had better wait, in milliseconds. */
  pauseMs(points: number): number {
    return this.#points.length < MAX_POINTS / 2 ? 0 : points / POINTS_PER_MS;
  }

  /** Times are those of a monotonic clock, in milliseconds. */
  add(points: readonly StorePoint[], ackedMs: number): void {
    for (const point of points) this.#points.push({ point, ackedMs });
    this.#chars += charsOf(points);
  }

  /**
   * After a look at VictoriaMetrics that began at `lookedMs`: the points that the process before may not
   * have written down, and which are to be written again. Of the same process the older ones are
   * safe, and forgotten. `failures`, how often it did not answer, tells two processes apart where the
   * flags cannot be read.
   */
  afterLook(
    flags: ServerFlags | undefined,
    failures: number,
    lookedMs: number,
  ): readonly StorePoint[] {
    const process = flags?.started ?? `after ${failures} failures`;
    if (this.#process !== undefined && this.#process !== process) {
      if (flags?.wasKilled !== false) return this.#points.map(({ point }) => point);
      // some may be of this one already
    }
    this.#process = process;
    const savedMs = lookedMs - 2 * (flags?.flushMs ?? USUAL_FLUSH_MS) - MARGIN_MS;
    const saved = this.#points.filter(({ ackedMs }) => ackedMs <= savedMs);
    this.#chars -= charsOf(saved.map(({ point }) => point));
    this.#points = this.#points.filter(({ ackedMs }) => ackedMs > savedMs);
    return [];
  }

  /** They were written again, to the process of that look. */
  noteWrittenAgain(flags: ServerFlags | undefined, failures: number, ackedMs: number): void {
    this.#process = flags?.started ?? `after ${failures} failures`;
    this.#points = this.#points.map(({ point }) => ({ point, ackedMs }));
  }
}

function charsOf(points: readonly StorePoint[]): number {
  let chars = 0;
  for (const { tags, fields } of points) {
    for (const [name, value] of tags) chars += name.length + value.length;
    // no number has more characters
    for (const name of fields.keys()) chars += name.length + 24;
  }
  return chars;
}
