/** Entities with an entry in Home Assistant's entity registry, and many without. */
import * as z from "zod";
import type { HassSocket } from "./hass_socket.ts";

/** Makes an `input_number` as the user interface does; returns its entity_id. */
export async function createNumber(socket: HassSocket, name: string): Promise<string> {
  const { id } = z.looseObject({ id: z.string() }).parse(
    await socket.command({ type: "input_number/create", name, min: 0, max: 1e9, mode: "box" }),
  );
  return `input_number.${id}`;
}

/** Deletes what `createNumber` made, with its entry and its state. `name` is that of its making. */
export async function deleteNumber(socket: HassSocket, name: string): Promise<void> {
  await socket.command({ type: "input_number/delete", input_number_id: name });
}

/**
 * Gives the entity another entity_id, as the user interface does. Its history goes with it, but in
 * 2025.4.4: there it stays with the old entity_id, which is recorded as removed.
 */
export async function renameEntity(
  socket: HassSocket,
  entityId: string,
  newEntityId: string,
): Promise<void> {
  await socket.command({
    type: "config/entity_registry/update",
    entity_id: entityId,
    new_entity_id: newEntityId,
  });
}

/** Deletes the entry, and with it the state. What is still configured is there again after a restart. */
export async function removeEntity(socket: HassSocket, entityId: string): Promise<void> {
  await socket.command({ type: "config/entity_registry/remove", entity_id: entityId });
}

/** Fired by a test, it gives each of `manySensorsYaml` a new state. */
export const MANY_SENSORS = "many_sensors";

/**
 * For `templateYaml`: `count` sensors `sensor.many_0 …`, each of which gets a new state (the time, to
 * the microsecond) when Home Assistant has started, and at each event `many_sensors`. At a restart
 * each has its old state first. The entity registry does not know them.
 */
export function manySensorsYaml(count: number): string {
  return [
    "  - trigger:",
    "      - platform: homeassistant",
    "        event: start",
    "      - platform: event",
    `        event_type: ${MANY_SENSORS}`,
    // after the event: since 2026 what is fired while one is dispatched waits, and above 10,000 is lost
    "    action:",
    "      - delay: {milliseconds: 1}",
    "    sensor:",
    ...Array.from(
      { length: count },
      (_, i) => `      - {name: many ${i}, state: "{{ utcnow().isoformat() }}"}`,
    ),
    "",
  ].join("\n");
}
