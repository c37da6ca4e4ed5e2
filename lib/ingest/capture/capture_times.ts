/** How long capture waits for what, and before it connects again. */
import { CONNECTION_TIMES, type ConnectionTimes } from "../hass/connection_times.ts";
import type { TokenRefusalTimes } from "./token_refusals.ts";

/** How long is waited for what, in milliseconds; injected so that tests need not wait. */
export interface CaptureTimes extends ConnectionTimes, TokenRefusalTimes {
  /** While Home Assistant starts, a subscription can take more than 10 s. */
  readonly subscribeDeadlineMs: number;
  /** How often a refused token is read again, which costs Home Assistant nothing. */
  readonly tokenLookMs: number;
  /**
   * How often the registries are read where not all of their events can be heard; and how soon where
   * a state shows a name that they have not told of.
   */
  readonly registryPollMs: number;
  /** The longest wait at first; it grows with the time away, so that little is missed at the end. */
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** Waits grow until a subscription has held this long. */
  readonly stableMs: number;
}

export const CAPTURE_TIMES: CaptureTimes = {
  ...CONNECTION_TIMES,
  subscribeDeadlineMs: 60_000,
  refusedWaitMs: 60_000,
  heldBackMs: 86_400_000,
  tokenLookMs: 10_000,
  registryPollMs: 600_000,
  backoffBaseMs: 1_000,
  backoffMaxMs: 30_000,
  stableMs: 30_000,
};

/**
 * How long to wait before the next connection, in milliseconds: a quarter of the time away at the
 * most, with full jitter, so that a restart costs few seconds more.
 */
export function reconnectWaitMs(
  { backoffBaseMs, backoffMaxMs }: CaptureTimes,
  awayMs: number,
): number {
  return Math.random() * Math.min(backoffMaxMs, Math.max(backoffBaseMs, awayMs / 4));
}
