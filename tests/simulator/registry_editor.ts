/** Changes of the registries, with the events that Home Assistant fires for them. */
import { memberText } from "../../lib/json_text.ts";
import type { EventBus } from "./bus.ts";
import type { Clock } from "./clock.ts";
import type { Recorder } from "./recorder.ts";
import type { Area, Device, Entity, Floor, Label, Registries, RegistryKind } from "./registries.ts";
import type { StateMachine, Write } from "./states.ts";
import type { StatisticsTables } from "./statistics.ts";

/** What the editor writes to, besides the registries. */
export interface EditorTarget {
  readonly registries: Registries;
  readonly bus: EventBus;
  readonly clock: Clock;
  readonly states: StateMachine;
  readonly recorder: Recorder;
  readonly statistics: StatisticsTables;
  /** Writes a state of an entity; `attributes` is JSON text. */
  writeState(write: Write): boolean;
  removeState(entityId: string): boolean;
}

/** Adds, changes and removes entries. Ids that are not there throw an Error. */
export class RegistryEditor {
  readonly #target: EditorTarget;

  constructor(target: EditorTarget) {
    this.#target = target;
  }

  addFloor(floor: Floor): void {
    this.#target.registries.floors.set(floor.floor_id, floor);
    this.#fire("floor", "create", floor.floor_id);
  }

  addArea(area: Area): void {
    this.#target.registries.areas.set(area.area_id, area);
    this.#fire("area", "create", area.area_id);
  }

  addLabel(label: Label): void {
    this.#target.registries.labels.set(label.label_id, label);
    this.#fire("label", "create", label.label_id);
  }

  addDevice(device: Device): void {
    this.#target.registries.devices.set(device.id, device);
    this.#fire("device", "create", device.id);
  }

  addEntity(entity: Entity): void {
    this.#target.registries.entities.set(entity.entity_id, entity);
    this.#fire("entity", "create", entity.entity_id);
  }

  updateFloor(floorId: string, change: Partial<Omit<Floor, "floor_id">>): void {
    if (merge(this.#target.registries.floors, floorId, change)) {
      this.#fire("floor", "update", floorId);
    }
  }

  updateArea(areaId: string, change: Partial<Omit<Area, "area_id">>): void {
    if (merge(this.#target.registries.areas, areaId, change)) {
      this.#fire("area", "update", areaId);
    }
  }

  /** A new name goes into the `friendly_name` of the device's entities. */
  updateDevice(deviceId: string, change: Partial<Omit<Device, "id">>): void {
    const { registries } = this.#target;
    const changes = merge(registries.devices, deviceId, change);
    if (changes === undefined) return;
    const entities = [...registries.entities.values()]
      .filter(({ device_id }) => device_id === deviceId);
    this.#fire("device", "update", deviceId, { changes }, () => {
      for (const entity of entities) this.#rename(entity);
    });
  }

  /** A new `entity_id` moves the state: the old id's is removed, the new one's appears. */
  updateEntity(entityId: string, change: Partial<Entity>): void {
    const { registries: { entities }, states } = this.#target;
    const changes = merge(entities, entityId, change);
    const entity = entities.get(entityId);
    if (changes === undefined || entity === undefined) return;
    const newId = entity.entity_id;
    if (newId === entityId) {
      return this.#fire("entity", "update", newId, { changes }, () => {
        if (entity.disabled_by !== null) this.#target.removeState(newId);
        else this.#rename(entity);
      });
    }
    entities.delete(entityId);
    entities.set(newId, entity);
    this.#target.registries.renamed(entityId, newId);
    const more = { changes, old_entity_id: entityId };
    this.#target.recorder.rename(entityId, newId);
    this.#target.statistics.rename(entityId, newId);
    this.#fire("entity", "update", newId, more, () => {
      const state = states.get(entityId);
      if (!state) return;
      this.#target.removeState(entityId);
      this.#target.writeState({
        entityId: newId,
        state: state.state,
        attributes: named(state.attributes, this.#friendlyName(entity)),
        forceUpdate: false,
      });
    });
  }

  removeEntity(entityId: string): void {
    if (!this.#target.registries.entities.delete(entityId)) throw gone(entityId);
    this.#fire(
      "entity",
      "remove",
      entityId,
      {},
      () => this.#target.removeState(entityId),
    );
  }

  /** Devices and entities that were in the area are in none then. */
  removeArea(areaId: string): void {
    const { areas, devices, entities } = this.#target.registries;
    if (!areas.delete(areaId)) throw gone(areaId);
    for (const { id, area_id } of devices.values()) {
      if (area_id === areaId) this.updateDevice(id, { area_id: null });
    }
    for (const { entity_id, area_id } of entities.values()) {
      if (area_id === areaId) this.updateEntity(entity_id, { area_id: null });
    }
    this.#fire("area", "remove", areaId);
  }

  #friendlyName(entity: Entity): string | null {
    return this.#target.registries.friendlyName(entity);
  }

  #rename(entity: Entity): void {
    const state = this.#target.states.get(entity.entity_id);
    if (!state) return;
    this.#target.writeState({
      entityId: entity.entity_id,
      state: state.state,
      attributes: named(state.attributes, this.#friendlyName(entity)),
      forceUpdate: false,
    });
  }

  /** In 2025.4 what an event sets off is told before it, though it happened after. */
  #fire(
    kind: RegistryKind,
    action: "create" | "update" | "remove",
    id: string,
    more: Readonly<Record<string, unknown>> = {},
    effect: () => void = () => {},
  ): void {
    const { bus, clock, registries, states } = this.#target;
    registries.touch(kind, id, clock.seconds);
    const data = { action, [`${kind}_id`]: id, ...more };
    const event = bus.make(`${kind}_registry_updated`, JSON.stringify(data));
    if (states.version !== "2025.4.4") bus.fire(event);
    effect();
    if (states.version === "2025.4.4") bus.fire(event);
  }
}

/** Changes an entry and gives what the changed keys held before; undefined where nothing changed. */
function merge<T extends object>(
  entries: Map<string, T>,
  id: string,
  change: Partial<T>,
): Partial<T> | undefined {
  const entry = entries.get(id);
  if (entry === undefined) throw gone(id);
  const after = { ...entry, ...change };
  const changes: Partial<T> = {};
  for (const key in change) {
    if (JSON.stringify(entry[key]) !== JSON.stringify(after[key])) {
      changes[key] = entry[key];
    }
  }
  if (Object.keys(changes).length === 0) return undefined;
  entries.set(id, after);
  return changes;
}

function named(attributes: string, name: string | null): string {
  const old = memberText(attributes, "friendly_name");
  return old === undefined ? attributes : attributes.replace(
    `"friendly_name":${old}`,
    () => `"friendly_name":${JSON.stringify(name)}`,
  );
}

function gone(id: string): Error {
  return new Error(`Cannot change ${id}: it is not in the registry`);
}
