/** The real InfluxDBs that are to be had, each asked and written to in the same way. */
import { Influxd } from "./influxd.ts";
import type { FluxTable } from "./flux_csv.ts";
import { Influxd2 } from "./influxd2.ts";
import type { Series, StoredPoint } from "./influxql.ts";
import type { Environment } from "./programs.ts";

const DATABASE = "home";

/** One that is running, with an empty database or bucket. */
export interface RealInfluxDb extends AsyncDisposable {
  readonly url: string;
  /** How enrich finds it; `url` is that of a proxy where one stands before it. */
  env(url?: string): Environment;
  /** Runs a query of InfluxQL; times are nanoseconds as bigint. Throws what the server says where it fails. */
  query(influxql: string): Promise<Series[]>;
  /** Runs a query of Flux, where it speaks that. Throws what the server says where it fails. */
  readonly flux?: (query: string) => Promise<FluxTable[]>;
  /** Every point of every measurement, or those that `where` lets through. */
  allPoints(where?: string): Promise<StoredPoint[]>;
  /** Writes lines, whose times are nanoseconds, as any client does. Throws what the server says where it refuses one. */
  write(lines: string): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Starts it on the same data and port; returns when it answers. */
  startAgain(): Promise<void>;
}

async function version1(program?: string): Promise<RealInfluxDb> {
  const influxd = await Influxd.start(undefined, program);
  await influxd.createDatabase(DATABASE);
  return {
    url: influxd.url,
    env: (url = influxd.url) => ({ INFLUXDB_URL: url, INFLUXDB_DATABASE: DATABASE }),
    query: (influxql) => influxd.query(influxql, DATABASE),
    allPoints: (where) => influxd.allPoints(DATABASE, where),
    write: (lines) => influxd.write(DATABASE, lines),
    kill: () => influxd.kill(),
    startAgain: () => influxd.startAgain(),
    [Symbol.asyncDispose]: () => influxd[Symbol.asyncDispose](),
  };
}

async function version2(): Promise<RealInfluxDb> {
  const influxd = await Influxd2.start();
  return {
    url: influxd.url,
    env: (url = influxd.url) => ({ ...influxd.env, INFLUXDB_URL: url }),
    query: (influxql) => influxd.query(influxql),
    flux: (query) => influxd.flux(query),
    allPoints: (where) => influxd.allPoints(where),
    write: (lines) => influxd.write(lines),
    kill: () => influxd.kill(),
    startAgain: () => influxd.startAgain(),
    [Symbol.asyncDispose]: () => influxd[Symbol.asyncDispose](),
  };
}

const named113 = Deno.env.get("INFLUXD_1_13");

/**
 * By name: Debian's 1.6.7, a 2.7 where `Influxd2` looks for it, and a 1.13 where INFLUXD_1_13 is
 * the path of its `influxd`.
 */
export const REAL_INFLUXDBS: Readonly<Record<string, () => Promise<RealInfluxDb>>> = {
  "InfluxDB 1.6": () => version1(),
  "InfluxDB 2.7": version2,
  ...(named113 ? { "InfluxDB 1.13": () => version1(named113) } : {}),
};
