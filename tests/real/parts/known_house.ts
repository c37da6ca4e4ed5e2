/**
 * What happens in a house from 28 to 30 March 2026 in Berlin, where the 29th has 23 hours. Each
 * story belongs to a query of docs/queries.md; all happen in one house with three restarts.
 */
import assert from "node:assert/strict";
import { parseTimeUs } from "../../../lib/time.ts";
import { type Attributes, House } from "./house.ts";

const HOUR_US = 3_600_000_000;

/** When, in Berlin's time (`28 12:15`, or with seconds), and what. */
type Story = readonly (readonly [local: string, happens: (house: House) => void])[];

const TEMPERATURE = { device_class: "temperature", unit_of_measurement: "°C" };
const HUMIDITY = { device_class: "humidity", unit_of_measurement: "%" };
const BATTERY = { device_class: "battery", unit_of_measurement: "%" };
const ENERGY = {
  device_class: "energy",
  unit_of_measurement: "kWh",
  state_class: "total_increasing",
};
const POWER = { device_class: "power", unit_of_measurement: "W", state_class: "measurement" };
const DOOR = { device_class: "door" };
const NIGHT = { temperature: 17, current_temperature: 18, hvac_action: "idle" };

type Furnishing = readonly [
  entityId: string,
  name: string,
  area: string | null | undefined,
  kept: Attributes,
  state: string,
  attributes?: Attributes,
];

const FURNISHINGS: readonly Furnishing[] = [
  ["sensor.living_room_temperature", "Living room", "Living room", TEMPERATURE, "20.0"],
  ["sensor.window_temperature", "Window", "Living room", TEMPERATURE, "22.0"],
  ["sensor.kitchen_temperature", "Kitchen", "Kitchen", TEMPERATURE, "19.0"],
  ["sensor.freezer_temperature", "Freezer", "Kitchen", {
    ...TEMPERATURE,
    unit_of_measurement: "°F",
  }, "-0.4"],
  ["sensor.balcony_temperature", "Balcony", "Balcony", TEMPERATURE, "4.0"],
  ["sensor.heat_pump_energy", "Heat pump energy", "Cellar", ENERGY, "1000.0"],
  ["light.kitchen", "Kitchen light", "Kitchen", {}, "off"],
  ["sensor.door_battery", "Door battery", "Hall", BATTERY, "87"],
  ["sensor.remote_battery", "Remote battery", "Hall", BATTERY, "54"],
  ["binary_sensor.front_door", "Front door", "Hall", DOOR, "off"],
  ["climate.living_room", "Heating", "Living room", {}, "heat", NIGHT],
  ["person.anna", "Anna", null, {}, "home"],
  ["person.ben", "Ben", null, {}, "not_home"],
  ["sensor.garden_humidity", "Garden humidity", "Garden", HUMIDITY, "61.5"],
  ["sensor.attic_humidity", "Attic humidity", "Attic", HUMIDITY, "48.0"],
  ["switch.old_pump", "Pump", "Garden", {}, "off"],
  ["sensor.scale_weight", "Scale", undefined, { unit_of_measurement: "kg" }, "70.5"],
  ["button.identify", "Identify", "Hall", {}, "unknown"],
  ["sensor.washer_power", "Washer power", "Cellar", POWER, "5"],
];

/** The entity's states, one after the other. */
function states(entityId: string, ...changes: (readonly [local: string, state: string])[]): Story {
  return changes.map(([local, state]) => [local, (house) => house.set(entityId, state)]);
}

function heating(local: string, state: string, temperature: number | null, actual: number): Story {
  const attributes = { temperature, current_temperature: actual, hvac_action: state };
  return [[local, (house) => house.set("climate.living_room", state, attributes)]];
}

const STORY: Story = [
  // 1: unavailable for half an hour, chatty for one, then given another name
  ...states(
    "sensor.living_room_temperature",
    ["28 03:10", "unavailable"],
    ["28 03:40", "20.0"],
    ["28 12:15", "22.0"],
    ["28 12:30", "24.0"],
    ["28 12:45", "28.0"],
    ["28 13:15", "20.0"],
  ),
  [
    "28 16:20",
    (house) => house.configure("sensor.living_room_temperature", { name: "Living room wall" }),
  ],

  // 2: starts at 0 again, and has used 0.5 kWh when it first tells; later a reading slips back
  ...states(
    "sensor.heat_pump_energy",
    ["28 08:30", "1004.0"],
    ["28 20:30", "1010.0"],
    ["28 23:30", "1012.0"],
    ["29 01:30", "1013.0"],
    ["29 10:20", "unavailable"],
    ["29 10:30", "0.5"],
    ["29 15:30", "4.5"],
    ["29 23:30", "6.5"],
    ["30 00:30", "7.0"],
    ["30 11:30", "10.0"],
    ["30 12:30", "9.9"],
    ["30 13:30", "10.5"],
  ),
  ["28 12:20", (house) => house.configure("sensor.heat_pump_energy", { name: "Heat pump" })],

  // 3: without power for two hours, on over midnight, on over a restart, still on at the end
  ["28 18:10:20", (house) => house.set("light.kitchen", "on", { brightness: 200 })],
  ["28 18:40:00", (house) => house.set("light.kitchen", "on", { brightness: 80 })],
  ...states(
    "light.kitchen",
    ["28 19:10:20", "unavailable"],
    ["28 21:10:20", "on"],
    ["28 22:10:20", "off"],
    ["29 22:40:20", "on"],
    ["30 00:20:20", "off"],
    ["30 12:50:20", "on"],
    // after the restart at 13:21, which finds it late
    ["30 13:22:20", "on"],
    ["30 14:50:20", "off"],
    ["30 23:30:20", "on"],
  ),

  // 4: given another name; and one whose battery dies
  ["28 10:20", (house) => house.configure("sensor.door_battery", { name: "Front door battery" })],
  ...states("sensor.door_battery", ["29 11:30", "86"]),
  ...states("sensor.remote_battery", ["29 18:30", "unavailable"]),

  // 5: open over one restart, opened during another, unavailable for a while
  ...states(
    "binary_sensor.front_door",
    ["30 07:10:20", "on"],
    ["30 07:11:20", "off"],
    ["30 12:10:20", "on"],
    // after the restart at 13:21, which finds it late
    ["30 13:22:30", "on"],
    ["30 14:10:20", "off"],
    // after the restart at 17:21, which finds it open
    ["30 18:10:20", "off"],
    ["30 19:30:20", "unavailable"],
    ["30 19:40:20", "off"],
  ),

  // 6
  ...heating("30 06:10", "heat", 21, 18),
  ...heating("30 06:40", "heat", 21, 18.5),
  ...heating("30 07:20", "heat", 21, 19.5),
  ...heating("30 08:30", "heat", 21, 20.5),
  ...heating("30 09:15", "off", null, 20.4),

  // 7
  ...states(
    "person.anna",
    ["28 08:20:20", "not_home"],
    ["28 09:00:20", "Work"],
    ["28 17:20:20", "not_home"],
    ["28 17:50:20", "home"],
    ["30 08:20:20", "not_home"],
  ),
  ...states("person.ben", ["29 10:30:20", "home"], ["30 17:21:20", "home"]),

  // 8: one comes back, one is removed, one is given another entity_id, one is gone without a word
  ...states("sensor.garden_humidity", ["30 10:10", "unavailable"], ["30 22:20", "55.5"]),
  ...states("sensor.attic_humidity", ["30 10:10", "unavailable"]),
  ["30 22:30", (house) => house.remove("sensor.attic_humidity")],
  ...states("switch.old_pump", ["30 10:10", "unavailable"]),
  ["30 22:40", (house) => house.changeEntityId("switch.old_pump", "switch.pond_pump")],
  ...states("sensor.scale_weight", ["30 10:10", "unavailable"]),
  // statistics have a field state too, and it is a number
  [
    "30 21:00",
    (house) => house.statistic("sensor.heat_pump_energy", { sum: 0, state: 1000, unit: "kWh" }),
  ],

  // 9
  ...states(
    "sensor.balcony_temperature",
    ["28 06:30", "3.0"],
    ["28 14:30", "11.0"],
    ["28 20:30", "6.0"],
    ["29 05:30", "2.0"],
    ["29 12:30", "9.0"],
  ),
  [
    "29 14:10",
    (house) => house.changeEntityId("sensor.balcony_temperature", "sensor.terrace_temperature"),
  ],
  ...states(
    "sensor.terrace_temperature",
    ["29 15:30", "14.0"],
    ["29 21:30", "7.0"],
    ["30 06:30", "5.0"],
    ["30 15:30", "15.0"],
  ),

  // 10
  ...states(
    "sensor.washer_power",
    ["28 10:30", "2000"],
    ["28 11:30", "5"],
    ["29 10:30", "1800"],
    ["29 11:30", "5"],
    ["30 10:30", "2.1"],
    ["30 11:30", "0.005"],
  ),
  [
    "29 16:20",
    (house) =>
      house.configure(
        "sensor.washer_power",
        { attributes: { ...POWER, unit_of_measurement: "kW" } },
        "0.005",
      ),
  ],

  ...["30 09:20", "30 13:20", "30 17:20"].map((local): Story[number] => [
    local,
    (house) => house.stop(),
  ]),
  ["30 09:21", (house) => house.start()],
  ["30 13:21", (house) => house.start({ late: ["light.kitchen", "binary_sensor.front_door"] })],
  [
    "30 17:21",
    (house) =>
      house.start({
        found: { "binary_sensor.front_door": "on", "person.ben": "unknown" },
        gone: ["sensor.scale_weight"],
      }),
  ],
];

/** Microseconds since 1970; summer time begins on the 29th at 2. */
function localUs(local: string): number {
  const seconds = local.length === "28 12:15".length ? ":00" : "";
  const offset = local < "29 02" ? "+01:00" : "+02:00";
  const timeUs = parseTimeUs(`2026-03-${local.replace(" ", "T")}${seconds}${offset}`);
  assert.ok(timeUs !== undefined, `${local} is no time`);
  return timeUs;
}

/** The lines of `POST /events` that tell all of it, a snapshot at each full hour included. */
export function knownHouse(): readonly string[] {
  const house = new House();
  house.nowUs = localUs("27 22:30");
  for (const [entityId, name, area, attributes, state, more] of FURNISHINGS) {
    house.add(entityId, { name, area, attributes }, state, more);
  }
  house.connect();
  const steps = STORY.map(([local, happens]) => ({ atUs: localUs(local), happens }));
  for (let atUs = localUs("27 23:00"); atUs < localUs("30 23:59"); atUs += HOUR_US) {
    steps.push({ atUs, happens: (told) => told.snapshot() });
  }
  for (const { atUs, happens } of steps.sort((a, b) => a.atUs - b.atUs)) {
    house.nowUs = Math.max(house.nowUs, atUs);
    happens(house);
  }
  return house.lines;
}
