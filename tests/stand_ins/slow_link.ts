/** A link to a server on this machine that carries so many bytes a second to the client, and no more. */
const CHUNKS_PER_SECOND = 100;

export class SlowLink implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #sockets = new Set<Deno.Conn>();
  readonly #carrying: Promise<unknown>[] = [];

  constructor(private readonly port: number, private readonly bytesPerSecond: number) {
    this.#carrying.push(this.#accept());
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.#end();
    await Promise.all(this.#carrying);
  }

  async #accept(): Promise<void> {
    try {
      for await (const client of this.#listener) {
        const server = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
        this.#sockets.add(client).add(server);
        this.#carrying.push(this.#carry(client, server, Infinity));
        this.#carrying.push(this.#carry(server, client, this.bytesPerSecond));
      }
    } catch {
      // the listener was closed
    }
  }

  async #carry(from: Deno.Conn, to: Deno.Conn, bytesPerSecond: number): Promise<void> {
    const chunk = new Uint8Array(Math.min(65_536, bytesPerSecond / CHUNKS_PER_SECOND));
    try {
      for (;;) {
        const count = await from.read(chunk);
        if (count === null) break;
        for (let at = 0; at < count;) at += await to.write(chunk.subarray(at, count));
        const waitMs = count / bytesPerSecond * 1_000;
        if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    } catch {
      // one of the two ended it
    }
    this.#end();
  }

  #end(): void {
    for (const socket of this.#sockets) {
      try {
        socket.close();
      } catch {
        // closed already
      }
    }
    this.#sockets.clear();
  }
}
