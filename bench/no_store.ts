/** The thread that answers for no store, as the rest of the benchmark sees it. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import * as z from "zod";
import type { LineStore, Numbers, ReadNumber } from "./store.ts";

const readSchema = z.array(z.object({ number: z.number(), timeUs: z.number() }));

export class NoStore implements LineStore {
  readonly authorization = "";

  private constructor(private readonly worker: Worker, private readonly url: string) {}

  /** Returns when it listens. */
  static async start(): Promise<NoStore> {
    const worker = new Worker(new URL("no_store_worker.ts", import.meta.url));
    const [url] = await once(worker, "message");
    return new NoStore(worker, String(url));
  }

  get env() {
    return { INFLUXDB_URL: this.url, INFLUXDB_DATABASE: "none" };
  }

  get writeUrl(): string {
    return `${this.url}/write?db=none`;
  }

  async read(numbers: Numbers): Promise<ReadNumber[]> {
    return readSchema.parse(await this.#ask("numbers", numbers));
  }

  async count(numbers: Numbers): Promise<number> {
    return z.number().parse(await this.#ask("count", numbers));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.worker.terminate();
  }

  async #ask(what: string, numbers: Numbers): Promise<unknown> {
    const body = JSON.stringify(numbers);
    return await (await fetch(`${this.url}/${what}`, { method: "POST", body })).json();
  }
}
