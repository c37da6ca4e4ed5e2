/** The registries of areas, floors, labels, devices and entities, and how each release lists them. */
import { createHash } from "node:crypto";
import type { Version } from "./clock.ts";

export interface Area {
  readonly area_id: string;
  readonly name: string;
  readonly floor_id: string | null;
}

export interface Floor {
  readonly floor_id: string;
  readonly name: string;
  readonly level: number | null;
}

export interface Label {
  readonly label_id: string;
  readonly name: string;
}

export interface Device {
  readonly id: string;
  readonly name: string;
  readonly name_by_user: string | null;
  readonly area_id: string | null;
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly sw_version: string | null;
  /** Since 2026.9: the device that this one is a part of. */
  readonly parent_device_id?: string | null;
  readonly labels: readonly string[];
}

export interface Entity {
  readonly entity_id: string;
  readonly device_id: string | null;
  readonly area_id: string | null;
  readonly platform: string;
  readonly entity_category: string | null;
  readonly labels: readonly string[];
  readonly name: string | null;
  readonly original_name: string | null;
  readonly has_entity_name: boolean;
  readonly disabled_by: string | null;
}

type Row = Readonly<Record<string, unknown>>;

/** All registries. The maps are in the order of creation, as lists are. */
export class Registries {
  readonly areas = new Map<string, Area>();
  readonly floors = new Map<string, Floor>();
  readonly labels = new Map<string, Label>();
  readonly devices = new Map<string, Device>();
  readonly entities = new Map<string, Entity>();
  /** What renamed entities were called first. */
  readonly #firstIds = new Map<string, string>();
  readonly #version: Version;
  readonly #created = new Map<string, number>();
  readonly #modified = new Map<string, number>();

  constructor(version: Version) {
    this.#version = version;
  }

  /** An entity has another id now; its own id in the registry stays. */
  renamed(from: string, to: string): void {
    this.#firstIds.set(to, this.#firstIds.get(from) ?? from);
    this.#firstIds.delete(from);
  }

  /** Notes when an entry was made or changed, which 2025.4 lists. */
  touch(kind: RegistryKind, id: string, seconds: number): void {
    const key = `${kind} ${id}`;
    if (!this.#created.has(key)) this.#created.set(key, seconds);
    this.#modified.set(key, seconds);
  }

  /** The JSON text of a list, its keys in the order of the release. */
  list(kind: RegistryKind): string {
    const rows = {
      area: () => [...this.areas.values()].map((area) => this.#area(area)),
      floor: () => [...this.floors.values()].map((floor) => this.#floor(floor)),
      label: () => [...this.labels.values()].map((label) => this.#label(label)),
      device: () => [...this.devices.values()].map((it) => this.#device(it)),
      entity: () => [...this.entities.values()].map((it) => this.#entity(it)),
    };
    return JSON.stringify(rows[kind]());
  }

  /** The name that Home Assistant gives a registered entity: its `friendly_name`. */
  friendlyName({ name, original_name, has_entity_name, device_id }: Entity) {
    const device = device_id === null ? undefined : this.devices.get(device_id);
    // since 2026.4 the device's name stands before one that the user gave too
    if (this.#version !== "2026.11.0") {
      if (name !== null) return name;
      if (!has_entity_name) return original_name;
    }
    const ownName = name ?? original_name;
    if (device === undefined) return ownName;
    const deviceName = device.name_by_user ?? device.name;
    return ownName === null ? deviceName : `${deviceName} ${ownName}`;
  }

  /** A new entity that has the id of one that was renamed is another one. */
  #idOfNew(entityId: string): string {
    return [...this.#firstIds.values()].includes(entityId) ? `${entityId} again` : entityId;
  }

  #times(kind: RegistryKind, id: string) {
    return {
      created_at: this.#created.get(`${kind} ${id}`) ?? 0,
      modified_at: this.#modified.get(`${kind} ${id}`) ?? 0,
    };
  }

  #area({ area_id, name, floor_id }: Area): Row {
    if (this.#version === "2024.3.3") {
      return { aliases: [], area_id, icon: null, name, picture: null };
    }
    return {
      aliases: [],
      area_id,
      floor_id,
      humidity_entity_id: null,
      icon: null,
      labels: [],
      name,
      picture: null,
      temperature_entity_id: null,
      ...this.#times("area", area_id),
    };
  }

  #floor({ floor_id, level, name }: Floor): Row {
    if (this.#version === "2024.3.3") {
      return { floor_id, icon: null, level, name };
    }
    const { created_at, modified_at } = this.#times("floor", floor_id);
    return {
      aliases: [],
      created_at,
      floor_id,
      icon: null,
      level,
      name,
      modified_at,
    };
  }

  #label({ label_id, name }: Label): Row {
    const row = { description: null, icon: null, label_id, name };
    if (this.#version === "2024.3.3") return { color: null, ...row };
    const { created_at, modified_at } = this.#times("label", label_id);
    return { color: null, created_at, ...row, modified_at };
  }

  #device(device: Device): Row {
    const { area_id, id, labels, manufacturer, model, name_by_user } = device;
    const { name, sw_version } = device;
    const old = this.#version === "2024.3.3";
    const entryId = configEntryId("house");
    const { created_at, modified_at } = this.#times("device", id);
    const new2026 = this.#version === "2026.11.0";
    const parentId = device.parent_device_id ?? null;
    if (new2026 && parentId !== null) {
      return {
        area_id,
        config_entry_id: entryId,
        config_subentry_id: null,
        created_at,
        disabled_by: null,
        id,
        identifiers: [["house", id]],
        labels,
        modified_at,
        name_by_user,
        name,
        next_name_part: area_id === null ? "parent_device" : "area",
        parent_device_id: parentId,
      };
    }
    return {
      area_id,
      configuration_url: null,
      config_entries: [entryId],
      ...old ? {} : { config_entries_subentries: { [entryId]: [null] } },
      ...new2026 ? { config_entry_id: entryId, config_subentry_id: null } : {},
      connections: [],
      ...old ? {} : { created_at },
      disabled_by: null,
      entry_type: null,
      hw_version: null,
      id,
      identifiers: [["house", id]],
      ...old ? {} : { labels },
      manufacturer,
      model,
      ...old ? {} : { model_id: null, modified_at },
      name_by_user,
      name,
      ...new2026 ? { next_name_part: area_id && "area", parent_device_id: null } : {},
      ...old ? {} : { primary_config_entry: entryId },
      serial_number: null,
      sw_version,
      via_device_id: null,
    };
  }

  #entity(entity: Entity): Row {
    const { entity_id, labels, name, original_name, platform } = entity;
    const old = this.#version === "2024.3.3";
    const new2026 = this.#version === "2026.11.0";
    const { created_at, modified_at } = this.#times("entity", entity_id);
    const firstId = this.#firstIds.get(entity_id) ?? this.#idOfNew(entity_id);
    return {
      area_id: entity.area_id,
      ...old ? {} : { categories: {} },
      config_entry_id: entity.device_id && configEntryId("house"),
      ...old ? {} : { config_subentry_id: null, created_at },
      device_id: entity.device_id,
      disabled_by: entity.disabled_by,
      entity_category: entity.entity_category,
      entity_id,
      ...new2026 ? {} : { has_entity_name: entity.has_entity_name },
      hidden_by: null,
      icon: null,
      id: createHash("md5").update(firstId).digest("hex"),
      labels,
      ...old ? {} : { modified_at },
      name,
      ...new2026 ? { next_name_part: entity.area_id ? "area" : entity.device_id && "device" } : {},
      options: { conversation: { should_expose: false } },
      original_name,
      platform,
      translation_key: null,
      unique_id: firstId,
    };
  }
}

/** What the registries hold. */
export type RegistryKind = "area" | "floor" | "label" | "device" | "entity";

/** Every registry, in the words of its commands and events. */
export const REGISTRY_KINDS: readonly RegistryKind[] = [
  "area",
  "floor",
  "label",
  "device",
  "entity",
];

function configEntryId(name: string): string {
  return createHash("md5").update(name).digest("hex");
}
