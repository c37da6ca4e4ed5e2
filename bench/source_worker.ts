/**
 * The source, in a thread of its own: a simulated Home Assistant whose sensors count up. It joins
 * messages and cuts off a slow reader as the simulation does.
 */
import { parentPort, workerData } from "node:worker_threads";
import * as z from "zod";
import { sleep } from "../lib/retry.ts";
import type { Client } from "../tests/simulator/client.ts";
import { SimulatedHomeAssistant } from "../tests/simulator/home_assistant.ts";
import type { Json } from "../tests/simulator/schema.ts";
import type { HassAccess } from "./source.ts";
import { numberedHouse, NumberedSensor } from "./numbered_house.ts";

/** Fires events: so many, at so many a second; 0 is as fast as the reader takes them. */
export interface Load {
  readonly count: number;
  readonly perSecond: number;
}

/** What became of a load. Times in microseconds since 1970. */
export interface Fired {
  /** The number of its first event. */
  readonly first: number;
  readonly count: number;
  readonly firstUs: number;
  readonly lastUs: number;
  /** The most messages that waited for the reader at once. */
  readonly mostPending: number;
  /** How often the reader was cut off because it did not keep up. */
  readonly cutOffs: number;
}

/** What the house is to do beside a load. */
export type HouseAction =
  /** An area gets another name: a fifth of all entities have another one then. */
  | "rename an area"
  /** All connections end, without a word. */
  | "cut the connections";

export type ToSource =
  | { readonly type: "load"; readonly load: Load }
  | { readonly type: "do"; readonly action: HouseAction };

export type FromSource =
  | { readonly type: "listening"; readonly hass: HassAccess }
  /** Somebody has subscribed to all events, at that time in milliseconds since 1970. */
  | { readonly type: "subscribed"; readonly atMs: number }
  | { readonly type: "progress"; readonly count: number }
  | { readonly type: "fired"; readonly fired: Fired };

/** Below what Home Assistant suffers for long: as fast as it goes is not faster than the reader. */
const BATCH = 500;
const PROGRESS_MS = 250;
const NO_READER_MS = 5;

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

function post(message: FromSource): void {
  parentPort?.postMessage(message);
}

class NumberedHomeAssistant extends SimulatedHomeAssistant {
  readonly #sensors: readonly NumberedSensor[];
  readonly #readers = new Set<Client>();
  #number = 0;
  #lastUs = 0;
  #cutOffs = 0;

  #names = 0;

  constructor(sensors: number) {
    super({ house: numberedHouse(sensors), recorder: false, keepFired: 100 });
    this.#sensors = this.states.all().map((state) => new NumberedSensor(state));
  }

  override execute(client: Client, id: number, message: Json): boolean {
    const { type, event_type } = message;
    if (type === "get_states") {
      for (const sensor of this.#sensors) sensor.writeTo(this.states);
    }
    const known = super.execute(client, id, message);
    if (type === "subscribe_events" && event_type === undefined) {
      this.#readers.add(client);
      post({ type: "subscribed", atMs: nowMs() });
    }
    return known;
  }

  async load({ count, perSecond }: Load): Promise<Fired> {
    const first = this.#number;
    const last = first + count;
    const cutOffs = this.#cutOffs;
    const startMs = performance.now();
    let firstUs = 0;
    let mostPending = 0;
    let toldMs = startMs;
    while (this.#number < last) {
      const readers = this.#present();
      if (readers.length === 0 && perSecond === 0) {
        await sleep(NO_READER_MS, this.life);
        continue;
      }
      const dueMs = (performance.now() - startMs) * perSecond / 1000;
      const due = perSecond === 0 ? this.#number + BATCH : first + Math.floor(dueMs) + 1;
      for (const end = Math.min(last, due); this.#number < end;) {
        this.#fire(readers);
        firstUs ||= this.#lastUs;
      }
      mostPending = Math.max(mostPending, ...readers.map(({ pending }) => pending));
      const fired = this.#number - first;
      if (performance.now() - toldMs > PROGRESS_MS) {
        toldMs = performance.now();
        post({ type: "progress", count: fired });
      }
      if (perSecond === 0) await Promise.all(readers.map((reader) => reader.sent()));
      else {
        const waitMs = startMs + fired / perSecond * 1000 - performance.now();
        await sleep(Math.max(0, waitMs), this.life);
      }
    }
    this.#present();
    const lastUs = this.#lastUs;
    return { first, count, firstUs, lastUs, mostPending, cutOffs: this.#cutOffs - cutOffs };
  }

  do(action: HouseAction): void {
    if (action === "cut the connections") this.cutClients();
    else this.renameArea("kitchen", `Kitchen ${++this.#names}`);
  }

  #fire(readers: readonly Client[]): void {
    const timeUs = this.#lastUs = Math.max(this.#lastUs + 1, Math.round(nowMs() * 1000));
    const sensor = this.#sensors[this.#number % this.#sensors.length];
    const text = sensor.next(this.#number++, timeUs);
    for (const reader of readers) {
      for (const id of reader.subscriptions.keys()) {
        reader.send(`{"type":"event","event":${text},"id":${id}}`);
      }
    }
  }

  /** The readers that are still connected; those that were cut off are counted. */
  #present(): readonly Client[] {
    const { clients } = this;
    for (const reader of this.#readers) {
      if (reader.tooSlow) this.#cutOffs++;
      if (reader.tooSlow || !clients.includes(reader)) this.#readers.delete(reader);
    }
    return [...this.#readers];
  }
}

const hass = new NumberedHomeAssistant(z.number().parse(workerData)).start();
parentPort?.on("message", async (message: ToSource) => {
  if (message.type === "do") hass.do(message.action);
  else post({ type: "fired", fired: await hass.load(message.load) });
});
post({ type: "listening", hass: { url: hass.url, token: hass.token } });
