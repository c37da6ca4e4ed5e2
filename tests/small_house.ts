/**
 * A small house of which every panel has something to show, given as what ingest sends of it:
 * the points are made by tidyPoint, at the times of the last two hours.
 */
import { envelopeSchema } from "../lib/contract.ts";
import type { StorePoint } from "../lib/enrich/store.ts";
import { tidyPoint } from "../lib/enrich/tidy/tidy.ts";

export const SMALL_HOUSE = "home";
/** An area whose name is none of the names that need no care. */
export const PLAYROOM = "Kid's play / craft room (1+1)";

interface Moment {
  readonly entityId: string;
  readonly area?: string;
  readonly attributes?: object;
  /** Minutes ago, and the state from then on; null is the removal. */
  readonly states: readonly (readonly [minutesAgo: number, state: string | null])[];
}

function of(deviceClass: string, unit?: string) {
  return { device_class: deviceClass, unit_of_measurement: unit };
}

const MOMENTS: readonly Moment[] = [
  {
    entityId: "light.kitchen",
    area: "Kitchen",
    attributes: { brightness: 128, color_mode: "hs" },
    states: [[110, "on"], [60, "off"], [30, "on"]],
  },
  { entityId: "light.hall", area: "Hall", states: [[90, "on"], [10, "unavailable"]] },
  { entityId: "light.play", area: PLAYROOM, states: [[80, "on"], [50, "off"], [40, "on"]] },
  { entityId: "light.bed", area: "Bedroom", states: [[100, "off"]] },
  {
    entityId: "sensor.kitchen_temperature",
    area: "Kitchen",
    attributes: of("temperature", "°C"),
    states: [[100, "20.5"], [40, "21.5"]],
  },
  { entityId: "sensor.loft", attributes: of("temperature", "°F"), states: [[50, "64.2"]] },
  { entityId: "sensor.humidity", attributes: of("humidity", "%"), states: [[50, "48"]] },
  { entityId: "sensor.washer", attributes: of("power", "W"), states: [[50, "430"]] },
  { entityId: "sensor.roof", attributes: of("power", "kW"), states: [[50, "1.25"]] },
  {
    entityId: "sensor.remote_battery",
    attributes: of("battery", "%"),
    states: [[95, "13"], [55, "12"]],
  },
  { entityId: "sensor.lost", area: "Hall", states: [[70, "3"], [20, "unavailable"]] },
  {
    entityId: "binary_sensor.front_door",
    area: "Hall",
    attributes: of("door"),
    states: [[100, "off"], [5, "on"]],
  },
  { entityId: "binary_sensor.window", attributes: of("window"), states: [[100, "off"]] },
  { entityId: "binary_sensor.hall", attributes: of("motion"), states: [[30, "on"], [28, "off"]] },
  { entityId: "person.anne", states: [[100, "not_home"], [35, "home"]] },
  { entityId: "switch.old", area: "Hall", states: [[100, "on"], [15, null]] },
];

/** The points of the small house, where it is `now`. */
export function smallHousePoints(now: Date): readonly StorePoint[] {
  const at = (minutesAgo: number) => new Date(now.getTime() - minutesAgo * 60_000).toISOString();
  return [
    ...MOMENTS.flatMap((moment) => changesOf(moment, at)),
    point(at(45), "call_service", {
      domain: "light",
      service: "turn_on",
      service_data: { entity_id: "light.kitchen" },
    }),
    point(at(105), "homeassistant_started", {}),
    point(at(104), "entity_info", {
      entity_id: "light.kitchen",
      name: "Kitchen light",
      area: "Kitchen",
      old_entity_id: "light.lamp",
    }),
    point(at(15), "entity_info", { entity_id: "switch.old", removed: true }),
    point(at(0), "statistics", {
      statistic_id: "light.kitchen",
      entity_id: "light.kitchen",
      start: at(120),
      mean: 0.5,
      min: 0,
      max: 1,
      sum: 4,
      state: 3,
    }),
  ];
}

function changesOf(
  { entityId, area, attributes = {}, states }: Moment,
  at: (minutesAgo: number) => string,
): readonly StorePoint[] {
  const full = states.map(([minutesAgo, state]) => ({
    time: at(minutesAgo),
    state: state === null ? null : {
      entity_id: entityId,
      state,
      attributes,
      last_changed: at(minutesAgo),
      last_updated: at(minutesAgo),
    },
  }));
  return full.map(({ time, state }, index) =>
    point(time, "state_changed", {
      entity_id: entityId,
      old_state: full[index - 1]?.state ?? null,
      new_state: state,
    }, { name: `The ${entityId}`, area, floor: "Ground floor", device: `Device of ${entityId}` })
  );
}

function point(time: string, eventType: string, data: object, registry?: object): StorePoint {
  const event = { event_type: eventType, data, time_fired: time, origin: "LOCAL" };
  const envelope = envelopeSchema.parse({ event, registry, source: SMALL_HOUSE });
  return tidyPoint(envelope, () => JSON.stringify(event), { attributes: "standard" }).point;
}
