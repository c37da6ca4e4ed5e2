/**
 * A small client of Home Assistant's WebSocket API for tests. It shares no code with
 * the programs, so that one mistake cannot hide in both.
 */
import * as z from "zod";

const messageSchema = z.looseObject({
  id: z.number().optional(),
  type: z.string(),
  success: z.boolean().optional(),
  result: z.unknown().optional(),
  error: z.looseObject({ message: z.string() }).optional(),
  event: z.unknown().optional(),
});

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class HassSocket implements Disposable {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onEvent: (event: unknown) => void;
  #lastId = 0;
  /** Resolves when the socket is closed, by whomever. */
  readonly closed: Promise<void>;

  private constructor(socket: WebSocket, onEvent: (event: unknown) => void) {
    this.#socket = socket;
    this.#onEvent = onEvent;
    this.closed = new Promise((resolve) =>
      socket.addEventListener("close", () => {
        for (const { reject } of this.#waiting.values()) {
          reject(new Error("Cannot wait for an answer: the socket is closed"));
        }
        resolve();
      })
    );
  }

  /** Connects and authenticates. Throws where the socket closes before that is done. */
  static async open(
    url: string,
    token: string,
    onEvent: (event: unknown) => void = () => {},
  ): Promise<HassSocket> {
    const socket = new WebSocket(
      `${url.replace("http", "ws")}/api/websocket`,
    );
    const connection = new HassSocket(socket, onEvent);
    await new Promise<void>((resolve, reject) => {
      const refuse = (event: Event) => {
        event.preventDefault();
        reject(new Error("Cannot connect: the socket closed before auth_ok"));
      };
      socket.addEventListener("error", refuse);
      socket.addEventListener("close", refuse);
      socket.addEventListener("message", ({ data }) => {
        const message = messageSchema.parse(JSON.parse(String(data)));
        if (message.type === "auth_required") {
          socket.send(JSON.stringify({ type: "auth", access_token: token }));
        } else if (message.type === "auth_ok") resolve();
        else if (message.type === "event") connection.#onEvent(message.event);
        else if (message.type === "result") connection.#settle(message);
      });
    });
    return connection;
  }

  /**
   * Sends a command and returns its result. Throws what Home Assistant says where it refuses, and
   * where the socket is closed.
   */
  command(message: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#socket.readyState !== WebSocket.OPEN) {
      return Promise.reject(new Error("Cannot send a command: the socket is closed"));
    }
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    this.#socket.send(JSON.stringify({ id, ...message }));
    return promise;
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }

  #settle({ id, success, result, error }: z.infer<typeof messageSchema>): void {
    if (id === undefined) return;
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (success === true) waiting?.resolve(result);
    else waiting?.reject(new Error(`Home Assistant refuses: ${error?.message}`));
  }
}
