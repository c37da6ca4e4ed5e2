/** Keeps the registry fresh: fetched after each connection, and again, debounced, when it changes. */
import { formatTimeUs, parseTimeUs } from "../../time.ts";
import { getLogger } from "../../log.ts";
import { describeError } from "../../retry.ts";
import { CommandFailed, type Connection } from "../hass/connection.ts";
import type { HassClock } from "../hass/hass_clock.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { Registry, registryListsSchema } from "./registry.ts";

const META_KEY = "registry";
/** Adding 1,200 entities fires 1,200 events and must not cost as many fetches. */
const QUIET_MS = 1_000;
const MAX_WAIT_MS = 10_000;
/** After a failed fetch, or while Home Assistant's time is not known yet. */
const RETRY_MS = 30_000;

const log = getLogger("ingest", "registry");

export class RegistryRefresh {
  readonly #outbox: Outbox;
  readonly #clock: HassClock;
  readonly #envelope: (event: string) => string;
  #registry: Registry;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #latestMs = Infinity;

  /** `envelope` makes the outbox's line of an event's text. */
  constructor(
    outbox: Outbox,
    clock: HassClock,
    envelope: (event: string) => string,
  ) {
    this.#outbox = outbox;
    this.#clock = clock;
    this.#envelope = envelope;
    this.#registry = Registry.load(outbox.meta(META_KEY));
  }

  get registry(): Registry {
    return this.#registry;
  }

  /** Fetches the registries when they have been quiet for a second, at the latest after ten. */
  schedule(connection: Connection, waitMs = QUIET_MS): void {
    clearTimeout(this.#timer);
    const nowMs = performance.now();
    this.#latestMs = Math.min(this.#latestMs, nowMs + Math.max(waitMs, MAX_WAIT_MS));
    this.#timer = setTimeout(async () => {
      this.#latestMs = Infinity;
      if (!await this.fetch(connection)) this.schedule(connection, RETRY_MS);
    }, Math.min(waitMs, this.#latestMs - nowMs));
    connection.closed.then(() => this.cancel());
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.#latestMs = Infinity;
  }

  /**
   * Fetches the registries now; what is new or changed is spooled as `entity_info` together with
   * the registry itself. Returns whether that worked: without it the last names go on.
   */
  async fetch(connection: Connection): Promise<boolean> {
    try {
      const lists = registryListsSchema.parse({
        areas: await list(connection, "config/area_registry/list"),
        floors: await list(connection, "config/floor_registry/list"),
        labels: await list(connection, "config/label_registry/list"),
        devices: await list(connection, "config/device_registry/list"),
        entities: await list(connection, "config/entity_registry/list"),
        states: await list(connection, "get_states"),
      });
      for (const { last_updated } of lists.states) {
        const timeUs = parseTimeUs(last_updated);
        if (timeUs !== undefined) this.#clock.hear(timeUs);
      }
      const next = Registry.from(lists, this.#registry);
      const saved = this.#spoolChanges(next);
      this.#registry = next;
      return saved;
    } catch (error) {
      log.warn("Cannot read the registries, the last names go on: {reason}", {
        reason: describeError(error),
      });
      return false;
    }
  }

  #spoolChanges(next: Registry): boolean {
    const changes = next.changesSince(this.#registry);
    const nowUs = this.#clock.nowUs();
    if (nowUs === undefined) return false;
    const time_fired = formatTimeUs(nowUs);
    const lines = changes.map((data) =>
      this.#envelope(
        JSON.stringify({ event_type: "entity_info", data, origin: "LOCAL", time_fired }),
      )
    );
    const saved = this.#outbox.append(lines, () => this.#outbox.setMeta(META_KEY, next.save()));
    log.debug("Read the registries: {entities} entities, {changes} new or changed", {
      entities: next.size,
      changes: lines.length,
    });
    return saved;
  }
}

/** A list, or an empty one where this release of Home Assistant does not have it. */
async function list(connection: Connection, command: string): Promise<unknown> {
  try {
    return await connection.command(command);
  } catch (error) {
    if (error instanceof CommandFailed && error.code === "unknown_command") return [];
    throw error;
  }
}
