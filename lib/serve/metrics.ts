/**
 * Prometheus metrics whose numbers live elsewhere: they are read when somebody asks, never kept
 * twice. Written out here in Prometheus' text format, for `deno compile` 2.9.6 overflows its stack
 * on prom-client.
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
import process from "node:process";

/** One number, or one a label's value. */
export type Reading = number | ReadonlyMap<string, number>;

interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly read: () => Reading;
  readonly label: string;
}

export class Metrics {
  readonly #prefix: string;
  readonly #metrics: Metric[] = [];

  /**
   * `prefix` is the program's name: `ingest` makes `ingest_events_received_total`. The process
   * itself is served under Prometheus' own names.
   */
  constructor(prefix: string) {
    this.#prefix = prefix;
    const startedSeconds = Math.floor((Date.now() - performance.now()) / 1000);
    this.#add("counter", "process_cpu_seconds_total", "User and system CPU time.", () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    });
    const rss = () => Deno.memoryUsage().rss;
    this.#add("gauge", "process_resident_memory_bytes", "Resident memory.", rss);
    this.#add("gauge", "process_start_time_seconds", "When it started.", () => startedSeconds);
  }

  /** A number that only grows. `label` names what a map's keys are. */
  counter(name: string, help: string, read: () => Reading, label = ""): void {
    this.#add("counter", `${this.#prefix}_${name}`, help, read, label);
  }

  /** A number that goes up and down. */
  gauge(name: string, help: string, read: () => Reading, label = ""): void {
    this.#add("gauge", `${this.#prefix}_${name}`, help, read, label);
  }

  /** All metrics, read now, one after the other in the order in which they were added. */
  text(): string {
    return this.#metrics.map(({ name, type, help, read, label }) => {
      const reading = read();
      const samples = typeof reading === "number"
        ? [`${name} ${reading}`]
        : [...reading].map(([value, n]) => `${name}{${label}="${escaped(value)}"} ${n}`);
      return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples, ""].join("\n");
    }).join("");
  }

  #add(type: Metric["type"], name: string, help: string, read: () => Reading, label = ""): void {
    this.#metrics.push({ name, type, help, read, label });
  }
}

function escaped(labelValue: string): string {
  return labelValue.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
