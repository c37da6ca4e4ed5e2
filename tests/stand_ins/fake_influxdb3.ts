/**
 * What InfluxDB 3 answers to writes, by its source (influxdb3_server/src/http.rs and
 * influxdb3_write/src/write_buffer/validator.rs of the releases 3.0.0 to 3.10.1): there was none to
 * ask. It is set as the trouble of a FakeInfluxDb, whose socket it speaks by.
 */
import type { ReceivedRequest, ScriptedAnswer } from "./fake_influxdb.ts";
import { parseLine, type ReceivedPoint, splitLines } from "./fake_influxdb_store.ts";

interface LineError {
  readonly error_message: string;
  readonly line_number: number;
  readonly original_line: string;
}

export class FakeInfluxDb3 {
  readonly points = new Map<string, ReceivedPoint>();
  /** What there is; the first write of anything, and be it nothing, makes another. */
  readonly databases = new Set<string>();
  maxDatabases = 5;
  maxTables = 2_000;
  maxColumns = 500;
  /** Before 3.0.0: whether the first write to a table settles its tags. */
  hasFixedTags = false;
  /** Without one it runs `--without-auth`. */
  token: string | undefined;
  /** 3.5 and newer do not say by the endpoint of 2.x which line they refuse; 3.9 counts tables in other words. */
  release: "3.4" | "3.5" | "3.9" = "3.9";
  /** What Cloud and Clustered do not have. */
  hasWriteLp = true;
  /** What becomes of the list of refused lines on its way: proxies and other releases may do anything. */
  changesErrors = (errors: readonly LineError[]): readonly LineError[] => errors;
  /** The columns of each table, with their types. */
  readonly #tables = new Map<string, Map<string, string>>();

  /** As a trouble of FakeInfluxDb. */
  readonly answer = ({ method, path, query, headers, body }: ReceivedRequest): ScriptedAnswer => {
    if (this.token !== undefined && headers.authorization !== `Token ${this.token}`) {
      return { status: 401, body: '{"error": "the request was not authenticated"}' };
    }
    const isWriteLp = path === "/api/v3/write_lp" && this.hasWriteLp;
    if (method !== "POST" || !isWriteLp && path !== "/api/v2/write") {
      return { status: 404, body: "Not found" };
    }
    const needed = isWriteLp
      ? query.has("db") && query.get("precision") === "nanosecond"
      : query.has("bucket") && query.get("precision") === "ns";
    if (!needed) return { status: 400, body: "missing query parameters" };
    const database = query.get("db") ?? query.get("bucket") ?? "";
    if (!this.databases.has(database) && this.databases.size >= this.maxDatabases) {
      const error = `Adding a new database would exceed limit of ${this.maxDatabases} databases`;
      return { status: 422, body: JSON.stringify({ error }) };
    }
    this.databases.add(database);
    const lines = splitLines(body);
    if (lines.length === 0) {
      return isWriteLp || this.release === "3.4"
        ? { status: 400, body: "incoming write was empty" }
        : this.#invalid("write buffer error: incoming write was empty");
    }
    return isWriteLp ? this.#partial(lines) : this.#allOrNothing(lines);
  };

  #partial(lines: readonly string[]): ScriptedAnswer {
    const errors = lines.flatMap((line, index) => this.#take(line, index) ?? []);
    if (errors.length === 0) return { status: 204 };
    const isLimit = errors.some(({ error_message }) =>
      /^(Update to schema would exceed number of|Adding a new database would)/.test(error_message)
    );
    const error = "partial write of line protocol occurred";
    return {
      status: isLimit ? 422 : 400,
      body: JSON.stringify({ error, data: this.changesErrors(errors) }),
    };
  }

  #allOrNothing(lines: readonly string[]): ScriptedAnswer {
    const tables = structuredClone(this.#tables);
    const points = new Map(this.points);
    for (const [index, line] of lines.entries()) {
      const failure = this.#take(line, index);
      if (!failure) continue;
      this.#tables.clear();
      for (const [name, columns] of tables) this.#tables.set(name, columns);
      this.points.clear();
      for (const [key, point] of points) this.points.set(key, point);
      return this.release === "3.4"
        ? {
          status: 400,
          body: JSON.stringify({ error: "parsing failed for write_lp endpoint", data: failure }),
        }
        : this.#invalid(
          `write buffer error: line protocol parse failed: ${failure.error_message}`,
        );
    }
    return { status: 204 };
  }

  #invalid(message: string): ScriptedAnswer {
    return { status: 400, body: JSON.stringify({ code: "invalid", message }) };
  }

  #take(line: string, index: number): LineError | undefined {
    const point = parseLine(line, 2);
    const { measurement, tags, fields, timeNs } = point;
    const wrong = this.#wrongWith(point);
    if (wrong !== undefined) {
      const original = this.release === "3.4" ? line : line.slice(0, 20);
      return { error_message: wrong, line_number: index + 1, original_line: original };
    }
    const key = JSON.stringify([measurement, [...tags].sort(), String(timeNs)]);
    const before = this.points.get(key)?.fields ?? [];
    this.points.set(key, { ...point, fields: new Map([...before, ...fields]) });
    return undefined;
  }

  #wrongWith({ measurement, tags, fields }: ReceivedPoint): string | undefined {
    const known = this.#tables.get(measurement);
    if (!known && this.#tables.size >= this.maxTables) {
      return this.release === "3.9"
        ? "Update to schema would exceed number of tables limit: attempted to create table but " +
          `already have ${this.#tables.size} table(s) (limit: ${this.maxTables})`
        : `Update to schema would exceed number of tables limit of ${this.maxTables} tables`;
    }
    const columns = new Map(known);
    const wanted = [
      ...[...tags.keys()].map((name) => [name, "iox::column_type::tag"] as const),
      ...[...fields].map(([name, value]) =>
        [
          name,
          `iox::column_type::field::${typeof value === "number" ? "float" : typeof value}`,
        ] as const
      ),
    ];
    for (const [name, type] of wanted) {
      const existing = columns.get(name);
      if (existing !== undefined && existing !== type) {
        return `invalid column type for column '${name}', expected ${existing}, got ${type}`;
      }
      if (existing !== undefined) continue;
      if (known && this.hasFixedTags && tags.has(name)) {
        return `Detected a new tag '${name}' in write. The tag set is immutable on first write to the table.`;
      }
      if (columns.size >= this.maxColumns) {
        return `Update to schema would exceed number of columns per table limit of ${this.maxColumns} columns`;
      }
      columns.set(name, type);
    }
    this.#tables.set(measurement, columns);
  }
}
