/** compose.yaml brought up by podman-compose, beside a simulated house and over a real InfluxDB 1. */
import assert from "node:assert/strict";
import { TemporaryFolder } from "../../temporary.ts";
import { freePort } from "../parts/free_port.ts";
import { prepared } from "../parts/prepared.ts";
import { run } from "../parts/process.ts";

export const ROOT = new URL("../../../", import.meta.url).pathname;

/** Runs a tool to its end and returns what it wrote. Throws where it fails. */
export async function done(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(words);
  assert.equal(code, 0, `${words.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

export class Compose implements Disposable {
  readonly project = `ha-ingestor-test-${crypto.randomUUID().slice(0, 8)}`;
  readonly ports = {
    ingest: freePort(),
    enrich: freePort(),
    influxdb: freePort(),
    victoriametrics: freePort(),
  };
  readonly #folder = new TemporaryFolder();

  /** Takes `env` for the `.env`, and `files` over compose.yaml, all of them in the folder `root`. */
  constructor(
    env: Readonly<Record<string, string>>,
    private readonly files: readonly string[] = [],
    private readonly root = ROOT,
  ) {
    const all = {
      INGEST_PORT: this.ports.ingest,
      ENRICH_PORT: this.ports.enrich,
      INFLUXDB_PORT: this.ports.influxdb,
      VICTORIAMETRICS_PORT: this.ports.victoriametrics,
      COMPILED_DIR: prepared("COMPILED_DIR"),
      ...env,
    };
    Deno.writeTextFileSync(
      this.#folder.file("env"),
      Object.entries(all).map(([name, value]) => `${name}=${value}\n`).join(""),
    );
  }

  /** Runs podman-compose, with `version` for HA_INGESTOR_VERSION. */
  async run(version: string, ...args: readonly string[]): Promise<string> {
    return await done(...this.words(version, ...args));
  }

  /** The words of `run`, for what may fail. */
  words(version: string, ...args: readonly string[]): string[] {
    return [
      "env",
      `HA_INGESTOR_VERSION=${version}`,
      "podman-compose",
      "--env-file",
      this.#folder.file("env"),
      "-p",
      this.project,
      ...["compose.yaml", ...this.files].flatMap((file) => ["-f", `${this.root}${file}`]),
      ...args,
    ];
  }

  container(service: string): string {
    return `${this.project}_${service}_1`;
  }

  /** Ends and removes everything that `up` has started, with its data. */
  async down(): Promise<void> {
    await this.run("none", "down", "--volumes");
    // podman-compose leaves the volume of a service whose profile was reset
    const left = await done("podman", "volume", "ls", "-q", "--filter", `name=${this.project}`);
    for (const volume of left.split("\n").filter(Boolean)) {
      await done("podman", "volume", "rm", volume);
    }
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]();
  }
}

/** SIGTERM. Returns the exit status and how long it took. */
export async function stop(container: string): Promise<{ code: number; ms: number }> {
  const startedMs = performance.now();
  await done("podman", "stop", "--time", "20", container);
  const ms = performance.now() - startedMs;
  return {
    code: Number(await done("podman", "inspect", "-f", "{{.State.ExitCode}}", container)),
    ms,
  };
}
