/** What VictoriaMetrics says that it has thrown away: its own counters, which know what enrich may not foresee. */
import type { ServerFlags } from "./server_flags.ts";

/** For so long health speaks of it. */
const TOLD_MS = 3_600_000;

export class ThrownAway {
  /** The counters when it was first looked at, or since it last told of a loss. */
  #known: ReadonlyMap<string, number> | undefined;
  #process: string | undefined;
  readonly #lost = new Map<string, { readonly count: number; readonly atMs: number }>();

  /** After a look, `nowMs` by a monotonic clock. What was there at the first one is no loss of enrich's. */
  take(flags: ServerFlags | undefined, nowMs: number): void {
    if (!flags) return;
    const { thrownAway, started } = flags;
    if (this.#known && this.#process === started) {
      for (const [reason, total] of thrownAway) {
        const count = total - (this.#known.get(reason) ?? 0);
        if (count <= 0) continue;
        this.#lost.set(reason, {
          count: (this.#lost.get(reason)?.count ?? 0) + count,
          atMs: nowMs,
        });
      }
    }
    this.#known = thrownAway;
    this.#process = started;
  }

  /** How many samples were thrown away, by reason, of the reasons that were met within the last hour. */
  lately(nowMs: number): ReadonlyMap<string, number> {
    for (const [reason, { atMs }] of this.#lost) {
      if (nowMs - atMs > TOLD_MS) this.#lost.delete(reason);
    }
    return new Map([...this.#lost].map(([reason, { count }]) => [reason, count]));
  }
}
