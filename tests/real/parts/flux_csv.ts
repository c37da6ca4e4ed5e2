/** What InfluxDB 2 answers to Flux: CSV with a line of types above each table's header. */

/** By column; times are nanoseconds as bigint. */
export type FluxRow = Readonly<Record<string, string | number | bigint | null>>;

/** A result of a query, by the name that `yield` gave it. */
export interface FluxTable {
  readonly result: string;
  readonly rows: readonly FluxRow[];
}

const TYPES = "#datatype";

/** The tables of an answer with the annotation `datatype`. Throws where a line has another. */
export function fluxTables(csv: string): FluxTable[] {
  const tables = new Map<string, { result: string; rows: FluxRow[] }>();
  let types: readonly string[] = [];
  let columns: readonly string[] | undefined;
  let section = 0;
  for (const cells of csvLines(csv)) {
    if (cells.length <= 1) continue;
    if (cells[0] === TYPES) {
      types = cells;
      columns = undefined;
      section++;
    } else if (columns === undefined) {
      columns = cells;
    } else {
      const row: Record<string, FluxRow[string]> = {};
      for (const [index, column] of columns.entries()) {
        if (index > 0) row[column] = cellOf(types[index] ?? "", cells[index] ?? "");
      }
      if (row.error !== undefined) throw new Error(`InfluxDB cannot answer: ${row.error}`);
      const { result, table, ...rest } = row;
      const key = `${section} ${table}`;
      const known = tables.get(key) ?? { result: String(result || "_result"), rows: [] };
      known.rows.push(rest);
      tables.set(key, known);
    }
  }
  return [...tables.values()];
}

function cellOf(type: string, text: string): FluxRow[string] {
  if (text === "") return type === "string" ? "" : null;
  if (type === "double" || type === "long" || type === "unsignedLong") return Number(text);
  if (type.startsWith("dateTime")) return nanoseconds(text);
  return text;
}

/** Of `2026-03-28T00:00:00.123456Z`. */
function nanoseconds(time: string): bigint {
  const [, seconds, fraction = ""] = /^(.*?)(?:\.(\d+))?Z$/.exec(time) ?? [];
  return BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}

/** The cells of each line; a quoted one may hold commas, line breaks and doubled quotation marks. */
function* csvLines(csv: string): Generator<string[]> {
  let cells: string[] = [];
  for (
    const [, quoted, plain = "", end] of csv.matchAll(
      /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g,
    )
  ) {
    cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    yield cells;
    cells = [];
  }
}
