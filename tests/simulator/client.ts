/** One client of the WebSocket API: who it is, what it asked for, what waits to be sent to it. */
import type { EventStream, FiredEvent } from "./bus.ts";
import type { Version } from "./clock.ts";
import { authProblem, isJson, type Json } from "./schema.ts";
import type { Message, ServerSocket } from "./socket.ts";

/** A client with more messages than this waiting is cut off. */
const MAX_PENDING = 4096;
/** A client that has more than this waiting for so long is cut off too. */
const PEAK_PENDING = 1024;
const PEAK_MS = 5_000;
/** How long a client may take to read its last words, and to answer a close frame. */
const CLOSE_TIMEOUT_MS = 1_000;
/** How many frames go into one write where messages are not coalesced. */
const FRAMES_PER_WRITE = 64;

/** Who a token stands for. */
export interface User {
  readonly id: string;
  readonly isAdmin: boolean;
}

/** What a client needs of Home Assistant. */
export interface Host {
  readonly version: Version;
  /** How long a client may be silent before `auth`, in milliseconds. */
  readonly authTimeoutMs: number;
  /** Settles once Home Assistant is not hung. */
  awake(): Promise<void>;
  authenticate(token: string): User | undefined;
  /** Carries out a command whose id is sound; false where it is unknown. */
  execute(client: Client, id: number, message: Json): boolean;
}

/** One connected client, from the upgrade to the end of its socket. */
export class Client {
  /** The event type that each subscription asks for; undefined stands for all. */
  readonly subscriptions = new Map<number, string | undefined>();
  /** What else is subscribed to: the streams of history. */
  readonly streams = new Map<number, EventStream>();
  /** Whether several messages may be sent as one array. */
  coalesce = false;
  readonly #socket: ServerSocket;
  readonly #host: Host;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #user?: User;
  #lastId = 0;
  #pending: string[] = [];
  #drained?: Promise<void>;
  #peak?: ReturnType<typeof setTimeout>;
  #muted = false;
  #ended = false;
  #tooSlow = false;

  constructor(socket: ServerSocket, host: Host) {
    this.#socket = socket;
    this.#host = host;
  }

  /** Undefined before `auth_ok`. */
  get user(): User | undefined {
    return this.#user;
  }

  /** How many messages wait to be sent to it. */
  get pending(): number {
    return this.#pending.length;
  }

  /** Whether it was cut off because it did not keep up. */
  get tooSlow(): boolean {
    return this.#tooSlow;
  }

  /** Speaks with the client until its socket ends. */
  async run(): Promise<void> {
    this.send(authText("auth_required", this.#host.version));
    const silence = this.later(this.#host.authTimeoutMs, () => this.drop());
    for (;;) {
      const message = await this.#socket.read();
      if (message === undefined) break;
      await this.#host.awake();
      if (this.#user) this.#receive(message);
      else {
        clearTimeout(silence);
        await this.#authenticate(message);
      }
    }
    this.#ended = true;
    this.#pending = [];
    this.#socket.cut();
    clearTimeout(this.#peak);
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** Queues a message. A client that does not keep up is cut off, as Home Assistant does. */
  send(text: string): void {
    if (this.#ended) return;
    if (this.#pending.length >= MAX_PENDING) return this.#cutOff();
    this.#pending.push(text);
    if (this.#pending.length <= PEAK_PENDING) {
      clearTimeout(this.#peak);
      this.#peak = undefined;
    } else {
      this.#peak ??= setTimeout(() => {
        if (this.#pending.length > PEAK_PENDING) this.#cutOff();
      }, PEAK_MS);
    }
    this.#drained ??= this.#drain();
  }

  /** Sends the event once for each subscription that asks for it. */
  deliver(event: FiredEvent): void {
    const { eventType, text } = event;
    for (const [id, wanted] of this.subscriptions) {
      if (wanted === undefined || wanted === eventType) {
        this.send(`{"type":"event","event":${text},"id":${id}}`);
      }
    }
    if (eventType !== "state_changed") return;
    for (const stream of this.streams.values()) stream.take(event);
  }

  /** Ends a subscription; false where there is none with that id. */
  unsubscribe(id: number): boolean {
    this.streams.get(id)?.end();
    return this.streams.delete(id) || this.subscriptions.delete(id);
  }

  /** Does something later, unless the client is gone by then. */
  later(ms: number, action: () => void): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }

  /** Settles once nothing waits any more. */
  async sent(): Promise<void> {
    await this.#drained;
  }

  /** Sends what waits, then closes with that code. */
  async close(code: number): Promise<void> {
    this.later(CLOSE_TIMEOUT_MS, () => this.cut());
    await this.sent();
    await this.#socket.close(code);
  }

  /** Ends the connection as this release does when it goes down or takes a token back. */
  async drop(): Promise<void> {
    if (this.#muted) return this.cut();
    if (this.#host.version !== "2024.3.3") return await this.close(1000);
    this.later(CLOSE_TIMEOUT_MS, () => this.cut());
    await this.sent();
    this.cut();
  }

  /** Drops the connection without a close frame. */
  cut(): void {
    this.#ended = true;
    this.#socket.cut();
  }

  /** Leaves the connection open but dead in both directions, until all are dropped. */
  mute(): void {
    this.#muted = true;
    this.#socket.mute();
  }

  #cutOff(): void {
    this.#tooSlow = true;
    this.cut();
  }

  async #drain(): Promise<void> {
    // what is said in one turn goes out together
    await Promise.resolve();
    while (this.#pending.length > 0 && !this.#ended) {
      await this.#host.awake();
      const texts = this.#pending.splice(
        0,
        this.coalesce ? Infinity : FRAMES_PER_WRITE,
      );
      await this.#socket.send(
        this.coalesce && texts.length > 1 ? [`[${texts.join(",")}]`] : texts,
      );
    }
    this.#drained = undefined;
  }

  async #authenticate(message: Message): Promise<void> {
    const parsed = parse(message);
    if (parsed === undefined) return await this.close(1000);
    const problem = authProblem(parsed.value, this.#host.version);
    const token = isJson(parsed.value) ? parsed.value.access_token : undefined;
    this.#user = problem === undefined && typeof token === "string"
      ? this.#host.authenticate(token)
      : undefined;
    if (this.#user) {
      return this.send(authText("auth_ok", this.#host.version));
    }
    this.send(JSON.stringify({
      type: "auth_invalid",
      message: problem === undefined
        ? "Invalid access token or password"
        : `Auth message incorrectly formatted: ${problem}`,
    }));
    await this.close(1000);
  }

  #receive(message: Message): void {
    if (typeof message !== "string") return;
    const parsed = parse(message);
    if (parsed === undefined) return void this.close(1000);
    const { value } = parsed;
    for (const command of Array.isArray(value) ? value : [value]) {
      this.#command(command);
    }
  }

  #command(message: unknown): void {
    const id = isJson(message) ? message.id ?? null : 0;
    if (
      !isJson(message) || typeof id !== "number" || !Number.isInteger(id) ||
      id <= 0 || typeof message.type !== "string" || message.type === ""
    ) {
      return this.send(
        errorText(id, "invalid_format", "Message incorrectly formatted."),
      );
    }
    if (id <= this.#lastId) {
      return this.send(
        errorText(id, "id_reuse", "Identifier values have to increase."),
      );
    }
    if (this.#host.execute(this, id, message)) this.#lastId = id;
    else this.send(errorText(id, "unknown_command", "Unknown command."));
  }
}

/** The text of an answer that says what went wrong. */
export function errorText(
  id: unknown,
  code: string,
  message: string,
  more: Json = {},
): string {
  const error = { code, message, ...more };
  return JSON.stringify({ id, type: "result", success: false, error });
}

function authText(type: "auth_required" | "auth_ok", version: Version): string {
  return JSON.stringify({ type, ha_version: version });
}

function parse(message: Message): { value: unknown } | undefined {
  if (typeof message !== "string") return undefined;
  try {
    return { value: JSON.parse(message) };
  } catch {
    return undefined;
  }
}
