/** A child process of a test: its output is kept, and shown when the test fails. */
import { until } from "../../until.ts";

const LINES_SHOWN = 80;

/** Every process that the running test has started. */
const started: Process[] = [];

export interface Usage {
  readonly rssMb: number;
  readonly cpuSeconds: number;
}

export interface ProcessOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** What a program under test gets of the environment: to be found, and to find what is installed. */
function inherited(): Record<string, string> {
  const wanted = /^(PATH|HOME|TMPDIR|DENO_.*|NPM_CONFIG_.*)$/i;
  return Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => wanted.test(name)),
  );
}

/**
 * A command that bash turns itself into (`exec`), so that its pid is the program's own.
 * Through bash because the programs' paths (Home Assistant's virtual environment, the
 * Deno that npx brought) are not known when `--allow-run` is written.
 */
function command(words: readonly string[], options: Deno.CommandOptions): Deno.Command {
  return new Deno.Command("bash", {
    args: ["-c", 'exec "$@"', "bash", ...words],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...options,
  });
}

/** Runs a tool to its end. Does not throw where it fails: `code` tells. */
export async function run(
  words: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await command(words, {}).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

export class Process implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<unknown>;
  #output = "";
  #status: Deno.CommandStatus | undefined;

  /** Starts the command. `name` stands above its output. */
  constructor(
    readonly name: string,
    words: readonly string[],
    { env = {}, cwd }: ProcessOptions = {},
  ) {
    this.#child = command(words, {
      env: { ...inherited(), ...env },
      clearEnv: true,
      ...(cwd === undefined ? {} : { cwd }),
    }).spawn();
    this.#reading = Promise.all([
      this.#read(this.#child.stdout),
      this.#read(this.#child.stderr),
      this.#child.status.then((status) => this.#status = status),
    ]);
    started.push(this);
  }

  get pid(): number {
    return this.#child.pid;
  }

  get output(): string {
    return this.#output;
  }

  get running(): boolean {
    return this.#status === undefined;
  }

  /** Its exit status, once it has ended. */
  async ended(): Promise<Deno.CommandStatus> {
    await this.#reading;
    return await this.#child.status;
  }

  /** SIGSTOP: from now on it does nothing, and its sockets stay open. */
  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  /** SIGCONT. */
  resume(): void {
    this.#child.kill("SIGCONT");
  }

  /** SIGKILL; returns when it is gone. */
  async kill(): Promise<void> {
    if (this.running) this.#child.kill("SIGKILL");
    await this.ended();
  }

  /** SIGTERM; returns its exit code. Throws where it has not ended after `limitMs`. */
  async stop(limitMs = 120_000): Promise<number> {
    if (this.running) this.#child.kill("SIGTERM");
    await until(() => !this.running, `${this.name} has ended`, { limitMs });
    return (await this.ended()).code;
  }

  /** Resident memory now, and processor time since its start. Linux only. */
  async usage(): Promise<Usage> {
    // Deno reads nothing below /proc without all permissions
    const { code, stdout } = await run([
      "cat",
      `/proc/${this.pid}/status`,
      `/proc/${this.pid}/stat`,
    ]);
    const rssKb = /VmRSS:\s*(\d+) kB/.exec(stdout)?.[1];
    // the name in brackets may hold spaces; utime and stime are fields 14 and 15, in 1/100 s
    const fields = stdout.slice(stdout.lastIndexOf(")") + 2).split(" ");
    if (code !== 0 || rssKb === undefined) {
      throw new Error(`Cannot read the usage of ${this.name}: it has ended`);
    }
    return {
      rssMb: Number(rssKb) / 1024,
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.#output += text;
    }
  }
}

/** Ends every process that was started and not yet forgotten; returns when they are gone. */
export async function endAll(): Promise<void> {
  await Promise.all(started.map((process) => process.kill()));
}

/** The last lines that the test's processes wrote, and a new start for the next test. */
export function takeOutputs(): string {
  return started.splice(0).map(({ name, pid, output }) => {
    const lines = output.trimEnd().split("\n");
    const cut = lines.length - LINES_SHOWN;
    return [
      `--- ${name} (pid ${pid}) ${cut > 0 ? `… ${cut} lines, then` : ""}`,
      ...lines.slice(-LINES_SHOWN).map((line) => line.slice(0, 500)),
    ].join("\n");
  }).join("\n");
}
