/** A house that is told in the lines that ingest would send, with ingest's own names and snapshots. */
import assert from "node:assert/strict";
import { envelopeLine } from "../../../lib/ingest/outbox/envelope.ts";
import {
  type PresentState,
  stateSnapshotText,
  unseenStateText,
} from "../../../lib/ingest/hass/present_states.ts";
import { Registry } from "../../../lib/ingest/capture/registry.ts";
import { changesSince, registryFrom } from "../../at_once.ts";
import { registryLists } from "../../registry_lists.ts";
import { formatTimeUs } from "../../../lib/time.ts";

export type Attributes = Readonly<Record<string, unknown>>;

export interface Entity {
  readonly name: string;
  /** Null where it has none, undefined where the entity registry does not know the entity. */
  readonly area: string | null | undefined;
  /** Those that it keeps while it is unavailable. */
  readonly attributes: Attributes;
}

interface HouseState {
  readonly entity_id: string;
  readonly state: string;
  readonly attributes: Attributes;
  readonly last_changed: string;
  readonly last_updated: string;
}

interface Restart {
  /** Unavailable until their integrations find them, as are those that were unavailable before. */
  readonly late?: readonly string[];
  /** Those that have another state than before. */
  readonly found?: Readonly<Record<string, string>>;
  /** No longer configured: nothing tells of their end. */
  readonly gone?: readonly string[];
}

export class House {
  readonly lines: string[] = [];
  /** Microseconds since 1970. */
  nowUs = 0;
  readonly #entities = new Map<string, Entity & { readonly id: string }>();
  #states = new Map<string, HouseState>();
  #beforeStop: readonly HouseState[] = [];
  /** As ingest has it. */
  #registry = Registry.empty;

  /** The entity is there before ingest is. */
  add(entityId: string, entity: Entity, state: string, attributes: Attributes = {}): void {
    this.#entities.set(entityId, { id: `id of ${entityId}`, ...entity });
    this.#states.set(entityId, this.#next(entityId, state, attributes));
  }

  /** Ingest connects for the first time. */
  connect(): void {
    this.#readRegistry();
    this.#tellStates(unseenStateText);
  }

  /** The regular snapshot of every entity. */
  snapshot(): void {
    const time = formatTimeUs(this.nowUs);
    this.#tellStates((present) => stateSnapshotText(present, time));
  }

  set(entityId: string, state: string, attributes: Attributes = {}): void {
    this.#change(entityId, this.#next(entityId, state, attributes));
  }

  remove(entityId: string): void {
    this.#change(entityId, null);
    this.#entities.delete(entityId);
    this.#registryChanged({ action: "remove", entity_id: entityId });
  }

  /** As Home Assistant does it: the old entity is removed, and a new one has its state. */
  changeEntityId(from: string, to: string): void {
    const entity = this.#entity(from);
    const old = this.#states.get(from);
    assert.ok(old, `${from} has no state`);
    this.#change(from, null);
    this.#entities.delete(from);
    this.#entities.set(to, entity);
    this.set(to, old.state, old.attributes);
    this.#registryChanged({ action: "update", entity_id: to, old_entity_id: from });
  }

  /** The user changes its name or unit; a new unit comes with the state in it. */
  configure(entityId: string, changes: Partial<Entity>, state?: string): void {
    this.#entities.set(entityId, { ...this.#entity(entityId), ...changes });
    const old = this.#states.get(entityId);
    assert.ok(old, `${entityId} has no state`);
    this.set(entityId, state ?? old.state, old.attributes);
    this.#registryChanged({ action: "update", entity_id: entityId });
  }

  /** Home Assistant stops, and forgets its states. */
  stop(): void {
    this.#beforeStop = [...this.#states.values()];
    this.#states = new Map();
  }

  start({ late = [], found = {}, gone = [] }: Restart = {}): void {
    for (const { entity_id: entityId, state, attributes } of this.#beforeStop) {
      if (gone.includes(entityId)) continue;
      const restored = late.includes(entityId) || state === "unavailable";
      if (restored) this.set(entityId, "unavailable", { restored });
      else this.set(entityId, found[entityId] ?? state, attributes);
    }
    this.#fire("homeassistant_started", {});
  }

  /** An hour of long-term statistics, as the import brings it. */
  statistic(entityId: string, values: object): void {
    const start = formatTimeUs(this.nowUs);
    this.#spool(
      "statistics",
      { statistic_id: entityId, entity_id: entityId, start, ...values },
      { registry: this.#registry.namesOf({ entityId }), via: "statistics" },
    );
  }

  #entity(entityId: string): Entity & { readonly id: string } {
    const entity = this.#entities.get(entityId);
    assert.ok(entity, `${entityId} is not in the house`);
    return entity;
  }

  #next(entityId: string, state: string, attributes: Attributes): HouseState {
    const entity = this.#entity(entityId);
    const old = this.#states.get(entityId);
    const at = formatTimeUs(this.nowUs);
    return {
      entity_id: entityId,
      state,
      attributes: { ...attributes, ...entity.attributes, friendly_name: entity.name },
      last_changed: old?.state === state ? old.last_changed : at,
      last_updated: at,
    };
  }

  #change(entityId: string, next: HouseState | null): void {
    const old = this.#states.get(entityId) ?? null;
    if (next) this.#states.set(entityId, next);
    else this.#states.delete(entityId);
    const friendlyName = String((next ?? old)?.attributes.friendly_name);
    this.#fire(
      "state_changed",
      { entity_id: entityId, old_state: old, new_state: next },
      this.#registry.namesOf({ entityId, friendlyName }),
    );
  }

  /** Ingest reads the registries a second later: what comes before has the old names. */
  #registryChanged(data: object): void {
    this.#fire("entity_registry_updated", data);
    this.nowUs += 1_000_000;
    this.#readRegistry();
  }

  #readRegistry(): void {
    const entities = [...this.#entities].flatMap(([entity_id, { id, name, area }]) =>
      area === undefined ? [] : [{ id, entity_id, name, area_id: area }]
    );
    const next = registryFrom(
      registryLists({
        areas: entities.flatMap(({ area_id }) => area_id ? [{ area_id, name: area_id }] : []),
        entities,
        states: [...this.#states.values()],
      }),
      this.#registry,
    );
    for (const info of changesSince(next, this.#registry)) {
      this.#spool("entity_info", info, { registry: undefined, via: "registry" });
    }
    this.#registry = next;
  }

  #tellStates(textOf: (present: PresentState) => string): void {
    for (const state of this.#states.values()) {
      const { entity_id: entityId, last_updated: lastUpdated } = state;
      const friendlyName = String(state.attributes.friendly_name);
      const text = JSON.stringify(state);
      this.lines.push(envelopeLine(
        textOf({
          entityId,
          text,
          state: state.state,
          friendlyName,
          lastUpdated,
          lastUpdatedUs: NaN,
          lastChangedUs: NaN,
        }),
        {
          registry: this.#registry.namesOf({ entityId, friendlyName }),
          source: undefined,
          via: "snapshot",
        },
      ));
    }
  }

  /** No two events are of one microsecond. */
  #fire(eventType: string, data: object, registry?: ReturnType<Registry["namesOf"]>): void {
    this.#spool(eventType, data, { registry });
    this.nowUs += 200;
  }

  #spool(
    event_type: string,
    data: object,
    rest: Omit<Parameters<typeof envelopeLine>[1], "source">,
  ): void {
    const event = { event_type, data, origin: "LOCAL", time_fired: formatTimeUs(this.nowUs) };
    this.lines.push(envelopeLine(JSON.stringify(event), { ...rest, source: undefined }));
  }
}
