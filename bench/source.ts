/** The thread of the simulated Home Assistant, as the rest of the benchmark sees it. */
import { Worker } from "node:worker_threads";
import { SENSORS } from "./numbered_house.ts";
import type { Fired, FromSource, HouseAction, Load, ToSource } from "./source_worker.ts";

/** What a program gets of the source: Home Assistant's address, and a token that it takes. */
export interface HassAccess {
  readonly url: string;
  readonly token: string;
}

export class Source implements AsyncDisposable {
  #fired = Promise.withResolvers<Fired>();
  #subscribed = Promise.withResolvers<number>();
  #next = 0;
  #onProgress: (count: number) => void = () => {};

  private constructor(private readonly worker: Worker, readonly hass: HassAccess) {
    worker.on("message", (message: FromSource) => this.#take(message));
    worker.on("error", (error) => this.#fired.reject(error));
  }

  /** A house of so many sensors; returns when it listens. */
  static async start(sensors = SENSORS): Promise<Source> {
    const url = new URL("source_worker.ts", import.meta.url);
    const worker = new Worker(url, { workerData: sensors });
    const listening = new Promise<HassAccess>((resolve) =>
      worker.once("message", (message: FromSource) => {
        if (message.type === "listening") resolve(message.hass);
      })
    );
    return new Source(worker, await listening);
  }

  /** The number of the next event. */
  get next(): number {
    return this.#next;
  }

  /** When the next reader subscribes to all events, in milliseconds since 1970. */
  nextSubscription(): Promise<number> {
    this.#subscribed = Promise.withResolvers();
    return this.#subscribed.promise;
  }

  /** Fires the load, and returns when its last event is fired. */
  fire(load: Load, onProgress: (count: number) => void = () => {}): Promise<Fired> {
    this.#onProgress = onProgress;
    this.#fired = Promise.withResolvers();
    this.#next += load.count;
    this.#post({ type: "load", load });
    return this.#fired.promise;
  }

  /** Has the house do something; what it sets off comes later. */
  do(action: HouseAction): void {
    this.#post({ type: "do", action });
  }

  /** How many events a second it has for a reader that does nothing with them. */
  async alone(count: number): Promise<number> {
    const subscribed = this.nextSubscription();
    const socket = new WebSocket(`${this.hass.url.replace("http", "ws")}/api/websocket`);
    const send = (message: object) => socket.send(JSON.stringify(message));
    socket.onopen = () => {
      send({ type: "auth", access_token: this.hass.token });
      send({ id: 1, type: "supported_features", features: { coalesce_messages: 1 } });
      send({ id: 2, type: "subscribe_events" });
    };
    const closed = new Promise((resolve) => socket.onclose = resolve);
    await subscribed;
    const { firstUs, lastUs } = await this.fire({ count, perSecond: 0 });
    socket.close();
    await closed;
    return count / (lastUs - firstUs) * 1e6;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.worker.terminate();
  }

  #post(message: ToSource): void {
    this.worker.postMessage(message);
  }

  #take(message: FromSource): void {
    if (message.type === "subscribed") this.#subscribed.resolve(message.atMs);
    else if (message.type === "progress") this.#onProgress(message.count);
    else if (message.type === "fired") this.#fired.resolve(message.fired);
  }
}
