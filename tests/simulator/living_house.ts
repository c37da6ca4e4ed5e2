/** Lets a house live: values drift, doors open, somebody switches a light. */
import { sleep } from "../../lib/retry.ts";
import { newContext } from "./clock.ts";
import { float } from "./exact_json.ts";
import type { SimulatedHomeAssistant } from "./home_assistant.ts";
import { lightOff, lightOn } from "./house.ts";
import type { Json } from "./schema.ts";

interface Drift {
  readonly entityId: string;
  readonly min: number;
  readonly max: number;
  /** The largest change at once. */
  readonly step: number;
  readonly digits: number;
}

const DRIFTS: readonly Drift[] = [
  drift("sensor.living_room_temperature", 19, 24, 0.2, 1),
  drift("sensor.living_room_humidity", 35, 65, 1, 0),
  drift("sensor.living_room_co2", 420, 1400, 40, 0),
  drift("sensor.bedroom_temperature", 16, 22, 0.2, 1),
  drift("sensor.bedroom_humidity", 40, 70, 1, 0),
  drift("sensor.outdoor_temperature", -5, 28, 0.3, 1),
  drift("sensor.outdoor_illuminance", 0, 60_000, 900, 0),
  drift("sensor.hallway_illuminance", 0, 200, 6, 0),
  drift("sensor.meter_power", 90, 3_400, 160, 0),
  drift("sensor.washer_power", 0.5, 2_100, 300, 1),
  drift("sensor.door_battery", 5, 100, 1, 0),
];

const LIGHTS = ["light.ceiling", "light.bed_lamp"];
const USER_ID = "3112f8083fe74958809e83cc23141d69";

/** Makes things happen in the sample house. */
export class LivingHouse {
  readonly #ha: SimulatedHomeAssistant;
  readonly #msPerEvent: number;
  readonly #random: () => number;
  readonly #happenings: readonly (readonly [weight: number, () => void])[] = [
    [55, () => this.#drift(this.#pick(DRIFTS))],
    [10, () => this.#count("sensor.meter_energy", 0.004, 3)],
    [4, () => this.#count("sensor.washer_energy", 0.01, 2)],
    [8, () => this.#flip("binary_sensor.hallway_motion", "on", "off")],
    [3, () => this.#flip("binary_sensor.front_door", "on", "off")],
    [2, () => this.#flip("binary_sensor.bedroom_window", "on", "off")],
    [4, () => this.#switchLight(this.#pick(LIGHTS))],
    [1, () => this.#flip("switch.washer", "on", "off")],
    [4, () => this.#thermostat()],
    [2, () => this.#blind()],
    [1, () => this.#flip("lock.front_door", "locked", "unlocked")],
    [1, () => this.#flip("person.resident", "home", "not_home")],
    [5, () => this.#sun()],
    [0.2, () => this.#update()],
  ];

  constructor(
    ha: SimulatedHomeAssistant,
    { eventsPerMinute = 17, random = Math.random }: {
      eventsPerMinute?: number;
      random?: () => number;
    } = {},
  ) {
    this.#ha = ha;
    this.#msPerEvent = 60_000 / eventsPerMinute;
    this.#random = random;
  }

  /** Lives until the signal is aborted; while Home Assistant is down it waits. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const before = this.#ha.bus.count;
      if (this.#ha.isRunning) this.happen();
      const events = Math.max(1, this.#ha.bus.count - before);
      await sleep(events * this.#msPerEvent * (0.5 + this.#random()), signal);
    }
  }

  /** Lets one thing happen. */
  happen(): void {
    const total = this.#happenings.reduce((sum, [weight]) => sum + weight, 0);
    let at = this.#random() * total;
    for (const [weight, happening] of this.#happenings) {
      at -= weight;
      if (at < 0) return happening();
    }
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)];
  }

  #state(entityId: string): string {
    return this.#ha.states.get(entityId)?.state ?? "unknown";
  }

  #attributes(entityId: string): Json {
    return JSON.parse(this.#ha.states.get(entityId)?.attributes ?? "{}");
  }

  #set(entityId: string, state: string, attributes: Json = {}): void {
    const old = this.#attributes(entityId);
    this.#ha.setState(entityId, state, { ...old, ...attributes });
  }

  #drift({ entityId, min, max, step, digits }: Drift): void {
    const value = Number(this.#state(entityId));
    const least = 10 ** -digits;
    const size = least + this.#random() * (step - least);
    const up = value < min + size || (value < max - size && this.#random() < 0.5);
    this.#set(entityId, (up ? value + size : value - size).toFixed(digits));
  }

  #count(entityId: string, most: number, digits: number): void {
    const more = Math.max(10 ** -digits, this.#random() * most);
    this.#set(entityId, (Number(this.#state(entityId)) + more).toFixed(digits));
  }

  #flip(entityId: string, one: string, other: string): void {
    this.#set(entityId, this.#state(entityId) === one ? other : one);
  }

  /** Somebody switches a light: the call, and what came of it, in one context. */
  #switchLight(entityId: string): void {
    const on = this.#state(entityId) !== "on";
    const brightness = 30 + Math.floor(this.#random() * 225);
    const context = newContext(this.#ha.clock.seconds * 1e6, USER_ID);
    this.#ha.fire("call_service", {
      domain: "light",
      service: on ? "turn_on" : "turn_off",
      service_data: { entity_id: entityId, ...on ? { brightness } : {} },
    }, context);
    const attributes = {
      ...this.#attributes(entityId),
      ...on ? lightOn(brightness) : lightOff(),
    };
    const state = on ? "on" : "off";
    this.#ha.setState(entityId, state, attributes, { context });
  }

  #thermostat(): void {
    const temperature = Number(this.#state("sensor.living_room_temperature"));
    this.#set("climate.thermostat", "heat", {
      min_temp: float(5),
      max_temp: float(25),
      current_temperature: float(temperature),
      temperature: float(this.#pick([19, 20, 20.5, 21])),
      hvac_action: temperature < 21 ? "heating" : "idle",
    });
  }

  #blind(): void {
    const position = this.#pick([0, 25, 50, 75, 100]);
    this.#set("cover.blind", position === 0 ? "closed" : "open", {
      current_position: position,
    });
  }

  #sun(): void {
    const azimuth = (Number(this.#attributes("sun.sun").azimuth) + 0.4) % 360;
    const elevation = 50 * Math.sin((azimuth - 90) / 180 * Math.PI);
    const state = elevation > 0 ? "above_horizon" : "below_horizon";
    this.#set("sun.sun", state, {
      elevation: float(Number(elevation.toFixed(2))),
      azimuth: float(Number(azimuth.toFixed(2))),
      rising: azimuth < 180,
    });
  }

  #update(): void {
    const available = this.#state("update.thermostat_firmware") === "off";
    this.#set("update.thermostat_firmware", available ? "on" : "off", {
      latest_version: available ? "216.0" : "215.2",
    });
  }
}

function drift(
  entityId: string,
  min: number,
  max: number,
  step: number,
  digits: number,
): Drift {
  return { entityId, min, max, step, digits };
}
