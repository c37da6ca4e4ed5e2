/** The whole programs in this process, on port 0, with real sockets and real SQLite. */
import assert from "node:assert/strict";
import { enrich } from "../enrich.ts";
import { ingest } from "../ingest.ts";
import { enrichSettings } from "../lib/settings/enrich_settings.ts";
import { ingestSettings } from "../lib/settings/ingest_settings.ts";
import type { Environment } from "../lib/settings/settings_reader.ts";

export class Program implements AsyncDisposable {
  readonly url: string;
  readonly #stop: AbortController;
  readonly #running: Promise<void>;

  constructor(url: string, stop: AbortController, running: Promise<void>) {
    this.url = url;
    this.#stop = stop;
    this.#running = running;
  }

  /** Settled when it has ended, with the error where it failed. */
  get ended(): Promise<void> {
    return this.#running;
  }

  async get(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(this.url + path, init);
  }

  /** Every number of `/metrics`, by name and labels as they stand there. Ingest's equation is checked. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const text = await (await this.get("/metrics")).text();
    const numbers = new Map(
      text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))
        .map((line): [string, number] => {
          const at = line.lastIndexOf(" ");
          return [line.slice(0, at), Number(line.slice(at + 1))];
        }),
    );
    if (numbers.has("ingest_events_received_total")) assertEquation(numbers);
    return numbers;
  }

  /** Ends it as SIGTERM does. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

function sumOf(numbers: ReadonlyMap<string, number>, name: string): number {
  return [...numbers].filter(([key]) => key === name || key.startsWith(`${name}{`))
    .reduce((sum, [, value]) => sum + value, 0);
}

/** received = delivered + skipped + dead-lettered + dropped + queued */
function assertEquation(numbers: ReadonlyMap<string, number>): void {
  const parts = ["delivered_total", "skipped_total", "dead_lettered", "dropped_total", "queued"];
  assert.equal(
    sumOf(numbers, "ingest_events_received_total"),
    parts.reduce((sum, part) => sum + sumOf(numbers, `ingest_events_${part}`), 0),
  );
}

async function start(
  run: (signal: AbortSignal, onListening: (url: string) => void) => Promise<void>,
): Promise<Program> {
  const stop = new AbortController();
  const listening = Promise.withResolvers<string>();
  const running = run(stop.signal, listening.resolve);
  const url = await Promise.race([
    listening.promise,
    running.then(() => {
      throw new Error("The program ended before it listened");
    }),
  ]);
  return new Program(url, stop, running);
}

export function startEnrich(env: Environment): Promise<Program> {
  const { settings } = enrichSettings({ ENRICH_PORT: "0", ...env });
  return start((signal, onListening) => enrich(settings, signal, onListening));
}

export function startIngest(env: Environment): Promise<Program> {
  const { settings } = ingestSettings({ INGEST_PORT: "0", ...env });
  return start((signal, onListening) => ingest(settings, signal, onListening));
}
