/** An HTTP server between two others that may do with each request what a test wants. */

export interface Passing {
  readonly body: Uint8Array<ArrayBuffer>;
  /** The body as lines of text. */
  readonly lines: readonly string[];
  /** Hands it on, with another body where one is given; 502 where nobody is there. */
  readonly pass: (body?: string) => Promise<Response>;
}

export class HttpBetween implements AsyncDisposable {
  readonly url: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /** `handle` answers the requests of `path`; all others are handed on as they are. */
  constructor(
    private readonly target: string,
    private readonly path: string,
    public handle: (request: Passing) => Promise<Response> = ({ pass }) => pass(),
  ) {
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    this.#server = Deno.serve(options, (request) => this.#serve(request));
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #serve(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const body = await request.bytes().catch(() => undefined);
    if (body === undefined) return new Response(null, { status: 400 });
    const headers = new Headers(request.headers);
    for (const name of ["host", "content-length", "connection"]) headers.delete(name);
    const pass = async (changed?: string) => {
      try {
        const answer = await fetch(this.target + pathname + search, {
          method: request.method,
          headers,
          body: request.method === "GET" ? null : changed ?? body,
          signal: AbortSignal.timeout(60_000),
        });
        const empty = answer.status === 204;
        const bytes = await answer.bytes();
        return new Response(empty ? null : bytes, {
          status: answer.status,
          headers: answer.headers,
        });
      } catch {
        return new Response("Bad Gateway", { status: 502 });
      }
    };
    if (pathname !== this.path) return await pass();
    const lines = new TextDecoder().decode(body).split("\n");
    return await this.handle({ body, lines, pass });
  }
}
