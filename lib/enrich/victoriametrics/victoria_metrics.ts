/** Points into VictoriaMetrics: their numbers, and only what it will keep. */
import { getLogger } from "../../log.ts";
import { deadline, sleep } from "../../retry.ts";
import type { RetentionPeriod } from "../../settings/retention_period.ts";
import { bisect, type SliceOutcome } from "../influxdb/bisect.ts";
import type { InfluxDb } from "../influxdb/influxdb.ts";
import { LimitMemory, pointOf, shapeOf } from "../influxdb/limit_memory.ts";
import { describeLimit } from "../influxdb/server_limit.ts";
import {
  type PointOutcome,
  type StoreLimit,
  type StoreNote,
  type StorePoint,
  StoreUnavailable,
} from "../store.ts";
import { numbersOf } from "./metric_line.ts";
import { type Fate, fateByLabels, fateByTime, seriesLimit } from "./sample_fate.ts";
import { readFlags, type ServerFlags } from "./server_flags.ts";
import { serverNotes } from "./server_notes.ts";
import { ThrownAway } from "./thrown_away.ts";
import { UnsavedPoints } from "./unsaved_points.ts";

const log = getLogger("enrich", "victoriametrics");

/** For how long its flags are believed. They change only by a restart, which has to be noticed. */
const BELIEVED_MS = 5_000;
/** Writing may wait for them: no longer than this. */
const LOOK_DEADLINE_MS = 3_000;
/** So many points at once are written again. */
const AGAIN_POINTS = 1_000;
/** How often it is asked whether it has written down enough of what it has acknowledged. */
const FULL_WAIT_MS = 1_000;
/** What its `/metrics` says is up to a second old. */
const METRICS_AGE_MS = 1_100;

export interface VictoriaMetricsOptions {
  /** Writes what is left of the points, as lines of VictoriaMetrics'. */
  readonly influxDb: InfluxDb;
  /** Whether they go with a database, which becomes a label. */
  readonly hasDatabase: boolean;
  /** Counts where the retention cannot be read. */
  readonly retention: RetentionPeriod | undefined;
}

export class VictoriaMetrics {
  readonly #options: VictoriaMetricsOptions;
  readonly #unsaved = new UnsavedPoints();
  #limits = new LimitMemory();
  readonly #thrownAway = new ThrownAway();
  #flags: ServerFlags | undefined;
  #lookedMs = -Infinity;
  /** How often it has failed to answer. */
  #failures = 0;

  constructor(options: VictoriaMetricsOptions) {
    this.#options = options;
  }

  /** Leaves out, refuses or holds what would be thrown away. Throws StoreUnavailable as InfluxDb does. */
  async write(
    points: readonly StorePoint[],
    signal: AbortSignal,
  ): Promise<readonly PointOutcome[]> {
    await this.look(signal);
    await this.#untilRoom(points.length, signal);
    const outcomes = points.map((): PointOutcome => ({ kind: "pending" }));
    const sent: { readonly point: StorePoint; readonly index: number; readonly texts: number }[] =
      [];
    for (const [index, whole] of points.entries()) {
      const numbers = numbersOf(whole);
      const fate = numbers && this.#fateOf(numbers.point);
      if (!numbers) outcomes[index] = { kind: "skipped", reason: "no_number" };
      else if (!fate) sent.push({ ...numbers, index });
      else if (fate.kind === "limited") outcomes[index] = this.#limit(fate.limit, numbers.point);
      else outcomes[index] = fate;
    }
    try {
      const written = sent.length === 0
        ? []
        : await bisect(sent.map(({ point }) => point), (slice) => this.#writePart(slice, signal));
      const stored: StorePoint[] = [];
      for (const [i, outcome] of written.entries()) {
        const { index, texts, point } = sent[i];
        const isStored = outcome.kind === "stored";
        if (isStored) stored.push(point);
        outcomes[index] = isStored && texts > 0 ? { ...outcome, texts } : outcome;
      }
      if (this.#limits.isAnyLimited) {
        this.#limits.noteTaken(stored.map(keyOf).filter((key) => this.#limits.isLimited(key)));
      }
      this.#unsaved.add(stored, performance.now());
    } catch (error) {
      const nothingKnown = sent.length === points.length;
      if (nothingKnown || !(error instanceof StoreUnavailable)) throw error;
    }
    return outcomes;
  }

  /**
   * Reads its flags where it is time to, or `atOnce`; what could not be read stays as it was known.
   * Writes again what a process of it that was killed may not have written down; throws
   * StoreUnavailable where that fails. Returns whether it has read them now.
   */
  async look(signal: AbortSignal, atOnce = false): Promise<boolean> {
    const lookedMs = performance.now();
    if (!atOnce && lookedMs - this.#lookedMs < BELIEVED_MS) return false;
    this.#lookedMs = lookedMs;
    const { influxDb } = this.#options;
    try {
      this.#flags = await readFlags(influxDb.http, deadline(LOOK_DEADLINE_MS, signal));
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      // where writes are answered, and `/metrics` never was, it is one that cannot be read
      if (this.#flags || !influxDb.answered) return false;
    }
    this.#thrownAway.take(this.#flags, lookedMs);
    const again = this.#unsaved.afterLook(this.#flags, this.#failures, lookedMs);
    if (again.length > 0) await this.#writeAgain(again, signal);
    return true;
  }

  /** That it did not answer: it may be another process by now. */
  noteFailure(): void {
    this.#failures++;
    this.#lookedMs = -Infinity;
  }

  /** How long it keeps points, in its own words; undefined where nobody knows. */
  get retention(): string | undefined {
    return this.#flags?.retention ?? this.#options.retention?.text;
  }

  /** The label that holds the database. */
  get dbLabel(): string {
    return this.#flags?.dbLabel ?? "db";
  }

  notes(): readonly StoreNote[] {
    const isSet = this.#options.retention !== undefined;
    return serverNotes(this.#flags, isSet, this.#thrownAway.lately(performance.now()));
  }

  limits(): readonly StoreLimit[] {
    return this.#limits.limits();
  }

  forgetLimits(): void {
    this.#limits = new LimitMemory();
  }

  #fateOf(point: StorePoint): Fate | undefined {
    const { influxDb: { http }, hasDatabase, retention } = this.#options;
    const clocks = { theirsMs: http.nowMs(), oursMs: Date.now() };
    return fateByTime(point, clocks, this.#flags, retention) ??
      fateByLabels(point, hasDatabase, this.#flags);
  }

  #limit(limit: StoreLimit, point: StorePoint): PointOutcome {
    this.#limits.noteLimited(limit, [keyOf(point)]);
    return { kind: "limited", reason: describeLimit(limit) };
  }

  /**
   * Where it limits the series of an hour or a day, its counter tells after each write whether it has
   * thrown something away. It does not tell what: that is found by halves, the series that it has first.
   */
  async #writePart(
    points: readonly StorePoint[],
    signal: AbortSignal,
  ): Promise<SliceOutcome<StorePoint>> {
    // before the write: another one that is under way may look meanwhile
    const before = this.#flags;
    const outcomes = await this.#options.influxDb.write(points, signal);
    const each = { kind: "each", outcomes } as const;
    if (!before || Math.max(before.maxHourlySeries, before.maxDailySeries) <= 0) return each;
    await sleep(METRICS_AGE_MS, signal);
    const isKept = await this.look(signal, true) && this.#flags?.started === before.started &&
      this.#flags?.droppedOfNewSeries === before.droppedOfNewSeries;
    if (isKept) {
      const stored = points.filter((_, i) => outcomes[i].kind === "stored");
      this.#limits.noteTaken(stored.map(shapeOf));
      return each;
    }
    if (points.length === 1) {
      this.#limits.noteNew(points.map(shapeOf));
      return outcomes[0].kind === "stored" ? this.#limit(seriesLimit(before), points[0]) : each;
    }
    const apart = (point: StorePoint) => this.#limits.isTaken(shapeOf(point));
    return { kind: "mixed", alone: { kind: "pending" }, apart };
  }

  async #writeAgain(points: readonly StorePoint[], signal: AbortSignal): Promise<void> {
    for (let at = 0; at < points.length; at += AGAIN_POINTS) {
      const outcomes = await this.#options.influxDb.write(
        points.slice(at, at + AGAIN_POINTS),
        signal,
      );
      if (outcomes.some(({ kind }) => kind === "pending")) {
        throw new StoreUnavailable("VictoriaMetrics has not taken again what it was killed with");
      }
    }
    this.#unsaved.noteWrittenAgain(this.#flags, this.#failures, performance.now());
    log.warn(
      "VictoriaMetrics was killed before it had written down all that it had acknowledged: the last " +
        "{points} points are written again",
      { points: points.length },
    );
  }

  async #untilRoom(points: number, signal: AbortSignal): Promise<void> {
    await sleep(this.#unsaved.pauseMs(points), signal);
    while (this.#unsaved.isFull) {
      await sleep(FULL_WAIT_MS, signal);
      if (signal.aborted) {
        throw new StoreUnavailable(
          "VictoriaMetrics has yet to write down what it has acknowledged",
          FULL_WAIT_MS,
        );
      }
      await this.look(signal, true);
    }
  }
}

/** By its time, too: what is thrown away for that says nothing of later points of its series. */
function keyOf(point: StorePoint): string {
  return pointOf({ shape: shapeOf(point), timeNs: point.timeNs });
}
