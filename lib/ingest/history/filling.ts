/**
 * Fills what capture has missed from Home Assistant's recorder, and imports its history at the
 * first start: page by page from new to old, one request at a time, never in the way of live
 * events. A page's rows and its place are committed together, so that a restart goes on there.
 */
import { getLogger } from "../../log.ts";
import { describeError, sleep } from "../../retry.ts";
import type { Connection } from "../hass/connection.ts";
import type { HassClock } from "../hass/hass_clock.ts";
import { HistoryReader } from "./history_reader.ts";
import { Interruptions } from "./gaps.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { type PresentState, presentStates, unseenStateText } from "../hass/present_states.ts";

const DAY_US = 86_400_000_000;
/** The end of a gap that has none: whatever Home Assistant's clock says, it is before. */
const FAR_US = 365 * DAY_US;
const IMPORT_KEY = "imported";

const log = getLogger("ingest", "backfill");

/** When is looked, in milliseconds since the subscription: the recorder commits late. */
export const LOOKS_MS = [0, 15_000, 90_000] as const;
const POLL_MS = 1_000;

export interface BackfillOptions {
  readonly outbox: Outbox;
  readonly clock: HassClock;
  /** Every entity that the registry names. */
  readonly registered: () => Iterable<string>;
  /** The outbox's line of an event about the entity. */
  readonly line: (
    text: string,
    entity: { readonly entityId: string; readonly friendlyName?: string },
    via: "history" | "snapshot",
  ) => string;
  /** How much of the recorder's history the first start imports, in days; 0 for none. */
  readonly days: number;
  readonly looksMs?: readonly number[];
  readonly pollMs?: number;
}

/** What `filling` says in the status. */
export interface Filling {
  readonly state: "idle" | "waiting" | "reading";
  readonly entities: number;
  readonly rows: number;
  readonly rowsPerSecond: number | undefined;
  readonly secondsLeft: number | undefined;
}

export class Backfill {
  readonly #options: BackfillOptions;
  readonly interruptions: Interruptions;
  readonly #history: HistoryReader;
  #state: Filling["state"] = "idle";
  #startedMs = 0;
  #startedRows = 0;
  #totalUs = 0;

  constructor(options: BackfillOptions) {
    this.#options = options;
    this.interruptions = new Interruptions(options.outbox);
    this.#history = new HistoryReader({
      outbox: options.outbox,
      clock: options.clock,
      interruptions: this.interruptions,
      line: (text, entity) => options.line(text, entity, "history"),
    });
  }

  /** Rows that were filled in since the program's start. */
  get rows(): number {
    return this.#history.rows;
  }

  get filling(): Filling {
    const { outbox, clock } = this.#options;
    const { entities, unreadUs } = outbox.gaps.extent(clock.nowUs());
    const seconds = (performance.now() - this.#startedMs) / 1000;
    const readUs = this.#totalUs - unreadUs;
    const reading = this.#state === "reading" && seconds > 1;
    return {
      state: this.#state,
      entities,
      rows: this.rows,
      rowsPerSecond: reading ? (this.rows - this.#startedRows) / seconds : undefined,
      secondsLeft: reading && readUs > 0 ? seconds * unreadUs / readUs : undefined,
    };
  }

  /** Capture stops, or had stopped: what follows may be missing until it goes on. */
  interrupted(reason: string): void {
    const { outbox } = this.#options;
    outbox.flush();
    const seenUs = outbox.gaps.newestSeenUs();
    if (seenUs === undefined) return;
    // a full outbox opens them when it takes events again
    outbox.append([], () => outbox.gaps.open());
    this.interruptions.begin(reason, seenUs);
  }

  /** At the very first start, before subscribing: the history of every entity is missing. */
  async prepare(connection: Connection): Promise<void> {
    const { outbox, clock, registered, days } = this.#options;
    if (outbox.meta(IMPORT_KEY) !== undefined) return;
    if (days === 0) return outbox.setMeta(IMPORT_KEY, "0");
    const states = await presentStates(connection);
    for (const { lastUpdatedUs } of states) clock.hear(lastUpdatedUs);
    const known = new Set([...states.map(({ entityId }) => entityId), ...registered()]);
    const nowUs = clock.nowUs();
    if (nowUs === undefined) return;
    // together, so that a kill in between cannot import it all twice
    outbox.append([], () => {
      outbox.gaps.openAll(known, nowUs - days * DAY_US);
      outbox.setMeta(IMPORT_KEY, String(days));
    });
    log.info("Importing {days} days of history of {entities} entities", {
      days,
      entities: known.size,
    });
  }

  /** Fills whatever is missing over this connection, which has subscribed, until it ends, which aborts the signal. */
  async run(connection: Connection, ended: AbortSignal): Promise<void> {
    const { outbox, pollMs = POLL_MS } = this.#options;
    while (!ended.aborted) {
      try {
        this.#state = "waiting";
        await this.#untilRunning(connection, ended);
        const unseen = await this.#compare(connection);
        await this.#fill(connection, unseen, ended);
        this.#state = "idle";
        // events that were refused while the outbox was full leave a gap too
        while (!ended.aborted && outbox.gaps.extent().entities === 0) {
          await sleep(5 * pollMs, ended);
        }
        if (!ended.aborted && !this.interruptions.open) {
          this.interruptions.begin("the outbox was full", outbox.gaps.newestSeenUs() ?? 0);
        }
      } catch (error) {
        if (ended.aborted) break;
        log.warn("Cannot fill gaps now: {reason}", { reason: describeError(error) });
        await sleep(10 * pollMs, ended);
      }
    }
    this.#state = "idle";
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
      if (outbox.gaps.extent().entities === 0) break;
      const waitMs = (looksMs[look] ?? lastMs) -
        (look < looksMs.length ? performance.now() - startedMs : 0);
      this.#state = "waiting";
      await sleep(Math.max(0, waitMs), ended);
      found = await this.#look(connection, ended);
      if (ended.aborted) return;
      if (look === 1) await this.#spoolUnseen(unseen, ended);
    }
    await this.#spoolUnseen(unseen, ended);
    const { unproven } = outbox.gaps.close();
    if (unproven > 0) {
      log.warn("The recorder does not know all that {entities} entities missed {interval}", {
        entities: unproven,
        interval: this.interruptions.interval(),
      });
    }
    this.interruptions.unfilled("not in the recorder", unproven);
    this.interruptions.end();
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
    clock.hear(outbox.gaps.newestSeenUs() ?? -Infinity);
    outbox.flush();
    const unseen = states.filter(({ entityId, lastUpdatedUs }) =>
      lastUpdatedUs > (outbox.gaps.seenUs(entityId) ?? -Infinity)
    );
    const { open } = this.interruptions;
    outbox.append([], () => {
      for (const { entityId, lastUpdatedUs } of states) {
        outbox.gaps.unchanged(entityId, lastUpdatedUs);
      }
      const known = new Set([...states.map(({ entityId }) => entityId), ...registered()]);
      if (open) outbox.gaps.openUnseen(known, open.fromUs);
    });
    this.interruptions.resumed(clock.nowUs() ?? 0, outbox.gaps.extent().entities);
    return unseen;
  }

  /** Reads every gap once, from new to old. Returns how many rows that filled in. */
  async #look(connection: Connection, ended: AbortSignal): Promise<number> {
    const { outbox, clock } = this.#options;
    outbox.gaps.beginLook((clock.nowUs() ?? 0) + FAR_US);
    this.#state = "reading";
    this.#startedMs = performance.now();
    this.#startedRows = this.rows;
    this.#totalUs = outbox.gaps.extent(clock.nowUs()).unreadUs;
    let saidMs = performance.now();
    while (!ended.aborted) {
      const gaps = outbox.gaps.next(this.#history.maxEntities);
      if (gaps.length === 0) break;
      await outbox.room(ended);
      if (!await this.#history.readPage(connection, gaps, ended)) break;
      if (performance.now() - saidMs < 10_000) continue;
      saidMs = performance.now();
      const { entities, secondsLeft } = this.filling;
      log.info("Filling from history: {rows} states so far, {entities} entities, {left} s left", {
        rows: this.rows,
        entities,
        left: secondsLeft === undefined ? "?" : Math.round(secondsLeft),
      });
    }
    if (!ended.aborted) outbox.gaps.endLook();
    return this.rows - this.#startedRows;
  }

  /** Spools the present states that history did not bring either. */
  async #spoolUnseen(unseen: readonly PresentState[], ended: AbortSignal): Promise<void> {
    const { outbox, line } = this.#options;
    let committed = false;
    while (!committed && !ended.aborted) {
      await outbox.room(ended);
      outbox.flush();
      const left = unseen.filter(({ entityId, lastUpdatedUs }) => {
        const seenUs = outbox.gaps.seenUs(entityId);
        return seenUs === undefined || seenUs < lastUpdatedUs;
      });
      committed = outbox.append(
        left.map((state) => line(unseenStateText(state), state, "snapshot")),
        () => left.forEach((stamp) => outbox.gaps.heard(stamp)),
      );
    }
  }
}
