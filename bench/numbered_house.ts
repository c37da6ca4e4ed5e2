/** A house of sensors whose states are numbers that count up: what was lost can be told afterwards. */
import { type Context, contextText, isoFormat } from "../tests/simulator/clock.ts";
import { area, device, type House, sensor } from "../tests/simulator/house.ts";
import type { HassState, StateMachine } from "../tests/simulator/states.ts";

/** Above it, so that every state is a plain number of seven digits. */
const FIRST_NUMBER = 1_000_000;
/** How many there are unless said otherwise. */
export const SENSORS = 200;
const SENSORS_PER_DEVICE = 5;
const AREAS = ["Kitchen", "Living room", "Hallway", "Bedroom", "Garden"];
/** What a plug tells beside its power: with both states an event is of about 1.2 kB. */
const READINGS = {
  voltage: 231.4,
  current: 0.42,
  power_factor: 0.97,
  energy_today: 1.284,
  energy_total: 1043.71,
  linkquality: 142,
};

/** What a state of the house is: the number of its event, counted from 0. */
export function numberOf(value: number): number {
  return value - FIRST_NUMBER;
}

/** The state of an event's number. */
export function valueOf(number: number): number {
  return FIRST_NUMBER + number;
}

/** Sensors, five of each device, in five areas. */
export function numberedHouse(sensors = SENSORS): House {
  const id = (name: string) => name.toLowerCase().replace(" ", "_");
  const devices = Array.from(
    { length: Math.ceil(sensors / SENSORS_PER_DEVICE) },
    (_, i) => device(`plug_${i}`, `Plug ${i}`, id(AREAS[i % AREAS.length]), "Shelly", "Plug S"),
  );
  const entities = Array.from({ length: sensors }, (_, i) => {
    const plug = `plug_${Math.floor(i / SENSORS_PER_DEVICE)}`;
    const outlet = sensor(`sensor.outlet_${i}`, plug, `Outlet ${i}`, "0", "W", "power");
    return { ...outlet, attributes: { ...outlet.attributes, ...READINGS } };
  });
  return {
    floors: [{ floor_id: "ground_floor", name: "Ground floor", level: 0 }],
    areas: AREAS.map((name) => area(id(name), name, "ground_floor")),
    labels: [],
    devices,
    entities,
    states: [],
  };
}

/** One sensor, and what it is now. */
export class NumberedSensor {
  readonly #entityId: string;
  /** JSON text, as the simulation holds it. */
  readonly #attributes: string;
  #stateText: string;
  #number = -1;
  #timeUs = 0;

  constructor({ entityId, attributes, text }: HassState) {
    this.#entityId = entityId;
    this.#attributes = attributes;
    this.#stateText = text;
  }

  /** The event's text when the state becomes that number at that time, in microseconds since 1970. */
  next(number: number, timeUs: number): string {
    const time = isoTime(timeUs);
    const context = contextText(contextOf(number));
    const id = this.#entityId;
    const old = this.#stateText;
    this.#number = number;
    this.#timeUs = timeUs;
    this.#stateText = `{"entity_id":"${id}","state":"${valueOf(number)}",` +
      `"attributes":${this.#attributes},"last_changed":"${time}","last_reported":"${time}",` +
      `"last_updated":"${time}","context":${context}}`;
    return `{"event_type":"state_changed","data":{"entity_id":"${id}","old_state":${old},` +
      `"new_state":${this.#stateText}},"origin":"LOCAL","time_fired":"${time}",` +
      `"context":${context}}`;
  }

  /** Tells the simulation what was said last, for a reader that asks for all states. */
  writeTo(states: StateMachine): void {
    if (this.#number < 0) return;
    const stamp = { us: this.#timeUs, seconds: this.#timeUs / 1e6 };
    states.set(
      {
        entityId: this.#entityId,
        state: String(valueOf(this.#number)),
        attributes: this.#attributes,
        forceUpdate: true,
      },
      stamp,
      contextOf(this.#number),
    );
  }
}

function contextOf(number: number): Context {
  return { id: `01M8ADT41W${String(number).padStart(16, "0")}`, parentId: null, userId: null };
}

let second = -1;
let secondText = "";

/** `isoFormat`, which makes each second's text anew. */
function isoTime(us: number): string {
  const rest = us % 1_000_000;
  if (rest === 0) return isoFormat(us);
  const whole = (us - rest) / 1_000_000;
  if (whole !== second) {
    second = whole;
    secondText = isoFormat(whole * 1_000_000).slice(0, 19);
  }
  return `${secondText}.${String(rest).padStart(6, "0")}+00:00`;
}
