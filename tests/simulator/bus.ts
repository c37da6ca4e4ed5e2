/** The event bus, and the list of all that was ever fired on it. */
import {
  type Clock,
  type Context,
  contextText,
  isoFormat,
  newContext,
  type Stamp,
} from "./clock.ts";

/** An event as it was fired: what a client that misses nothing has to have. */
export interface FiredEvent {
  readonly eventType: string;
  /** The event's exact JSON text, as it stands in a frame. */
  readonly text: string;
  readonly timeFired: string;
  readonly timeFiredUs: number;
}

/** What an event has beside its type and data. */
export interface EventOptions {
  readonly stamp?: Stamp;
  readonly context?: Context;
  readonly origin?: "LOCAL" | "REMOTE";
}

/** A subscription that makes its own messages of `state_changed`. */
export interface EventStream {
  take(event: FiredEvent): void;
  /** Sends nothing more. */
  end(): void;
}

/** Hands every event to its listeners at once, in the order in which they are fired. */
export class EventBus {
  /** The last events: at least as many as are kept, at most twice as many. */
  readonly fired: FiredEvent[] = [];
  readonly #clock: Clock;
  readonly #keep: number;
  readonly #listener: (event: FiredEvent) => void;
  #count = 0;

  constructor(
    clock: Clock,
    keep: number,
    listener: (event: FiredEvent) => void,
  ) {
    this.#clock = clock;
    this.#keep = keep;
    this.#listener = listener;
  }

  /** How many events were fired, kept or not. */
  get count(): number {
    return this.#count;
  }

  /** Gives an event its time and text without firing it yet. `data` is JSON text. */
  make(
    eventType: string,
    data: string,
    { stamp = this.#clock.next(), context, origin = "LOCAL" }: EventOptions = {},
  ): FiredEvent {
    const timeFired = isoFormat(stamp.us);
    const text = `{"event_type":${JSON.stringify(eventType)},"data":${data},` +
      `"origin":"${origin}","time_fired":"${timeFired}",` +
      `"context":${contextText(context ?? newContext(stamp.us))}}`;
    return { eventType, text, timeFired, timeFiredUs: stamp.us };
  }

  /** Fires an event that was made before. */
  fire(event: FiredEvent): FiredEvent {
    this.#count++;
    this.fired.push(event);
    // an array's head is dear to cut off: not at every event
    if (this.fired.length > this.#keep * 2) {
      this.fired.splice(0, this.fired.length - this.#keep);
    }
    this.#listener(event);
    return event;
  }
}
