/** ingest.ts and enrich.ts as processes of their own, with the permissions that they have in use. */
import { join } from "node:path";
import { freePort } from "./free_port.ts";
import { type Metrics, mustBalance, scrape } from "./metrics_text.ts";
import { Process, type Usage } from "./process.ts";
import { NO_CODE_CACHE, V8_FLAGS } from "../../../lib/program/deno_flags.ts";
import { until } from "../../until.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;

export type Environment = Readonly<Record<string, string>>;

/** How a program is started beside its environment. */
export interface ProgramOptions {
  /** Files and folders that it may read beside its own folder. */
  readonly readable?: readonly string[];
  /** A folder that it may read and write beside its own. */
  readonly writable?: string | undefined;
  /** A command that becomes the program, such as `env NAME=value`. */
  readonly under?: readonly string[];
  /** The folder of the compiled programs, where these are to run; without it the sources are. */
  readonly compiledDir?: string | undefined;
  /** The folder of another release's sources, where these are to run. */
  readonly checkout?: string | undefined;
  /** A module that runs before the sources do, in the same process. */
  readonly preload?: string | undefined;
}

export interface Health {
  readonly ready: boolean;
  /** The answer's text: the reasons where it is not ready. */
  readonly text: string;
}

/** What the two differ in for a test. */
interface Kind {
  readonly name: "ingest" | "enrich";
  /** Beyond the network, the environment and its own folder. */
  readonly permissions: readonly string[];
  readonly variables: (port: number, dir: string) => Environment;
  /** Throws WrongScrape where the numbers cannot be true together. */
  readonly check: (metrics: Metrics) => void;
}

/** What `deno task compile` makes of a program for this machine. */
export function executable(folder: string, name: string): string {
  return `${folder}/${name}-linux-${Deno.build.arch === "aarch64" ? "arm64" : "x64"}`;
}

export class Program implements AsyncDisposable {
  #process: Process;

  private constructor(
    readonly url: string,
    /** The program's own folder; DATA_DIR is `data` in it. */
    readonly dir: string,
    private readonly kind: Kind,
    private readonly start: (checkout?: string) => Process,
  ) {
    this.#process = start();
  }

  /** Starts the program in a folder of its own and returns when it is live. */
  static async start(
    kind: Kind,
    env: Environment,
    {
      readable = [],
      writable,
      under = [],
      compiledDir = Deno.env.get("PROGRAMS_DIR"),
      checkout,
      preload,
    }: ProgramOptions = {},
  ): Promise<Program> {
    const dir = await Deno.makeTempDir({ prefix: `${kind.name}-` });
    const port = freePort();
    const own = writable === undefined ? [dir] : [dir, writable];
    const sources = (root: string, ...flags: readonly string[]) => [
      Deno.execPath(),
      "run",
      "--no-prompt",
      ...flags,
      "--allow-net",
      "--allow-env",
      `--allow-read=${[...own, ...readable].join(",")}`,
      `--allow-write=${own.join(",")}`,
      ...kind.permissions,
      ...(preload === undefined ? [] : [`--preload=${preload}`]),
      join(root, `${kind.name}.ts`),
    ];
    const newest = compiledDir
      ? [executable(compiledDir, kind.name)]
      : sources(ROOT, V8_FLAGS, NO_CODE_CACHE);
    const start = (other = checkout) =>
      new Process(kind.name, [...under, ...(other === undefined ? newest : sources(other))], {
        cwd: dir,
        env: {
          LOG_LEVEL: "debug",
          ...kind.variables(port, dir),
          ...env,
        },
      });
    const url = `http://127.0.0.1:${port}`;
    const program = new Program(url, dir, kind, start);
    try {
      await program.#untilLive();
      return program;
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
  }

  get running(): boolean {
    return this.#process.running;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** What its log says so far, since its last start. */
  get output(): string {
    return this.#process.output;
  }

  /** The counters. Throws WrongScrape where they contradict each other. */
  async metrics(): Promise<Metrics> {
    const metrics = await scrape(this.url);
    this.kind.check(metrics);
    return metrics;
  }

  async status(): Promise<unknown> {
    const response = await fetch(`${this.url}/status`);
    return await response.json();
  }

  async health(): Promise<Health> {
    const response = await fetch(`${this.url}/health/ready`);
    return { ready: response.ok, text: await response.text() };
  }

  /** Waits until it calls itself ready. */
  async untilReady(): Promise<void> {
    await until(
      async () => (await this.health()).ready,
      `${this.kind.name} is ready`,
    );
  }

  usage(): Promise<Usage> {
    return this.#process.usage();
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  /** SIGSTOP: it does nothing any more, and its sockets stay open. */
  pause(): void {
    this.#process.pause();
  }

  /** SIGCONT. */
  resume(): void {
    this.#process.resume();
  }

  /**
   * Starts it with the same environment and port, out of another release's `checkout` where one is
   * given; returns when it is live.
   */
  async startAgain(checkout?: string): Promise<void> {
    this.beginAgain(checkout);
    await this.#untilLive();
  }

  /** As `startAgain`, but waits for nothing. */
  beginAgain(checkout?: string): void {
    this.#process = this.start(checkout);
  }

  /** SIGTERM. Throws where it does not end with 0. */
  async stop(): Promise<void> {
    const code = await this.#process.stop();
    if (code !== 0) {
      throw new Error(`Cannot stop ${this.kind.name}: it ended with ${code}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill();
    await Deno.remove(this.dir, { recursive: true });
  }

  async #untilLive(): Promise<void> {
    await until(async () => {
      if (!this.#process.running) return "ended";
      const response = await fetch(`${this.url}/health/live`);
      await response.body?.cancel();
      return response.ok && "live";
    }, `${this.kind.name} is live`);
    if (!this.#process.running) {
      throw new Error(`Cannot start ${this.kind.name}: it has ended`);
    }
  }
}

const INGEST: Kind = {
  name: "ingest",
  // how much room the outbox has
  permissions: ["--allow-sys=statfs"],
  variables: (port, dir) => ({
    INGEST_HOST: "127.0.0.1",
    INGEST_PORT: String(port),
    DATA_DIR: `${dir}/data`,
    BACKFILL_DAYS: "0",
    SNAPSHOT_MINUTES: "0",
  }),
  check: mustBalance,
};

const ENRICH: Kind = {
  name: "enrich",
  // how much room the local store has
  permissions: ["--allow-sys=statfs"],
  variables: (port, dir) => ({
    ENRICH_HOST: "127.0.0.1",
    ENRICH_PORT: String(port),
    DATA_DIR: `${dir}/data`,
  }),
  check: () => {},
};

/** Starts ingest.ts; `env` needs HASS_URL, HASS_TOKEN and ENRICHMENT_SERVICE_URL. */
export function startIngest(env: Environment, options?: ProgramOptions): Promise<Program> {
  return Program.start(INGEST, env, options);
}

/** Starts enrich.ts; `env` names the store. */
export function startEnrich(env: Environment, options?: ProgramOptions): Promise<Program> {
  return Program.start(ENRICH, env, options);
}
