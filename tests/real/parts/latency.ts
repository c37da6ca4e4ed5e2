/** From a state's time to when it can be read in the store. */
import { setTimeout as delay } from "node:timers/promises";
import type { Influxd } from "./influxd.ts";
import { nowMs } from "./reader.ts";
import { until } from "../../until.ts";

/** A write's points become readable series by series, so not in the order of their times. */
const OVERLAP_NS = 2_000_000_000n;

export interface Latency {
  /** When the state was fired, milliseconds since 1970. */
  readonly firedMs: number;
  readonly latencyMs: number;
}

/** Watches the sensors of a unit in a database, from now on. */
export class LatencyWatch implements AsyncDisposable {
  readonly #latencies = new Map<bigint, number>();
  readonly #running: Promise<void>;
  #newestNs = 0n;
  #stopped = false;

  constructor(
    private readonly influxd: Influxd,
    private readonly database: string,
    private readonly unit: string,
    private readonly everyMs: number,
  ) {
    this.#running = this.#run();
    this.#running.catch(() => {});
  }

  /** Each state seen so far. */
  get latencies(): Latency[] {
    return [...this.#latencies].map(([timeNs, readMs]) => {
      const firedMs = Number(timeNs / 1000n) / 1000;
      return { firedMs, latencyMs: readMs - firedMs };
    });
  }

  /** Waits until `n` states were seen. */
  async untilSeen(n: number): Promise<void> {
    await until(() => this.#latencies.size >= n, `${n} states of ${this.unit} can be read`, {
      limitMs: 120_000,
    });
  }

  /** Stops, and throws where the store could not be asked. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#running.catch(() => {});
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const series = await this.influxd.query(
        `SELECT "value" FROM "sensor" WHERE "unit" = '${this.unit}' AND time > ${
          this.#newestNs - OVERLAP_NS
        }`,
        this.database,
      );
      const readMs = nowMs();
      for (const [time] of series.flatMap(({ values }) => values)) {
        if (typeof time !== "bigint") throw new Error(`${time} is no time`);
        if (this.#latencies.has(time)) continue;
        this.#latencies.set(time, readMs);
        if (time > this.#newestNs) this.#newestNs = time;
      }
      await delay(this.everyMs);
    }
  }
}

/** The quantile `q` of the latencies, in milliseconds. */
export function quantile(latencies: readonly Latency[], q: number): number {
  const sorted = latencies.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b);
  return sorted[Math.ceil(q * sorted.length) - 1] ?? NaN;
}
