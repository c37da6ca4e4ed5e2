/** A real InfluxDB 2 on 127.0.0.1, whose disk can be a small one of its own. */
import * as z from "zod";
import { type FluxTable, fluxTables } from "./flux_csv.ts";
import { freePort } from "./free_port.ts";
import { InfluxQl, type Series, type StoredPoint } from "./influxql.ts";
import { Process, run } from "./process.ts";
import type { Environment } from "./programs.ts";
import { until } from "../../until.ts";

const ORG = "home";
const BUCKET = "home";
const TOKEN = "token-of-the-test";

const orgsSchema = z.object({ orgs: z.array(z.object({ id: z.string() })) });
const bucketsSchema = z.object({ buckets: z.array(z.object({ id: z.string() })) });
const tokenSchema = z.object({ id: z.string(), token: z.string() });

/** A token beside that of `env`. */
export type Influxd2Token = z.infer<typeof tokenSchema>;

async function succeed(words: readonly string[], wish: string): Promise<void> {
  const { code, stderr } = await run(words);
  if (code !== 0) throw new Error(`Cannot run ${words.join(" ")}: ${stderr.trim()}; ${wish}`);
}

/** The executable of a 2.x: INFLUXD_2_7 names it, or it is the machine's `influxd`. */
async function executable(): Promise<string> {
  const named = Deno.env.get("INFLUXD_2_7");
  if (named) return named;
  const { stdout } = await run(["influxd", "version"]);
  if (/InfluxDB v?2\./.test(stdout)) return "influxd";
  throw new Error("Cannot start InfluxDB 2: let INFLUXD_2_7 be the path of its `influxd` (2.7)");
}

export class Influxd2 implements AsyncDisposable {
  #process: Process;

  private constructor(
    readonly url: string,
    private readonly dir: string,
    private readonly start: () => Process,
    /** Where its own disk is mounted. */
    private readonly disk: string | undefined,
  ) {
    this.#process = start();
  }

  /** With `diskMb` what it stores has a disk of that size. Only root can mount one. */
  static async start(diskMb?: number): Promise<Influxd2> {
    const program = await executable();
    const dir = await Deno.makeTempDir({ prefix: "influxd2-" });
    await Deno.mkdir(`${dir}/engine`);
    if (diskMb !== undefined) {
      await succeed(
        ["mount", "-t", "tmpfs", "-o", `size=${diskMb}m`, "tmpfs", `${dir}/engine`],
        "run this test as root",
      );
    }
    const port = freePort();
    const words = [program, "run", "--reporting-disabled", "--log-level=warn"]
      .concat(`--http-bind-address=127.0.0.1:${port}`, `--engine-path=${dir}/engine`)
      .concat(`--bolt-path=${dir}/influxd.bolt`, `--sqlite-path=${dir}/influxd.sqlite`);
    const url = `http://127.0.0.1:${port}`;
    const start = () => new Process("influxd 2", words);
    const disk = diskMb === undefined ? undefined : `${dir}/engine`;
    const influxd = new Influxd2(url, dir, start, disk);
    try {
      await influxd.#untilAnswering();
      await influxd.#setUp();
      return influxd;
    } catch (error) {
      await influxd[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** How enrich finds it. */
  get env(): Environment & Record<"INFLUXDB_ORG" | "INFLUXDB_TOKEN", string> {
    return {
      INFLUXDB_URL: this.url,
      INFLUXDB_ORG: ORG,
      INFLUXDB_BUCKET: BUCKET,
      INFLUXDB_TOKEN: TOKEN,
    };
  }

  allPoints(where = "", bucket = BUCKET): Promise<StoredPoint[]> {
    return this.#influxQl().allPoints(bucket, where);
  }

  /** Runs a query of InfluxQL; times are nanoseconds as bigint. Throws what the server says where it fails. */
  query(influxql: string, bucket = BUCKET): Promise<Series[]> {
    return this.#influxQl().query(influxql, bucket);
  }

  /** Runs a query of Flux. Throws what the server says where it fails. */
  async flux(query: string): Promise<FluxTable[]> {
    const dialect = { annotations: ["datatype"], header: true };
    return fluxTables(await this.#api(`query?org=${ORG}`, { query, dialect }));
  }

  /** Another bucket beside that of `env`. `retentionS`: seconds, 0 for good. */
  async createBucket(name: string, retentionS = 0): Promise<void> {
    const retentionRules = retentionS === 0 ? [] : [{ type: "expire", everySeconds: retentionS }];
    await this.#api("buckets", { orgID: await this.#orgId(), name, retentionRules });
  }

  /** Has a bucket keep its points for so many seconds. */
  async keepFor(name: string, retentionS: number): Promise<void> {
    const found = await this.#api(`buckets?org=${ORG}&name=${encodeURIComponent(name)}`);
    const { buckets: [bucket] } = bucketsSchema.parse(JSON.parse(found));
    const retentionRules = [{ type: "expire", everySeconds: retentionS }];
    await this.#api(`buckets/${bucket?.id}`, { retentionRules }, "PATCH");
  }

  async deleteBucket(name: string): Promise<void> {
    const found = await this.#api(`buckets?org=${ORG}&name=${encodeURIComponent(name)}`);
    const { buckets } = bucketsSchema.parse(JSON.parse(found));
    for (const { id } of buckets) await this.#api(`buckets/${id}`, undefined, "DELETE");
  }

  /** A token that may do that with every bucket, and nothing else. */
  async createToken(action: "read" | "write"): Promise<Influxd2Token> {
    const orgID = await this.#orgId();
    const permissions = [{ action, resource: { type: "buckets", orgID } }];
    return tokenSchema.parse(JSON.parse(await this.#api("authorizations", { orgID, permissions })));
  }

  async setTokenActive({ id }: Influxd2Token, active: boolean): Promise<void> {
    const status = active ? "active" : "inactive";
    await this.#api(`authorizations/${id}`, { status }, "PATCH");
  }

  /** Writes lines, whose times are nanoseconds, as any client does. Throws what the server says where it refuses them. */
  async write(lines: string, bucket = BUCKET): Promise<void> {
    await this.#api(`write?org=${ORG}&bucket=${encodeURIComponent(bucket)}`, lines);
  }

  /** Fills its disk with another file. */
  async fillDisk(): Promise<void> {
    await run(["dd", "if=/dev/zero", `of=${this.dir}/engine/filler`, "bs=64k"]);
  }

  async freeDisk(): Promise<void> {
    await Deno.remove(`${this.dir}/engine/filler`);
  }

  /** Ends it as a supervisor does, and starts it again on the same data and port. */
  async restart(): Promise<void> {
    await this.#process.stop();
    await this.startAgain();
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
    if (this.disk !== undefined) await succeed(["umount", this.disk], "unmount it");
    await Deno.remove(this.dir, { recursive: true });
  }

  #influxQl(): InfluxQl {
    return new InfluxQl(this.url, new Headers({ authorization: `Token ${TOKEN}` }));
  }

  async #orgId(): Promise<string> {
    const { orgs } = orgsSchema.parse(JSON.parse(await this.#api(`orgs?org=${ORG}`)));
    return z.string().parse(orgs[0]?.id);
  }

  async #api(
    path: string,
    body?: string | object,
    method = body === undefined ? "GET" : "POST",
  ): Promise<string> {
    const response = await fetch(`${this.url}/api/v2/${path}`, {
      method,
      headers: {
        authorization: `Token ${TOKEN}`,
        ...(typeof body === "object" ? { "content-type": "application/json" } : {}),
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return text;
  }

  async #setUp(): Promise<void> {
    const response = await fetch(`${this.url}/api/v2/setup`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        username: "admin",
        password: "password-of-the-test",
        org: ORG,
        bucket: BUCKET,
        token: TOKEN,
      }),
    });
    if (response.status !== 201) throw new Error(`Cannot set up: ${await response.text()}`);
    await response.body?.cancel();
  }

  async #untilAnswering(): Promise<void> {
    await until(async () => {
      if (!this.#process.running) return "ended";
      const response = await fetch(`${this.url}/health`);
      await response.body?.cancel();
      return response.ok && "answers";
    }, "influxd 2 answers");
    if (!this.#process.running) throw new Error(`Cannot start influxd 2: ${this.#process.output}`);
  }
}
