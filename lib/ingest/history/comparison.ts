/** Compares the present states with what was seen: that shows what is missing, and of which entities. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { getLogger } from "../../log.ts";
import { sleep } from "../../retry.ts";
import type { Connection } from "../hass/connection.ts";
import type { HassClock } from "../hass/hass_clock.ts";
import { type PresentState, presentStates, unseenStateText } from "../hass/present_states.ts";
import type { Outbox } from "../outbox/outbox.ts";
import type { Gaps } from "./gaps.ts";
import { MOST_WAITING } from "./history_reader.ts";
import { hassTime } from "./recorder_barrier.ts";

/** What the file keeps of the first start: for how many days history was imported. */
const IMPORTED = "imported";
/** Present states of one commit; live events come between. */
const STEP = 200;
/** Entities of which one commit notes where reading begins. */
const START_STEP = 2_000;
const CLOCK_DEADLINE_MS = 5_000;
const NAMES_DEADLINE_MS = 10_000;
/** How far Home Assistant's time may be off where only its events tell it. */
const MARGIN_US = 10_000_000;

const log = getLogger("ingest", "import");

export interface ComparisonOptions {
  readonly outbox: Outbox;
  readonly gaps: Gaps;
  readonly clock: HassClock;
  /** Settles once the names that hold now are read, or cannot be. */
  readonly namesRead: () => Promise<unknown>;
  /** How much of the recorder's history the first start imports, in days; 0 for none. */
  readonly days: number;
  /** The outbox's line of an event about the entity. */
  readonly line: (
    text: string,
    entity: { readonly entityId: string; readonly friendlyName?: string },
    via: "history" | "snapshot",
  ) => string;
}

export class Comparison {
  readonly #options: ComparisonOptions;

  constructor(options: ComparisonOptions) {
    this.#options = options;
  }

  /**
   * At the very first start, before subscribing: the history of `days` is missing as if capture had
   * stopped then. Later, and while Home Assistant's time is not known, it does nothing. Returns false
   * where a full file takes nothing: it is to be noted once there is room.
   */
  prepare(): boolean {
    const { outbox, clock, days } = this.#options;
    const nowUs = clock.nowUs();
    if (outbox.meta(IMPORTED) !== undefined || nowUs === undefined) return true;
    // together, so that a kill in between cannot import it all twice
    const noted = outbox.append([], () => {
      if (days > 0) outbox.chain.openImport(nowUs, days);
      outbox.setMeta(IMPORTED, String(days));
    });
    if (noted && days > 0) log.info("Importing {days} days of history", { days });
    return noted;
  }

  /** Home Assistant's time, in microseconds since 1970, at the latest. */
  nowUs(): number {
    const { clock, outbox } = this.#options;
    return (clock.nowUs() ?? outbox.chain.seen.heard()?.us ?? 0) + MARGIN_US;
  }

  /**
   * Compares, over a connection that has subscribed to a Home Assistant that has started. States that
   * nobody heard are spooled at once; the recorder may know what came before them, and what they
   * replaced. Throws what `command` throws, where the file takes nothing, and where it refused events since.
   */
  async run(connection: Connection, ended: AbortSignal): Promise<void> {
    const { outbox, clock, gaps } = this.#options;
    const { chain, missing } = outbox;
    const askedSinceMs = performance.now();
    // what was refused before is older than what is asked for now
    outbox.owed.write();
    const { openings } = chain;
    const assertCurrent = () => {
      // what was refused since may be newer than these states, and no other may ever come
      if (chain.openings !== openings) throw new Error("events were refused meanwhile");
    };
    const { nowUs, marginUs } = await this.#hassTime(connection);
    // what is spooled from here on keeps the names that it gets
    await Promise.race([this.#options.namesRead(), sleep(NAMES_DEADLINE_MS, ended)]);
    const states = await presentStates(connection, { askedSinceMs });
    for (const { lastUpdatedUs } of states) clock.atLeast(lastUpdatedUs);
    // a clock that was not known, or a full disk, kept it from being noted
    if (!this.prepare()) throw new Error(outbox.size.reason);
    for (let at = 0; at < states.length && !ended.aborted; at += STEP) {
      await this.#spoolUnseen(states.slice(at, at + STEP), assertCurrent, ended);
      // where there is room nothing else lets others have their turn
      await nextTurn();
    }
    if (ended.aborted) return;
    const present = new Set(states.map(({ entityId }) => entityId));
    // those that come meanwhile are heard
    const absent: string[] = [];
    for (const ids of chain.seen.entityIdPages()) {
      absent.push(...ids.filter((id) => !present.has(id)));
      await nextTurn();
    }
    const append = (work: () => void) => {
      outbox.flush();
      const done = outbox.append([], () => {
        assertCurrent();
        work();
      });
      if (!done) throw new Error(outbox.size.reason);
    };
    for (let count = START_STEP; count === START_STEP && !ended.aborted;) {
      append(() => count = chain.startReading(nowUs(), START_STEP));
      await nextTurn();
    }
    if (ended.aborted) return;
    append(() => {
      if (chain.opened) chain.gone(chain.goneSince(present, absent));
      chain.compared(nowUs(), marginUs);
    });
    gaps.resumed(nowUs(), missing.byGap());
  }

  /** Home Assistant's time from now on, at the latest, and by how much that may be too late. */
  async #hassTime(
    connection: Connection,
  ): Promise<{ readonly nowUs: () => number; readonly marginUs: number }> {
    try {
      const nowUs = await hassTime(connection, CLOCK_DEADLINE_MS);
      this.#options.clock.hear(nowUs());
      return { nowUs, marginUs: 0 };
    } catch (error) {
      // a database that is away, or history that is off, must not keep present states out
      if (!connection.isOpen) throw error;
      return { nowUs: () => this.nowUs(), marginUs: MARGIN_US };
    }
  }

  async #spoolUnseen(
    states: readonly PresentState[],
    assertCurrent: () => void,
    ended: AbortSignal,
  ): Promise<void> {
    const { outbox, line } = this.#options;
    const { chain } = outbox;
    await outbox.appendWithRoom(
      () => {
        outbox.flush();
        const unseen = states.filter(({ entityId, lastUpdatedUs }) =>
          chain.isUnseen(entityId, lastUpdatedUs)
        );
        return {
          lines: unseen.map((state) => line(unseenStateText(state), state, "snapshot")),
          also: () => {
            assertCurrent();
            for (const one of unseen) {
              const { entityId, state, lastUpdatedUs, lastChangedUs } = one;
              const { deviceClass, unit, friendlyName } = one;
              const measured = { deviceClass, unit, friendlyName };
              chain.shown(entityId, { state, lastUpdatedUs, lastChangedUs, ...measured });
            }
          },
        };
      },
      ended,
      MOST_WAITING,
    );
  }
}
