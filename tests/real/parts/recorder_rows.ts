/** What Home Assistant's recorder has in its file: the list that a complete store is held against. */
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { type HistoryRow, microsecondsOf } from "./history.ts";
import type { HomeAssistant } from "./home_assistant.ts";
import { until } from "../../until.ts";

const MARK = "sensor.committed";
const LIMIT_MS = 180_000;
const STATISTICS_EVERY_MS = 5 * 60_000;
const STATISTICS_AT_MS = 10_000;

/** Every row of the recorder from `fromUs` (microseconds since 1970, inclusive) on, as it is committed. */
export function recorderRows({ dir }: HomeAssistant, fromUs: bigint): HistoryRow[] {
  const database = new DatabaseSync(`${dir}/home-assistant_v2.db`, { readOnly: true });
  try {
    return database.prepare(
      "SELECT states_meta.entity_id, state, last_updated_ts FROM states " +
        "JOIN states_meta USING (metadata_id) " +
        "WHERE last_updated_ts >= ?",
    ).all(Number(fromUs) / 1e6 - 1).map(({ entity_id, state, last_updated_ts }) => ({
      entityId: String(entity_id),
      timeUs: microsecondsOf(Number(last_updated_ts)),
      state: state === null ? null : String(state),
    })).filter(({ timeUs }) => timeUs >= fromUs);
  } finally {
    database.close();
  }
}

/**
 * Has the recorder commit all that it heard so far, whatever its commit interval, and waits until it
 * has: it writes in the order of its queue, so the row of a state set now is its last.
 */
export async function untilCommitted(hass: HomeAssistant): Promise<void> {
  const state = crypto.randomUUID();
  await hass.setState(MARK, { state });
  using socket = await hass.connect();
  await until(
    async () => {
      await socket.command({
        type: "history/stream",
        start_time: new Date(0).toISOString(),
        entity_ids: [MARK],
      });
      return recorderRows(hass, 0n).some((row) => row.state === state);
    },
    "the recorder has committed all that it heard",
    { limitMs: LIMIT_MS, everyMs: 500 },
  );
}

/**
 * Waits until the recorder makes no statistics for `ms` from now on. It makes them ten seconds past
 * each fifth minute, and commits before it does, whatever its commit interval (homeassistant's
 * `recorder/core.py`, `_async_five_minute_tasks` and `commit_before`).
 */
export async function untilStatisticsAreFar(ms: number): Promise<void> {
  const sinceLastMs = (Date.now() - STATISTICS_AT_MS) % STATISTICS_EVERY_MS;
  const untilNextMs = STATISTICS_EVERY_MS - sinceLastMs;
  // 5 s more, so that the commit is done
  if (untilNextMs < ms) await delay(untilNextMs + 5_000);
}
