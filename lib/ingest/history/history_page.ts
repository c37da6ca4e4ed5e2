/**
 * One page of history, pure: what of its rows is missing, and how far it brings each entity. Pages
 * go from old to new; the last row of one is what the first row of the next replaced.
 */
import type { Missing, MissingProgress } from "../outbox/missing_states.ts";
import type { KnownState } from "../outbox/seen_states.ts";
import { type HistoryRow, stateChangedText } from "./history.ts";

export interface FilledState {
  readonly entityId: string;
  readonly lastUpdatedUs: number;
  /** A removal's is that of the state before it. */
  readonly friendlyName: string | undefined;
  /** The event's text. */
  readonly text: string;
}

/** What is missing of an entity and was read to its end. */
export interface Ended {
  readonly missing: Missing;
  readonly lastState: KnownState | undefined;
  /** Why not all of it could be filled in, where the recorder shows that. */
  readonly lack: Lack | undefined;
}

/** The recorder has none of the entity's rows; or it lost some between others. */
export type Lack = "not recorded" | "lost by the recorder";

export interface Page {
  /** The oldest first. */
  readonly events: readonly FilledState[];
  readonly progress: readonly MissingProgress[];
  readonly ended: readonly Ended[];
}

/** The rows of an answer, and where the page ends, Infinity for the last one; the answer may have rows of that time, too. */
export interface ReadRows {
  readonly rows: ReadonlyMap<string, readonly HistoryRow[]>;
  readonly endUs: number;
}

export function pageOf(asked: readonly Missing[], { rows, endUs }: ReadRows): Page {
  const events: FilledState[] = [];
  const progress: MissingProgress[] = [];
  const ended: Ended[] = [];
  for (const missing of asked) {
    const read = readOf(missing, rows.get(missing.entityId) ?? [], endUs);
    events.push(...read.events);
    const { lastState, isProven } = read;
    if (endUs < Infinity && endUs <= lastWantedUs(missing)) {
      progress.push({ id: missing.id, readUs: endUs, lastState, isProven });
    } else {
      const hasUpper = rows.get(missing.entityId)?.some(({ lastUpdatedUs }) =>
        lastUpdatedUs === missing.toUs
      );
      const lack = isProven ? undefined : hasUpper ? "lost by the recorder" : "not recorded";
      ended.push({ missing, lastState, lack });
    }
  }
  events.sort((a, b) => a.lastUpdatedUs - b.lastUpdatedUs);
  return { events, progress, ended };
}

/** The stamp of the last row that says something of it, that of the state which ends it. */
export function lastWantedUs({ fromUs, toUs = Infinity, untilUs = toUs }: Missing): number {
  return toUs > fromUs ? Math.max(toUs, untilUs) : Infinity;
}

/** Where a clock went back rows are in no order, and say nothing of what they replaced. */
function isUnordered({ startUs, fromUs }: Missing): boolean {
  return startUs < fromUs;
}

function isWanted(missing: Missing, us: number): boolean {
  const { fromUs, toUs = Infinity, startUs, untilUs = toUs } = missing;
  const isBefore = us < Math.max(toUs, untilUs);
  if (!isUnordered(missing)) return us > fromUs && isBefore;
  return us > startUs && us !== fromUs && (toUs > fromUs ? isBefore : us < toUs || us > fromUs);
}

function readOf(missing: Missing, rows: readonly HistoryRow[], endUs: number) {
  const { entityId, fromUs, readUs, proofUs } = missing;
  let { lastState, isProven } = missing;
  const events: FilledState[] = [];
  for (const row of rows) {
    const us = row.lastUpdatedUs;
    isProven ||= us === proofUs;
    if (us < readUs || us >= endUs) continue;
    if (isWanted(missing, us)) {
      const previous = isUnordered(missing) ? undefined : lastState;
      events.push({
        entityId,
        lastUpdatedUs: us,
        friendlyName: row.friendlyName ??
          (row.state === null ? lastState?.friendlyName : undefined),
        text: stateChangedText(entityId, row, previous),
      });
    } else if (us !== fromUs) continue;
    const { attributes: _, ...known } = row;
    lastState = known;
  }
  return { events, lastState, isProven };
}
