/** Points into an SQLite file of enrich's own, where no InfluxDB is set. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { describeError } from "../../retry.ts";
import { isCorrupt, isFull, openDatabase, Statements, transaction } from "../../sqlite.ts";
import { PresentHouse } from "./present_house.ts";
import { Pruning } from "./pruning.ts";
import { checkFields, checkIdentity } from "../point_limits.ts";
import {
  type FieldValue,
  type PointOutcome,
  type Store,
  type StorePoint,
  type StoreStatus,
  StoreUnavailable,
} from "../store.ts";

/** A point's identity is InfluxDB's: measurement, tags and time. `total` spares counting the points. */
const SCHEMA = `
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
const USER_VERSION = 1;
const CORRUPT_WISH = "move the file away, and the next start makes a new one";

const NANOSECONDS_PER_MS = 1_000_000n;
const MS_PER_DAY = 86_400_000;
/** Points that `read` holds in memory; each may have texts of 64 KiB. */
const READ_POINTS = 200;

/** The embedded store; one process at a time. */
export class LocalStore implements Store {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  readonly #path: string;
  readonly #days: number;
  readonly #pruning: Pruning;
  /** For the page. */
  readonly presentHouse: PresentHouse;
  #problem: string | undefined;

  /**
   * Opens, or makes, the file. `days` is how long points are kept, counted from their own
   * time. Throws an Error with a hint where another process holds the file, or it is damaged or too new.
   */
  constructor(path: string, { days }: { readonly days: number }) {
    this.#path = path;
    this.#days = days;
    try {
      this.#db = openDatabase(path, { userVersion: USER_VERSION, schema: SCHEMA });
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      throw new Error(`Cannot open ${path}: ${describeError(error)}; ${CORRUPT_WISH}`, {
        cause: error,
      });
    }
    this.presentHouse = new PresentHouse(this.#db);
    this.#pruning = new Pruning(this.#db);
    this.#statements = new Statements(this.#db);
  }

  /**
   * One transaction a batch: on the disk when it returns. What InfluxDB would not take as a
   * point is refused. A point older than what is kept is stored, until the next `prune`.
   */
  write(points: readonly StorePoint[]): Promise<readonly PointOutcome[]> {
    return Promise.try(() =>
      this.#attempt(() => {
        let added = 0;
        const outcomes = points.map((point): PointOutcome => {
          try {
            checkPoint(point);
          } catch (error) {
            return { kind: "refused", reason: describeError(error) };
          }
          if (this.#put(point)) added++;
          return { kind: "stored" };
        });
        this.#changeTotal(added);
        return outcomes;
      })
    );
  }

  async probe(): Promise<void> {
    try {
      await this.write([]);
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  /**
   * Deletes what is older than the days that are kept, a little at a time so that writes
   * come between, and returns how many points that were. The file does not shrink: its
   * pages are used again. Abort the signal before closing. Throws StoreUnavailable.
   */
  async prune(nowMs: number, signal: AbortSignal): Promise<number> {
    const beforeNs = BigInt(Math.floor(nowMs - this.#days * MS_PER_DAY)) * NANOSECONDS_PER_MS;
    let pruned = 0;
    let next: number | undefined = 0;
    while (next !== undefined && !signal.aborted) {
      const first: number = next;
      const step = this.#attempt(() => {
        const done = this.#pruning.step(first, beforeNs);
        if (done.pruned > 0) this.#changeTotal(-done.pruned);
        return done;
      });
      next = step.next;
      pruned += step.pruned;
      await nextTurn();
    }
    return pruned;
  }

  /** How many there are; does not look at the points. */
  counts(): { readonly series: number; readonly points: number } {
    const query = "SELECT points, (SELECT count(*) FROM series) AS series FROM total";
    const row = this.#db.prepare(query).get();
    return { series: Number(row?.series), points: Number(row?.points) };
  }

  /** The file's size in bytes, without the write-ahead log (some 4 MB). */
  sizeBytes(): number {
    const sizes = "SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size";
    return Number(this.#db.prepare(sizes).get()?.bytes);
  }

  /** All points, by series and time, of which few are in memory; others may be written meanwhile. */
  *read(): Generator<StorePoint> {
    const page = this.#db.prepare(
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

  status(): StoreStatus {
    return {
      description: `the local store ${this.#path} (kept for ${this.#days} days)`,
      problem: this.#problem,
    };
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  /** Whether the point is a new one. */
  #put({ measurement, tags, fields, timeNs }: StorePoint): boolean {
    // to InfluxDB, a tag without a value is none
    const tagsJson = jsonOf([...tags].filter(([, value]) => value !== "").sort(byName));
    const fieldsJson = jsonOf(fields);
    const id = this.#statements.get(FIND_SERIES).get(measurement, tagsJson)?.id ??
      this.#statements.get(ADD_SERIES).run(measurement, tagsJson).lastInsertRowid;
    const series = Number(id);
    const isNew =
      Number(this.#statements.get(ADD_POINT).run(series, timeNs, fieldsJson).changes) === 1;
    if (!isNew) this.#statements.get(UNITE_POINT).run(fieldsJson, series, timeNs);
    return isNew;
  }

  #changeTotal(points: number): void {
    this.#statements.get("UPDATE total SET points = points + ?").run(points);
  }

  /** Runs `work` in a transaction. Throws StoreUnavailable, which then is the problem. */
  #attempt<T>(work: () => T): T {
    try {
      const result = transaction(this.#db, work);
      this.#problem = undefined;
      return result;
    } catch (error) {
      const wish = isFull(error)
        ? "free space on its disk, or lower LOCAL_STORE_DAYS"
        : isCorrupt(error)
        ? CORRUPT_WISH
        : "check the disk, and the permissions of DATA_DIR";
      this.#problem = `Cannot write ${this.#path}: ${describeError(error)}; ${wish}`;
      throw new StoreUnavailable(this.#problem);
    }
  }
}

/** Throws an Error that says why the point cannot be stored. */
function checkPoint(point: StorePoint): void {
  checkIdentity(point);
  checkFields(point);
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

/** `fromEntries` defines its members, so that `__proto__` is a name like any other. */
function jsonOf(entries: Iterable<readonly [string, FieldValue]>): string {
  return JSON.stringify(Object.fromEntries(entries));
}

const valuesSchema = z.array(z.tuple([z.string(), z.union([z.number(), z.string()])]));
const textsSchema = z.array(z.tuple([z.string(), z.string()]));

function valuesOf(json: string): ReadonlyMap<string, FieldValue> {
  return new Map(valuesSchema.parse(Object.entries(JSON.parse(json))));
}

function textsOf(json: string): ReadonlyMap<string, string> {
  return new Map(textsSchema.parse(Object.entries(JSON.parse(json))));
}
