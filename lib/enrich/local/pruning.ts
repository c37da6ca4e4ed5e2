/** Deleting what the local store keeps no longer, a little at a time so that writes come between. */
import type { DatabaseSync } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Statements } from "../../sqlite.ts";

export type PruneReason = "age" | "size";

/** A series, and the time of its oldest point; undefined once it has none. */
interface Extent {
  readonly id: number;
  oldestNs: bigint | undefined;
}

/** What one transaction deletes, and what one look finds, at the most: writes come between. */
const STEP_POINTS = 2_000;
const STEP_SERIES = 500;
/** Where points are far apart, it takes many looks to find so many. */
const STEP_MS = 30;
/** For want of room the oldest points go in such parts of the time that there is, whatever their series. */
const SIZE_PARTS = 1_000n;

const MILLISECOND_NS = 1_000_000n;
const HOUR_NS = 3_600_000n * MILLISECOND_NS;
/** After any time that a point can have. */
const NEVER_NS = 2n ** 63n - 1n;

/** Each series by two seeks: points are kept by series and time, and an index by time would cost a third of the file. */
const extentsWhere = (measurement: string) => `
  SELECT id, (SELECT min(time_ns) FROM point WHERE series = id) AS oldest,
    (SELECT max(time_ns) FROM point WHERE series = id AND time_ns <= ?2) AS newest
  FROM series WHERE id >= ?1 AND measurement ${measurement} ORDER BY id LIMIT ${STEP_SERIES}`;
const STATISTICS = extentsWhere("= 'statistics'");
const ALL_ELSE = extentsWhere("!= 'statistics'");
const DELETE_POINTS = `
  DELETE FROM point WHERE series = ?1 AND time_ns IN
    (SELECT time_ns FROM point WHERE series = ?1 AND time_ns < ?2 ORDER BY time_ns LIMIT ?3)`;
const OLDEST_POINT = "SELECT min(time_ns) AS oldest FROM point WHERE series = ?";
const DELETE_SERIES = "DELETE FROM series WHERE id = ?";
const LOWER_TOTAL = "UPDATE total SET points = points - ?";

export class Pruning {
  readonly #commit: <T>(work: () => T) => T;
  readonly #statements: Statements;
  #last: Promise<unknown> = Promise.resolve();
  /** The series as pruning has seen them last, statistics apart. */
  #series: readonly Extent[] = [];
  /** Points deleted since the program's start, by reason. */
  readonly pruned = new Map<PruneReason, number>([["age", 0], ["size", 0]]);

  /** `commit` runs the work in a transaction, which may throw. */
  constructor(db: DatabaseSync, commit: <T>(work: () => T) => T) {
    this.#commit = commit;
    this.#statements = new Statements(db);
  }

  /**
   * The time of the oldest point, statistics apart, as of the last pruning: what is older and was
   * written since does not count. Undefined while none is known.
   */
  get oldestNs(): bigint | undefined {
    const oldestNs = oldestOf(this.#series);
    return oldestNs === NEVER_NS ? undefined : oldestNs;
  }

  /**
   * Deletes what is more than `keptNs` older than the newest point. A point of the future is not the
   * newest: so neither a clock that is ahead nor an odd point deletes what is not old.
   * What was imported as statistics, of years and an hour a point, is meant to stay.
   */
  byAge(nowNs: bigint, keptNs: bigint, signal: AbortSignal): Promise<number> {
    return this.#turn("age", async () => {
      const { series, newestNs } = await this.#look(ALL_ELSE, nowNs, signal);
      if (newestNs === undefined) return;
      const span = { untilNs: newestNs - keptNs, newestNs };
      await this.#delete("age", series, span, () => signal.aborted);
    });
  }

  /**
   * Deletes the oldest points until there is `enough` room: statistics only once of all else less
   * than an hour is left, for that hour has each entity's present state.
   */
  bySize(enough: () => boolean, signal: AbortSignal): Promise<number> {
    let nowNs = BigInt(Date.now()) * MILLISECOND_NS;
    const done = () => signal.aborted || enough();
    return this.#turn("size", async () => {
      for (;;) {
        // writes go on meanwhile
        const { series, newestNs = nowNs } = await this.#look(ALL_ELSE, nowNs, signal);
        const span = { untilNs: newestNs - HOUR_NS, newestNs };
        const pruned = await this.#delete("size", series, span, done);
        if (done()) return;
        if (pruned > 0) continue;
        if (nowNs < NEVER_NS) {
          // to a clock that is behind, what is old may be of the future
          nowNs = NEVER_NS;
          continue;
        }
        const statistics = await this.#look(STATISTICS, nowNs, signal);
        const all = { untilNs: NEVER_NS, newestNs };
        await this.#delete("size", statistics.series, all, done);
        await this.#delete("size", series, all, done);
        return;
      }
    });
  }

  /** One after the other, so that a series' number does not become another's meanwhile. Returns how many points were deleted. */
  #turn(reason: PruneReason, work: () => Promise<void>): Promise<number> {
    const turn = this.#last.then(async () => {
      const before = this.pruned.get(reason) ?? 0;
      await work();
      return (this.pruned.get(reason) ?? 0) - before;
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #look(query: string, nowNs: bigint, signal: AbortSignal) {
    const select = this.#statements.get(query);
    select.setReadBigInts(true);
    const series: Extent[] = [];
    let newestNs: bigint | undefined;
    let next = 0n;
    while (!signal.aborted) {
      const rows = this.#commit(() => select.all(next, nowNs));
      for (const { id, oldest, newest } of rows) {
        next = BigInt(Number(id)) + 1n;
        if (typeof oldest !== "bigint") continue;
        series.push({ id: Number(id), oldestNs: oldest });
        if (typeof newest === "bigint" && newest > (newestNs ?? -NEVER_NS)) newestNs = newest;
      }
      if (rows.length < STEP_SERIES) break;
      await nextTurn();
    }
    if (query === ALL_ELSE && !signal.aborted) this.#series = series;
    return { series, newestNs };
  }

  /**
   * Deletes points before a time until it is `done`; for want of room, the oldest first. Returns how
   * many those were.
   */
  async #delete(
    reason: PruneReason,
    series: readonly Extent[],
    { untilNs, newestNs }: { readonly untilNs: bigint; readonly newestNs: bigint },
    done: () => boolean,
  ): Promise<number> {
    let all = 0;
    while (!done() && oldestOf(series) < untilNs) {
      const pruned = this.#commit(() => {
        let pruned = 0;
        const endMs = performance.now() + STEP_MS;
        while (pruned < STEP_POINTS && performance.now() < endMs && !done()) {
          const oldestNs = oldestOf(series);
          if (oldestNs >= untilNs) break;
          const partNs = (newestNs - oldestNs) / SIZE_PARTS;
          const nextNs = oldestNs + (partNs > MILLISECOND_NS ? partNs : MILLISECOND_NS);
          const beforeNs = reason === "size" && nextNs < untilNs ? nextNs : untilNs;
          pruned += this.#deleteBefore(series, beforeNs, STEP_POINTS - pruned);
        }
        this.#statements.get(LOWER_TOTAL).run(pruned);
        return pruned;
      });
      this.pruned.set(reason, (this.pruned.get(reason) ?? 0) + pruned);
      all += pruned;
      await nextTurn();
    }
    return all;
  }

  /** Within a transaction: deletes points before that time, so many at the most. Returns how many. */
  #deleteBefore(series: readonly Extent[], beforeNs: bigint, most: number): number {
    let pruned = 0;
    for (const one of series) {
      if (one.oldestNs === undefined || one.oldestNs >= beforeNs) continue;
      const deleted = this.#statements.get(DELETE_POINTS).run(one.id, beforeNs, most - pruned);
      pruned += Number(deleted.changes);
      const select = this.#statements.get(OLDEST_POINT);
      select.setReadBigInts(true);
      const oldest = select.get(one.id)?.oldest;
      one.oldestNs = typeof oldest === "bigint" ? oldest : undefined;
      if (one.oldestNs === undefined) this.#statements.get(DELETE_SERIES).run(one.id);
      if (pruned === most) break;
    }
    return pruned;
  }
}

function oldestOf(series: readonly Extent[]): bigint {
  let oldest = NEVER_NS;
  for (const { oldestNs = NEVER_NS } of series) if (oldestNs < oldest) oldest = oldestNs;
  return oldest;
}
