/** A TCP proxy on 127.0.0.1 that makes the server behind it slow, silent, or what is said get lost. */
import { setTimeout as delay } from "node:timers/promises";

export class Proxy implements AsyncDisposable {
  /** Milliseconds by which every answer comes later. */
  answerDelayMs = 0;
  /** While true, each connection is closed when its client speaks: the server hears nothing. */
  losesRequests = false;
  /** How many requests were so lost. */
  lostRequests = 0;
  /** While true, each answer is swallowed and its connection closed: the server has done the work, the client never learns it. */
  losesAnswers = false;
  /** How many answers were swallowed. */
  lostAnswers = 0;
  /** While true, each new connection is closed at once. */
  #refuses = false;
  /** How many connections were made to it. */
  connections = 0;
  /** Told every piece that a client sends, before it passes, and which connection that is. */
  onRequest: (piece: Uint8Array, connection: number) => void = () => {};
  /** Told every piece that the server answers, before it passes. */
  onAnswer: (piece: Uint8Array) => void = () => {};
  readonly url: string;
  readonly #listener: Deno.TcpListener;
  readonly #target: Deno.ConnectOptions;
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #dropped = new Set<Deno.TcpConn>();
  readonly #ended = new AbortController();
  #open: Promise<void> = Promise.resolve();
  #release: () => void = () => {};

  /** Listens, and carries every connection to the server at `targetUrl`. */
  constructor(targetUrl: string) {
    const { hostname, port } = new URL(targetUrl);
    this.#target = { hostname, port: Number(port) };
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.url = `http://127.0.0.1:${this.#listener.addr.port}`;
    this.#accept();
  }

  /** From now on nothing passes in either direction, until `release`. */
  hang(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#open = promise;
    this.#release = resolve;
  }

  release(): void {
    this.#release();
  }

  /** What the present connections carry is lost from now on in both directions, and nobody is told: half-open. */
  drop(): void {
    for (const connection of this.#connections) this.#dropped.add(connection);
  }

  /** Closes the present connections, and each new one, until `allow`. */
  cut(): void {
    this.#refuses = true;
    for (const connection of this.#connections) close(connection);
  }

  allow(): void {
    this.#refuses = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    this.#ended.abort();
    this.#listener.close();
    for (const connection of this.#connections) close(connection);
    await Promise.resolve();
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      this.#carry(client).catch(() => close(client));
    }
  }

  async #carry(client: Deno.TcpConn): Promise<void> {
    const number = this.connections++;
    if (this.#refuses) return close(client);
    const server = await Deno.connect(this.#target);
    this.#connections.add(client).add(server);
    await Promise.allSettled([
      this.#pass(client, server, async (piece) => {
        this.onRequest(piece, number);
        if (this.losesRequests) {
          this.lostRequests++;
          throw new Error("The request is lost");
        }
        await this.#open;
      }),
      this.#pass(server, client, async (piece) => {
        this.onAnswer(piece);
        if (this.losesAnswers) {
          this.lostAnswers++;
          throw new Error("The answer is lost");
        }
        if (this.answerDelayMs > 0) {
          await delay(this.answerDelayMs, undefined, {
            signal: this.#ended.signal,
          });
        }
        await this.#open;
      }),
    ]);
    for (const connection of [client, server]) {
      close(connection);
      this.#connections.delete(connection);
      this.#dropped.delete(connection);
    }
  }

  /** Each piece is written when `mayPass` is over, in order, and the delays of pieces that came together run together. */
  async #pass(
    from: Deno.TcpConn,
    to: Deno.TcpConn,
    mayPass: (piece: Uint8Array) => Promise<void>,
  ): Promise<void> {
    let written: Promise<unknown> = Promise.resolve();
    const buffer = new Uint8Array(65_536);
    try {
      for (let size; (size = await from.read(buffer)) !== null;) {
        const piece = buffer.slice(0, size);
        if (this.#dropped.has(from)) continue;
        const passes = mayPass(piece);
        written = written.then(() => passes).then(() => writeAll(to, piece))
          .catch((error) => {
            close(from);
            throw error;
          });
        written.catch(() => {});
        passes.catch(() => {});
      }
      await written;
    } finally {
      // who is half-open does not learn that the other side has gone
      if (!this.#dropped.has(from)) {
        close(from);
        close(to);
      }
    }
  }
}

async function writeAll(to: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += await to.write(bytes.subarray(at));
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // it was closed from the other side already
  }
}
