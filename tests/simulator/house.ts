/** A house to simulate: what is in it, and how that begins. */
import type { Area, Device, Entity, Floor, Label } from "./registries.ts";

type Attributes = Readonly<Record<string, unknown>>;

/** A registered entity and its state at the start. */
export interface HouseEntity extends Entity {
  readonly state: string;
  /** Without `friendly_name`, which the registries decide. */
  readonly attributes: Attributes;
}

/** The state of an entity without a registry entry. */
export interface HouseState {
  readonly entity_id: string;
  readonly state: string;
  readonly attributes: Attributes;
}

/** A house with nothing in it. */
export const EMPTY_HOUSE: House = {
  floors: [],
  areas: [],
  labels: [],
  devices: [],
  entities: [],
  states: [],
};

/** Everything that a Home Assistant knows when it starts. */
export interface House {
  readonly floors: readonly Floor[];
  readonly areas: readonly Area[];
  readonly labels: readonly Label[];
  readonly devices: readonly Device[];
  readonly entities: readonly HouseEntity[];
  /** States of entities that no registry knows, `friendly_name` among their attributes. */
  readonly states: readonly HouseState[];
}

/** A light's attributes while it is off. */
export function lightOff(): Attributes {
  return {
    supported_color_modes: ["brightness"],
    color_mode: null,
    brightness: null,
    supported_features: 0,
  };
}

/** A light's attributes while it is on; brightness 1 to 255. */
export function lightOn(brightness: number): Attributes {
  return { ...lightOff(), color_mode: "brightness", brightness };
}

/** An area, on a floor or on none. */
export function area(area_id: string, name: string, floor_id: string | null): Area {
  return { area_id, name, floor_id };
}

/** A device whose id is its key. */
export function device(
  id: string,
  name: string,
  area_id: string,
  manufacturer: string,
  model: string,
): Device {
  return {
    id,
    name,
    name_by_user: null,
    area_id,
    manufacturer,
    model,
    sw_version: "1.4.0",
    labels: [],
  };
}

/** An entity of a device, named after it. */
export function entity(
  entity_id: string,
  device_id: string | null,
  original_name: string | null,
  state: string,
  attributes: Attributes,
): HouseEntity {
  return {
    entity_id,
    device_id,
    area_id: null,
    platform: "house",
    entity_category: null,
    labels: [],
    name: null,
    original_name,
    has_entity_name: true,
    disabled_by: null,
    state,
    attributes,
  };
}

/** A sensor with a number. */
export function sensor(
  entity_id: string,
  device_id: string,
  original_name: string,
  state: string,
  unit_of_measurement: string,
  device_class: string,
  state_class = "measurement",
): HouseEntity {
  const attributes = { state_class, unit_of_measurement, device_class };
  return entity(entity_id, device_id, original_name, state, attributes);
}
