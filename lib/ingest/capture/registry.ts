/**
 * What Home Assistant's registries say: names, areas, floors and devices. Pure; releases add and
 * take away fields, so everything but the ids is optional.
 */
import { z } from "zod";
import {
  type EntityInfo,
  entityInfoSchema,
  type RegistryNames,
  registryNamesSchema,
} from "../../contract.ts";
import { listOf } from "../hass/answer_list.ts";

const text = z.string().nullish().catch(undefined);
const texts = z.array(z.string()).nullish().catch(undefined);

/** The answers of `config/*_registry/list` and of `get_states`, as far as they are used. */
export const registryListsSchema = z.object({
  areas: listOf(z.object({ area_id: z.string(), name: text, floor_id: text })),
  floors: listOf(z.object({ floor_id: z.string(), name: text })),
  labels: listOf(z.object({ label_id: z.string(), name: text })),
  devices: listOf(z.object({
    id: z.string(),
    name: text,
    name_by_user: text,
    area_id: text,
    manufacturer: text,
    model: text,
  })),
  entities: listOf(z.object({
    id: text,
    entity_id: z.string(),
    device_id: text,
    area_id: text,
    platform: text,
    entity_category: text,
    labels: texts,
    name: text,
    original_name: text,
    has_entity_name: z.boolean().nullish().catch(undefined),
  })),
  states: listOf(z.object({
    entity_id: z.string(),
    last_updated: z.string().catch(""),
    attributes: z.object({
      unit_of_measurement: text,
      device_class: text,
      state_class: text,
      restored: z.unknown().optional(),
    }),
  })),
});
export type RegistryLists = z.infer<typeof registryListsSchema>;
export type RegistryKind = keyof RegistryLists;

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
  entities: z.array(
    z.object({
      registryId: z.string().optional(),
      info: entityInfoSchema,
    }),
  ),
  devices: z.array(
    z.tuple([z.string(), registryNamesSchema]),
  ),
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
   * Looks everything up once. An entity whose state is missing or only restored keeps the unit and
   * classes that `previous` knows: while Home Assistant starts it does not say them. What comes of
   * a list that was refused stays as `previous` has it.
   */
  static from(
    lists: RegistryLists,
    previous: Registry,
    refused: ReadonlySet<RegistryKind> = new Set(),
  ): Registry {
    const keptMembers = [...refused].flatMap((kind) => MEMBERS_OF[kind] ?? []);
    const kept = (known: Readonly<Record<string, unknown>> = {}) =>
      present(Object.fromEntries(keptMembers.map((member) => [member, known[member]])));
    const floors = new Map(lists.floors.map(({ floor_id, name }) => [floor_id, name]));
    const areas = new Map(lists.areas.map((area) => [area.area_id, area]));
    const labels = new Map(lists.labels.map(({ label_id, name }) => [label_id, name]));
    const devices = new Map(lists.devices.map((device) => [device.id, device]));
    const states = new Map(lists.states.map((state) => [state.entity_id, state.attributes]));
    const place = (areaId: string | null | undefined) => {
      const area = areaId ? areas.get(areaId) : undefined;
      return { area: area?.name, floor: area?.floor_id ? floors.get(area.floor_id) : undefined };
    };
    const entities = lists.entities.map((entry): [string, Entity] => {
      const device = entry.device_id ? devices.get(entry.device_id) : undefined;
      const attributes = states.get(entry.entity_id);
      const known = previous.#entities.get(entry.entity_id)?.info;
      const deviceName = refused.has("devices")
        ? known?.device
        : device?.name_by_user ?? device?.name;
      const said = attributes && !attributes.restored
        ? {
          unit: attributes.unit_of_measurement,
          device_class: attributes.device_class,
          state_class: attributes.state_class,
        }
        : { unit: known?.unit, device_class: known?.device_class, state_class: known?.state_class };
      return [entry.entity_id, {
        registryId: entry.id ?? undefined,
        info: entityInfoSchema.parse(present({
          entity_id: entry.entity_id,
          name: entityName(entry, deviceName),
          ...place(entry.area_id ?? device?.area_id),
          device: deviceName,
          manufacturer: device?.manufacturer,
          model: device?.model,
          platform: entry.platform,
          entity_category: entry.entity_category,
          labels: entry.labels?.map((id) => labels.get(id) ?? id),
          ...said,
          ...kept(known),
        })),
      }];
    });
    const deviceNames = lists.devices.map((device): [string, RegistryNames] => [
      device.id,
      registryNamesSchema.parse(
        present({
          ...place(device.area_id),
          device: device.name_by_user ?? device.name,
          ...kept(previous.#devices.get(device.id)),
        }),
      ),
    ]);
    return new Registry(
      refused.has("entities") ? previous.#entities : new Map(entities),
      refused.has("devices") ? previous.#devices : new Map(deviceNames),
    );
  }

  /** The registry that `save` wrote, or an empty one where the text is none. */
  static load(saved: string | undefined): Registry {
    const parsed = savedSchema.safeParse(saved === undefined ? undefined : JSON.parse(saved));
    if (!parsed.success) return Registry.empty;
    const { entities, devices } = parsed.data;
    return new Registry(
      new Map(entities.map((entity) => [entity.info.entity_id, entity])),
      new Map(devices),
    );
  }

  save(): string {
    return JSON.stringify({ entities: [...this.#entities.values()], devices: [...this.#devices] });
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

  /** What is new or changed against `previous`, one an entity; a renamed one says its old id. */
  changesSince(previous: Registry): EntityInfo[] {
    const oldIds = new Map(
      [...previous.#entities.values()].map(({ registryId, info }) => [registryId, info.entity_id]),
    );
    return [...this.#entities.values()].flatMap(({ registryId, info }) => {
      const before = previous.#entities.get(info.entity_id)?.info;
      if (before && JSON.stringify(before) === JSON.stringify(info)) return [];
      const oldId = registryId === undefined ? undefined : oldIds.get(registryId);
      const renamed = oldId !== undefined && oldId !== info.entity_id;
      return [renamed ? { ...info, old_entity_id: oldId } : info];
    });
  }
}

/**
 * The name as Home Assistant's own pages show it: the user's; else, with has_entity_name, the
 * device's and the entity's own together (the device's alone for its main feature).
 * https://developers.home-assistant.io/docs/core/entity#entity-naming
 */
function entityName(
  { name, has_entity_name, original_name }: RegistryLists["entities"][number],
  deviceName: string | null | undefined,
): string | null | undefined {
  if (name) return name;
  if (!has_entity_name || !deviceName) return original_name;
  return original_name ? `${deviceName} ${original_name}` : deviceName;
}

/** The members that say something, so that equal entries have equal texts. */
function present(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) =>
      value !== null && value !== undefined && value !== "" &&
      !(Array.isArray(value) && value.length === 0)
    ),
  );
}
