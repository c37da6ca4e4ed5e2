/**
 * Home Assistant's recorder writes down late: after seconds, after hours where its database is
 * locked, or never. A barrier tells when it has seen to all that came before: `history/stream`
 * without an end has the recorder commit, and its second message comes after that commit.
 */
import * as z from "zod";
import { describeError } from "../../retry.ts";
import { formatTimeUs } from "../../time.ts";
import type { Connection } from "../hass/connection.ts";
import type { HassClock } from "../hass/hass_clock.ts";
import { CommandFailed } from "../hass/outstanding_commands.ts";
import { historyUs } from "./history.ts";
import { askHistory, askRows, HistoryIsOff, NO_ENTITY } from "./history_request.ts";

/** Of an entity without rows nothing is sent but what is waited for. */
const STREAM = { start_time: formatTimeUs(0), entity_ids: [NO_ENTITY] };
/** Cores before this year, and one that does not say its release, can answer before the recorder has committed. */
const NEVER_EARLY_SINCE = 2026;

/** Why such a core is not believed yet: there is no state yet by which to tell. */
export const NOTHING_HEARD = "no state has changed since capture went on";

/** A barrier usually takes some 10 ms. */
const PROMPT_MS = 100;

const streamMessage = z.object({ end_time: z.number() });
const recorderInfo = z.object({
  recording: z.boolean().catch(true),
  thread_running: z.boolean().catch(true),
});

/**
 * What Home Assistant's clock says, at the latest: a function that gives its time whenever it is
 * called, in microseconds since 1970. It is there with the first message, or with the second one,
 * which is the barrier. Throws what `askHistory` throws.
 */
export async function hassTime(
  connection: Connection,
  deadlineMs: number,
  count: 1 | 2 = 1,
): Promise<() => number> {
  const askedMs = performance.now();
  const [text] = await askHistory(() =>
    connection.stream("history/stream", STREAM, { count, deadlineMs })
  );
  const us = historyUs(streamMessage.parse(JSON.parse(text ?? "")).end_time);
  return () => us + Math.ceil((performance.now() - askedMs) * 1000);
}

export interface BarrierOptions {
  readonly haVersion: string;
  readonly deadlineMs: number;
  /** States that were heard since what is waited for, by entity. */
  readonly witnesses: ReadonlyMap<string, number>;
  readonly clock: HassClock;
}

/**
 * Whether the recorder has seen to all that it heard before this call. Returns why that is not known,
 * or undefined where it has. Throws where the connection has ended.
 */
export async function behindBarrier(
  connection: Connection,
  { haVersion, deadlineMs, witnesses, clock }: BarrierOptions,
): Promise<string | undefined> {
  const isEarly = !(Number.parseInt(haVersion) >= NEVER_EARLY_SINCE);
  const heard = [...witnesses];
  if (isEarly && heard.length === 0) return NOTHING_HEARD;
  try {
    const askedMs = performance.now();
    const nowUs = await hassTime(connection, deadlineMs, 2);
    clock.hear(nowUs());
    // it may have gone back while the recorder was waited for
    if (performance.now() - askedMs > PROMPT_MS) {
      clock.hear((await hassTime(connection, deadlineMs))());
    }
    if (!isEarly || await shows(connection, heard, nowUs())) return undefined;
    return "the recorder has not written down yet what was heard since";
  } catch (error) {
    if (!connection.isOpen) throw error;
    return error instanceof HistoryIsOff ? error.message : describeError(error);
  }
}

/** Whether history has one of these states, by its exact stamp; each is asked for alone, for hours may lie between them. */
async function shows(
  connection: Connection,
  heard: Iterable<readonly [entityId: string, us: number]>,
  nowUs: number,
): Promise<boolean> {
  for (const [entityId, us] of heard) {
    try {
      const wanted = { entityIds: [entityId], startUs: us, endUs: us, nowUs };
      const { rows } = await askRows(connection, wanted);
      if (rows.get(entityId)?.some(({ lastUpdatedUs }) => lastUpdatedUs === us)) return true;
    } catch (error) {
      // an id that Home Assistant does not take says nothing of the others
      if (!(error instanceof CommandFailed)) throw error;
    }
  }
  return false;
}

/** Whether the recorder writes down anything at all; true where it does not say so. Throws where the connection has ended. */
export async function isRecording(connection: Connection): Promise<boolean> {
  try {
    const info = recorderInfo.parse(await connection.command("recorder/info"));
    return info.recording && info.thread_running;
  } catch (error) {
    if (error instanceof CommandFailed || error instanceof z.ZodError) return true;
    throw error;
  }
}
