/** Stands between ingest and enrich, and tells every line that enrich has answered for. */
import { batchAnswerSchema } from "../../../lib/contract.ts";

export class DeliveryTap implements AsyncDisposable {
  /** How many lines enrich has answered for as left out. */
  skipped = 0;
  /** How many it has answered for at all but as waiting; those that were sent again, again. */
  settled = 0;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /** `settle` hears each line that is stored, left out or a problem now, maybe more than once. */
  constructor(
    private readonly enrichUrl: string,
    private readonly settle: (line: string) => void,
  ) {
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    this.#server = Deno.serve(options, (request) => this.#forward(request));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #forward(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const body = await request.text();
    const { status, text } = await fetch(`${this.enrichUrl}${pathname}`, {
      method: request.method,
      headers: request.headers,
      body: request.method === "GET" ? null : body,
    }).then(
      async (response) => ({ status: response.status, text: await response.text() }),
      // it was killed: as ingest hears it of a proxy
      () => ({ status: 502, text: "" }),
    );
    if (status === 200 && pathname === "/events") this.#note(body.split("\n"), text);
    return new Response(text, { status, headers: { "content-type": "application/json" } });
  }

  #note(lines: readonly string[], text: string): void {
    const { skipped, pending } = batchAnswerSchema.parse(JSON.parse(text));
    for (const count of Object.values(skipped)) this.skipped += count;
    const waits = new Set(pending);
    for (const [index, line] of lines.entries()) {
      if (waits.has(index)) continue;
      this.settled++;
      this.settle(line);
    }
  }
}
