/** ingest.ts or enrich.ts as a process, and every word that it says. */
import { until } from "../until.ts";
import type { ProgramName } from "./routes.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

export class ProgramProcess implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #said: Promise<void>;
  #output = "";

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    const decoder = new TextDecoder();
    const read = async (stream: ReadableStream<Uint8Array>) => {
      for await (const chunk of stream) this.#output += decoder.decode(chunk, { stream: true });
    };
    this.#said = Promise.all([read(process.stdout), read(process.stderr)]).then(() => {});
  }

  /** Starts it with these variables alone; it reads and writes the folder, and reaches loopback. */
  static start(
    name: ProgramName,
    env: Readonly<Record<string, string>>,
    folder: string,
    args: readonly string[] = [],
  ): ProgramProcess {
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        "--allow-net=127.0.0.1,[::ffff:127.0.0.1]",
        "--allow-env",
        "--allow-sys=statfs",
        `--allow-read=${folder}`,
        `--allow-write=${folder}`,
        `${ROOT}${name}.ts`,
        ...args,
      ],
      cwd: folder,
      env: { INGEST_PORT: "0", ENRICH_PORT: "0", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new ProgramProcess(process);
  }

  /** Standard output and standard error so far. */
  get output(): string {
    return this.#output;
  }

  /** The port that it listens on, once it says so. */
  port(): Promise<number> {
    return until(() => {
      const port = /Listening on \S+:(\d+)/.exec(this.#output)?.[1];
      return port === undefined ? undefined : Number(port);
    }, "the program listens");
  }

  /** The exit status, once it has ended and all is read. */
  async ended(): Promise<number> {
    const { code } = await this.#process.status;
    await this.#said;
    return code;
  }

  /** Ends it by SIGTERM. */
  async stop(): Promise<number> {
    try {
      this.#process.kill("SIGTERM");
    } catch {
      // it has ended by itself
    }
    return await this.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
