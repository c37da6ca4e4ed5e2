/** Why states may be missing for good: what the recorder does not have, and what it says of that. */
import { getLogger } from "../../log.ts";
import { describeError } from "../../retry.ts";
import type { Connection } from "../hass/connection.ts";
import type { Ended } from "./history_page.ts";
import { askRows, hasRowsBefore, type Rows } from "./history_request.ts";

const log = getLogger("ingest", "filling");

/** A recorder forgets by days: of what is younger nothing can be too old. */
const HOUR_US = 3_600_000_000;
/** So many entities of a page are asked for by themselves. */
const MAX_ASKED = 20;
/** So many entities are asked for at once whether the recorder has anything as old as a gap. */
const SOME = 650;

export interface LacksOptions {
  /** Entities that were seen. */
  readonly seen: () => readonly string[];
  /** Home Assistant's time now, in microseconds since 1970, at the latest. */
  readonly nowUs: () => number;
  /** Whether that is a gap's begin: of an import nobody knows how far the recorder went back. */
  readonly isGap: (beginUs: number) => boolean;
  /** The id that an entity has now, where it was renamed. */
  readonly renamedTo: (entityId: string) => string | undefined;
}

export class Lacks {
  readonly #options: LacksOptions;
  /** Of a gap, by its begin: the oldest row that was read. */
  readonly #oldestUs = new Map<number, number>();
  readonly #older = new Map<number, boolean>();

  constructor(options: LacksOptions) {
    this.#options = options;
  }

  /** These rows were read of the gap that began then. */
  read(beginUs: number, { rows }: Rows): void {
    let oldestUs = this.#oldestUs.get(beginUs) ?? Infinity;
    for (const [first] of rows.values()) {
      if (first) oldestUs = Math.min(oldestUs, first.lastUpdatedUs);
    }
    this.#oldestUs.set(beginUs, oldestUs);
  }

  /** Of how many entities something may be missing for good, by reason. Throws where the connection has ended. */
  async explain(
    connection: Connection,
    beginUs: number,
    ended: readonly Ended[],
  ): Promise<ReadonlyMap<string, number>> {
    const reasons = new Map<string, number>();
    if (ended.length === 0) return reasons;
    const isOlder = await told(connection, this.#isOlder(connection, beginUs));
    let asked = 0;
    for (const one of ended) {
      let reason: string | undefined = this.#known(one, isOlder);
      if (reason === "not recorded" && asked++ < MAX_ASKED) {
        const isRecorded = await told(connection, this.#hasLower(connection, one));
        if (isRecorded) reason = "lost by the recorder";
      }
      if (reason) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    return reasons;
  }

  #known({ missing, lastState, lack }: Ended, isOlder: boolean): string | undefined {
    const isGone = missing.toUs === undefined;
    const isRenamed = this.#options.renamedTo(missing.entityId) !== undefined;
    if (isRenamed && (lack || isGone)) return "renamed";
    if (isOlder && !isGone) return "older than the recorder keeps";
    const hasRows = lastState !== undefined && lastState.lastUpdatedUs > missing.fromUs;
    return lack === "not recorded" && hasRows ? "lost by the recorder" : lack;
  }

  /** Whether the recorder has forgotten what it had of the gap's begin. */
  async #isOlder(connection: Connection, beginUs: number): Promise<boolean> {
    const { isGap, seen, nowUs } = this.#options;
    const oldestUs = Math.min(this.#oldestUs.get(beginUs) ?? Infinity, nowUs());
    if (oldestUs < beginUs + HOUR_US || !isGap(beginUs)) return false;
    const known = this.#older.get(beginUs);
    if (known !== undefined) return known;
    const has = async (startUs: number, endUs: number) => {
      const all = seen();
      for (let at = 0; at < all.length; at += SOME) {
        const wanted = { entityIds: all.slice(at, at + SOME), startUs, endUs, nowUs: nowUs() };
        if (await hasRowsBefore(connection, wanted)) return true;
      }
      return false;
    };
    // where it has no row of anything at all it does not record
    const isOlder = !await has(beginUs, beginUs) && await has(nowUs(), nowUs());
    this.#older.set(beginUs, isOlder);
    return isOlder;
  }

  /** What was recorded up to the gap is recorded: then what it lacks was lost. */
  async #hasLower(connection: Connection, { missing }: Ended): Promise<boolean> {
    const { entityId, fromUs } = missing;
    const nowUs = this.#options.nowUs();
    const wanted = { entityIds: [entityId], startUs: fromUs, endUs: fromUs, nowUs };
    const { rows } = await askRows(connection, wanted);
    return rows.get(entityId)?.some(({ lastUpdatedUs }) => lastUpdatedUs === fromUs) ?? false;
  }
}

/** What was asked; false where an id is refused or a database is slow, which must not keep a page from being kept. */
async function told(connection: Connection, asked: Promise<boolean>): Promise<boolean> {
  try {
    return await asked;
  } catch (error) {
    if (!connection.isOpen) throw error;
    log.debug("Cannot tell what the recorder lacks: {reason}", { reason: describeError(error) });
    return false;
  }
}
