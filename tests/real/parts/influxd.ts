/** A real InfluxDB 1 (Debian's package `influxdb`, or an executable that is named) on 127.0.0.1, and what it holds. */
import { Buffer } from "node:buffer";
import { freePort } from "./free_port.ts";
import { InfluxQl, type Series, type StoredPoint } from "./influxql.ts";
import { Process } from "./process.ts";
import { until } from "../../until.ts";

export type { Series, StoredPoint } from "./influxql.ts";

/** Whom an influxd knows that asks who somebody is. */
export interface InfluxdUser {
  readonly username: string;
  readonly password: string;
}

/** Limits of a database; 0 is none. */
export type InfluxdLimits = Readonly<
  Partial<Record<"max-series-per-database" | "max-values-per-tag", number>>
>;

function configuration(
  dir: string,
  port: number,
  authenticated: boolean,
  limits: InfluxdLimits,
): string {
  return `
reporting-enabled = false
bind-address = "127.0.0.1:0"
[meta]
  dir = "${dir}/meta"
[data]
  dir = "${dir}/data"
  wal-dir = "${dir}/wal"
  query-log-enabled = false
${Object.entries(limits).map(([name, count]) => `  ${name} = ${count}`).join("\n")}
[http]
  bind-address = "127.0.0.1:${port}"
  log-enabled = false
  auth-enabled = ${authenticated}
[monitor]
  store-enabled = false
[continuous_queries]
  enabled = false
[logging]
  level = "warn"
`;
}

export class Influxd implements AsyncDisposable {
  #process: Process;

  private constructor(
    readonly url: string,
    private readonly dir: string,
    private readonly start: () => Process,
    private readonly admin: InfluxdUser | undefined,
  ) {
    this.#process = start();
  }

  /** With an administrator it asks everybody else for name and password, too. */
  static async start(admin?: InfluxdUser, program = "influxd"): Promise<Influxd> {
    const dir = await Deno.makeTempDir({ prefix: "influxd-" });
    const port = freePort();
    const config = `${dir}/influxdb.conf`;
    await Deno.writeTextFile(
      config,
      configuration(dir, port, admin !== undefined, {}),
    );
    const influxd = new Influxd(
      `http://127.0.0.1:${port}`,
      dir,
      () => new Process("influxd", [program, "run", "-config", config]),
      admin,
    );
    try {
      await influxd.#untilAnswering();
      if (admin) await influxd.createUser(admin, "WITH ALL PRIVILEGES");
      return influxd;
    } catch (error) {
      await influxd[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** `retentionS`: seconds, 0 for good. */
  async createDatabase(name: string, retentionS = 0): Promise<void> {
    const duration = retentionS === 0 ? "" : ` WITH DURATION ${retentionS}s`;
    await this.query(`CREATE DATABASE "${name}"${duration}`);
  }

  async createUser({ username, password }: InfluxdUser, privileges = ""): Promise<void> {
    await this.query(`CREATE USER "${username}" WITH PASSWORD '${password}' ${privileges}`);
  }

  /** Writes lines, whose times are nanoseconds, as any client does. Throws what the server says where it refuses one. */
  async write(database: string, lines: string): Promise<void> {
    const url = `${this.url}/write?db=${encodeURIComponent(database)}`;
    const response = await fetch(url, { method: "POST", body: lines });
    const text = await response.text();
    if (!response.ok) throw new Error(`POST ${url}: ${response.status} ${text}`);
  }

  /** Runs a query; times are nanoseconds as bigint. Throws what the server says where it fails. */
  query(influxql: string, database = ""): Promise<Series[]> {
    return this.#influxQl().query(influxql, database);
  }

  /** Every point of every measurement, or those that `where` lets through. */
  allPoints(database: string, where = ""): Promise<StoredPoint[]> {
    return this.#influxQl().allPoints(database, where);
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  /** SIGSTOP. */
  pause(): void {
    this.#process.pause();
  }

  /** SIGCONT. */
  resume(): void {
    this.#process.resume();
  }

  /** Starts it on the same data and port; returns when it answers. */
  async startAgain(): Promise<void> {
    this.#process = this.start();
    await this.#untilAnswering();
  }

  /** Starts it again, with these limits; without any it has InfluxDB's own. */
  async limit(limits: InfluxdLimits): Promise<void> {
    await this.kill();
    const port = Number(new URL(this.url).port);
    const text = configuration(this.dir, port, this.admin !== undefined, limits);
    await Deno.writeTextFile(`${this.dir}/influxdb.conf`, text);
    await this.startAgain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill();
    await Deno.remove(this.dir, { recursive: true });
  }

  #influxQl(): InfluxQl {
    const headers = new Headers();
    if (this.admin) {
      const credentials = Buffer.from(`${this.admin.username}:${this.admin.password}`);
      headers.set("authorization", `Basic ${credentials.toString("base64")}`);
    }
    return new InfluxQl(this.url, headers);
  }

  async #untilAnswering(): Promise<void> {
    await until(async () => {
      if (!this.#process.running) return "ended";
      const response = await fetch(`${this.url}/ping`);
      await response.body?.cancel();
      return response.status === 204 && "answers";
    }, "influxd answers");
    if (!this.#process.running) {
      throw new Error(
        `Cannot start influxd: ${this.#process.output}; install the package influxdb`,
      );
    }
  }
}
