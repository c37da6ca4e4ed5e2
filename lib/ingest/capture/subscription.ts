/** What capture hears of Home Assistant's events: all, or as many as its token may have. */
import { getLogger } from "../../log.ts";
import { CommandFailed, type Connection } from "../hass/connection.ts";
import { REGISTRY_EVENTS } from "../hass/protocol.ts";

const log = getLogger("ingest", "capture");

/** What is subscribed to; `states` has the registries' events too. */
export type Subscribed = "all" | "states";

/**
 * Subscribes to all events, or, where the token is no administrator's, to those that it may have.
 * Throws what `command` throws.
 */
export async function subscribe(
  connection: Connection,
  deadlineMs: number,
): Promise<Subscribed> {
  try {
    await connection.command("subscribe_events", {}, deadlineMs);
    return "all";
  } catch (error) {
    if (!(error instanceof CommandFailed && error.code === "unauthorized")) throw error;
    log.warn(
      "HASS_TOKEN is no administrator's: only states and registry changes are captured, " +
        "no other events; make the token as an administrator to have all",
    );
    for (const event_type of ["state_changed", ...REGISTRY_EVENTS]) {
      await connection.command("subscribe_events", { event_type }, deadlineMs);
    }
    return "states";
  }
}
