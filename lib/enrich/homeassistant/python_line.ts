/**
 * A point as the line that the Python clients of Home Assistant's own `influxdb` integration
 * write: for InfluxDB 1 influxdb 5.3.1 (line_protocol.py), for 2 and 3 influxdb_client 1.24.0
 * (client/write/point.py). So backslashes in names stand double in InfluxDB 1, and a line break in
 * a text is there the two characters `\n`.
 *
 * It differs where InfluxDB would refuse the client's line, store something else than it says, or
 * never give it back (all seen with 1.6.7):
 * - A backslash that would escape what follows it gets a `_` behind: at the end of any name or tag
 *   value; in a measurement before a space, a comma, `=` and `"`; in InfluxDB 2 and 3 everywhere
 *   before the first three of them.
 * - A measurement that makes the line a comment (`#`), or is nothing but tabs, gets a `_` before it.
 * - A tag or field `time` becomes `time_`; where that name is taken, too, it is left out.
 * - A tag or field without a name is left out, as InfluxDB 1's client does.
 * - NUL in names becomes `\0`.
 */
import { pythonFloatText } from "../../settings/python_scalar.ts";
import { checkIdentity, checkNames, checkValue } from "../point_limits.ts";
import type { FieldValue, StorePoint } from "../store.ts";

type Write = (text: string) => string;

/** How one client writes the parts of a line. */
interface Client {
  readonly measurement: Write;
  /** Of a tag or a field; a tag's value, too. */
  readonly name: Write;
  readonly number: (value: number) => string;
  readonly text: Write;
}

const NUL = "\0";
/** A backslash that would escape what follows it. Before these a measurement is stored, but never found again. */
const OPEN_IN_MEASUREMENT = /\\(?=[,= "]|$)/g;
/** Double as InfluxDB 1's client writes it, it escapes nothing but the end of a name. */
const OPEN_IN_1 = /\\$/g;
/** Before these it ends a name too early; behind a tag, a quotation mark then joins this line and the next. */
const OPEN_IN_2 = /\\(?=[,= ]|$)/g;

const INFLUXDB_1: Client = {
  measurement: escaping(`\\ ,=\n${NUL}`, OPEN_IN_MEASUREMENT),
  name: escaping(`\\ ,=\n${NUL}`, OPEN_IN_1),
  number: pythonFloatText,
  text: escaping('\\"\n'),
};

const INFLUXDB_2: Client = {
  measurement: escaping(` ,\n\r\t${NUL}`, OPEN_IN_MEASUREMENT),
  name: escaping(` ,=\n\r\t${NUL}`, OPEN_IN_2),
  number: (value) => pythonFloatText(value).replace(/\.0$/, ""),
  text: escaping('\\"'),
};

const LETTERS: ReadonlyMap<string, string> = new Map([
  ["\n", "n"],
  ["\r", "r"],
  ["\t", "t"],
  [NUL, "0"],
]);

function escaping(special: string, open?: RegExp): Write {
  const pattern = new RegExp(`[${special.replace("\\", "\\\\")}]`, "g");
  return (text) =>
    (open ? text.replace(open, "\\_") : text)
      .replace(pattern, (character) => `\\${LETTERS.get(character) ?? character}`);
}

/**
 * The line of a point, its time in nanoseconds. Tags without a value are left out.
 *
 * Throws an Error whose message names the part that cannot be written: no field, a measurement
 * that is empty, names that are too long, a number that is not finite, a text above 1 MiB, a time beyond the year 2262.
 */
export function pythonLine(point: StorePoint, version: 1 | 2 | 3): string {
  const { measurement, tags, fields, timeNs } = point;
  const client = version === 1 ? INFLUXDB_1 : INFLUXDB_2;
  checkIdentity(point);
  checkNames(point);
  const written = [
    // InfluxDB skips tabs at the beginning of a line
    client.measurement(measurement).replace(/^(?=\t*(?:#|$))/, "_"),
    ...pairs([...tags].filter(([, value]) => value !== ""), client.name, client.name),
  ].join(",");
  const values = pairs([...fields], client.name, (value, name) => valueOf(value, name, client));
  if (values.length === 0) {
    throw new Error("The point has no fields: it must have at least one");
  }
  return `${written} ${values.join(",")} ${timeNs}`;
}

/** Each `name=value`, sorted by name. Where two are written under one name the last one counts. */
function pairs<T>(
  all: readonly (readonly [string, T])[],
  writeName: Write,
  writeValue: (value: T, name: string) => string,
): string[] {
  const written = new Map<string, string>();
  for (const [name, value] of all.toSorted(([a], [b]) => a < b ? -1 : 1)) {
    if (name === "") continue;
    written.set(name === "time" ? "time_" : writeName(name), writeValue(value, name));
  }
  return [...written].map(([name, value]) => `${name}=${value}`);
}

function valueOf(value: FieldValue, name: string, client: Client): string {
  checkValue(name, value);
  return typeof value === "number" ? client.number(value) : `"${client.text(value)}"`;
}
