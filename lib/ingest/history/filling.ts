/**
 * Fills gaps from Home Assistant's recorder, and what the first start's import notes as missing:
 * page by page from new to old, one request at a time, never in the way of live events. A page's
 * rows and its place are committed together, so that a restart goes on there.
 */
import { getLogger } from "../../log.ts";
import { describeError, sleep } from "../../retry.ts";
import { isBroken } from "../../sqlite.ts";
import type { Connection } from "../hass/connection.ts";
import { type PresentState, presentStates, unseenStateText } from "../hass/present_states.ts";
import { FillingProgress, type FillingStatus } from "./filling_progress.ts";
import { beginFirstImport, type FirstImportOptions } from "./first_import.ts";
import { Gaps } from "./gaps.ts";
import { HistoryReader } from "./history_reader.ts";

/** The end of what is missing without one: whatever Home Assistant's clock says, it is before. */
const FAR_US = 365 * 86_400_000_000;

const log = getLogger("ingest", "filling");

/** When is looked, in milliseconds since the subscription: the recorder commits late. */
const LOOKS_MS = [0, 15_000, 90_000] as const;
const POLL_MS = 1_000;
/** Present states of one commit; live events come between. */
const STEP = 100;
const SAY_INTERVAL_MS = 10_000;

export interface FillingOptions extends FirstImportOptions {
  /** The outbox's line of an event about the entity. */
  readonly line: (
    text: string,
    entity: { readonly entityId: string; readonly friendlyName?: string },
    via: "history" | "snapshot",
  ) => string;
  readonly looksMs?: readonly number[];
  readonly pollMs?: number;
}

export class Filling {
  readonly #options: FillingOptions;
  readonly #history: HistoryReader;
  readonly #progress: FillingProgress;
  readonly gaps: Gaps;

  constructor(options: FillingOptions) {
    const { outbox, clock, line } = options;
    this.#options = options;
    this.gaps = new Gaps(outbox);
    this.#history = new HistoryReader({
      outbox,
      clock,
      gaps: this.gaps,
      line: (text, entity) => line(text, entity, "history"),
    });
    this.#progress = new FillingProgress(outbox.missing, clock, () => this.rows);
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
    const seenUs = outbox.missing.newestSeenUs();
    if (seenUs !== undefined) this.gaps.begin(reason, seenUs);
  }

  /** Before subscribing: see `beginFirstImport`. */
  prepare(connection: Connection): Promise<boolean> {
    return beginFirstImport(connection, this.#options);
  }

  /**
   * Fills whatever is missing over this connection, which has subscribed, until it ends, which aborts
   * the signal. Throws where SQLite fails, but for a full file.
   */
  async run(connection: Connection, ended: AbortSignal): Promise<void> {
    const { outbox, pollMs = POLL_MS } = this.#options;
    while (!ended.aborted) {
      try {
        this.#progress.state = "waiting";
        await this.#untilRunning(connection, ended);
        // on a full disk it could not be noted before
        if (!await this.prepare(connection)) throw new Error(outbox.size.reason);
        const unseen = await this.#compare(connection);
        await this.#fill(connection, unseen, ended);
        this.#progress.state = "idle";
        // events that were refused while the outbox was full leave a gap too
        while (!ended.aborted && outbox.missing.extent().entities === 0) {
          await sleep(5 * pollMs, ended);
        }
        if (!ended.aborted && !this.gaps.open) {
          this.gaps.begin("the outbox was full", outbox.missing.newestSeenUs() ?? 0);
        }
      } catch (error) {
        if (isBroken(error)) throw error;
        if (ended.aborted) break;
        log.warn("Cannot fill gaps now: {reason}", { reason: describeError(error) });
        await sleep(10 * pollMs, ended);
      }
    }
    this.#progress.state = "idle";
  }

  async #fill(
    connection: Connection,
    unseen: readonly PresentState[],
    ended: AbortSignal,
  ): Promise<void> {
    const { outbox, looksMs = LOOKS_MS } = this.#options;
    const startedMs = performance.now();
    const lastMs = looksMs.at(-1) ?? 0;
    const before = this.rows;
    let found = 0;
    // a pass that found something is followed by another one
    for (let look = 0; look < looksMs.length || found > 0; look++) {
      if (outbox.missing.extent().entities === 0) break;
      const waitMs = (looksMs[look] ?? lastMs) -
        (look < looksMs.length ? performance.now() - startedMs : 0);
      this.#progress.state = "waiting";
      await sleep(Math.max(0, waitMs), ended);
      found = await this.#look(connection, ended);
      if (ended.aborted) return;
      if (look === 1) await this.#spoolUnseen(unseen, ended);
    }
    await this.#spoolUnseen(unseen, ended);
    if (ended.aborted) return;
    const { unproven } = outbox.missing.close();
    if (unproven > 0) {
      log.warn("The recorder does not know all that {entities} entities missed {interval}", {
        entities: unproven,
        interval: this.gaps.interval(),
      });
    }
    this.gaps.unfilled("not in the recorder", unproven);
    this.gaps.end();
    if (this.rows > before) log.info("Filled in {rows} states", { rows: this.rows - before });
  }

  /** History is there only once Home Assistant has started everything. */
  async #untilRunning(connection: Connection, ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      const config = await connection.command("get_config");
      const isObject = typeof config === "object" && config !== null;
      if (!isObject || !("state" in config) || config.state === "RUNNING") return;
      await sleep(this.#options.pollMs ?? POLL_MS, ended);
    }
  }

  /**
   * Compares the present states with what was seen. Returns those that nobody heard: the
   * recorder may know them, and what they replaced.
   */
  async #compare(connection: Connection): Promise<PresentState[]> {
    const { outbox, clock, registered } = this.#options;
    const states = await presentStates(connection);
    for (const { lastUpdatedUs } of states) clock.hear(lastUpdatedUs);
    clock.hear(outbox.missing.newestSeenUs() ?? -Infinity);
    outbox.flush();
    const unseen = states.filter(({ entityId, lastUpdatedUs }) =>
      lastUpdatedUs > (outbox.missing.seenUs(entityId) ?? -Infinity)
    );
    const { open } = this.gaps;
    const compared = outbox.append([], () => {
      for (const { entityId, lastUpdatedUs } of states) {
        outbox.missing.unchanged(entityId, lastUpdatedUs);
      }
      const known = new Set([...states.map(({ entityId }) => entityId), ...registered()]);
      if (open) outbox.missing.openUnseen(known, open.fromUs);
    });
    if (!compared) throw new Error(outbox.size.reason);
    this.gaps.resumed(clock.nowUs() ?? 0, outbox.missing.extent().entities);
    return unseen;
  }

  /** Reads all that is missing once, from new to old. Returns how many rows that filled in. */
  async #look(connection: Connection, ended: AbortSignal): Promise<number> {
    const { outbox, clock } = this.#options;
    outbox.missing.beginLook((clock.nowUs() ?? 0) + FAR_US);
    this.#progress.beginReading();
    let saidMs = performance.now();
    while (!ended.aborted) {
      const missing = outbox.missing.next(this.#history.maxEntities);
      if (missing.length === 0) break;
      await outbox.room(ended);
      if (!await this.#history.readPage(connection, missing, ended)) break;
      if (performance.now() - saidMs < SAY_INTERVAL_MS) continue;
      saidMs = performance.now();
      const { entities, rows, secondsLeft } = this.status;
      log.info("Filling from history: {rows} states so far, {entities} entities, {left} s left", {
        rows,
        entities,
        left: secondsLeft === undefined ? "?" : Math.round(secondsLeft),
      });
    }
    if (!ended.aborted) outbox.missing.endLook();
    return this.#progress.rowsRead;
  }

  /** Spools the present states that history did not bring either. */
  async #spoolUnseen(unseen: readonly PresentState[], ended: AbortSignal): Promise<void> {
    const { outbox, line } = this.#options;
    for (let at = 0; at < unseen.length && !ended.aborted; at += STEP) {
      await outbox.appendWithRoom(() => {
        outbox.flush();
        const left = unseen.slice(at, at + STEP).filter(({ entityId, lastUpdatedUs }) =>
          lastUpdatedUs > (outbox.missing.seenUs(entityId) ?? -Infinity)
        );
        return {
          lines: left.map((state) => line(unseenStateText(state), state, "snapshot")),
          also: () => left.forEach((stamp) => outbox.missing.heard(stamp)),
        };
      }, ended);
    }
  }
}
