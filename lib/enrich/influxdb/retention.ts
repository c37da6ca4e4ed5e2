/** How long InfluxDB keeps a point: looked up, or learnt from what it refuses, so that what is older is not sent. */
import { deadline } from "../../retry.ts";
import { StoreUnavailable } from "../store.ts";
import type { Answer } from "./influxdb_answer.ts";

/**
 * How long it is believed: what is skipped meanwhile is not sent again where somebody has made
 * InfluxDB keep more. Nothing but InfluxDB's own word makes it longer.
 */
const BELIEVED_MS = 60_000;
/** How far apart looks are, and how far where points were refused nevertheless. */
const LOOK_INTERVAL_MS = 20_000;
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
  #known: { readonly keptMs: number; readonly sinceMs: number } | undefined;

  constructor(lookUp: LookUpRetention, monotonicMs = () => performance.now()) {
    this.#lookUp = lookUp;
    this.#monotonicMs = monotonicMs;
  }

  /** Looks where it is time to; `refused` says that points were refused for it. A failed look is no fault. */
  async refresh(signal: AbortSignal, refused = false): Promise<void> {
    const nowMs = this.#monotonicMs();
    if (nowMs - this.#lookedMs < (refused ? DOUBTED_MS : LOOK_INTERVAL_MS)) return;
    this.#lookedMs = nowMs;
    try {
      this.learn(await this.#lookUp(deadline(LOOK_DEADLINE_MS, signal)));
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  /** Milliseconds that InfluxDB has just told. What cannot be seen leaves standing what was told before. */
  learn(keptMs: number | undefined): void {
    if (keptMs !== undefined) this.#known = { keptMs, sinceMs: this.#monotonicMs() };
  }

  /**
   * A point from before that is certainly too old, in nanoseconds since 1970; `nowMs` by the server's
   * clock: ours may be wrong, and skip what the server keeps. Undefined while nothing is known.
   */
  beyondNs(nowMs: number | undefined): bigint | undefined {
    const { keptMs = Infinity, sinceMs = -Infinity } = this.#known ?? {};
    if (nowMs === undefined || keptMs === Infinity) return undefined;
    if (this.#monotonicMs() - sinceMs >= BELIEVED_MS) return undefined;
    return BigInt(Math.floor(nowMs - keptMs - EDGE_MS)) * NANOSECONDS_PER_MS;
  }
}

/**
 * What 1.6 and 2.0 say (no duration), what 1.13 and 2.x do, and 1.13 where a policy also has a
 * FUTURE or a PAST LIMIT. In a mixture all of them name the type conflicts only. What comes before
 * holds no quote: behind one stands what a user has written.
 */
const REFUSED =
  /^(?:[^"']*: )?partial write: (?:points beyond retention policy dropped=(\d+)|dropped (\d+) points outside retention policy of duration (\S+)(?<window> and \d+ points outside write window)?)/;

/** How many points lie beyond the retention, where that is all that was refused. */
export function countBeyondRetention({ reason }: Pick<Answer, "reason">): number {
  const match = REFUSED.exec(reason);
  // 1.13 takes what its PAST LIMIT refuses for beyond the retention, be that forever
  if (!match || match.groups?.window) return 0;
  return Number(match[1] ?? match[2]);
}

/** The retention that a refusal tells, in milliseconds; undefined where it tells none. */
export function retentionIn({ reason }: Pick<Answer, "reason">): number | undefined {
  return parseDurationMs(REFUSED.exec(reason)?.[3] ?? "") || undefined;
}

/** Milliseconds of a duration as Go writes it, such as `168h0m0s`; undefined where it is none. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?$/.exec(text);
  if (!match || text === "") return undefined;
  const [, hours = 0, minutes = 0, seconds = 0] = match;
  return (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000;
}
