/** What an InfluxDB 1 holds, or a 2 by way of the same queries. */
import * as z from "zod";

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

export class InfluxQl {
  constructor(private readonly url: string, private readonly headers: Headers) {}

  /** Runs a query; times are nanoseconds as bigint. Throws what the server says where it fails. */
  async query(influxql: string, database = ""): Promise<Series[]> {
    const response = await fetch(`${this.url}/query`, {
      method: "POST",
      headers: this.headers,
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
