/** Where the programs under measurement store, and what can be read of it there. */
import { describeError } from "../lib/retry.ts";
import { ConfigError } from "../lib/settings/settings_reader.ts";
import { Influxd } from "../tests/real/parts/influxd.ts";
import { Influxd2 } from "../tests/real/parts/influxd2.ts";
import type { Series } from "../tests/real/parts/influxql.ts";
import { run } from "../tests/real/parts/process.ts";
import type { Environment } from "../tests/real/parts/programs.ts";
import { NoStore } from "./no_store.ts";
import { numberOf, valueOf } from "./numbered_house.ts";
import { VictoriaMetrics } from "./victoria_metrics.ts";

export const STORES = ["none", "local", "influxdb-1", "influxdb-2.7", "victoriametrics"] as const;
export type StoreName = typeof STORES[number];

/** Events that were fired one after the other. */
export interface Numbers {
  readonly first: number;
  readonly count: number;
  /** No later than the first was fired, in microseconds since 1970. */
  readonly fromUs: number;
}

/** A number that can be read in a store, and the time of its state there, in microseconds since 1970. */
export interface ReadNumber {
  readonly number: number;
  readonly timeUs: number;
}

/** What is readable. */
export interface Readable {
  /** Those of the numbers that are there; one may come twice. */
  read(numbers: Numbers): Promise<ReadNumber[]>;
  /** How many of them that are. It may count one twice, unless `distinct`, which costs more. */
  count(numbers: Numbers, distinct: boolean): Promise<number>;
}

/** A server of line protocol. */
export interface LineStore extends Readable, AsyncDisposable {
  /** How enrich finds it. */
  readonly env: Environment;
  readonly writeUrl: string;
  readonly authorization: string;
}

const DATABASE = "home";

function influxQlReadable(query: (influxQl: string) => Promise<Series[]>): Readable {
  const where = ({ first, count, fromUs }: Numbers) =>
    `FROM "sensor" WHERE time >= ${Math.floor(fromUs)}000 AND "value" >= ${valueOf(first)} ` +
    `AND "value" < ${valueOf(first + count)}`;
  return {
    read: async (numbers) =>
      (await query(`SELECT "value" ${where(numbers)}`)).flatMap(({ values }) =>
        values.map(([time, value]) => ({
          number: numberOf(Number(value)),
          timeUs: Number(time) / 1000,
        }))
      ),
    count: async (numbers, distinct) => {
      const counted = distinct ? 'count(distinct("value"))' : 'count("value")';
      const [series] = await query(`SELECT ${counted} ${where(numbers)}`);
      return Number(series?.values[0]?.[1] ?? 0);
    },
  };
}

async function influxDb1(): Promise<LineStore> {
  const { stdout } = await run(["influxd", "version"]);
  if (!/InfluxDB v?1\./.test(stdout)) {
    throw new ConfigError(["--store=influxdb-1 needs an influxd 1.x in PATH (Debian: influxdb)"]);
  }
  const influxd = await Influxd.start();
  await influxd.createDatabase(DATABASE);
  return {
    env: { INFLUXDB_URL: influxd.url, INFLUXDB_DATABASE: DATABASE },
    writeUrl: `${influxd.url}/write?db=${DATABASE}`,
    authorization: "",
    ...influxQlReadable((influxQl) => influxd.query(influxQl, DATABASE)),
    [Symbol.asyncDispose]: () => influxd[Symbol.asyncDispose](),
  };
}

async function influxDb2(): Promise<LineStore> {
  const influxd = await Influxd2.start().catch((error: unknown) => {
    throw new ConfigError([`--store=influxdb-2.7: ${describeError(error)}`]);
  });
  const { env } = influxd;
  return {
    env,
    writeUrl: `${influxd.url}/api/v2/write?org=${env.INFLUXDB_ORG}&bucket=${env.INFLUXDB_BUCKET}`,
    authorization: `Token ${env.INFLUXDB_TOKEN}`,
    ...influxQlReadable((influxQl) => influxd.query(influxQl)),
    [Symbol.asyncDispose]: () => influxd[Symbol.asyncDispose](),
  };
}

/**
 * Starts a server of line protocol with nothing in it. The local store is a file of enrich's; what
 * is compared with it stores nowhere. Throws ConfigError where the server is not there.
 */
export function openLineStore(name: StoreName): Promise<LineStore> {
  switch (name) {
    case "none":
    case "local":
      return NoStore.start();
    case "influxdb-1":
      return influxDb1();
    case "influxdb-2.7":
      return influxDb2();
    case "victoriametrics":
      return VictoriaMetrics.start();
  }
}
