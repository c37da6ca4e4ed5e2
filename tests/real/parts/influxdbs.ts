/** The real InfluxDBs that are to be had, each asked and written to in the same way. */
import type { InfluxDbOptions } from "../../../lib/enrich/influxdb/influxdb.ts";
import { Influxd } from "./influxd.ts";
import type { FluxTable } from "./flux_csv.ts";
import { Influxd2 } from "./influxd2.ts";
import type { Series, StoredPoint } from "./influxql.ts";
import type { Environment } from "./programs.ts";

const HOME = "home";

export interface RealInfluxDbOptions {
  /** How long it keeps a point, in seconds; 0, the default, for good. */
  readonly retentionS?: number;
}

/** One that is running, with an empty database or bucket. */
export interface RealInfluxDb extends AsyncDisposable {
  readonly url: string;
  /** How enrich finds it; `url` is that of a proxy where one stands before it. */
  env(url?: string): Environment;
  /** How enrich's own adapter finds it. */
  readonly options: InfluxDbOptions;
  /** Runs a query of InfluxQL; times are nanoseconds as bigint. Throws what the server says where it fails. */
  query(influxql: string): Promise<Series[]>;
  /** Runs a query of Flux, where it speaks that. Throws what the server says where it fails. */
  readonly flux?: (query: string) => Promise<FluxTable[]>;
  /** Every point of every measurement, or those that `where` lets through. */
  allPoints(where?: string): Promise<StoredPoint[]>;
  /** Writes lines, whose times are nanoseconds, as any client does. Throws what the server says where it refuses one. */
  write(lines: string): Promise<void>;
  /** Drops its database or bucket, with all that is in it. */
  drop(): Promise<void>;
  /** Makes what was dropped again, empty. */
  create(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Starts it on the same data and port; returns when it answers. */
  startAgain(): Promise<void>;
}

async function version1(
  { retentionS = 0 }: RealInfluxDbOptions,
  program: string,
): Promise<RealInfluxDb> {
  const influxd = await Influxd.start(undefined, program);
  const { url } = influxd;
  await influxd.createDatabase(HOME, retentionS);
  return {
    url,
    env: (by = url) => ({ INFLUXDB_URL: by, INFLUXDB_DATABASE: HOME }),
    options: { url, version: 1, database: HOME },
    query: (influxql) => influxd.query(influxql, HOME),
    allPoints: (where) => influxd.allPoints(HOME, where),
    write: (lines) => influxd.write(HOME, lines),
    drop: async () => void await influxd.query(`DROP DATABASE "${HOME}"`),
    create: () => influxd.createDatabase(HOME, retentionS),
    kill: () => influxd.kill(),
    startAgain: () => influxd.startAgain(),
    [Symbol.asyncDispose]: () => influxd[Symbol.asyncDispose](),
  };
}

async function version2({ retentionS = 0 }: RealInfluxDbOptions): Promise<RealInfluxDb> {
  const influxd = await Influxd2.start();
  const { url, env } = influxd;
  const bucket = retentionS === 0 ? env.INFLUXDB_BUCKET : "kept a while";
  if (bucket !== env.INFLUXDB_BUCKET) await influxd.createBucket(bucket, retentionS);
  return {
    url,
    env: (by = url) => ({ ...env, INFLUXDB_URL: by, INFLUXDB_BUCKET: bucket }),
    options: { url, version: 2, org: env.INFLUXDB_ORG, bucket, token: () => env.INFLUXDB_TOKEN },
    query: (influxql) => influxd.query(influxql, bucket),
    flux: (query) => influxd.flux(query),
    allPoints: (where) => influxd.allPoints(where, bucket),
    write: (lines) => influxd.write(lines, bucket),
    drop: () => influxd.deleteBucket(bucket),
    create: () => influxd.createBucket(bucket, retentionS),
    kill: () => influxd.kill(),
    startAgain: () => influxd.startAgain(),
    [Symbol.asyncDispose]: () => influxd[Symbol.asyncDispose](),
  };
}

const named113 = Deno.env.get("INFLUXD_1_13");

/** The executables of InfluxDB 1: Debian's 1.6.7, and a 1.13 where INFLUXD_1_13 is its path. */
export const INFLUXD_1: Readonly<Record<string, string>> = {
  "InfluxDB 1.6": "influxd",
  ...(named113 ? { "InfluxDB 1.13": named113 } : {}),
};

type Open = (options?: RealInfluxDbOptions) => Promise<RealInfluxDb>;

/** By name: those of `INFLUXD_1`, and a 2.7 where `Influxd2` looks for it. */
export const REAL_INFLUXDBS: Readonly<Record<string, Open>> = {
  ...Object.fromEntries(
    Object.entries(INFLUXD_1).map(([name, program]): [string, Open] => [
      name,
      (options = {}) => version1(options, program),
    ]),
  ),
  "InfluxDB 2.7": (options = {}) => version2(options),
};
