/** One socket to Home Assistant, from its opening to its end. Who wants another one makes another Connection. */
import { memberText } from "../../json_text.ts";
import { describeError } from "../../retry.ts";
import { type CommandAnswer, OutstandingCommands } from "./outstanding_commands.ts";
import { CONNECTION_TIMES, type ConnectionTimes } from "./connection_times.ts";
import { type FrameSocket, openSocket } from "./frame_socket.ts";
import type { HassAccess } from "./hass_access.ts";
import { openingFault } from "./hass_fault.ts";
import { resultOf } from "./long_list.ts";
import { readFrame, type Received, type ServerMessage } from "./protocol.ts";

/** Home Assistant does not accept the token. Trying again and again can get the address banned. */
export class TokenRefused extends Error {
  override readonly name = "TokenRefused";
  /** `heldBack`: the same token is not tried again soon. */
  constructor(message: string, readonly heldBack = false) {
    super(message);
  }
}

export interface ConnectionHandlers {
  onEvent(event: Extract<ServerMessage, { type: "event" }>, text: string): void;
  onMalformed(reason: string): void;
}

export class Connection {
  readonly #socket: FrameSocket;
  readonly #handlers: ConnectionHandlers;
  readonly #times: ConnectionTimes;
  readonly #commands = new OutstandingCommands();
  readonly #closed = Promise.withResolvers<string>();
  readonly #authenticated = Promise.withResolvers<string>();
  readonly #watch: ReturnType<typeof setInterval>;
  #heardMs = performance.now();
  #asking = false;
  #open = true;
  #failedToOpen = false;

  private constructor(
    access: HassAccess,
    token: string,
    handlers: ConnectionHandlers,
    times: ConnectionTimes,
  ) {
    this.#handlers = handlers;
    this.#times = times;
    this.#socket = openSocket(access, {
      onFrame: (frame) => this.#receive(frame, token),
      onEnd: (reason, wasOpen) => {
        this.#failedToOpen = this.#open && !wasOpen;
        this.close(reason);
      },
    });
    this.#watch = setInterval(() => this.#listenForSilence(), times.silenceMs / 15);
  }

  /**
   * Connects and authenticates.
   * Throws TokenRefused, HassFault where a person can do something about what is in between, or
   * an Error that says what failed.
   */
  static async open(
    { token, handlers, signal, times = CONNECTION_TIMES, ...access }: HassAccess & {
      readonly token: string;
      readonly handlers: ConnectionHandlers;
      readonly signal: AbortSignal;
      readonly times?: ConnectionTimes;
    },
  ): Promise<{ readonly connection: Connection; readonly haVersion: string }> {
    signal.throwIfAborted();
    const connection = new Connection(access, token, handlers, times);
    const timer = setTimeout(
      () =>
        connection.close(`Home Assistant did not answer within ${times.openDeadlineMs / 1000} s`),
      times.openDeadlineMs,
    );
    const abort = () => connection.close("stopping");
    signal.addEventListener("abort", abort, { once: true });
    connection.closed.finally(() => signal.removeEventListener("abort", abort));
    try {
      return { connection, haVersion: await connection.#authenticated.promise };
    } catch (error) {
      connection.close("not authenticated");
      throw connection.#failedToOpen ? await openingFault(access, error, signal) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** When the last message came, by the monotonic clock, in milliseconds. */
  get heardMs(): number {
    return this.#heardMs;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Resolves with the reason when the connection has ended, on either side. */
  get closed(): Promise<string> {
    return this.#closed.promise;
  }

  /**
   * Sends a command and returns its result.
   * Throws CommandFailed with Home Assistant's code, or an Error where no answer came in time
   * or the connection ended.
   */
  async command(
    type: string,
    parameters: Readonly<Record<string, unknown>> = {},
    deadlineMs = this.#times.commandDeadlineMs,
  ): Promise<unknown> {
    return resultOf(await this.#send(type, parameters, deadlineMs).answer);
  }

  /** As `command`, but returns the result's text as it came. */
  async commandText(
    type: string,
    parameters: Readonly<Record<string, unknown>> = {},
    deadlineMs = this.#times.commandDeadlineMs,
  ): Promise<string> {
    return memberText((await this.#send(type, parameters, deadlineMs).answer).text, "result") ??
      "null";
  }

  /**
   * As `command`, for an answer that lists all states or all entries: its deadline is longer, and
   * it is for `readInSteps`.
   */
  list(type: string): Promise<CommandAnswer> {
    return this.#send(type, {}, this.#times.listDeadlineMs).answer;
  }

  /**
   * Sends a command that answers with events of its own, and ends it after `count` of them. Returns
   * their texts. Throws what `command` throws, also where they do not come within the deadline.
   */
  async stream(
    type: string,
    parameters: Readonly<Record<string, unknown>>,
    { count, deadlineMs = this.#times.commandDeadlineMs }: {
      readonly count: number;
      readonly deadlineMs?: number;
    },
  ): Promise<readonly string[]> {
    const { id, answer } = this.#send(type, parameters, deadlineMs, count);
    try {
      return (await answer).events;
    } finally {
      if (this.#open) this.command("unsubscribe_events", { subscription: id }).catch(() => {});
    }
  }

  #send(
    type: string,
    parameters: Readonly<Record<string, unknown>>,
    deadlineMs: number,
    events = 0,
  ): { readonly id: number; readonly answer: Promise<CommandAnswer> } {
    if (!this.#open) {
      return { id: 0, answer: Promise.reject(new Error("the connection has ended")) };
    }
    const sent = this.#commands.add(type, deadlineMs, events);
    this.#socket.send(JSON.stringify({ id: sent.id, type, ...parameters }));
    return sent;
  }

  /** Ends the connection now, whatever Home Assistant does. */
  close(reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    clearInterval(this.#watch);
    this.#socket.close();
    const error = new Error(reason);
    this.#commands.rejectAll(error);
    this.#authenticated.reject(error);
    this.#closed.resolve(reason);
  }

  #receive(data: unknown, token: string): void {
    if (!this.#open) return;
    this.#heardMs = performance.now();
    this.#commands.heard();
    if (typeof data !== "string") return this.#handlers.onMalformed("a binary frame");
    for (const received of readFrame(data)) {
      try {
        this.#handle(received, token);
      } catch (error) {
        this.#handlers.onMalformed(describeError(error));
      }
    }
  }

  #handle(received: Received, token: string): void {
    if (received.kind === "malformed") return this.#handlers.onMalformed(received.reason);
    const { message, text } = received;
    switch (message.type) {
      case "event":
        if (this.#commands.event(message.id, text)) return;
        return this.#handlers.onEvent(message, text);
      case "pong":
        return this.#commands.succeeded(message.id, { result: undefined, text });
      case "result":
        if (message.success) {
          return this.#commands.succeeded(message.id, { result: message.result, text });
        }
        return this.#commands.failed(message.id, message.error);
      case "auth_required":
        return this.#socket.send(JSON.stringify({ type: "auth", access_token: token }));
      case "auth_ok":
        return this.#authenticated.resolve(message.ha_version);
      case "auth_invalid":
        this.#authenticated.reject(new TokenRefused(message.message));
        return this.close("the token was refused");
    }
  }

  #listenForSilence(): void {
    const { silenceMs, pongDeadlineMs } = this.#times;
    if (this.#asking || performance.now() - this.#heardMs < silenceMs) return;
    if (this.#commands.mayBeArriving()) return;
    this.#asking = true;
    this.command("ping", {}, pongDeadlineMs).then(
      () => this.#asking = false,
      () => this.close(`no sign of Home Assistant for ${(silenceMs + pongDeadlineMs) / 1000} s`),
    );
  }
}
