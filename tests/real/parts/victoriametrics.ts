/** A real VictoriaMetrics (single-node) on 127.0.0.1, and what it holds. */
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { freePort } from "./free_port.ts";
import { byReason, parseMetrics } from "./metrics_text.ts";
import { Process, run } from "./process.ts";
import { until } from "../../until.ts";

/** One sample, with the labels of its series; `__name__` is among them. */
export interface StoredSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly timeMs: number;
  readonly value: number;
}

const exportSchema = z.object({
  metric: z.record(z.string(), z.string()),
  values: z.array(z.number().nullable()),
  timestamps: z.array(z.number()),
});

/** The executable: VICTORIA_METRICS names it, or it is the machine's own. */
async function executable(): Promise<string> {
  const named = Deno.env.get("VICTORIA_METRICS");
  if (named) return named;
  const { code, stdout } = await run(["bash", "-c", "command -v victoria-metrics"]);
  if (code === 0) return stdout.trim();
  throw new Error(
    "Cannot start VictoriaMetrics: let VICTORIA_METRICS be the path of its executable (1.151)",
  );
}

export class VictoriaMetricsServer implements AsyncDisposable {
  #process: Process;

  private constructor(
    readonly url: string,
    private readonly dir: string,
    private readonly start: (flags: readonly string[]) => Process,
    private flags: readonly string[],
  ) {
    this.#process = start(flags);
  }

  static async start(...flags: readonly string[]): Promise<VictoriaMetricsServer> {
    const program = await executable();
    const dir = await Deno.makeTempDir({ prefix: "victoriametrics-" });
    const port = freePort();
    const words = [
      program,
      `-storageDataPath=${dir}`,
      `-httpListenAddr=127.0.0.1:${port}`,
      "-loggerLevel=WARN",
    ];
    const prefix = flags.find((flag) => flag.startsWith("-http.pathPrefix="))?.split("=")[1] ?? "";
    const server = new VictoriaMetricsServer(
      `http://127.0.0.1:${port}${prefix}`,
      dir,
      (flags) => new Process("VictoriaMetrics", [...words, ...flags]),
      flags,
    );
    try {
      await server.#untilAnswering();
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Every sample that fits, in the order of their times. Those of the last second may be missing: see `samplesOnceFlushed`. */
  async samples(match = '{__name__!=""}'): Promise<StoredSample[]> {
    // without a beginning it exports the last hours only
    const body = new URLSearchParams({ "match[]": match, start: "0", end: "2100-01-01T00:00:00Z" });
    const response = await fetch(`${this.url}/api/v1/export`, { method: "POST", body });
    const text = await response.text();
    if (!response.ok) throw new Error(`/api/v1/export: ${response.status} ${text}`);
    return text.split("\n").filter(Boolean).flatMap((line) => {
      const { metric, values, timestamps } = exportSchema.parse(JSON.parse(line));
      return timestamps.map((timeMs, i) => ({ labels: metric, timeMs, value: values[i] ?? NaN }));
    }).toSorted((a, b) => a.timeMs - b.timeMs);
  }

  /** The same, with all that it has acknowledged. */
  async samplesOnceFlushed(match?: string): Promise<StoredSample[]> {
    const response = await fetch(`${this.url}/internal/force_flush`);
    await response.body?.cancel();
    return await this.samples(match);
  }

  /** What it has thrown away, by reason: vm_rows_ignored_total. Its /metrics are up to a second old. */
  async ignored(): Promise<Record<string, number>> {
    await delay(1_100);
    const response = await fetch(`${this.url}/metrics`);
    return byReason(parseMetrics(await response.text()), "vm_rows_ignored_total");
  }

  /** Writes lines, whose times are nanoseconds, as any client does. Throws what the server says where it refuses them. */
  async write(lines: string): Promise<void> {
    const response = await fetch(`${this.url}/write?db=home&precision=ns`, {
      method: "POST",
      body: lines,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`/write: ${response.status} ${text}`);
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  /** Starts it on the same data and port; returns when it answers. */
  async startAgain(...flags: readonly string[]): Promise<void> {
    if (flags.length > 0) this.flags = flags;
    this.#process = this.start(this.flags);
    await this.#untilAnswering();
  }

  /** Ends it as a supervisor does, and starts it again on the same data and port. */
  async restart(...flags: readonly string[]): Promise<void> {
    await this.#process.stop();
    await this.startAgain(...flags);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill();
    await Deno.remove(this.dir, { recursive: true });
  }

  async #untilAnswering(): Promise<void> {
    await until(async () => {
      if (!this.#process.running) return "ended";
      const response = await fetch(`${this.url}/health`);
      await response.body?.cancel();
      return response.ok && "answers";
    }, "VictoriaMetrics answers");
    if (!this.#process.running) {
      throw new Error(`Cannot start VictoriaMetrics: ${this.#process.output}`);
    }
  }
}
