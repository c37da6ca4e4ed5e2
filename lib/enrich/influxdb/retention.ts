/** How long InfluxDB keeps a point: learnt from it now and then, so that what is older is not sent. */
import { deadline } from "../../retry.ts";
import { StoreUnavailable } from "../store.ts";

/**
 * How long an answer is believed: what is skipped meanwhile is not sent again where somebody has
 * made InfluxDB keep more. And how soon it is doubted where points were refused nevertheless.
 */
const BELIEVED_MS = 60_000;
const DOUBTED_MS = 10_000;
/** Writing may wait for a look: no longer than this. */
const LOOK_DEADLINE_MS = 3_000;
/** What is beyond by less than this, the server judges. */
const EDGE_MS = 60_000;
const NANOSECONDS_PER_MS = 1_000_000n;

/** Milliseconds, Infinity forever, undefined where it cannot be seen. Throws StoreUnavailable. */
export type LookUpRetention = (signal: AbortSignal) => Promise<number | undefined>;

export class Retention {
  readonly #lookUp: LookUpRetention;
  readonly #monotonicMs: () => number;
  #lookedMs = -Infinity;
  #keptMs: number | undefined;

  constructor(lookUp: LookUpRetention, monotonicMs = () => performance.now()) {
    this.#lookUp = lookUp;
    this.#monotonicMs = monotonicMs;
  }

  /** Looks where it is time to; `refused` says that points were refused for it. A failed look is no fault. */
  async refresh(signal: AbortSignal, refused = false): Promise<void> {
    const nowMs = this.#monotonicMs();
    if (nowMs - this.#lookedMs < (refused ? DOUBTED_MS : BELIEVED_MS)) return;
    this.#lookedMs = nowMs;
    try {
      this.#keptMs = await this.#lookUp(deadline(LOOK_DEADLINE_MS, signal));
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      this.#keptMs = undefined;
    }
  }

  /** Whether a point is certainly too old, `nowMs` by the server's clock. False while nothing is known. */
  isBeyond(timeNs: bigint, nowMs: number): boolean {
    if (this.#keptMs === undefined || this.#keptMs === Infinity) return false;
    return timeNs < BigInt(Math.floor(nowMs - this.#keptMs - EDGE_MS)) * NANOSECONDS_PER_MS;
  }
}

/** Milliseconds of a duration as Go writes it, such as `168h0m0s`; undefined where it is none. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?$/.exec(text);
  if (!match || text === "") return undefined;
  const [, hours = 0, minutes = 0, seconds = 0] = match;
  return (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000;
}
