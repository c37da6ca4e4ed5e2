/** Deleting what the local store keeps no longer, a little at a time so that writes come between. */
import type { DatabaseSync } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Statements } from "../../sqlite.ts";
import type { StorePoint } from "../store.ts";

export type PruneReason = "age" | "size";

/** A series, and the time of its oldest point; undefined once it has none. */
interface Extent {
  readonly id: number;
  oldestNs: bigint | undefined;
}

/** What one transaction deletes, and what one look finds, at the most: some 10 ms. */
const STEP_POINTS = 2_000;
const STEP_SERIES = 500;
/** Between two times so many points are deleted series by series, not by their age. */
const ROUND_POINTS = { few: 100, many: 1_000 };

const FIRST_ROUND_NS = 1_000_000n;
const HOUR_NS = 3_600_000_000_000n;
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

export interface PruningOptions {
  readonly db: DatabaseSync;
  /** Runs the work in a transaction, which may throw. */
  readonly commit: <T>(work: () => T) => T;
}

export class Pruning {
  readonly #options: PruningOptions;
  readonly #statements: Statements;
  #last: Promise<unknown> = Promise.resolve();
  #oldestNs: bigint | undefined;
  /** Points deleted since the program's start, by reason. */
  readonly pruned = new Map<PruneReason, number>([["age", 0], ["size", 0]]);

  constructor(options: PruningOptions) {
    this.#options = options;
    this.#statements = new Statements(options.db);
  }

  /** The time of the oldest point, statistics apart; undefined while none is known. Pruning looks. */
  get oldestNs(): bigint | undefined {
    return this.#oldestNs === NEVER_NS ? undefined : this.#oldestNs;
  }

  /** A point of that time was written. */
  wrote({ measurement, timeNs }: StorePoint): void {
    const known = this.#oldestNs;
    if (known !== undefined && timeNs < known && measurement !== "statistics") {
      this.#oldestNs = timeNs;
    }
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
      await this.#delete("age", series, newestNs - keptNs, () => signal.aborted);
    }, signal);
  }

  /**
   * Deletes the oldest points until there is `enough` room: statistics only once of all else less
   * than an hour is left, for that hour has each entity's present state.
   */
  bySize(enough: () => boolean, signal: AbortSignal): Promise<number> {
    const nowNs = BigInt(Date.now()) * 1_000_000n;
    const done = () => signal.aborted || enough();
    return this.#turn("size", async () => {
      let all: readonly Extent[];
      let pruned: number;
      do {
        // writes go on meanwhile
        const { series, newestNs = NEVER_NS } = await this.#look(ALL_ELSE, nowNs, signal);
        all = series;
        pruned = await this.#delete("size", all, newestNs - HOUR_NS, done);
      } while (pruned > 0 && !done());
      if (done()) return;
      const { series } = await this.#look(STATISTICS, nowNs, signal);
      await this.#delete("size", series, NEVER_NS, done);
      await this.#delete("size", all, NEVER_NS, done);
    }, signal);
  }

  /** One after the other, so that a series' number does not become another's meanwhile. Returns how many points were deleted. */
  #turn(reason: PruneReason, work: () => Promise<void>, signal: AbortSignal): Promise<number> {
    const turn = this.#last.then(async () => {
      const before = this.pruned.get(reason) ?? 0;
      try {
        await work();
      } finally {
        if (!signal.aborted) this.#oldestNs = (await this.#look(ALL_ELSE, 0n, signal)).oldestNs;
      }
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
    let oldestNs = NEVER_NS;
    let next = 0n;
    while (!signal.aborted) {
      const rows = this.#options.commit(() => select.all(next, nowNs));
      for (const { id, oldest, newest } of rows) {
        next = BigInt(Number(id)) + 1n;
        if (typeof oldest !== "bigint") continue;
        series.push({ id: Number(id), oldestNs: oldest });
        if (oldest < oldestNs) oldestNs = oldest;
        if (typeof newest === "bigint" && newest > (newestNs ?? -NEVER_NS)) newestNs = newest;
      }
      if (rows.length < STEP_SERIES) break;
      await nextTurn();
    }
    return { series, newestNs, oldestNs };
  }

  /** Deletes points before that time, the oldest first, until it is `done`. Returns how many those were. */
  async #delete(
    reason: PruneReason,
    series: readonly Extent[],
    untilNs: bigint,
    done: () => boolean,
  ): Promise<number> {
    let all = 0;
    // from the oldest point on, a time of neither few nor many points
    let roundNs = FIRST_ROUND_NS;
    while (!done() && oldestOf(series) < untilNs) {
      const pruned = this.#options.commit(() => {
        let pruned = 0;
        while (pruned < STEP_POINTS && !done()) {
          const oldestNs = oldestOf(series);
          if (oldestNs >= untilNs) break;
          const beforeNs = oldestNs + roundNs < untilNs ? oldestNs + roundNs : untilNs;
          const found = this.#deleteBefore(series, beforeNs);
          if (found < ROUND_POINTS.few) roundNs *= 2n;
          else if (found === ROUND_POINTS.many) roundNs = roundNs / 1_024n || 1n;
          pruned += found;
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

  /** Within a transaction: deletes points before that time, or some of them. Returns how many. */
  #deleteBefore(series: readonly Extent[], beforeNs: bigint): number {
    let pruned = 0;
    for (const one of series) {
      if (one.oldestNs === undefined || one.oldestNs >= beforeNs) continue;
      const wanted = ROUND_POINTS.many - pruned;
      pruned += Number(this.#statements.get(DELETE_POINTS).run(one.id, beforeNs, wanted).changes);
      const select = this.#statements.get(OLDEST_POINT);
      select.setReadBigInts(true);
      const oldest = select.get(one.id)?.oldest;
      one.oldestNs = typeof oldest === "bigint" ? oldest : undefined;
      if (one.oldestNs === undefined) this.#statements.get(DELETE_SERIES).run(one.id);
      if (pruned === ROUND_POINTS.many) break;
    }
    return pruned;
  }
}

function oldestOf(series: readonly Extent[]): bigint {
  let oldest = NEVER_NS;
  for (const { oldestNs = NEVER_NS } of series) if (oldestNs < oldest) oldest = oldestNs;
  return oldest;
}
