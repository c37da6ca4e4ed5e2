/** Keeps the registry fresh: fetched after each connection, and again, debounced, when it changes. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { EntityInfo } from "../../contract.ts";
import { inTurns } from "../../in_turns.ts";
import { formatTimeUs } from "../../time.ts";
import { getLogger } from "../../log.ts";
import { describeError } from "../../retry.ts";
import type { Connection } from "../hass/connection.ts";
import type { HassClock } from "../hass/hass_clock.ts";
import type { EventHead } from "../hass/event_head.ts";
import { isRegistryEvent } from "../hass/protocol.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { CAPTURE_TIMES } from "./capture_times.ts";
import { Registry } from "./registry.ts";
import { RegistryAnswers } from "./registry_answers.ts";
import type { RegistryKind, RegistryLists } from "./registry_lists.ts";
import { loadRegistry, registryWrites } from "./saved_registry.ts";

/** Adding 1,200 entities fires 1,200 events and must not cost as many fetches. */
const QUIET_MS = 1_000;
const MAX_WAIT_MS = 10_000;
/** Lines of one commit; live events come between. */
const STEP = 100;
/** After a failed fetch, or while Home Assistant's time is not known yet. */
const RETRY_MS = 30_000;

const log = getLogger("ingest", "registry");

export class RegistryRefresh {
  readonly #outbox: Outbox;
  readonly #clock: HassClock;
  readonly #envelope: (event: string) => string;
  readonly #nameWaitMs: number;
  readonly #answers = new RegistryAnswers();
  /** How often the registries are fetched besides, in milliseconds, where not all their events are heard. */
  pollMs: number | undefined;
  #registry: Registry;
  readonly #renamed = new Map<string, string>();
  /** What the outbox has: an entity's changes since then are still to be spooled. */
  #saved: Registry;
  #spooling: Promise<unknown> = Promise.resolve();
  #taking: Promise<unknown> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #latestMs = Infinity;
  #read = Promise.withResolvers<void>();
  #connection: Connection | undefined;
  #ended = new AbortController();

  /**
   * `envelope` makes the outbox's line of an event's text. A name that changes without an event of
   * the registries is read within `nameWaitMs`: one that never rests must cost little.
   */
  constructor(
    outbox: Outbox,
    clock: HassClock,
    envelope: (event: string) => string,
    nameWaitMs = CAPTURE_TIMES.registryPollMs,
  ) {
    this.#nameWaitMs = nameWaitMs;
    this.#outbox = outbox;
    this.#clock = clock;
    this.#envelope = envelope;
    this.#saved = loadRegistry(outbox);
    this.#registry = this.#saved;
  }

  get registry(): Registry {
    return this.#registry;
  }

  /** Settles once the registries were read that were scheduled without a wait, or it is clear that they cannot be. */
  get read(): Promise<void> {
    return this.#read.promise;
  }

  /** The id that an entity has now, where a rename was found since the program's start. */
  renamedTo(entityId: string): string | undefined {
    return this.#renamed.get(entityId);
  }

  /**
   * An event was heard: those of the registries have them fetched anew. So has, later, a state that
   * shows another name than the last one known.
   */
  hear(connection: Connection, { event_type, data }: EventHead): void {
    if (isRegistryEvent(event_type)) this.schedule(connection);
    const { entity_id: entityId, new_state: state } = data;
    if (this.#latestMs !== Infinity || !entityId || !state) return;
    const { friendly_name: friendlyName, restored } = state.attributes ?? {};
    const shown = { state: state.state ?? "", friendlyName, isRestored: Boolean(restored) };
    if (this.#registry.isNamedOtherwise(entityId, shown)) {
      this.schedule(connection, this.#nameWaitMs);
    }
  }

  /**
   * Fetches the registries when they have been quiet for a second, at the latest after ten. Where
   * nothing is waited for, as at the connection's begin, states do that were asked for since now.
   */
  schedule(connection: Connection, waitMs = QUIET_MS): void {
    const ended = this.#endOf(connection);
    if (ended.aborted) return;
    clearTimeout(this.#timer);
    const nowMs = performance.now();
    const statesSinceMs = waitMs === 0 ? nowMs : undefined;
    if (waitMs === 0) this.#read = Promise.withResolvers();
    this.#latestMs = Math.min(this.#latestMs, nowMs + Math.max(waitMs, MAX_WAIT_MS));
    this.#timer = setTimeout(async () => {
      this.#latestMs = Infinity;
      const nextMs = await this.fetch(connection, statesSinceMs) ? this.pollMs : RETRY_MS;
      this.#read.resolve();
      if (nextMs !== undefined) this.schedule(connection, nextMs);
    }, Math.min(waitMs, this.#latestMs - nowMs));
  }

  /** Aborted when the connection has ended. One for each connection: what waits for its end stays. */
  #endOf(connection: Connection): AbortSignal {
    if (this.#connection !== connection) {
      const ended = new AbortController();
      this.#connection = connection;
      this.#ended = ended;
      connection.closed.then(() => {
        ended.abort();
        if (this.#connection !== connection) return;
        this.#read.resolve();
        clearTimeout(this.#timer);
        this.#latestMs = Infinity;
      });
    }
    return this.#ended.signal;
  }

  /**
   * Fetches the registries now; their names hold from then on. What is new or changed is spooled as
   * `entity_info` once the outbox has room, for as long as the connection lasts; the next one goes on.
   * Returns whether they could be read: without that the last names go on. The states are asked for
   * anew after the lists, or are those of a request since `statesSinceMs` (`performance.now()`).
   */
  async fetch(connection: Connection, statesSinceMs?: number): Promise<boolean> {
    const ended = this.#endOf(connection);
    try {
      const { lists, refused, passing } = await this.#answers.ask(connection, statesSinceMs);
      for (const { lastUpdatedUs } of lists.states) this.#clock.atLeast(lastUpdatedUs);
      // one after the other: what is compared with must not change meanwhile
      const taking = this.#taking.then(() => this.#take(lists, refused));
      this.#taking = taking.catch(() => {});
      const next = await taking;
      const nowUs = this.#clock.nowUs();
      if (nowUs === undefined) return false;
      this.#spooling = this.#spooling.then(() => this.#spool(next, nowUs, ended)).catch(
        (error) =>
          log.warn("Cannot spool what changed: {reason}", { reason: describeError(error) }),
      );
      return !passing;
    } catch (error) {
      log.warn("Cannot read the registries, the last names go on: {reason}", {
        reason: describeError(error),
      });
      return false;
    }
  }

  /** The names of the lists hold from now on. Throws as `#rename` does. */
  async #take(lists: RegistryLists, refused: ReadonlySet<RegistryKind>): Promise<Registry> {
    const next = await inTurns(Registry.steps(lists, this.#registry, refused));
    this.#rename(await inTurns(next.changeSteps(this.#registry)));
    this.#registry = next;
    return next;
  }

  /** Throws where a full disk takes no note: the names of before go on, so that the next fetch finds it again. */
  #rename(changes: readonly EntityInfo[]): void {
    const { missing, size } = this.#outbox;
    const renames = changes.flatMap(({ entity_id, old_entity_id }) =>
      old_entity_id ? [[old_entity_id, entity_id] as const] : []
    );
    if (renames.length === 0) return;
    const note = () => renames.forEach(([oldId, newId]) => missing.renamed(oldId, newId));
    if (!this.#outbox.append([], note)) throw new Error(size.reason);
    // renamed back it has its own id again; of two that change their ids both have another
    for (const [, newId] of renames) this.#renamed.delete(newId);
    for (const [oldId, newId] of renames) this.#renamed.set(oldId, newId);
  }

  /** Spools what is new or changed, in steps, and with the last of them what it was compared with. */
  async #spool(next: Registry, nowUs: number, ended: AbortSignal): Promise<void> {
    // megabytes in a large house, not to be written again where they only come in another order
    if (await inTurns(next.equalSteps(this.#saved))) {
      this.#saved = next;
      return;
    }
    const time_fired = formatTimeUs(nowUs);
    const changes = await inTurns(next.changeSteps(this.#saved));
    const lineOf = (data: EntityInfo) =>
      this.#envelope(
        JSON.stringify({ event_type: "entity_info", data, origin: "LOCAL", time_fired }),
      );
    const append = async (infos: readonly EntityInfo[], also?: () => void) => {
      // where there is room nothing else lets others have their turn
      await nextTurn();
      const lines = infos.map(lineOf);
      return await this.#outbox.appendWithRoom(() => ({ lines, also }), ended, Infinity);
    };
    let at = 0;
    for (; at + STEP < changes.length; at += STEP) {
      if (!await append(changes.slice(at, at + STEP))) return;
    }
    for (const write of registryWrites(next, this.#outbox)) {
      if (!await append(changes.slice(at, at + STEP), write)) return;
      at += STEP;
    }
    this.#saved = next;
    log.debug("Read the registries: {entities} entities, {changes} new or changed", {
      entities: next.size,
      changes: changes.length,
    });
  }
}
