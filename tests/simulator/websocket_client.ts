/** A WebSocket client for tests: it keeps what comes until it is asked for. */
import { elementTexts, memberText } from "../../lib/json_text.ts";
import type { SimulatedHomeAssistant } from "./home_assistant.ts";

/** How a socket ended. Without a close frame, Deno gives the code 0 or 1006. */
export interface Ended {
  readonly code: number;
  readonly wasClean: boolean;
}

/** One socket. Frames that hold several messages are taken apart. */
export class WebSocketClient implements AsyncDisposable {
  /** Every message that came, the oldest first: its exact text. */
  readonly messages: string[] = [];
  /** How many frames held an array of messages. */
  arrays = 0;
  /** Settles when the socket is closed. */
  readonly ended: Promise<Ended>;
  readonly #socket: WebSocket;
  readonly #opened: Promise<void>;
  #taken = 0;
  #arrived = Promise.withResolvers<void>();

  constructor(url: string) {
    this.#socket = new WebSocket(
      `${url.replace("http", "ws")}/api/websocket`,
    );
    this.#opened = new Promise((resolve, reject) => {
      this.#socket.onopen = () => resolve();
      this.#socket.onerror = () => reject(new Error("Cannot connect"));
    });
    this.ended = new Promise((resolve) => {
      this.#socket.onclose = ({ code, wasClean }) => {
        resolve({ code, wasClean });
        this.#arrived.resolve();
      };
    });
    this.#socket.onmessage = ({ data }) => {
      const frame = String(data);
      if (frame.startsWith("[")) this.arrays++;
      this.messages.push(...elementTexts(frame));
      this.#arrived.resolve();
    };
  }

  /** A client that is open. Throws an Error where it was refused. */
  static async open(url: string): Promise<WebSocketClient> {
    const client = new WebSocketClient(url);
    await client.#opened;
    return client;
  }

  /** A client that is authenticated and subscribed to all events (id 2), with coalescing or without. */
  static async subscribe(
    ha: SimulatedHomeAssistant,
    coalesce = true,
  ): Promise<WebSocketClient> {
    const client = await WebSocketClient.open(ha.url);
    client.send({ type: "auth", access_token: ha.token });
    const features = coalesce ? { coalesce_messages: 1 } : {};
    client.send({ id: 1, type: "supported_features", features });
    client.send({ id: 2, type: "subscribe_events" });
    await client.until((text) => memberText(text, "id") === "2");
    return client;
  }

  /** Sends a message: bytes and texts as they are, anything else as JSON. */
  send(message: unknown): void {
    this.#socket.send(
      typeof message === "string" || message instanceof Uint8Array
        ? message
        : JSON.stringify(message),
    );
  }

  /** The next message, in the order in which they came. Throws an Error where the socket ends before. */
  async next(): Promise<string> {
    while (this.messages.length === this.#taken) {
      if (this.#socket.readyState === WebSocket.CLOSED) {
        throw new Error("Cannot wait for a message: the socket is closed");
      }
      this.#arrived = Promise.withResolvers();
      await this.#arrived.promise;
    }
    return this.messages[this.#taken++];
  }

  /** The next message for which that holds; those before it are passed over. */
  async until(holds: (text: string) => boolean): Promise<string> {
    for (;;) {
      const text = await this.next();
      if (holds(text)) return text;
    }
  }

  /** The texts of the next events, so many. */
  async events(count: number): Promise<string[]> {
    const events: string[] = [];
    while (events.length < count) {
      const text = await this.next();
      const event = memberText(text, "event");
      if (event !== undefined) events.push(event);
    }
    return events;
  }

  /** Sends a command, and gives the next message with its id. */
  async ask(
    id: number,
    type: string,
    parameters: Readonly<Record<string, unknown>> = {},
  ): Promise<string> {
    this.send({ id, type, ...parameters });
    return await this.until((text) => memberText(text, "id") === String(id));
  }

  /** Closes the socket, and waits until it is. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.ended;
  }
}
