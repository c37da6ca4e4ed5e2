/** What a Home Assistant finds when it starts, and what it says then. */
import { newContext } from "./clock.ts";
import type { HomeAssistantCore } from "./core.ts";
import type { House } from "./house.ts";
import type { Entity } from "./registries.ts";
import type { HassState } from "./states.ts";

/** Puts a house in, without an event: it has been there for long. */
export function furnish(core: HomeAssistantCore, house: House): void {
  const { registries, clock } = core;
  for (const floor of house.floors) {
    registries.floors.set(floor.floor_id, floor);
    registries.touch("floor", floor.floor_id, clock.seconds);
  }
  for (const area of house.areas) {
    registries.areas.set(area.area_id, area);
    registries.touch("area", area.area_id, clock.seconds);
  }
  for (const label of house.labels) {
    registries.labels.set(label.label_id, label);
    registries.touch("label", label.label_id, clock.seconds);
  }
  for (const device of house.devices) {
    registries.devices.set(device.id, device);
    registries.touch("device", device.id, clock.seconds);
  }
  for (const { state, attributes, ...entity } of house.entities) {
    registries.entities.set(entity.entity_id, entity);
    registries.touch("entity", entity.entity_id, clock.seconds);
    const friendly_name = registries.friendlyName(entity);
    put(core, entity.entity_id, state, { ...attributes, friendly_name });
  }
  for (const { entity_id, state, attributes } of house.states) {
    put(core, entity_id, state, attributes);
  }
}

/**
 * Fires what a start fires, but for `homeassistant_started`: every registered entity
 * unavailable and restored, then the states that the integrations had before.
 */
export function announceStart(
  core: HomeAssistantCore,
  before: readonly HassState[],
): void {
  for (const component of componentsOf(core)) {
    core.fire("component_loaded", { component });
  }
  const enabled = [...core.registries.entities.values()]
    .filter(({ disabled_by }) => disabled_by === null);
  const old = new Map(before.map((state) => [state.entityId, state]));
  for (const entity of enabled) {
    const attributes = restoredAttributes(core, entity, old.get(entity.entity_id));
    core.setState(entity.entity_id, "unavailable", attributes);
  }
  core.fire("homeassistant_start");
  for (const { entityId, state, attributes } of before) {
    // what no integration stands behind, REST has made: it does not come back
    const isOfIntegration = core.registries.entities.has(entityId) ||
      entityId === "sun.sun" || entityId.startsWith("zone.");
    if (!isOfIntegration) continue;
    core.writeState({ entityId, state, attributes, forceUpdate: false });
  }
}

/** The names of the integrations in use. */
export function componentsOf({ states }: HomeAssistantCore): string[] {
  const domains = states.all().map(({ entityId }) => entityId.split(".")[0]);
  return [
    ...new Set([
      "websocket_api",
      "api",
      "recorder",
      "history",
      ...domains,
    ]),
  ];
}

// homeassistant/helpers/entity_registry.py, write_unavailable_state: the short name, but in 2026
function restoredAttributes(
  { registries, states }: HomeAssistantCore,
  entity: Entity,
  before: HassState | undefined,
) {
  const attributes: Readonly<Record<string, unknown>> = JSON.parse(
    before?.attributes ?? "{}",
  );
  const pick = (...names: string[]) =>
    Object.fromEntries(
      names.filter((name) => name in attributes)
        .map((name) => [name, attributes[name]]),
    );
  const friendly_name = states.version === "2026.11.0"
    ? registries.friendlyName(entity)
    : entity.name ?? entity.original_name;
  return {
    restored: true,
    ...pick("state_class", "supported_color_modes", "hvac_modes"),
    ...pick("device_class"),
    ...friendly_name === null ? {} : { friendly_name },
    supported_features: 0,
    ...pick("supported_features", "unit_of_measurement"),
  };
}

function put(
  core: HomeAssistantCore,
  entityId: string,
  state: string,
  attributes: Readonly<Record<string, unknown>>,
): void {
  const stamp = core.clock.next();
  const text = JSON.stringify(attributes);
  core.states.set(
    { entityId, state, attributes: text, forceUpdate: false },
    stamp,
    newContext(stamp.us),
  );
  core.record(entityId);
}
