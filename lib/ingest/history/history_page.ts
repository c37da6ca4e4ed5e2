/**
 * One page of history, pure: what of its rows is missing, and how far it brings each entity. Pages go
 * from new to old. The oldest row of a page waits (`held`) for the row before it, in the next
 * page, to say which state it replaced.
 */
import type { Missing, MissingProgress, StateStamp } from "../outbox/missing_states.ts";
import { heldRowSchema, type HistoryRow, stateChangedText } from "./history.ts";

export interface Filled {
  readonly stamp: StateStamp;
  /** A removal's is that of the state before it. */
  readonly friendlyName: string | undefined;
  /** The event's text. */
  readonly text: string;
}

export interface Page {
  /** The oldest first. */
  readonly events: readonly Filled[];
  readonly progress: readonly MissingProgress[];
}

/**
 * What the rows from `startUs` on fill in. Only rows strictly between the bounds are missing; the
 * row at the lower bound is known, and proves that nothing older is gone.
 */
export function pageOf(
  asked: readonly Missing[],
  rows: ReadonlyMap<string, readonly HistoryRow[]>,
  startUs: number,
): Page {
  const events: Filled[] = [];
  const progress = asked.map((wanted) => {
    const found = rows.get(wanted.entityId) ?? [];
    const { events: filled, ...left } = fill(wanted, found, startUs);
    events.push(...filled);
    return left;
  });
  events.sort((a, b) => a.stamp.lastUpdatedUs - b.stamp.lastUpdatedUs);
  return { events, progress };
}

function fill(
  wanted: Missing,
  rows: readonly HistoryRow[],
  startUs: number,
): MissingProgress & { readonly events: readonly Filled[] } {
  const { entityId, fromUs, cursorUs, toUs = Infinity } = wanted;
  const endUs = Math.min(cursorUs, toUs);
  const missing = rows.filter(({ lastUpdatedUs: us }) =>
    us > fromUs && us >= startUs && us < endUs
  );
  const base = rows.find(({ lastUpdatedUs }) => lastUpdatedUs === fromUs);
  const held = wanted.held === undefined ? [] : [heldRowSchema.parse(JSON.parse(wanted.held))];
  const chain = [...base ? [base] : [], ...missing, ...held];
  const events = chain.slice(1).map((row, i) => filledBy(entityId, row, chain[i]));
  const isDone = startUs <= fromUs;
  const [oldest] = chain;
  const waits = oldest !== undefined && oldest !== base;
  // nothing is known of what came before: the row is stored without
  if (waits && isDone) events.unshift(filledBy(entityId, oldest, undefined));
  const newestUs = missing.at(-1)?.lastUpdatedUs;
  return {
    id: wanted.id,
    cursorUs: startUs,
    newestUs: wanted.newestUs ?? newestUs,
    held: waits && !isDone ? JSON.stringify(oldest) : undefined,
    proof: wanted.proof || (base ? 1 : isDone && waits ? 2 : 0),
    events,
  };
}

function filledBy(entityId: string, row: HistoryRow, previous: HistoryRow | undefined): Filled {
  return {
    stamp: { entityId, lastUpdatedUs: row.lastUpdatedUs },
    friendlyName: row.friendlyName ?? (row.state === null ? previous?.friendlyName : undefined),
    text: stateChangedText(entityId, row, previous),
  };
}
