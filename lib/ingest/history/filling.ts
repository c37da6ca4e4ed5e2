/**
 * Fills gaps, and the first start's import, from Home Assistant's recorder: compares the present
 * states with what was seen, waits until the recorder has written down what came before, and reads
 * it once to its end, never in the way of live events.
 */
import { getLogger } from "../../log.ts";
import { describeError, sleep } from "../../retry.ts";
import { isBroken } from "../../sqlite.ts";
import type { Connection } from "../hass/connection.ts";
import { Comparison, type ComparisonOptions } from "./comparison.ts";
import { FillingProgress, type FillingStatus } from "./filling_progress.ts";
import { Gaps } from "./gaps.ts";
import { HistoryReader, MOST_WAITING } from "./history_reader.ts";
import { behindBarrier, isRecording } from "./recorder_barrier.ts";

const log = getLogger("ingest", "filling");

/** How long is waited for what, in milliseconds; injected so that tests need not wait. */
export interface FillingTimes {
  /** How often Home Assistant is asked whether it has started, or what changed is looked at. */
  readonly pollMs: number;
  /** A barrier without an answer after so long is tried again, ever further apart. */
  readonly barrierDeadlineMs: number;
  readonly barrierMaxWaitMs: number;
}

export const FILLING_TIMES: FillingTimes = {
  pollMs: 1_000,
  barrierDeadlineMs: 30_000,
  barrierMaxWaitMs: 3_600_000,
};
const SAY_INTERVAL_MS = 10_000;
/** While nothing is missing the recorder is asked each so many polls, once a minute, whether it records. */
const RECORDER_POLLS = 12;

export interface FillingOptions extends Omit<ComparisonOptions, "gaps"> {
  /** The id that an entity has now, where it was renamed. */
  readonly renamedTo: (entityId: string) => string | undefined;
  readonly times?: FillingTimes;
}

/** A connection that has subscribed, and the release of Home Assistant behind it. */
export interface Subscriber {
  readonly connection: Connection;
  readonly haVersion: string;
}

export class Filling {
  readonly #options: FillingOptions;
  readonly #times: FillingTimes;
  readonly #comparison: Comparison;
  readonly #history: HistoryReader;
  readonly #progress: FillingProgress;
  readonly gaps: Gaps;

  constructor(options: FillingOptions) {
    const { outbox, clock, line, renamedTo } = options;
    this.#options = options;
    this.#times = options.times ?? FILLING_TIMES;
    this.gaps = new Gaps(outbox);
    this.#comparison = new Comparison({ ...options, gaps: this.gaps });
    this.#history = new HistoryReader({
      outbox,
      gaps: this.gaps,
      renamedTo,
      nowUs: () => this.#comparison.nowUs(),
      line: (text, entity) => line(text, entity, "history"),
    });
    this.#progress = new FillingProgress({
      missing: outbox.missing,
      isOpen: () => outbox.chain.opened !== undefined,
      nowUs: () => clock.nowUs(),
      rows: () => this.rows,
    });
  }

  /** States that were filled in since the program's start. */
  get rows(): number {
    return this.#history.rows;
  }

  get status(): FillingStatus {
    return this.#progress.status;
  }

  /** Capture stops, or had stopped: what follows may be missing until it goes on. */
  openGap(reason: string): void {
    const { outbox } = this.#options;
    outbox.openGap();
    const { opened, seen } = outbox.chain;
    const fromUs = opened?.fromUs ?? seen.heard()?.us;
    if (fromUs !== undefined) this.gaps.begin(reason, fromUs, opened?.importDays !== undefined);
  }

  /** Before subscribing: see Comparison. */
  prepare(): void {
    this.#comparison.prepare();
  }

  /**
   * Fills whatever is missing until the connection ends, which aborts the signal. Throws where SQLite
   * fails, but for a full file.
   */
  async run(subscriber: Subscriber, ended: AbortSignal): Promise<void> {
    const { outbox } = this.#options;
    const { pollMs } = this.#times;
    while (!ended.aborted) {
      try {
        this.#progress.wait();
        await this.#untilRunning(subscriber.connection, ended);
        await this.#comparison.run(subscriber.connection, ended);
        await this.#fill(subscriber, ended);
        this.#progress.rest();
        // events that were refused while the outbox was full leave a gap too
        for (let polls = 0; !ended.aborted && !this.#isMissing(); polls++) {
          // that it has stopped is to be known before something is missed
          if (polls % RECORDER_POLLS === 0) {
            this.#progress.isRecording = await isRecording(subscriber.connection);
          }
          await sleep(5 * pollMs, ended);
        }
        const { opened } = outbox.chain;
        if (!ended.aborted && opened && !this.gaps.isOpen(opened.fromUs)) {
          this.gaps.begin("the outbox was full", opened.fromUs);
        }
      } catch (error) {
        if (isBroken(error)) throw error;
        if (ended.aborted) break;
        log.warn("Cannot fill gaps now: {reason}", { reason: describeError(error) });
        await sleep(10 * pollMs, ended);
      }
    }
    this.#progress.rest();
  }

  #isMissing(): boolean {
    const { chain, missing } = this.#options.outbox;
    return chain.opened !== undefined || missing.lastId() > 0;
  }

  /** History is there only once Home Assistant has started everything. */
  async #untilRunning(connection: Connection, ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      const config = await connection.command("get_config");
      const isObject = typeof config === "object" && config !== null;
      if (!isObject || !("state" in config) || config.state === "RUNNING") return;
      await sleep(this.#times.pollMs, ended);
    }
  }

  /** Until nothing is missing any more, or capture stops again. */
  async #fill(subscriber: Subscriber, ended: AbortSignal): Promise<void> {
    const { chain, missing } = this.#options.outbox;
    const { pollMs, barrierMaxWaitMs } = this.#times;
    let waitMs = pollMs;
    while (!ended.aborted && !chain.opened && missing.lastId() > 0) {
      const lastId = missing.lastId();
      const obstacle = await this.#obstacle(subscriber);
      if (ended.aborted) return;
      if (obstacle === undefined) {
        await this.#read(subscriber.connection, lastId, ended);
        waitMs = pollMs;
        continue;
      }
      if (this.status.waitingFor !== obstacle) {
        log.info("What {entities} entities missed waits: {reason}", {
          entities: this.status.entities,
          reason: obstacle,
        });
      }
      this.#progress.wait(obstacle);
      await this.#pause(waitMs, ended);
      waitMs = Math.min(barrierMaxWaitMs, 2 * waitMs);
    }
  }

  /** What keeps the recorder from being asked; undefined where it has seen to all that it heard. */
  async #obstacle({ connection, haVersion }: Subscriber): Promise<string | undefined> {
    const { outbox, clock } = this.#options;
    this.#progress.isRecording = await isRecording(connection);
    return await behindBarrier(connection, {
      haVersion,
      clock,
      deadlineMs: this.#times.barrierDeadlineMs,
      witnesses: outbox.chain.witnesses,
    });
  }

  /** Waits so long; less where capture stops or something is heard that was waited for. */
  async #pause(ms: number, ended: AbortSignal): Promise<void> {
    const { chain } = this.#options.outbox;
    const untilMs = performance.now() + ms;
    const hadWitness = chain.witnesses.size > 0;
    while (!ended.aborted && !chain.opened && performance.now() < untilMs) {
      if (!hadWitness && chain.witnesses.size > 0) return;
      await sleep(this.#times.pollMs, ended);
    }
  }

  /** Reads all that is missing, up to that number, to its end. */
  async #read(connection: Connection, lastId: number, ended: AbortSignal): Promise<void> {
    const { outbox } = this.#options;
    const before = this.rows;
    this.#progress.read();
    let saidMs = performance.now();
    do {
      await outbox.room(ended, MOST_WAITING);
      if (performance.now() - saidMs < SAY_INTERVAL_MS) continue;
      saidMs = performance.now();
      const { entities, rows, secondsLeft } = this.status;
      log.info("Filling from history: {rows} states so far, {entities} entities, {left} s left", {
        rows,
        entities,
        left: secondsLeft === undefined ? "?" : Math.round(secondsLeft),
      });
    } while (await this.#history.readPage(connection, lastId, ended));
    this.gaps.settle(outbox.missing.byGap());
    if (this.rows > before) log.info("Filled in {rows} states", { rows: this.rows - before });
  }
}
