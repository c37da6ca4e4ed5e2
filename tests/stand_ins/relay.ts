/** Stands between ingest and enrich: keeps what enrich has answered for, and can be in the way. */
import { batchAnswerSchema } from "../../lib/contract.ts";

export class Relay implements AsyncDisposable {
  /** Lines that enrich has stored or left out, in the order of its answers, repetitions included. */
  readonly taken: string[] = [];
  /** Lines that enrich can never store. */
  readonly refused: string[] = [];
  readonly url: string;
  /** Where enrich is. While there is none every request fails. */
  target: string | undefined;
  /** Lines that it matches are unreadable when they arrive, so that enrich refuses them. */
  spoils: RegExp | undefined;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(target?: string) {
    this.target = target;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#forward(request),
    );
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #forward(request: Request): Promise<Response> {
    const lines = (await request.text()).split("\n");
    if (this.target === undefined) return new Response(null, { status: 502 });
    const { spoils } = this;
    const headers = new Headers(request.headers);
    headers.delete("content-length");
    try {
      const response = await fetch(this.target + new URL(request.url).pathname, {
        method: request.method,
        headers,
        body: lines.map((line) => spoils?.test(line) ? "spoiled on the way" : line).join("\n"),
      });
      const text = await response.text();
      if (response.ok) this.#keep(lines, text);
      return new Response(text, { status: response.status, headers: response.headers });
    } catch {
      return new Response(null, { status: 502 });
    }
  }

  #keep(lines: readonly string[], answer: string): void {
    const { problems, pending } = batchAnswerSchema.parse(JSON.parse(answer));
    const refused = new Set(problems.map(({ index }) => index));
    const open = new Set(pending);
    for (const [index, line] of lines.entries()) {
      if (refused.has(index)) this.refused.push(line);
      else if (!open.has(index)) this.taken.push(line);
    }
  }
}
