/** What `history/…` asks of the recorder's rows, and the text that answers it. */
import { domainOf, NEED_ATTRIBUTE_DOMAINS, type RecordedRow } from "./recorded_row.ts";
import { rowText, SIGNIFICANT_DOMAINS } from "./recorded_row.ts";

/** A question about a period; both ends are exclusive, in seconds since 1970. */
export interface HistoryQuery {
  readonly start: number;
  /** Infinity where no end is given. */
  readonly end: number;
  readonly entityIds: readonly string[];
  readonly includeStartTimeState: boolean;
  readonly significantChangesOnly: boolean;
  readonly minimalResponse: boolean;
  readonly noAttributes: boolean;
}

/** What the recorder says to a question. */
export interface HistoryAnswer {
  /** The JSON text: entity id → rows. Entities without a row are left out. */
  readonly text: string;
  /** When the last of the rows was updated; undefined where there is none. */
  readonly lastUpdated: number | undefined;
}

/**
 * Answers from rows that are in the order of time. `oldestStartState` is how old the state at the
 * start may be at most, in seconds since 1970.
 */
export function answerHistory(
  query: HistoryQuery,
  rowsOf: (entityId: string) => readonly RecordedRow[],
  oldestStartState: number,
): HistoryAnswer {
  const members: string[] = [];
  let lastUpdated: number | undefined;
  for (const entityId of new Set(query.entityIds)) {
    const rows = select(entityId, rowsOf(entityId), query, oldestStartState);
    const last = rows.at(-1);
    if (last === undefined) continue;
    lastUpdated = Math.max(lastUpdated ?? last.lastUpdated, last.lastUpdated);
    members.push(`${JSON.stringify(entityId)}:[${rowTexts(entityId, rows, query).join(",")}]`);
  }
  return { text: `{${members.join(",")}}`, lastUpdated };
}

function select(
  entityId: string,
  rows: readonly RecordedRow[],
  { start, end, includeStartTimeState, significantChangesOnly }: HistoryQuery,
  oldestStartState: number,
): RecordedRow[] {
  const significant = !significantChangesOnly ||
    SIGNIFICANT_DOMAINS.has(domainOf(entityId));
  const selected = rows.filter(({ lastUpdated, lastChanged }) =>
    lastUpdated > start && lastUpdated < end &&
    (significant || lastUpdated === lastChanged)
  );
  const before = includeStartTimeState
    ? rows.findLast(({ lastUpdated }) => lastUpdated < start && lastUpdated >= oldestStartState)
    : undefined;
  // the state that held at the start gets the start as its time
  const all = before
    ? [{ ...before, lastUpdated: start, lastChanged: start }, ...selected]
    : selected;
  // what is asked for significant changes is told without `lc`
  return significantChangesOnly
    ? all.map((row) => ({ ...row, lastChanged: row.lastUpdated }))
    : all;
}

function rowTexts(
  entityId: string,
  rows: readonly RecordedRow[],
  { minimalResponse, noAttributes }: HistoryQuery,
): string[] {
  if (!minimalResponse || NEED_ATTRIBUTE_DOMAINS.has(domainOf(entityId))) {
    return rows.map((row) => rowText(row, noAttributes ? "{}" : row.attributes));
  }
  return rows.flatMap((row, i) => {
    if (i === 0) return rowText(row, noAttributes ? undefined : row.attributes);
    if (rows[i - 1].state === row.state) return [];
    return rowText({ ...row, lastChanged: row.lastUpdated }, undefined);
  });
}
