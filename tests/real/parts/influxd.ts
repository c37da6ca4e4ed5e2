/** A real InfluxDB 1 (Debian's package `influxdb`) on 127.0.0.1, and what it holds. */
import { Buffer } from "node:buffer";
import { z } from "zod";
import { freePort } from "./free_port.ts";
import { Process } from "./process.ts";
import { until } from "../../until.ts";

/** A point as the store gives it back. */
export interface StoredPoint {
  readonly measurement: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, number | string | boolean>>;
  /** Nanoseconds since 1970. */
  readonly timeNs: bigint;
}

const cell = z.union([z.bigint(), z.number(), z.string(), z.boolean(), z.null()]);

const answerSchema = z.object({
  results: z.array(z.object({
    error: z.string().optional(),
    series: z.array(z.object({
      name: z.string(),
      tags: z.record(z.string(), z.string()).optional(),
      columns: z.array(z.string()),
      values: z.array(z.array(cell)),
    })).optional(),
  })),
  error: z.string().optional(),
});

export type Series = NonNullable<
  z.infer<typeof answerSchema>["results"][number]["series"]
>[number];

/** Integers that a JavaScript number cannot hold, times among them, become a bigint of their own digits. */
function exact(
  _key: string,
  value: unknown,
  ...[context]: { source?: string }[]
): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? "";
  return /^-?\d+$/.test(source) ? BigInt(source) : value;
}

/** Whom an influxd knows that asks who somebody is. */
export interface InfluxdUser {
  readonly username: string;
  readonly password: string;
}

function configuration(dir: string, port: number, authenticated: boolean): string {
  return `
reporting-enabled = false
bind-address = "127.0.0.1:0"
[meta]
  dir = "${dir}/meta"
[data]
  dir = "${dir}/data"
  wal-dir = "${dir}/wal"
  query-log-enabled = false
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
  static async start(admin?: InfluxdUser): Promise<Influxd> {
    const dir = await Deno.makeTempDir({ prefix: "influxd-" });
    const port = freePort();
    const config = `${dir}/influxdb.conf`;
    await Deno.writeTextFile(config, configuration(dir, port, admin !== undefined));
    const influxd = new Influxd(
      `http://127.0.0.1:${port}`,
      dir,
      () => new Process("influxd", ["influxd", "run", "-config", config]),
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

  async createDatabase(name: string): Promise<void> {
    await this.query(`CREATE DATABASE "${name}"`);
  }

  async createUser({ username, password }: InfluxdUser, privileges = ""): Promise<void> {
    await this.query(`CREATE USER "${username}" WITH PASSWORD '${password}' ${privileges}`);
  }

  /** Runs a query; times are nanoseconds as bigint. Throws what the server says where it fails. */
  async query(influxql: string, database = ""): Promise<Series[]> {
    const response = await fetch(`${this.url}/query`, {
      method: "POST",
      headers: this.#headers(),
      body: new URLSearchParams({
        q: influxql,
        db: database,
        epoch: "ns",
        chunked: "true",
        chunk_size: "5000",
      }),
    });
    const series: Series[] = [];
    for (const line of (await response.text()).split("\n")) {
      if (line === "") continue;
      const chunk = answerSchema.parse(JSON.parse(line, exact));
      const error = chunk.error ?? chunk.results.find((r) => r.error)?.error;
      if (error !== undefined) throw new Error(`${influxql}: ${error}`);
      series.push(...chunk.results.flatMap((result) => result.series ?? []));
    }
    return series;
  }

  /** Every point of every measurement, or those that `where` lets through. */
  async allPoints(database: string, where = ""): Promise<StoredPoint[]> {
    const measurements = (await this.query("SHOW MEASUREMENTS", database))
      .flatMap(({ values }) => values.map(([name]) => String(name)));
    const points: StoredPoint[] = [];
    for (const measurement of measurements) {
      const quoted = measurement.replaceAll(/["\\]/g, "\\$&");
      const all = await this.query(
        `SELECT * FROM "${quoted}" ${where} GROUP BY *`,
        database,
      );
      for (const series of all) points.push(...pointsOf(series));
    }
    return points;
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  /** Starts it on the same data and port; returns when it answers. */
  async startAgain(): Promise<void> {
    this.#process = this.start();
    await this.#untilAnswering();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill();
    await Deno.remove(this.dir, { recursive: true });
  }

  #headers(): Headers {
    const headers = new Headers();
    if (!this.admin) return headers;
    const credentials = Buffer.from(`${this.admin.username}:${this.admin.password}`);
    headers.set("authorization", `Basic ${credentials.toString("base64")}`);
    return headers;
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

/** The points of a series that was asked for with GROUP BY *. A tag that a series lacks is given as "". */
function pointsOf({ name, tags = {}, columns, values }: Series): StoredPoint[] {
  const present = Object.fromEntries(
    Object.entries(tags).filter(([, value]) => value !== ""),
  );
  return values.map((row) => {
    const [time, ...rest] = row;
    const fields: Record<string, number | string | boolean> = {};
    for (const [index, value] of rest.entries()) {
      const column = columns[index + 1];
      if (column === undefined || value === null) continue;
      fields[column] = typeof value === "bigint" ? Number(value) : value;
    }
    return {
      measurement: name,
      tags: present,
      fields,
      timeNs: typeof time === "bigint" ? time : BigInt(Number(time)),
    };
  });
}
