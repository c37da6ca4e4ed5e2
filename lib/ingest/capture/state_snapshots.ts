/** Every SNAPSHOT_MINUTES the present state of every entity, so that panels of what rarely changes are not empty. */
import { getLogger } from "../../log.ts";
import { describeError, sleep } from "../../retry.ts";
import { formatTimeUs } from "../../time.ts";
import type { Connection } from "../hass/connection.ts";
import type { HassClock } from "../hass/hass_clock.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { type PresentState, presentStates, stateSnapshotText } from "../hass/present_states.ts";

/** Lines of one commit; live events come between. */
const CHUNK = 500;
/** While Home Assistant's time is not known. */
const RETRY_MS = 1_000;

const log = getLogger("ingest", "snapshots");

export interface StateSnapshotOptions {
  readonly outbox: Outbox;
  readonly clock: HassClock;
  readonly line: (text: string, state: PresentState) => string;
  /** 0 takes none. */
  readonly intervalMinutes: number;
}

/** The full interval of Home Assistant's clock that began last. */
export function lastIntervalUs(nowUs: number, intervalMinutes: number): number {
  const intervalUs = intervalMinutes * 60_000_000;
  return Math.floor(nowUs / intervalUs) * intervalUs;
}

/**
 * Takes a snapshot at each full interval of Home Assistant's clock, over this connection, until
 * the signal is aborted.
 */
export async function takeSnapshots(
  connection: Connection,
  { outbox, clock, line, intervalMinutes }: StateSnapshotOptions,
  signal: AbortSignal,
): Promise<void> {
  if (intervalMinutes === 0) return;
  let takenUs: number | undefined;
  while (!signal.aborted) {
    const nowUs = clock.nowUs();
    if (nowUs === undefined) {
      await sleep(RETRY_MS, signal);
      continue;
    }
    const dueUs = lastIntervalUs(nowUs, intervalMinutes);
    if (takenUs !== undefined && dueUs > takenUs) {
      await take(connection, { outbox, line }, formatTimeUs(dueUs), signal);
    }
    takenUs = dueUs;
    await sleep((dueUs + intervalMinutes * 60_000_000 - nowUs) / 1_000, signal);
  }
}

async function take(
  connection: Connection,
  { outbox, line }: Pick<StateSnapshotOptions, "outbox" | "line">,
  timeFired: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    const states = await presentStates(connection);
    for (let at = 0; at < states.length && !signal.aborted; at += CHUNK) {
      const lines = states.slice(at, at + CHUNK)
        .map((state) => line(stateSnapshotText(state, timeFired), state));
      await outbox.appendWithRoom(() => ({ lines }), signal);
    }
    log.debug("Took a snapshot of {states} states", { states: states.length });
  } catch (error) {
    if (signal.aborted) return;
    log.warn("Cannot take a snapshot: {reason}", { reason: describeError(error) });
  }
}
