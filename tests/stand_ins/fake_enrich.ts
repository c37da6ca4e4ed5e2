/** An enrich on a real socket, whose answers a test decides. */
import type { BatchAnswer } from "../../lib/contract.ts";

export type Answering = (lines: string[], request: number) => Response | Promise<Response>;

/** The answer that all lines are stored. */
export function allStored(lines: readonly string[], change: Partial<BatchAnswer> = {}): Response {
  const answer: BatchAnswer = {
    status: "success",
    stored: lines.length,
    skipped: {},
    problems: [],
    pending: [],
    limited: [],
    ...change,
  };
  return Response.json(answer);
}

export class FakeEnrich implements AsyncDisposable {
  /** The lines of each request, in their order. */
  readonly requests: string[][] = [];
  readonly authorizations: (string | null)[] = [];
  /** Lines that were answered as stored, repetitions included. */
  readonly stored: string[] = [];
  readonly url: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  answering: Answering;

  constructor(answering: Answering = (lines) => allStored(lines)) {
    this.answering = answering;
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (r) => {
      const lines = (await r.text()).split("\n");
      this.requests.push(lines);
      this.authorizations.push(r.headers.get("authorization"));
      const response = await this.answering(lines, this.requests.length);
      if (response.status === 200) this.stored.push(...lines);
      return response;
    });
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
