/**
 * Reads what is missing out of Home Assistant's recorder, a page at a time, each small enough not to hold up
 * live events. A page's rows and its place are committed together.
 */
import { getLogger } from "../../log.ts";
import { describeError, sleep } from "../../retry.ts";
import type { Connection } from "../hass/connection.ts";
import { CommandFailed } from "../hass/outstanding_commands.ts";
import type { Missing } from "../outbox/missing_states.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { type Ended, lastWantedUs, type Page, pageOf, type ReadRows } from "./history_page.ts";
import { askRows, HistoryIsOff, type Rows } from "./history_request.ts";
import { Lacks } from "./lacks.ts";
import type { Gaps } from "./gaps.ts";

/** Entities asked for at once. */
const MAX_ENTITIES = 650;
const FIRST_WINDOW_US = 300_000_000;
const MIN_WINDOW_US = 1_000;
/** An answer too large for a message ends the connection, so the next one must be far from it. */
const ENDED_PART = 8;
/** The end of the newest page: whatever Home Assistant's clock says, it is before. */
const FAR_US = 36_500 * 86_400_000_000;
/** A page of more rows is asked for again in halves: it must not hold up live events. */
const MAX_ROWS = 2_000;
/** And live events come first: while more wait than this no page is read. */
export const MOST_WAITING = 200;
/** Nor may it be more than a small outbox has room for, which would wait for that without end. */
const MAX_BYTES = 1_000_000;
/** A page of fewer rows and bytes makes the next one longer, which then is not too large. */
const FEW_ROWS = 500;
const FEW_BYTES = 250_000;
const RETRY_MS = 1_000;
const GIVE_UP_FAILURES = 10;

const log = getLogger("ingest", "filling");

export interface HistoryReaderOptions {
  readonly outbox: Outbox;
  readonly gaps: Gaps;
  /** Home Assistant's time now, in microseconds since 1970, at the latest. */
  readonly nowUs: () => number;
  /** The outbox's line of an event about the entity. */
  readonly line: (
    text: string,
    entity: { readonly entityId: string; readonly friendlyName?: string },
  ) => string;
  /** The id that an entity has now, where it was renamed. */
  readonly renamedTo: (entityId: string) => string | undefined;
}

export class HistoryReader {
  readonly #options: HistoryReaderOptions;
  #rows = 0;
  #windowUs = FIRST_WINDOW_US;
  /** In a row, of a page that cannot be smaller. */
  #failures = 0;
  /** How many entities the next page may ask for: fewer after errors. */
  #maxEntities = MAX_ENTITIES;
  readonly #lacks: Lacks;

  constructor(options: HistoryReaderOptions) {
    this.#options = options;
    const { outbox: { chain }, gaps, nowUs, renamedTo } = options;
    this.#lacks = new Lacks({
      seen: () => chain.seen.entityIds(),
      nowUs,
      isGap: (beginUs) => gaps.isCapturedBefore(beginUs),
      renamedTo,
    });
  }

  /** Rows that were filled in since the program's start. */
  get rows(): number {
    return this.#rows;
  }

  /**
   * Reads one page of what is missing, up to that number. Returns false where nothing is left.
   * Throws HistoryIsOff, and where SQLite fails, but for a full file.
   */
  async readPage(connection: Connection, lastId: number, ended: AbortSignal): Promise<boolean> {
    const { outbox, gaps, nowUs } = this.#options;
    const missing = outbox.missing.next(this.#maxEntities, lastId);
    const [first] = missing;
    if (!first || ended.aborted) return false;
    const startUs = first.readUs;
    const windowEndUs = startUs + this.#windowUs;
    // nothing is behind what all of them want, and rows of the future come with those of now
    const lastUs = Math.max(startUs, ...missing.map(lastWantedUs));
    const endUs = lastUs < windowEndUs
      ? lastUs + 1
      : windowEndUs > nowUs()
      ? Infinity
      : windowEndUs;
    const within = missing.filter(({ readUs }) => readUs < endUs);
    const entityIds = within.map(({ entityId }) => entityId);
    const knownUs = Math.min(endUs, Math.max(nowUs(), startUs + MIN_WINDOW_US)) - startUs;
    let read: Rows;
    try {
      read = await askRows(connection, {
        entityIds,
        startUs,
        endUs: Math.min(endUs, nowUs() + FAR_US),
        nowUs: nowUs(),
      });
    } catch (error) {
      if (error instanceof HistoryIsOff) throw error;
      await this.#smaller(error, within, knownUs, ended);
      return true;
    }
    const { rows, count, bytes, malformed } = read;
    const isLarge = count > MAX_ROWS || bytes > MAX_BYTES;
    if (isLarge && (knownUs > MIN_WINDOW_US || within.length > 1)) {
      this.#shorten(knownUs, 2);
      if (knownUs <= MIN_WINDOW_US) this.#maxEntities = Math.ceil(within.length / 2);
      return true;
    }
    if (malformed > 0) log.warn("Cannot read {malformed} rows of history", { malformed });
    this.#failures = 0;
    const { beginUs } = first;
    const page = { rows, endUs };
    this.#lacks.read(beginUs, read);
    // asked before it is committed: a connection that ends here must not leave it unsaid
    const lacking = await this.#lacks.explain(connection, beginUs, pageOf(within, page).ended);
    if (await this.#spool(within, page, ended)) {
      for (const [reason, entities] of lacking) gaps.unfilled(reason, entities, beginUs);
    }
    if (count < FEW_ROWS && bytes < FEW_BYTES) this.#windowUs *= 2;
    this.#maxEntities = Math.min(MAX_ENTITIES, this.#maxEntities * 2);
    return true;
  }

  /** The next page is a part of this one; the window may be far longer than both, after small ones. */
  #shorten(knownUs: number, part: number): void {
    this.#windowUs = Math.max(MIN_WINDOW_US, Math.floor(knownUs / part));
  }

  async #spool(
    asked: readonly Missing[],
    read: ReadRows,
    ended: AbortSignal,
  ): Promise<boolean> {
    const { outbox, line, gaps } = this.#options;
    let filled: Page | undefined;
    const committed = await outbox.appendWithRoom(
      () => {
        outbox.flush();
        // an event may have ended or removed some while Home Assistant looked its rows up
        const made = filled = pageOf(outbox.missing.again(asked), read);
        return {
          lines: made.events.map(({ text, ...entity }) => line(text, entity)),
          also: () => {
            outbox.missing.filled(made.progress);
            for (const one of made.ended) this.#end(one);
          },
        };
      },
      ended,
      MOST_WAITING,
    );
    if (!committed || !filled) return false;
    this.#rows += filled.events.length;
    gaps.filled(filled.events.length, asked[0]?.beginUs ?? 0);
    return true;
  }

  /** Within a transaction: it is read to its end, or given up. */
  #end({ missing: { id, entityId, fromUs, toUs }, lastState }: Omit<Ended, "lack">): void {
    const { missing, chain } = this.#options.outbox;
    missing.remove(id);
    // one that was seen since is there: another one that was gone was renamed to it
    if (toUs !== undefined || (chain.seen.last(entityId)?.lastUpdatedUs ?? 0) > fromUs) return;
    chain.seen.gone(entityId, lastState?.lastUpdatedUs);
  }

  /**
   * Asks for less after an error. What fails alone is given up, with the reason: a malformed id at
   * once, anything else that Home Assistant answers after ten times; silence never.
   */
  async #smaller(
    error: unknown,
    missing: readonly Missing[],
    knownUs: number,
    ended: AbortSignal,
  ): Promise<void> {
    const { outbox, gaps } = this.#options;
    const code = error instanceof CommandFailed ? error.code : "";
    const isId = code === "invalid_entity_ids";
    if (missing.length > 1) this.#maxEntities = Math.floor(missing.length / 2);
    if (!isId) this.#shorten(knownUs, ended.aborted ? ENDED_PART : 2);
    if (ended.aborted) return;
    const isSmallest = missing.length === 1 && this.#windowUs === MIN_WINDOW_US;
    if (isSmallest) this.#failures++;
    const isHopeless = isId
      ? missing.length === 1
      : code !== "" && this.#failures >= GIVE_UP_FAILURES;
    if (!isHopeless) {
      log.debug("Asking for less history: {reason}", { reason: describeError(error) });
      if (!isId) await sleep(isSmallest ? GIVE_UP_FAILURES * RETRY_MS : RETRY_MS, ended);
      return;
    }
    outbox.flush();
    const removed = outbox.append([], () => {
      for (const one of outbox.missing.again(missing)) {
        this.#end({ missing: one, lastState: one.lastState });
      }
    });
    // they are asked for again, and must not count twice
    if (!removed) throw new Error(outbox.size.reason);
    this.#failures = 0;
    gaps.unfilled(describeError(error), missing.length, missing[0]?.beginUs ?? 0);
  }
}
