/** A whole flow whose ingest is cut off again and again, and whose store is held against the recorder. */
import assert from "node:assert/strict";
import * as z from "zod";
import { type FillingStatus, unfilledOf, untilFilled } from "./filling.ts";
import { differences, type HistoryRow, missingRows, NO_DIFFERENCES, summary } from "./history.ts";
import { equationOf, type Metrics, total } from "./metrics_text.ts";
import type { StoredPoint } from "./influxd.ts";
import { indexByEntity, Pipeline, type PipelineOptions, stateKey } from "./pipeline.ts";
import { microseconds, nowMs, Reader, type ReadEvent } from "./reader.ts";
import { recorderRows, untilCommitted } from "./recorder_rows.ts";
import { until } from "../../until.ts";

/** How long before a cut an event may have been fired that was not yet on the disk. */
const COMMIT_MS = 150;
/** How long after capture has gone on it may have missed something: it is asked from outside. */
const MARGIN_MS = 3_000;

const oldStateSchema = z.looseObject({ last_updated: z.string() });

interface Off {
  readonly fromMs: number;
  untilMs: number;
}

export interface Held {
  readonly status: FillingStatus;
  readonly metrics: Metrics;
  readonly points: readonly StoredPoint[];
  /** All that the recorder has. */
  readonly rows: readonly HistoryRow[];
  /** What it has of the times that capture was off. */
  readonly missed: readonly HistoryRow[];
  /** What was fired while capture was off, and the recorder has not. */
  readonly lost: readonly ReadEvent[];
  readonly seconds: number;
  readonly text: string;
}

export class GapHouse implements AsyncDisposable {
  readonly #offs: Off[] = [];
  #marks = 0;
  /** All from here on is compared, microseconds since 1970. */
  fromUs = 0n;

  private constructor(
    readonly pipeline: Pipeline,
    readonly reader: Reader,
    private readonly resources: AsyncDisposableStack,
  ) {}

  /** A minimal Home Assistant, ingest behind a proxy. */
  static async start(options: PipelineOptions): Promise<GapHouse> {
    await using resources = new AsyncDisposableStack();
    const pipeline = resources.use(
      await Pipeline.start({ minimal: true, proxied: ["hass"], ...options }),
    );
    const reader = resources.use(await Reader.start(pipeline.hass));
    await untilFilled(pipeline.ingest);
    const house = new GapHouse(pipeline, reader, resources.move());
    house.fromUs = await house.mark();
    return house;
  }

  /** Fires an event and waits until it was read; returns its time, in microseconds since 1970. */
  async mark(): Promise<bigint> {
    const type = `marked_${++this.#marks}`;
    await this.pipeline.hass.fireEvent(type);
    return (await this.reader.untilRead(({ eventType }) => eventType === type, "the mark is read"))
      .timeFiredUs;
  }

  /** Cuts ingest's socket, and waits until ingest knows. */
  async cut(): Promise<void> {
    await this.#noted();
    const { ingest, hassProxy } = this.pipeline;
    hassProxy.cut();
    await until(
      async () => total(await ingest.metrics(), "ingest_capturing") === 0,
      "ingest knows that it does not capture",
    );
  }

  /** Kills ingest; with `isHassAway` what was fired just before cannot be told. */
  async kill({ isHassAway = false } = {}): Promise<void> {
    if (isHassAway) this.#offs.push({ fromMs: nowMs(), untilMs: Infinity });
    else await this.#noted();
    await this.pipeline.ingest.kill();
  }

  /** Lets ingest connect, starts it where it was killed, and waits until it captures. */
  async resume(): Promise<void> {
    const { ingest, hassProxy } = this.pipeline;
    hassProxy.allow();
    const off = this.#offs.at(-1);
    assert.ok(off, "nothing was off");
    off.untilMs = nowMs();
    if (!ingest.running) await ingest.startAgain();
    await until(
      async () => total(await ingest.metrics(), "ingest_capturing") === 1,
      "ingest captures again",
      { limitMs: 120_000 },
    );
  }

  /** What was read before a cut must be read live by ingest, too. */
  async #noted(): Promise<void> {
    await this.mark();
    this.#offs.push({ fromMs: nowMs(), untilMs: Infinity });
  }

  #isOff(ms: number, beforeMs = 0, afterMs = 0): boolean {
    return this.#offs.some(({ fromMs, untilMs }) =>
      ms > fromMs - beforeMs && ms < untilMs + afterMs
    );
  }

  /**
   * Waits until all is filled, and asserts that the store has all that the recorder has and all that
   * was heard live, nothing twice, and nothing invented; that ingest tells of so many filled rows; and
   * that it reports those entities alone whose last state the recorder lost. `except`: rows that
   * are stored otherwise.
   */
  async held(
    { limitMs, except = () => false }: {
      readonly limitMs?: number;
      readonly except?: (row: HistoryRow) => boolean;
    } = {},
  ): Promise<Held> {
    const { pipeline: { hass, ingest }, reader, fromUs } = this;
    const startedMs = performance.now();
    const status = await untilFilled(ingest, limitMs);
    const seconds = (performance.now() - startedMs) / 1000;
    await untilCommitted(hass);
    const { ingest: metrics, points } = await this.pipeline.settle();
    reader.throwIfBroken();
    const rows = recorderRows(hass, fromUs).filter((row) => !except(row));
    const known = new Set(rows.map(({ entityId, timeUs }) => stateKey(entityId, timeUs)));
    const states = reader.events.filter(({ entityId, timeFiredUs }) =>
      entityId !== undefined && timeFiredUs >= fromUs
    );
    const isKnown = ({ entityId = "", timeFiredUs }: ReadEvent) =>
      known.has(stateKey(entityId, timeFiredUs));
    const off = states.filter(({ arrivedMs }) => this.#isOff(arrivedMs));
    const offKeys = new Set(
      off.map(({ entityId = "", timeFiredUs }) => stateKey(entityId, timeFiredUs)),
    );
    const missed = rows.filter(({ entityId, timeUs }) => offKeys.has(stateKey(entityId, timeUs)));
    const lost = off.filter((event) => !isKnown(event));

    const found = differences(rows, points, states, fromUs);
    assert.deepEqual(summary(found), NO_DIFFERENCES);
    this.#holdsControls(rows, points, states, missed);
    const heard = states.filter(({ arrivedMs }) => !this.#isOff(arrivedMs, COMMIT_MS, MARGIN_MS))
      .map(({ entityId = "", timeFiredUs }) => ({ entityId, timeUs: timeFiredUs, state: "" }));
    assert.deepEqual(missingRows(heard, points).slice(0, 5), [], "what was heard live is stored");

    const filled = status.gaps.reduce((sum, gap) => sum + gap.rows, 0);
    assert.ok(filled >= missed.length, `${filled} filled of ${missed.length}`);
    const { renamed: _, ...unfilled } = unfilledOf(status);
    const reported = Object.values(unfilled).reduce((a, b) => a + b, 0);
    const nameless = this.#nameless(states, points, rows);
    const lostEntities = this.#lostLast(off, isKnown);
    // whoever did not hear what replaced a nameless state cannot know of it
    assert.ok(
      reported >= lostEntities && reported <= lostEntities + nameless.size,
      `${reported} reported of ${lostEntities}: ${JSON.stringify(unfilled)}, ${[...nameless]}`,
    );
    return {
      status,
      metrics,
      points,
      rows,
      missed,
      lost,
      seconds,
      text: `${rows.length} rows, ${missed.length} of them missed, ${filled} filled in ` +
        `${seconds.toFixed(1)} s, ${lost.length} lost by the recorder, reported: ` +
        `${JSON.stringify(unfilled)} ${[...nameless]}; ${equationOf(metrics).text}`,
    };
  }

  /** Of how many entities the recorder lacks the last state of an off time: as much can be known. */
  #lostLast(off: readonly ReadEvent[], isKnown: (event: ReadEvent) => boolean): number {
    let entities = 0;
    for (const { fromMs, untilMs } of this.#offs) {
      const last = new Map<string | undefined, ReadEvent>();
      for (const event of off) {
        if (event.arrivedMs > fromMs && event.arrivedMs < untilMs) last.set(event.entityId, event);
      }
      entities += [...last.values()].filter((event) => !event.removed && !isKnown(event)).length;
    }
    return entities;
  }

  /**
   * Entities of which a state was that ingest did not hear, and the recorder lacks: only the event that
   * replaced it names it. Cores before 2026 record nothing while they begin to start.
   */
  #nameless(
    states: readonly ReadEvent[],
    points: readonly StoredPoint[],
    rows: readonly HistoryRow[],
  ): Set<string> {
    const missed = states.filter(({ arrivedMs }) => this.#isOff(arrivedMs))
      .map(({ entityId = "", timeFiredUs: timeUs }) => ({ entityId, timeUs }));
    const known = new Set(
      [...rows, ...missed].map(({ entityId, timeUs }) => stateKey(entityId, timeUs)),
    );
    const stored = indexByEntity(points);
    return new Set(states.flatMap(({ entityId = "", data }) => {
      const old = oldStateSchema.safeParse(data.old_state);
      if (!old.success) return [];
      const timeUs = microseconds(old.data.last_updated);
      const key = stateKey(entityId, timeUs);
      return timeUs < this.fromUs || known.has(key) || stored.has(key) ? [] : [entityId];
    }));
  }

  /** The comparison sees a row that is withheld, one that is there twice, and one that nobody fired. */
  #holdsControls(
    rows: readonly HistoryRow[],
    points: readonly StoredPoint[],
    states: readonly ReadEvent[],
    missed: readonly HistoryRow[],
  ): void {
    const [row] = missed;
    if (row === undefined) return;
    const timeNs = row.timeUs * 1000n;
    const isIts = (point: StoredPoint) =>
      point.timeNs === timeNs && point.tags.entity_id === row.entityId;
    const its = points.find(isIts);
    assert.ok(its);
    const count = (changed: readonly StoredPoint[]) => {
      const { missing, twice, invented } = differences(rows, changed, states, this.fromUs);
      return [missing.length, twice.length, invented.length];
    };
    assert.deepEqual(count(points.filter((point) => !isIts(point))), [1, 0, 0]);
    assert.deepEqual(count([...points, its]), [0, 1, 0]);
    assert.deepEqual(count([...points, { ...its, timeNs: timeNs + 1000n }]), [0, 0, 1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}
