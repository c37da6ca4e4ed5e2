/** A plain HTTP load balancer before several enriches: a socket of its own, round robin, no retry. */

export class Balancer implements AsyncDisposable {
  readonly url: string;
  /** How often it answered 502 because a server was away. */
  failures = 0;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #turn = 0;

  constructor(targets: readonly string[]) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => {
        const target = targets[this.#turn++ % targets.length] ?? "";
        try {
          return await forward(request, target);
        } catch {
          this.failures++;
          return new Response("Bad Gateway", { status: 502 });
        }
      },
    );
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** Throws where the server is away, or leaves in the middle of its answer. */
async function forward(request: Request, target: string): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const headers = new Headers(request.headers);
  // these are of one connection
  for (const name of ["host", "content-length", "connection"]) headers.delete(name);
  const body = request.method === "GET" ? null : await request.bytes();
  const answer = await fetch(target + pathname + search, { method: request.method, headers, body });
  return new Response(await answer.text(), { status: answer.status, headers: answer.headers });
}
