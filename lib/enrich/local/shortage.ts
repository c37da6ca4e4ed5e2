/** Whether the local store has room for the days that it is set to keep. */
import type { HealthReason } from "../../serve/server.ts";
import type { StoreSize } from "./store_size.ts";

const MS_PER_DAY = 86_400_000;
/** Pruning by size leaves it fuller than that. */
const SHORT_ABOVE = 0.9;
/** The part of its days that it holds at least where none are missing: its oldest point may be a bit newer. */
const ENOUGH_DAYS = 0.95;

/** That its days do not fit, and what to do about it. */
export interface Shortage extends HealthReason {
  /** How many it holds. */
  readonly days: number;
}

export interface KeptDays {
  readonly size: Pick<StoreSize, "fullness" | "wish">;
  /** How many it is set to keep. */
  readonly days: number;
  /** When its oldest point is from; undefined where none is known. */
  readonly oldestMs: number | undefined;
  readonly nowMs: number;
}

/** Why it keeps, or soon will keep, fewer days; undefined where there is room for them. */
export function shortageOf({ size, days, oldestMs, nowMs }: KeptDays): Shortage | undefined {
  const { fullness, wish } = size;
  if (oldestMs === undefined || fullness < SHORT_ABOVE) return undefined;
  const held = Number(Math.max(0, (nowMs - oldestMs) / MS_PER_DAY).toFixed(1));
  if (held >= days * ENOUGH_DAYS) return undefined;
  const percent = Math.min(100, Math.round(fullness * 100));
  return {
    days: held,
    reason: `The local store is ${percent} % full and holds ${held} of the ${days} days of ` +
      "LOCAL_STORE_DAYS: its oldest points are deleted",
    action: `${wish}, or lower LOCAL_STORE_DAYS`,
  };
}
