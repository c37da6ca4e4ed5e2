/** Points as the local store's tables have them, and reading them all. */
import type { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import type { Statements } from "../../sqlite.ts";
import type { FieldValue, StorePoint } from "../store.ts";

/**
 * A point's identity is InfluxDB's: measurement, tags and time. `total` spares counting the points.
 * docs/schema.md has queries; a column more would keep 0.1.0 from writing.
 */
export const SCHEMA = `
  CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY,
    measurement TEXT NOT NULL,
    tags TEXT NOT NULL,
    UNIQUE (measurement, tags)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS point (
    series INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (series, time_ns)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS total (points INTEGER NOT NULL) STRICT;
  INSERT INTO total (points) SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM total);
`;

const FIND_SERIES = "SELECT id FROM series WHERE measurement = ? AND tags = ?";
const ADD_SERIES = "INSERT INTO series (measurement, tags) VALUES (?, ?)";
const ADD_POINT =
  "INSERT INTO point (series, time_ns, fields) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
/** RFC 7396 takes null for "delete", but no field is null; numbers keep their text. */
const UNITE_POINT =
  "UPDATE point SET fields = json_patch(fields, ?) WHERE series = ? AND time_ns = ?";

/** Points that `readPoints` holds in memory; each may have texts of 64 KiB. */
const READ_POINTS = 200;

/** All points, by series and time, of which few are in memory; others may be written meanwhile. */
export function* readPoints(db: DatabaseSync): Generator<StorePoint> {
  const page = db.prepare(
    "SELECT series, time_ns, fields, measurement, tags FROM point JOIN series ON id = series " +
      "WHERE (series, time_ns) > (?, ?) ORDER BY series, time_ns LIMIT ?",
  );
  page.setReadBigInts(true);
  let series = 0n;
  let timeNs = 0n;
  for (;;) {
    const rows = page.all(series, timeNs, READ_POINTS);
    if (rows.length === 0) return;
    for (const row of rows) {
      series = BigInt(Number(row.series));
      timeNs = BigInt(String(row.time_ns));
      yield {
        measurement: String(row.measurement),
        tags: textsOf(String(row.tags)),
        fields: valuesOf(String(row.fields)),
        timeNs,
      };
    }
  }
}

/**
 * Within a transaction: writes the points, or unites their fields with what is there, in their order
 * where they are of one series. Returns how many are new.
 */
export function putPoints(statements: Statements, points: readonly StorePoint[]): number {
  const rows = rowsOf(statements, points);
  // what comes together lies together in the file, which costs a third less
  rows.sort((a, b) => a.series - b.series);
  const add = statements.get(ADD_POINT);
  let added = 0;
  for (const { series, point: { fields, timeNs } } of rows) {
    const fieldsJson = jsonOf(fields);
    if (Number(add.run(series, timeNs, fieldsJson).changes) === 1) added++;
    else statements.get(UNITE_POINT).run(fieldsJson, series, timeNs);
  }
  return added;
}

interface Row {
  readonly series: number;
  readonly point: StorePoint;
}

/** The points with their series, which are found, or made, once for points that share their tags. */
function rowsOf(statements: Statements, points: readonly StorePoint[]): Row[] {
  const known = new Map<StorePoint["tags"], Row>();
  return points.map((point) => {
    const { measurement, tags } = point;
    const last = known.get(tags);
    if (last?.point.measurement === measurement) return { series: last.series, point };
    const row = { series: seriesOf(statements, point), point };
    known.set(tags, row);
    return row;
  });
}

function seriesOf(statements: Statements, { measurement, tags }: StorePoint): number {
  // to InfluxDB, a tag without a value is none
  const tagsJson = jsonOf([...tags].filter(([, value]) => value !== "").sort(byName));
  const id = statements.get(FIND_SERIES).get(measurement, tagsJson)?.id ??
    statements.get(ADD_SERIES).run(measurement, tagsJson).lastInsertRowid;
  return Number(id);
}

/** `fromEntries` defines its members, so that `__proto__` is a name like any other. */
function jsonOf(entries: Iterable<readonly [string, FieldValue]>): string {
  return JSON.stringify(Object.fromEntries(entries));
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

const valuesSchema = z.array(z.tuple([z.string(), z.union([z.number(), z.string()])]));
const textsSchema = z.array(z.tuple([z.string(), z.string()]));

function valuesOf(json: string): ReadonlyMap<string, FieldValue> {
  return new Map(valuesSchema.parse(Object.entries(JSON.parse(json))));
}

function textsOf(json: string): ReadonlyMap<string, string> {
  return new Map(textsSchema.parse(Object.entries(JSON.parse(json))));
}
