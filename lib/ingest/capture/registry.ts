/** What Home Assistant's registries say: names, areas, floors and devices. Pure. */
import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import {
  type EntityInfo,
  entityInfoSchema,
  type RegistryNames,
  registryNamesSchema,
} from "../../contract.ts";
import { areEqual, each } from "../../in_turns.ts";
import { listOf } from "../hass/answer_list.ts";
import { fullName, ownName, type RegistryDevice } from "./device_name.ts";
import { entityName, isSettled, type NamedState } from "./entity_name.ts";
import type { RegistryKind, RegistryLists } from "./registry_lists.ts";

/** So many entities or devices are looked up or compared between two turns of the event loop. */
const STEP = 1_000;
/** So many are saved as one text: while it is made and written others wait. */
const PART = 5_000;

/** What an entity or a device has of which list. */
const MEMBERS_OF: Partial<Record<RegistryKind, readonly (keyof EntityInfo & string)[]>> = {
  areas: ["area", "floor"],
  floors: ["floor"],
  labels: ["labels"],
  devices: ["area", "floor", "device", "manufacturer", "model"],
};

/** An entity with everything that the registries say of it, looked up. */
interface Entity {
  /** The entity registry's own id, which a rename leaves alone. */
  readonly registryId?: string;
  readonly info: EntityInfo;
}

/** What is kept in the outbox between two runs; its own program has written it. */
const savedSchema = z.object({
  entities: listOf(z.object({ registryId: z.string().optional(), info: entityInfoSchema })),
  devices: listOf(z.tuple([z.string(), registryNamesSchema])),
});

export class Registry {
  readonly #entities: ReadonlyMap<string, Entity>;
  readonly #devices: ReadonlyMap<string, RegistryNames>;

  private constructor(
    entities: ReadonlyMap<string, Entity>,
    devices: ReadonlyMap<string, RegistryNames>,
  ) {
    this.#entities = entities;
    this.#devices = devices;
  }

  static readonly empty = new Registry(new Map(), new Map());

  get size(): number {
    return this.#entities.size;
  }

  entityIds(): Iterable<string> {
    return this.#entities.keys();
  }

  /**
   * Looks everything up once, in steps. An entity whose state is missing or only restored keeps the name, unit
   * and classes that `previous` knows: while Home Assistant starts it does not say them. What comes
   * of a list that was refused stays as `previous` has it.
   */
  static *steps(
    lists: RegistryLists,
    previous: Registry,
    refused: ReadonlySet<RegistryKind> = new Set(),
  ): Generator<void, Registry> {
    const keptMembers = [...refused].flatMap((kind) => MEMBERS_OF[kind] ?? []);
    const kept = (known: Readonly<Record<string, unknown>> = {}) =>
      present(Object.fromEntries(keptMembers.map((member) => [member, known[member]])));
    const floors = new Map(lists.floors.map(({ floor_id, name }) => [floor_id, name]));
    const areas = new Map(lists.areas.map((area) => [area.area_id, area]));
    const labels = new Map(lists.labels.map(({ label_id, name }) => [label_id, name]));
    const devices = new Map(lists.devices.map((device) => [device.id, device]));
    yield;
    const states = new Map(lists.states.map((state) => [state.entityId, state]));
    yield;
    const place = (areaId: string | null | undefined) => {
      const area = areaId ? areas.get(areaId) : undefined;
      return { area: area?.name, floor: area?.floor_id ? floors.get(area.floor_id) : undefined };
    };
    const parentOf = (device: RegistryDevice | undefined) =>
      device?.parent_device_id ? devices.get(device.parent_device_id) : undefined;
    const knownById = new Map(
      [...previous.#entities.values()].map(({ registryId, info }) => [registryId, info]),
    );
    const entities = new Map<string, Entity>();
    yield* each(lists.entities, STEP, (entry) => {
      const device = entry.device_id ? devices.get(entry.device_id) : undefined;
      const parent = parentOf(device);
      const state = states.get(entry.entity_id);
      // a renamed entity is the one that it was, and one that got the id of another is not that one
      const before = previous.#entities.get(entry.entity_id);
      const isOther = Boolean(entry.id && before?.registryId) && entry.id !== before?.registryId;
      const known = (entry.id ? knownById.get(entry.id) : undefined) ??
        (isOther ? undefined : before?.info);
      // 0.1.0 put names together, which it could not where the registry does not say how
      const isWrong = known?.removed === undefined && typeof entry.has_entity_name !== "boolean";
      const knownName = isWrong ? undefined : known?.name;
      const said = state && !state.isRestored
        ? { unit: state.unit, device_class: state.deviceClass, state_class: state.stateClass }
        : { unit: known?.unit, device_class: known?.device_class, state_class: known?.state_class };
      entities.set(entry.entity_id, {
        ...entry.id ? { registryId: entry.id } : {},
        info: entityInfoSchema.parse(present({
          entity_id: entry.entity_id,
          removed: false,
          name: entityName(entry, { state, deviceName: ownName(device), knownName }),
          ...place(entry.area_id ?? device?.area_id ?? parent?.area_id),
          device: fullName(device, parent),
          // a child device has none of its own
          manufacturer: device?.manufacturer ?? parent?.manufacturer,
          model: device?.model ?? parent?.model,
          platform: entry.platform,
          entity_category: entry.entity_category,
          // Home Assistant keeps them as a set, whose order is another one after each of its starts
          labels: entry.labels?.map((id) => labels.get(id) ?? id).sort(),
          ...said,
          ...kept(known),
        })),
      });
    });
    const deviceNames = new Map<string, RegistryNames>();
    yield* each(lists.devices, STEP, (device) => {
      const parent = parentOf(device);
      const names = {
        ...place(device.area_id ?? parent?.area_id),
        device: fullName(device, parent),
        ...kept(previous.#devices.get(device.id)),
      };
      deviceNames.set(device.id, registryNamesSchema.parse(present(names)));
    });
    return new Registry(
      refused.has("entities") ? previous.#entities : entities,
      refused.has("devices") ? previous.#devices : deviceNames,
    );
  }

  /**
   * The registry whose parts `save` wrote, without entries that cannot be read; an empty one where the
   * texts are none.
   */
  static load(...parts: readonly (string | undefined)[]): Registry {
    const saved = parts.map((text) => savedSchema.safeParse(parseJson(text)).data);
    return new Registry(
      new Map(
        saved.flatMap((part) => part?.entities ?? []).map((one) => [one.info.entity_id, one]),
      ),
      new Map(saved.flatMap((part) => part?.devices ?? [])),
    );
  }

  /** How many texts it is saved as. */
  get partCount(): number {
    return Math.max(1, Math.ceil(Math.max(this.#entities.size, this.#devices.size) / PART));
  }

  /** In `partCount` parts, each made when it is asked for. */
  *save(): Generator<string> {
    const [entities, devices] = [[...this.#entities.values()], [...this.#devices]];
    for (let n = 0; n < this.partCount; n++) {
      const part = <T>(all: readonly T[]) => all.slice(n * PART, (n + 1) * PART);
      yield JSON.stringify({ entities: part(entities), devices: part(devices) });
    }
  }

  /** Whether both say the same, in whatever order; found in steps. */
  *equalSteps(other: Registry): Generator<void, boolean> {
    return (yield* areEqual(this.#entities, other.#entities, STEP)) &&
      (yield* areEqual(this.#devices, other.#devices, STEP));
  }

  /**
   * The names that an event carries: those of its entity, else of its device. An entity without
   * registry entry has the `friendlyName` of its state.
   */
  namesOf(
    { entityId, deviceId, friendlyName }: {
      readonly entityId?: string;
      readonly deviceId?: string;
      readonly friendlyName?: string;
    },
  ): RegistryNames | undefined {
    const info = entityId === undefined ? undefined : this.#entities.get(entityId)?.info;
    if (info) {
      const { name, area, floor, device } = info;
      return { name, area, floor, device };
    }
    if (entityId !== undefined) return friendlyName ? { name: friendlyName } : undefined;
    return deviceId === undefined ? undefined : this.#devices.get(deviceId);
  }

  /**
   * Whether a state that was heard shows another name than the entity has here: its integration has
   * changed it, or was not there when the names were read.
   */
  isNamedOtherwise(entityId: string, state: NamedState): boolean {
    const info = this.#entities.get(entityId)?.info;
    return info !== undefined && isSettled(state) &&
      info.name !== (state.friendlyName || undefined);
  }

  /**
   * What is new or changed against `previous`, one an entity; a renamed one says its old id. What
   * has left since is said once more, as removed. Found in steps.
   */
  *changeSteps(previous: Registry): Generator<void, EntityInfo[]> {
    const oldIds = new Map(
      [...previous.#entities.values()].map(({ registryId, info }) => [registryId, info.entity_id]),
    );
    const changes: EntityInfo[] = [];
    yield* each(this.#entities.values(), STEP, ({ registryId, info }) => {
      const oldId = registryId === undefined ? undefined : oldIds.get(registryId);
      const before = previous.#entities.get(info.entity_id)?.info;
      // also where it is all that the entity was that had the id before: a device was replaced
      if (oldId !== undefined && oldId !== info.entity_id) {
        changes.push({ ...info, old_entity_id: oldId });
      } else if (!isDeepStrictEqual(before, info)) changes.push(info);
    });
    yield* each(previous.#entities.values(), STEP, ({ info }) => {
      if (!this.#entities.has(info.entity_id)) changes.push({ ...info, removed: true });
    });
    return changes;
  }
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return undefined;
  }
}

/** The members that say something, so that equal entries are equal. */
function present(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const said: Record<string, unknown> = {};
  for (const [member, value] of Object.entries(object)) {
    if (value === null || value === undefined || value === "") continue;
    if (Array.isArray(value) && value.length === 0) continue;
    said[member] = value;
  }
  return said;
}
