/**
 * Reads what is missing out of Home Assistant's recorder, a page at a time, each small enough not to hold up
 * live events. A page's rows and its place are committed together.
 */
import { getLogger } from "../../log.ts";
import { describeError, sleep } from "../../retry.ts";
import { formatTimeUs } from "../../time.ts";
import { CommandFailed, type Connection } from "../hass/connection.ts";
import type { Missing } from "../outbox/missing_states.ts";
import type { HassClock } from "../hass/hass_clock.ts";
import { type HistoryRow, readHistory } from "./history.ts";
import { pageOf } from "./history_page.ts";
import type { Gaps } from "./gaps.ts";
import type { Outbox } from "../outbox/outbox.ts";

/** Entities asked for at once. */
const MAX_ENTITIES = 50;
const MAX_WINDOW_US = 3_600_000_000;
const FIRST_WINDOW_US = 300_000_000;
const MIN_WINDOW_US = 1_000_000;
/** A page of more rows is asked for again in halves: it must not hold up live events. */
const MAX_ROWS = 2_000;
/** Nor may it be more than a small outbox has room for, which would wait for that without end. */
const MAX_BYTES = 1_000_000;
/** A page of fewer rows and characters makes the next one longer, which then is not too large. */
const FEW_ROWS = 500;
const FEW_CHARS = 250_000;
const RETRY_MS = 1_000;
const GIVE_UP_FAILURES = 10;

const log = getLogger("ingest", "filling");

export interface HistoryReaderOptions {
  readonly outbox: Outbox;
  readonly clock: HassClock;
  readonly gaps: Gaps;
  /** The outbox's line of an event about the entity. */
  readonly line: (
    text: string,
    entity: { readonly entityId: string; readonly friendlyName?: string },
  ) => string;
}

export class HistoryReader {
  readonly #options: HistoryReaderOptions;
  #rows = 0;
  #windowUs = FIRST_WINDOW_US;
  /** In a row, of a page that cannot be smaller. */
  #failures = 0;
  /** How many entities the next page may ask for: fewer after errors. */
  maxEntities = MAX_ENTITIES;

  constructor(options: HistoryReaderOptions) {
    this.#options = options;
  }

  /** Rows that were filled in since the program's start. */
  get rows(): number {
    return this.#rows;
  }

  /** One page of the newest unread part of what is missing. Returns false where there is no history to ask. */
  async readPage(
    connection: Connection,
    missing: readonly Missing[],
    ended: AbortSignal,
  ): Promise<boolean> {
    const { clock } = this.#options;
    const endUs = Math.max(...missing.map(({ cursorUs }) => cursorUs));
    const lowestUs = Math.min(...missing.map(({ fromUs }) => fromUs));
    // what Home Assistant's clock says is at least what was heard: the newest page has no end
    const knownUs = Math.min(endUs, (clock.nowUs() ?? 0) + MIN_WINDOW_US);
    const startUs = Math.max(knownUs - this.#windowUs, lowestUs);
    const within = missing.filter(({ cursorUs }) => cursorUs > startUs);
    let answer: string;
    try {
      answer = await connection.commandText("history/history_during_period", {
        // the bounds are exclusive
        start_time: formatTimeUs(startUs - 1),
        end_time: formatTimeUs(endUs),
        entity_ids: [...new Set(within.map(({ entityId }) => entityId))],
        include_start_time_state: false,
        significant_changes_only: false,
        minimal_response: false,
        no_attributes: false,
      });
    } catch (error) {
      return this.#smaller(error, within, ended);
    }
    const { rows, malformed } = readHistory(answer);
    if (malformed > 0) log.warn("Cannot read {malformed} rows of history", { malformed });
    const count = [...rows.values()].reduce((sum, { length }) => sum + length, 0);
    const isLarge = count > MAX_ROWS || Buffer.byteLength(answer) > MAX_BYTES;
    if (isLarge && (knownUs - startUs > MIN_WINDOW_US || within.length > 1)) {
      this.#windowUs = Math.max(MIN_WINDOW_US, Math.floor((knownUs - startUs) / 2));
      if (knownUs - startUs <= MIN_WINDOW_US) this.maxEntities = Math.ceil(within.length / 2);
      return true;
    }
    this.#failures = 0;
    await this.#spool(within, rows, startUs, ended);
    const isSmall = count < FEW_ROWS && answer.length < FEW_CHARS;
    if (isSmall) this.#windowUs = Math.min(MAX_WINDOW_US, this.#windowUs * 2);
    this.maxEntities = Math.min(MAX_ENTITIES, this.maxEntities * 2);
    return true;
  }

  async #spool(
    asked: readonly Missing[],
    rows: ReadonlyMap<string, readonly HistoryRow[]>,
    startUs: number,
    ended: AbortSignal,
  ): Promise<void> {
    const { outbox, line, gaps } = this.#options;
    let filled = 0;
    const committed = await outbox.appendWithRoom(() => {
      outbox.flush();
      // an event may have ended or removed some while Home Assistant looked its rows up
      const { events, progress } = pageOf(outbox.missing.again(asked), rows, startUs);
      filled = events.length;
      return {
        lines: events.map(({ text, stamp: { entityId }, friendlyName }) =>
          line(text, { entityId, friendlyName })
        ),
        also: () => outbox.missing.filled(events.map(({ stamp }) => stamp), progress),
      };
    }, ended);
    if (!committed) return;
    this.#rows += filled;
    gaps.filled(filled);
  }

  /**
   * Asks for less after an error. What fails alone is given up, with the reason: a malformed id at
   * once, anything else that Home Assistant answers after ten times; silence never.
   */
  async #smaller(
    error: unknown,
    missing: readonly Missing[],
    ended: AbortSignal,
  ): Promise<boolean> {
    if (ended.aborted) return false;
    const { outbox, gaps } = this.#options;
    const code = error instanceof CommandFailed ? error.code : "";
    const isOff = code === "unknown_command";
    const isId = code === "invalid_entity_ids";
    if (missing.length > 1 && !isOff) {
      this.maxEntities = Math.max(1, Math.floor(missing.length / 2));
    }
    if (!isId) this.#windowUs = Math.max(MIN_WINDOW_US, Math.floor(this.#windowUs / 2));
    const isSmallest = missing.length === 1 && this.#windowUs === MIN_WINDOW_US;
    if (isSmallest) this.#failures++;
    const isHopeless = isId
      ? missing.length === 1
      : code !== "" && this.#failures >= GIVE_UP_FAILURES;
    if (!isOff && !isHopeless) {
      log.debug("Asking for less history: {reason}", { reason: describeError(error) });
      if (!isId) await sleep(isSmallest ? GIVE_UP_FAILURES * RETRY_MS : RETRY_MS, ended);
      return true;
    }
    const lost = isOff ? outbox.missing.all() : missing;
    const removed = outbox.append([], () => lost.forEach(({ id }) => outbox.missing.remove(id)));
    // they are asked for again, and must not count twice
    if (!removed) throw new Error(outbox.size.reason);
    this.#failures = 0;
    const reason = isOff ? "history is off" : describeError(error);
    gaps.unfilled(reason, lost.length);
    log.warn("Cannot fill what {entities} entities missed {interval}: {reason}", {
      entities: lost.length,
      interval: gaps.interval(),
      reason,
    });
    return !isOff;
  }
}
