/** Whether events are captured, and if not, why. */
import { describeError } from "../../retry.ts";
import { TokenRefused } from "../hass/connection.ts";
import { HassFault } from "../hass/hass_fault.ts";
import type { Subscribed } from "./subscription.ts";

export type CaptureState =
  | { readonly kind: "connecting" }
  | { readonly kind: "capturing"; readonly haVersion: string; readonly events: Subscribed }
  | { readonly kind: "token refused"; readonly reason: string; readonly heldBack: boolean }
  | {
    readonly kind: "disconnected";
    readonly reason: string;
    /** What a person can do, where that is known. */
    readonly action?: string;
  };

export type Lost = Extract<CaptureState, { readonly reason: string }>;

/** The state after a connection that failed. */
export function lostBy(error: unknown): Lost {
  if (error instanceof TokenRefused) {
    return { kind: "token refused", reason: error.message, heldBack: error.heldBack };
  }
  const reason = describeError(error);
  return error instanceof HassFault
    ? { kind: "disconnected", reason, action: error.action }
    : { kind: "disconnected", reason };
}

/** Why, and what to do where that is known, as one sentence. */
export function describeLost(lost: Lost): string {
  const action = lost.kind === "disconnected" ? lost.action : undefined;
  return action === undefined ? lost.reason : `${lost.reason}; ${action}`;
}
