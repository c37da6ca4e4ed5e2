/** The stores of the scorecard's rows, and reading them back. */
import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { Influxd } from "../real/parts/influxd.ts";
import type { StoredPoint } from "../real/parts/influxql.ts";
import type { Environment } from "../real/parts/programs.ts";

const DATABASE = "home";

/** A store that enrich writes to, and that can be read back. */
export interface FaultStore {
  readonly url: string;
  /** `url` is that of the proxy before it. */
  env(url: string): Environment;
  points(): Promise<readonly StoredPoint[]>;
}

const fieldsSchema = z.record(z.string(), z.union([z.string(), z.number()]));
const tagsSchema = z.record(z.string(), z.string());

/** The points of a local store, which enrich may have open. */
export function localPoints(path: string): readonly StoredPoint[] {
  using db = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  const select = db.prepare(
    "SELECT measurement, tags, time_ns, fields FROM point JOIN series ON id = series",
  );
  select.setReadBigInts(true);
  return select.all().map(({ measurement, tags, time_ns, fields }) => ({
    measurement: String(measurement),
    tags: tagsSchema.parse(JSON.parse(String(tags))),
    fields: fieldsSchema.parse(JSON.parse(String(fields))),
    timeNs: BigInt(String(time_ns)),
  }));
}

/** A real InfluxDB 1 with an empty database. */
export async function influxdStore(
  resources: AsyncDisposableStack,
): Promise<FaultStore & { readonly influxd: Influxd }> {
  const influxd = resources.use(await Influxd.start());
  await influxd.createDatabase(DATABASE);
  return {
    influxd,
    url: influxd.url,
    env: (url) => ({ INFLUXDB_URL: url, INFLUXDB_DATABASE: DATABASE }),
    points: () => influxd.allPoints(DATABASE),
  };
}
