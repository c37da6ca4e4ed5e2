/** A WebSocket to Home Assistant, whose frames come one by one. */
import { clientTrusting } from "../../certificates.ts";
import { describeError, sleep } from "../../retry.ts";
import type { HassAccess } from "./hass_access.ts";

export interface SocketHandlers {
  onFrame(frame: unknown): void;
  /** It has ended, or was never open. */
  onEnd(reason: string, wasOpen: boolean): void;
}

export interface FrameSocket {
  send(text: string): void;
  /** Ends it now, whatever the other side does. What still comes of it means nothing. */
  close(): void;
}

/** Begins to open one. Throws what access throws. */
export function openSocket(access: HassAccess, handlers: SocketHandlers): FrameSocket {
  const headers = Object.fromEntries(access.headers?.() ?? []);
  const pem = access.caCert?.();
  return pem === undefined
    ? new PulledSocket(access.url, headers, handlers)
    : new PushedSocket(access.url, { headers, client: clientTrusting(pem) }, handlers);
}

function endOf(code: number | undefined, reason: string | undefined): string {
  return `Home Assistant closed the connection (${code}${reason ? `: ${reason}` : ""})`;
}

/**
 * So long frames are worked on before the rest of the program gets a turn, in milliseconds, and longer behind
 * a long turn: where each sync of the disk takes 200 ms, Home Assistant would cut off a slower reader.
 */
const WORK_MS = 5;
const WORK_OF_TURN = 1 / 8;
/** A turn: while frames wait and are asked for, Deno 2.9.6 reads them and looks at no answer and no timer. */
const TURN_MS = 1;
/** Behind a longer one, such as one with a commit, another one comes first: frames would prolong it. */
const LONG_TURN_MS = 20;
const never = new AbortController().signal;

/**
 * Its frames are asked for, one after the other; the others wait at Home Assistant. WebSocketStream is
 * why deno.json has the unstable feature `net`.
 */
class PulledSocket implements FrameSocket {
  /** None once it is open or has failed: Deno 2.9.6 throws at what then is aborted. */
  #opening: AbortController | undefined;
  readonly #stream: WebSocketStream;
  #writer: WritableStreamDefaultWriter<string | Uint8Array> | undefined;

  constructor(url: string, headers: Record<string, string>, handlers: SocketHandlers) {
    const opening = this.#opening = new AbortController();
    this.#stream = new WebSocketStream(url, { headers, signal: opening.signal });
    // where it fails, so does what is read
    this.#stream.closed.catch(() => {});
    this.#read(handlers).catch((error) =>
      handlers.onEnd(describeError(error), this.#writer !== undefined)
    );
  }

  async #read(handlers: SocketHandlers): Promise<void> {
    const { readable, writable } = await this.#stream.opened
      .finally(() => this.#opening = undefined);
    this.#writer = writable.getWriter();
    let workedMs = 0;
    let workMs = WORK_MS;
    for await (const frame of readable) {
      const fromMs = performance.now();
      handlers.onFrame(frame);
      workedMs += performance.now() - fromMs;
      if (workedMs < workMs) continue;
      const turnFromMs = performance.now();
      await sleep(TURN_MS, never);
      const turnMs = performance.now() - turnFromMs;
      if (turnMs > LONG_TURN_MS) await sleep(TURN_MS, never);
      workMs = Math.max(WORK_MS, turnMs * WORK_OF_TURN);
      workedMs = 0;
    }
    // Deno's types lack the code
    const end: { readonly closeCode?: number; readonly reason?: string } = await this.#stream
      .closed;
    handlers.onEnd(endOf(end.closeCode, end.reason), true);
  }

  send(text: string): void {
    // where it cannot be sent, reading fails
    this.#writer?.write(text).catch(() => {});
  }

  close(): void {
    if (!this.#opening) return this.#stream.close();
    // it may have opened a moment ago, which is not known here yet
    this.#stream.opened.then(() => this.#stream.close(), () => {});
    try {
      this.#opening.abort();
    } catch {
      // or failed: then Deno 2.9.6 throws at the abort (BadResource)
    }
  }
}

/** Only this one can be given a certificate authority. In a flood it leaves the rest of the program no turn. */
class PushedSocket implements FrameSocket {
  readonly #socket: WebSocket;
  /** None once it is open, or has ended. */
  #client: Deno.HttpClient | undefined;

  constructor(
    url: string,
    { headers, client }: { headers: Record<string, string>; client: Deno.HttpClient },
    { onFrame, onEnd }: SocketHandlers,
  ) {
    this.#client = client;
    this.#socket = new WebSocket(url, { headers, client });
    this.#socket.onopen = () => this.#closeClient();
    this.#socket.onmessage = ({ data }) => onFrame(data);
    this.#socket.onclose = ({ code, reason }) => onEnd(endOf(code, reason), true);
    this.#socket.onerror = (event) => {
      const wasOpen = this.#client === undefined;
      const said = event instanceof ErrorEvent ? event.message : "";
      onEnd(said || "the connection failed", wasOpen);
    };
  }

  #closeClient(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  /** On a half-open socket Deno never fires `close`, so nothing waits for it. */
  close(): void {
    this.#socket.onopen =
      this.#socket.onmessage =
      this.#socket.onclose =
      this.#socket.onerror =
        null;
    try {
      this.#socket.close();
    } catch {
      // a socket that never opened has nothing to close
    }
    this.#closeClient();
  }
}
