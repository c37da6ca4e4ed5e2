/** Asking Home Assistant's recorder for rows. */
import { memberText } from "../../json_text.ts";
import { formatTimeUs } from "../../time.ts";
import type { Connection } from "../hass/connection.ts";
import { CommandFailed } from "../hass/outstanding_commands.ts";
import { type HistoryRow, readHistory } from "./history.ts";

/** No house has it, so it has neither a state nor rows. */
export const NO_ENTITY = "sensor.no_entity_has_this_id";

/** How far `nowUs` may be after Home Assistant's time, and more. */
const AHEAD_US = 20_000_000;

/** Whose rows, and between which stamps, both included: microseconds since 1970. */
export interface RowsWanted {
  readonly entityIds: readonly string[];
  readonly startUs: number;
  readonly endUs: number;
  /** Home Assistant's time now, at the latest. */
  readonly nowUs: number;
}

export interface Rows {
  readonly rows: ReadonlyMap<string, readonly HistoryRow[]>;
  readonly count: number;
  readonly bytes: number;
  /** Rows that cannot be read. */
  readonly malformed: number;
}

/** Why nobody can be asked: the text of HistoryIsOff. */
export const HISTORY_IS_OFF = "Home Assistant's history integration is off";

/** The history integration is not there to ask. */
export class HistoryIsOff extends Error {
  override readonly name = "HistoryIsOff";
}

/** Throws HistoryIsOff where a Home Assistant that has started does not know the command, else what `ask` throws. */
export async function askHistory<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof CommandFailed && error.code === "unknown_command")) throw error;
    throw new HistoryIsOff(HISTORY_IS_OFF, { cause: error });
  }
}

/** Throws what `askHistory` throws. */
export async function askRows(connection: Connection, wanted: RowsWanted): Promise<Rows> {
  const answer = await ask(connection, wanted, false);
  const { rows, malformed } = readHistory(answer);
  const count = [...rows.values()].reduce((sum, { length }) => sum + length, 0);
  return { rows, count, bytes: Buffer.byteLength(answer), malformed };
}

/** Whether the recorder has a row of one of them from then, or from before. Throws what `askHistory` throws. */
export async function hasRowsBefore(connection: Connection, wanted: RowsWanted): Promise<boolean> {
  return readHistory(await ask(connection, wanted, true)).rows.size > 0;
}

async function ask(
  connection: Connection,
  { entityIds, startUs, endUs, nowUs }: RowsWanted,
  stateAtStart: boolean,
): Promise<string> {
  const pastUs = nowUs - AHEAD_US;
  const wanted = {
    // kept stamps go below the microsecond, and releases differ in whether a bound is included;
    // to a start that lies in the future, as where the clock went back, the answer is empty
    start_time: formatTimeUs(Math.min(startUs, pastUs) - 1),
    end_time: formatTimeUs(endUs + 1),
    // where all of them have states that are older than the start the answer is empty,
    // whatever rows there are: clocks that go back do this
    entity_ids: [...new Set(entityIds), NO_ENTITY],
    include_start_time_state: stateAtStart,
    significant_changes_only: false,
    minimal_response: false,
    // without attributes their changes are no rows
    no_attributes: false,
  };
  if (endUs + 1 >= pastUs) {
    return await askHistory(() => connection.commandText("history/history_during_period", wanted));
  }
  // that would be empty where the recorder has forgotten since when it has rows, as 2025.4 does when
  // a commit fails; a stream that has ended looks at the rows themselves
  const [text] = await askHistory(() => connection.stream("history/stream", wanted, { count: 1 }));
  return memberText(text ?? "", "states") ?? "{}";
}
