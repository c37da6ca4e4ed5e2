/** What capture hears of Home Assistant's events: all, or as many as its token may have. */
import { getLogger } from "../../log.ts";
import type { Connection } from "../hass/connection.ts";
import { CommandFailed } from "../hass/outstanding_commands.ts";
import { REGISTRY_EVENTS } from "../hass/protocol.ts";

const log = getLogger("ingest", "capture");

/** What is subscribed to; `states` has the registries' events too. */
export type Subscribed = "all" | "states";

interface SubscriptionAnswer {
  readonly events: Subscribed;
  /** Events of the registries that the token may not have. */
  readonly unheard: readonly string[];
}

/** Asks for many messages in one frame. A core that does not know that sends them one by one. */
export async function askForCoalescing(connection: Connection): Promise<void> {
  try {
    await connection.command("supported_features", { features: { coalesce_messages: 1 } });
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    log.debug("Messages come one by one: {reason}", { reason: error.message });
  }
}

export class Subscription {
  /** What was said last, so that a connection that comes back does not say it again. */
  #said = "";

  /**
   * Subscribes to all events, or, where the token is no administrator's, to those that it may
   * have. Throws what `command` throws where those are not even states.
   */
  async begin(connection: Connection, deadlineMs: number): Promise<SubscriptionAnswer> {
    const subscribe = (parameters: { readonly event_type?: string }) =>
      connection.command("subscribe_events", parameters, deadlineMs);
    try {
      await subscribe({});
      this.#said = "";
      return { events: "all", unheard: [] };
    } catch (error) {
      if (!(error instanceof CommandFailed && error.code === "unauthorized")) throw error;
    }
    await subscribe({ event_type: "state_changed" });
    const unheard: string[] = [];
    for (const event_type of REGISTRY_EVENTS) {
      try {
        await subscribe({ event_type });
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error;
        unheard.push(event_type);
      }
    }
    this.#say(unheard);
    return { events: "states", unheard };
  }

  #say(unheard: readonly string[]): void {
    const said = `states without ${unheard.join(", ")}`;
    if (this.#said === said) return;
    this.#said = said;
    log.warn(
      "HASS_TOKEN is no administrator's: only states and registry changes are captured, " +
        "no other events; make the token as an administrator to have all",
    );
    if (unheard.length === 0) return;
    log.warn(
      "HASS_TOKEN may not have {unheard} either: what they tell of is read every ten minutes",
      { unheard: unheard.join(", ") },
    );
  }
}
