/**
 * Capture: keeps one connection to Home Assistant and spools every event, with the names that hold
 * at that moment, into the outbox before anything else. Never waits for anybody while it reads.
 */
import type { RegistryNames } from "../../contract.ts";
import { getLogger } from "../../log.ts";
import { sleep } from "../../retry.ts";
import type { HassTokenOrigin } from "../../settings/ingest_settings.ts";
import type { Secret } from "../../settings/secret.ts";
import { isBroken } from "../../sqlite.ts";
import { parseTimeUs } from "../../time.ts";
import { Filling, type FillingTimes, type Subscriber } from "../history/filling.ts";
import { Connection } from "../hass/connection.ts";
import { envelopeLine } from "../outbox/envelope.ts";
import { accessOf, type HassAccessSettings } from "../hass/hass_access.ts";
import { HassClock } from "../hass/hass_clock.ts";
import type { Outbox } from "../outbox/outbox.ts";
import type { EventHead } from "../hass/event_head.ts";
import type { PresentState } from "../hass/present_states.ts";
import { type CaptureState, describeLost, type Lost, lostBy } from "./capture_state.ts";
import { CAPTURE_TIMES, type CaptureTimes, reconnectWaitMs } from "./capture_times.ts";
import { RegistryRefresh } from "./registry_refresh.ts";
import { takeSnapshots } from "./state_snapshots.ts";
import { stampOf } from "./state_stamp.ts";
import { askForCoalescing, Subscription } from "./subscription.ts";
import { TokenRefusals } from "./token_refusals.ts";

const log = getLogger("ingest", "capture");

export interface CaptureOptions extends HassAccessSettings {
  readonly hassToken: Secret;
  readonly hassTokenOrigin?: HassTokenOrigin;
  /** Names the house, where there are several. */
  readonly source?: string;
  readonly outbox: Outbox;
  /** How much of the recorder's history the first start imports, in days; 0 for none. */
  readonly importDays: number;
  /** How often the present states are spooled, in minutes; 0 for never. */
  readonly snapshotMinutes: number;
  readonly times?: CaptureTimes;
  readonly fillingTimes?: FillingTimes;
}

export class Capture {
  readonly #options: CaptureOptions;
  readonly #times: CaptureTimes;
  readonly #clock = new HassClock();
  readonly #registry: RegistryRefresh;
  readonly #refusals: TokenRefusals;
  readonly #subscription = new Subscription();
  readonly filling: Filling;
  #state: CaptureState = { kind: "connecting" };
  #connection: Connection | undefined;
  #malformed = 0;
  #connections = 0;
  #lastEventMs: number | undefined;

  constructor(options: CaptureOptions) {
    this.#options = options;
    this.#times = options.times ?? CAPTURE_TIMES;
    this.#refusals = new TokenRefusals(this.#times, options.hassTokenOrigin !== "supervisor");
    this.#registry = new RegistryRefresh(
      options.outbox,
      this.#clock,
      (event) =>
        envelopeLine(event, { registry: undefined, source: options.source, via: "registry" }),
      this.#times.registryPollMs,
    );
    this.filling = new Filling({
      outbox: options.outbox,
      clock: this.#clock,
      line: (text, entity, via) => this.#lineOf(text, entity, via),
      namesRead: () => this.#registry.read,
      renamedTo: (entityId) => this.#registry.renamedTo(entityId),
      days: options.importDays,
      times: options.fillingTimes,
    });
  }

  get state(): CaptureState {
    return this.#state;
  }

  /** Messages that could not be read; outside the equation, for they never became events. */
  get malformed(): number {
    return this.#malformed;
  }

  get connections(): number {
    return this.#connections;
  }

  /** Milliseconds since the last event, or undefined before the first. */
  get silenceMs(): number | undefined {
    return this.#lastEventMs === undefined ? undefined : performance.now() - this.#lastEventMs;
  }

  /** The connection that captures, while there is one. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** The names that the last registry has for an entity. */
  namesOf(entityId: string): RegistryNames | undefined {
    return this.#registry.registry.namesOf({ entityId });
  }

  /** How many entities the last registry names. */
  get namedEntities(): number {
    return this.#registry.registry.size;
  }

  /** Captures until the signal is aborted. Throws where SQLite fails, but for a full file. */
  async run(signal: AbortSignal): Promise<void> {
    this.filling.openGap("ingest was not running");
    const { tokenLookMs, stableMs } = this.#times;
    let awaySinceMs = performance.now();
    while (!signal.aborted) {
      const startedMs = performance.now();
      const lost = await this.#capture(signal).catch((error): Lost => {
        // else health would blame Home Assistant for it, without end
        if (isBroken(error)) throw error;
        return lostBy(error);
      });
      if (signal.aborted) return;
      const nowMs = performance.now();
      if (nowMs - startedMs > stableMs) awaySinceMs = nowMs;
      this.#lost(lost);
      const refused = lost.kind === "token refused";
      await sleep(
        refused ? tokenLookMs : reconnectWaitMs(this.#times, nowMs - awaySinceMs),
        signal,
      );
    }
  }

  #lost(lost: Lost): void {
    const before = this.#state;
    this.#state = lost;
    if ("reason" in before && before.reason === lost.reason) return;
    log.warn("Not capturing: {reason}", { reason: describeLost(lost) });
  }

  /** One connection, from opening to end. */
  async #capture(signal: AbortSignal): Promise<Lost> {
    const token = this.#options.hassToken();
    this.#refusals.check(token);
    const { connection, haVersion } = await Connection.open({
      ...accessOf(this.#options),
      token,
      signal,
      times: this.#times,
      handlers: {
        onEvent: ({ event }, text) => this.#onEvent(connection, event, text),
        onMalformed: (reason) => {
          this.#malformed++;
          log.warn("Cannot read a message of Home Assistant: {reason}", { reason });
        },
      },
    }).catch((error) => {
      throw this.#refusals.noted(token, error);
    });
    this.#refusals.forget();
    // from here on events may come, and with the connection's end some may be missing
    let mayHear = false;
    let reason = "Home Assistant did not take the subscription";
    try {
      await askForCoalescing(connection);
      // at the very first start names come first: what happens meanwhile is a gap like any other
      if (this.#registry.registry.size === 0) await this.#registry.fetch(connection);
      this.filling.prepare();
      mayHear = true;
      const { events, unheard } = await this.#subscription.begin(
        connection,
        this.#times.subscribeDeadlineMs,
      );
      this.#connections++;
      this.#connection = connection;
      this.#state = { kind: "capturing", haVersion, events };
      log.info("Capturing {events} of Home Assistant {haVersion} at {url}", {
        events: events === "all" ? "all events" : "states and registry changes",
        haVersion,
        url: this.#options.hassUrl,
      });
      this.#registry.pollMs = unheard.length > 0 ? this.#times.registryPollMs : undefined;
      this.#registry.schedule(connection, 0);
      const working = this.#whileConnected({ connection, haVersion }, signal);
      // where the work fails nobody waits for the connection's end
      reason = await Promise.race([connection.closed, working.then(() => connection.closed)]);
      await working;
      return { kind: "disconnected", reason };
    } finally {
      this.#connection = undefined;
      connection.close("done with");
      this.#options.outbox.flush();
      if (mayHear) this.filling.openGap(signal.aborted ? "ingest was stopped" : reason);
    }
  }

  /** What is asked of Home Assistant beside the events that it sends. */
  async #whileConnected(subscribed: Subscriber, signal: AbortSignal): Promise<void> {
    const { connection } = subscribed;
    const closed = new AbortController();
    connection.closed.then(() => closed.abort());
    const ended = AbortSignal.any([signal, closed.signal]);
    const { outbox, snapshotMinutes: intervalMinutes } = this.#options;
    const line = (text: string, state: PresentState) => this.#lineOf(text, state, "snapshot");
    await Promise.all([
      this.filling.run(subscribed, ended),
      takeSnapshots(connection, { outbox, clock: this.#clock, line, intervalMinutes }, ended),
    ]);
  }

  #onEvent(connection: Connection, event: EventHead, text: string): void {
    const { time_fired, data } = event;
    const { entity_id: entityId, new_state: newState, old_state: oldState } = data;
    const timeUs = parseTimeUs(time_fired);
    const stamp = stampOf(event, timeUs);
    const friendlyName = (newState ?? oldState)?.attributes?.friendly_name;
    const registry = this.#registry.registry.namesOf({
      entityId,
      deviceId: data.device_id,
      friendlyName,
    });
    const line = envelopeLine(text, { registry, source: this.#options.source });
    this.#options.outbox.add({ line, stamp, firedUs: timeUs });
    // not the time now: of hundreds of events in a message it would be asked for each
    this.#lastEventMs = connection.heardMs;
    if (timeUs !== undefined) this.#clock.hear(timeUs, connection.heardMs);
    this.#registry.hear(connection, event);
  }

  /** The line of an event that ingest makes of what Home Assistant says of an entity. */
  #lineOf(
    text: string,
    entity: { readonly entityId: string; readonly friendlyName?: string },
    via: "history" | "snapshot",
  ): string {
    const registry = this.#registry.registry.namesOf(entity);
    return envelopeLine(text, { registry, source: this.#options.source, via });
  }
}
