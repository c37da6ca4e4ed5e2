/** The second reader: an independent list of every event that a Home Assistant fires. */
import * as z from "zod";
import { setTimeout as delay } from "node:timers/promises";
import type { HomeAssistant } from "./home_assistant.ts";
import { HassSocket } from "./hass_socket.ts";
import { until } from "../../until.ts";

const RECONNECT_MS = 20;

export interface ReadEvent {
  readonly eventType: string;
  /** Of a state_changed, else undefined. */
  readonly entityId: string | undefined;
  /** `time_fired`, microseconds since 1970. */
  readonly timeFiredUs: bigint;
  /** Of a state_changed's new state, microseconds since 1970. */
  readonly lastUpdatedUs: bigint | undefined;
  readonly removed: boolean;
  readonly data: Readonly<Record<string, unknown>>;
  /** When it was read, milliseconds since 1970 with their fraction. */
  readonly arrivedMs: number;
}

const eventSchema = z.looseObject({
  event_type: z.string(),
  time_fired: z.string(),
  data: z.looseObject({
    entity_id: z.unknown().optional(),
    new_state: z.unknown().optional(),
  }),
});
const newStateSchema = z.looseObject({ last_updated: z.string() });

/** Now, in milliseconds since 1970 with their fraction. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Microseconds of a time as Home Assistant writes it, always in UTC. */
export function microseconds(text: string): bigint {
  const match = /^(.{19})(?:\.(\d{6}))?\+00:00$/.exec(text);
  if (match?.[1] === undefined) throw new Error(`Cannot read the time ${text}`);
  return BigInt(Date.parse(`${match[1]}Z`)) * 1000n + BigInt(match[2] ?? 0);
}

function read(event: unknown): ReadEvent {
  const arrivedMs = nowMs();
  const { event_type, time_fired, data } = eventSchema.parse(event);
  const isState = event_type === "state_changed";
  const newState = newStateSchema.safeParse(data.new_state);
  return {
    eventType: event_type,
    entityId: isState ? String(data.entity_id) : undefined,
    timeFiredUs: microseconds(time_fired),
    lastUpdatedUs: isState && newState.success
      ? microseconds(newState.data.last_updated)
      : undefined,
    removed: isState && data.new_state === null,
    data,
    arrivedMs,
  };
}

export class Reader implements AsyncDisposable {
  readonly events: ReadEvent[] = [];
  #problem: unknown;
  #socket: HassSocket | undefined;
  #subscribed = false;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();

  private constructor(private readonly hass: HomeAssistant) {}

  /** Returns when it is subscribed to all events. Whenever its socket closes it connects again at once. */
  static async start(hass: HomeAssistant): Promise<Reader> {
    const reader = new Reader(hass);
    reader.#running = reader.#run();
    await until(() => reader.#subscribed, "the second reader is subscribed");
    return reader;
  }

  /** Waits for an event that fits. */
  async untilRead(
    fits: (event: ReadEvent) => boolean,
    wish: string,
    limitMs = 120_000,
  ): Promise<ReadEvent> {
    let from = 0;
    return await until(
      () => {
        this.throwIfBroken();
        const begin = from;
        from = this.events.length;
        return this.events.slice(begin).find(fits);
      },
      wish,
      { limitMs },
    );
  }

  /** Waits until `count` more events were read than now. */
  async untilMore(count: number, limitMs = 120_000): Promise<void> {
    const wanted = this.events.length + count;
    await until(
      () => this.events.length >= wanted,
      `${count} more events were read`,
      { limitMs },
    );
  }

  /** Throws where an event could not be read: an oracle that skips is none. */
  throwIfBroken(): void {
    if (this.#problem !== undefined) throw this.#problem;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#socket?.[Symbol.dispose]();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        using socket = await HassSocket.open(
          this.hass.url,
          this.hass.token,
          (event) => this.#take(event),
        );
        this.#socket = socket;
        await socket.command({ type: "subscribe_events" });
        this.#subscribed = true;
        await socket.closed;
      } catch {
        // Home Assistant is down, or not yet up
      }
      if (!this.#stopped) await delay(RECONNECT_MS);
    }
  }

  #take(event: unknown): void {
    try {
      this.events.push(read(event));
    } catch (error) {
      this.#problem ??= error;
    }
  }
}
