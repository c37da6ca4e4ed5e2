/** A VictoriaMetrics on 127.0.0.1, and what it holds. */
import * as z from "zod";
import { ConfigError } from "../lib/settings/settings_reader.ts";
import { freePort } from "../tests/real/parts/free_port.ts";
import { Process } from "../tests/real/parts/process.ts";
import { until } from "../tests/until.ts";
import { numberOf } from "./numbered_house.ts";
import type { LineStore, Numbers, ReadNumber } from "./store.ts";

/** A line of its export: one series, times in milliseconds. */
const exportSchema = z.object({ values: z.array(z.number()), timestamps: z.array(z.number()) });

export class VictoriaMetrics implements LineStore {
  readonly authorization = "";

  private constructor(
    private readonly url: string,
    private readonly dir: string,
    private readonly process: Process,
  ) {}

  static async start(): Promise<VictoriaMetrics> {
    const program = Deno.env.get("VICTORIA_METRICS");
    if (!program) {
      throw new ConfigError(["--store=victoriametrics: let VICTORIA_METRICS be the server's path"]);
    }
    const dir = await Deno.makeTempDir({ prefix: "victoria-metrics-" });
    const host = `127.0.0.1:${freePort()}`;
    const process = new Process("VictoriaMetrics", [
      program,
      `-storageDataPath=${dir}`,
      `-httpListenAddr=${host}`,
      "-retentionPeriod=100y",
      "-loggerLevel=ERROR",
    ]);
    const store = new VictoriaMetrics(`http://${host}`, dir, process);
    await until(async () => {
      if (!process.running) return "ended";
      const response = await fetch(`${store.url}/health`);
      await response.body?.cancel();
      return response.ok;
    }, "VictoriaMetrics answers");
    if (process.running) return store;
    throw new ConfigError([`VICTORIA_METRICS=${program} does not start: ${process.output}`]);
  }

  get env() {
    return { INFLUXDB_URL: this.url, INFLUXDB_DATABASE: "home" };
  }

  get writeUrl(): string {
    return `${this.url}/write?db=home`;
  }

  async read({ first, count, fromUs }: Numbers): Promise<ReadNumber[]> {
    const query = new URLSearchParams({
      "match[]": "sensor_value",
      start: String(Math.floor(fromUs / 1000) / 1000),
    });
    const response = await fetch(`${this.url}/api/v1/export?${query}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`VictoriaMetrics: ${response.status} ${text}`);
    return text.split("\n").filter((line) => line !== "").flatMap((line) => {
      const { values, timestamps } = exportSchema.parse(JSON.parse(line));
      return values.map((value, i) => ({
        number: numberOf(value),
        timeUs: timestamps[i] * 1000,
      }));
    }).filter(({ number }) => number >= first && number < first + count);
  }

  async count(numbers: Numbers, distinct: boolean): Promise<number> {
    const found = await this.read(numbers);
    return distinct ? new Set(found.map(({ number }) => number)).size : found.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.kill();
    await Deno.remove(this.dir, { recursive: true });
  }
}
