/** Every SNAPSHOT_MINUTES the present state of every entity, so that panels of what rarely changes are not empty. */
import { getLogger } from "../../log.ts";
import { describeError, sleep } from "../../retry.ts";
import { formatTimeUs, parseTimeUs } from "../../time.ts";
import type { Connection } from "../hass/connection.ts";
import type { HassClock } from "../hass/hass_clock.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { type PresentState, presentStates, stateSnapshotText } from "../hass/present_states.ts";

/** The full interval that was snapped last, by Home Assistant's clock. */
const META_KEY = "state_snapshot";
/** Lines of one commit; live events come between. */
const CHUNK = 100;
/** While Home Assistant's time is not known. */
const RETRY_MS = 1_000;
const LOOK_MS = 10_000;
/** How long after the interval a state may have come to be, and still be dated by the interval. */
const LATE_US = 60_000_000;

const log = getLogger("ingest", "snapshots");

export interface StateSnapshotOptions {
  readonly outbox: Outbox;
  readonly clock: HassClock;
  readonly line: (text: string, state: PresentState) => string;
  /** 0 takes none. */
  readonly intervalMinutes: number;
  /** How often the time is looked at: what Home Assistant says later can put its clock forward. */
  readonly lookMs?: number;
}

/** The full interval of Home Assistant's clock that began last. */
export function lastIntervalUs(nowUs: number, intervalMinutes: number): number {
  const intervalUs = intervalMinutes * 60_000_000;
  return Math.floor(nowUs / intervalUs) * intervalUs;
}

/**
 * Takes a snapshot at each full interval of Home Assistant's clock, over this connection, until
 * the signal is aborted. Where ingest was away at the last full interval it is taken at once. The
 * very first start takes none: it spools what history and the present states say.
 */
export async function takeSnapshots(
  connection: Connection,
  { outbox, clock, line, intervalMinutes, lookMs = LOOK_MS }: StateSnapshotOptions,
  signal: AbortSignal,
): Promise<void> {
  if (intervalMinutes === 0) return;
  const takenUs = () => parseTimeUs(outbox.meta(META_KEY) ?? "");
  let doneUs = takenUs();
  while (!signal.aborted) {
    const nowUs = clock.nowUs();
    if (nowUs === undefined || !clock.isHeard) {
      await sleep(RETRY_MS, signal);
      continue;
    }
    const dueUs = lastIntervalUs(nowUs, intervalMinutes);
    const keep = () => outbox.setMeta(META_KEY, formatTimeUs(dueUs));
    const isDone = doneUs === undefined
      ? outbox.append([], keep)
      : dueUs <= doneUs || dueUs === takenUs() ||
        await take(connection, { outbox, line, dueUs, keep }, signal);
    // a clock that ran ahead goes back: its next interval counts, not one far in the future
    if (isDone) doneUs = dueUs;
    await sleep(Math.min(lookMs, (dueUs + intervalMinutes * 60_000_000 - nowUs) / 1_000), signal);
  }
}

/** Returns whether all of it is in the outbox, with what `keep` writes. */
async function take(
  connection: Connection,
  { outbox, line, dueUs, keep }: Pick<StateSnapshotOptions, "outbox" | "line"> & {
    readonly dueUs: number;
    readonly keep: () => void;
  },
  signal: AbortSignal,
): Promise<boolean> {
  try {
    // what changed since then was another state then, and has a point of its own
    const states = (await presentStates(connection))
      .filter(({ lastUpdatedUs }) => lastUpdatedUs <= dueUs + LATE_US);
    const timeFired = formatTimeUs(dueUs);
    let at = 0;
    do {
      const lines = states.slice(at, at + CHUNK)
        .map((state) => line(stateSnapshotText(state, timeFired), state));
      at += CHUNK;
      const also = at < states.length ? undefined : keep;
      if (!await outbox.appendWithRoom(() => ({ lines, also }), signal)) return false;
    } while (at < states.length);
    log.debug("Took a snapshot of {states} states", { states: states.length });
    return true;
  } catch (error) {
    if (!signal.aborted) {
      log.warn("Cannot take a snapshot: {reason}", { reason: describeError(error) });
    }
    return false;
  }
}
