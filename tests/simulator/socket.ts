/**
 * The server's side of one WebSocket (RFC 6455) over a connection of its own: a
 * simulation has to drop it without a close frame, and to fall silent on it.
 */
import { sleep } from "../../lib/retry.ts";
import { concat } from "./http.ts";

const TEXT = 0x1;
const BINARY = 0x2;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;

/** Home Assistant's own: a ping every 55 s, and half of that for the pong. */
const HEARTBEAT_MS = 55_000;
/** On a slow link so much of a frame is sent at a time. */
const PIECE_MS = 20;

/** A message of the client: text, or bytes. */
export type Message = string | Uint8Array;

type Timer = ReturnType<typeof setTimeout>;

interface Frame {
  readonly final: boolean;
  readonly opcode: number;
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** One accepted WebSocket. */
export class ServerSocket implements Disposable {
  readonly #conn: Deno.Conn;
  readonly #bytesPerSecond: () => number | undefined;
  #buffer: Uint8Array<ArrayBuffer>;
  #parts: Frame[] = [];
  #written: Promise<void> = Promise.resolve();
  readonly #heartbeat: Timer;
  #timeout?: Timer;
  readonly #life = new AbortController();
  #muted = false;
  #open = true;
  #closing = false;

  /** `rest` is what came after the handshake; `bytesPerSecond` limits what is sent. */
  constructor(
    conn: Deno.Conn,
    rest: Uint8Array<ArrayBuffer>,
    bytesPerSecond: () => number | undefined,
  ) {
    this.#conn = conn;
    this.#bytesPerSecond = bytesPerSecond;
    this.#buffer = rest;
    this.#heartbeat = setInterval(() => this.#ping(), HEARTBEAT_MS);
  }

  /** The next message, or undefined once the connection has ended. */
  async read(): Promise<Message | undefined> {
    for (;;) {
      const frame = await this.#readFrame();
      if (frame === undefined) return undefined;
      if (frame.opcode === CLOSE) {
        if (!this.#closing) await this.#write(CLOSE, [frame.payload]);
        this.cut();
        return undefined;
      }
      if (frame.opcode === PING) await this.#write(PONG, [frame.payload]);
      else if (frame.opcode === PONG) clearTimeout(this.#timeout);
      else {
        this.#parts.push(frame);
        if (frame.final) return this.#message();
      }
    }
  }

  /** Sends text messages, one frame each, and waits until the kernel has taken them. */
  async send(texts: readonly string[]): Promise<void> {
    const encoder = new TextEncoder();
    await this.#write(TEXT, texts.map((text) => encoder.encode(text)));
  }

  /** Sends a close frame with that code. The client's answer, if any comes, ends the connection. */
  async close(code: number): Promise<void> {
    if (this.#closing || this.#muted) return;
    this.#closing = true;
    this[Symbol.dispose]();
    await this.#write(CLOSE, [Uint8Array.of(code >> 8, code & 0xff)]);
  }

  /** Drops the connection without a close frame: the client sees 1006, or `Unexpected EOF`. */
  cut(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#life.abort();
    this[Symbol.dispose]();
    this.#conn.close();
  }

  /** From now on nothing is sent, and all that comes is thrown away, as where the network died. */
  mute(): void {
    this.#muted = true;
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#timeout);
  }

  #ping(): void {
    clearTimeout(this.#timeout);
    this.#timeout = setTimeout(() => this.cut(), HEARTBEAT_MS / 2);
    void this.#write(PING, [new Uint8Array()]);
  }

  #message(): Message {
    const payload = concat(this.#parts.map((part) => part.payload));
    const text = this.#parts[0].opcode !== BINARY;
    this.#parts = [];
    return text ? new TextDecoder().decode(payload) : payload;
  }

  async #readFrame(): Promise<Frame | undefined> {
    for (;;) {
      const parsed = this.#muted ? undefined : parseFrame(this.#buffer);
      if (parsed) {
        this.#buffer = this.#buffer.subarray(parsed.bytes);
        return parsed.frame;
      }
      const chunk = new Uint8Array(65_536);
      const count = await this.#conn.read(chunk).catch(() => null);
      if (count === null) {
        this.cut();
        return undefined;
      }
      if (!this.#muted) {
        this.#buffer = concat([this.#buffer, chunk.subarray(0, count)]);
      }
    }
  }

  /** Frames stay in order, and whole: one write at a time. */
  #write(opcode: number, payloads: readonly Uint8Array[]): Promise<void> {
    const bytes = concat(
      payloads.flatMap((payload) => [header(opcode, payload.length), payload]),
    );
    return this.#written = this.#written.then(async () => {
      for (let at = 0; at < bytes.length && this.#open && !this.#muted;) {
        const limit = this.#bytesPerSecond();
        const piece = limit === undefined
          ? undefined
          : at + Math.max(1, Math.ceil(limit * PIECE_MS / 1000));
        const count = await this.#conn.write(bytes.subarray(at, piece))
          .catch(() => undefined);
        if (count === undefined) return this.cut();
        at += count;
        if (limit !== undefined) await sleep(count * 1000 / limit, this.#life.signal);
      }
    });
  }
}

function header(opcode: number, length: number): Uint8Array {
  if (length < 126) return Uint8Array.of(0x80 | opcode, length);
  const bytes = new Uint8Array(length < 65_536 ? 4 : 10);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x80 | opcode;
  bytes[1] = length < 65_536 ? 126 : 127;
  if (length < 65_536) view.setUint16(2, length);
  else view.setBigUint64(2, BigInt(length));
  return bytes;
}

function parseFrame(
  buffer: Uint8Array<ArrayBuffer>,
): { frame: Frame; bytes: number } | undefined {
  if (buffer.length < 2) return undefined;
  const view = new DataView(buffer.buffer, buffer.byteOffset);
  const short = buffer[1] & 0x7f;
  const masked = (buffer[1] & 0x80) !== 0;
  const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
  const maskAt = 2 + lengthBytes;
  const payloadAt = maskAt + (masked ? 4 : 0);
  if (buffer.length < payloadAt) return undefined;
  const length = short === 127
    ? Number(view.getBigUint64(2))
    : short === 126
    ? view.getUint16(2)
    : short;
  const bytes = payloadAt + length;
  if (buffer.length < bytes) return undefined;
  const payload = buffer.slice(payloadAt, bytes);
  if (masked) {
    for (let i = 0; i < length; i++) payload[i] ^= buffer[maskAt + i % 4];
  }
  const frame = {
    final: (buffer[0] & 0x80) !== 0,
    opcode: buffer[0] & 0x0f,
    payload,
  };
  return { frame, bytes };
}
