/**
 * A point as the line that the Python clients of Home Assistant's own `influxdb` integration
 * write: for InfluxDB 1 influxdb 5.3.2 (line_protocol.py), for 2 and 3 influxdb_client 1.50.0
 * (client/write/point.py). So backslashes in names stand double in InfluxDB 1, and a line break in
 * the name of a tag or field is there the two characters `\n`.
 *
 * It differs where InfluxDB would refuse the client's line, store something else than it says, or
 * never give it back (all seen with 1.6.7 and 2.7.12):
 * - A backslash that would escape what follows it gets a `_` behind: at the end of any name or tag
 *   value; in a measurement before a space, a comma, `=` and `"`; in InfluxDB 2 and 3 also in the
 *   name of a field before the first three of them, and in tags where these would be miscounted.
 * - A measurement that makes the line a comment (`#`), or is nothing but tabs, gets a `_` before it.
 * - A tag or field without a name is left out, as InfluxDB 1's client does.
 * - NUL in names and tags becomes `\0`.
 */
import { pythonFloatText } from "../../settings/python_scalar.ts";
import { checkIdentity, checkNames, checkValue, storableTags } from "../point_limits.ts";
import type { FieldValue, StorePoint } from "../store.ts";

type Write = (text: string) => string;

/** How one client writes the parts of a line. */
interface Client {
  readonly measurement: Write;
  /** A tag's name, and its value. */
  readonly tag: Write;
  /** A field's name. */
  readonly field: Write;
  readonly number: (value: number) => string;
  readonly text: Write;
}

const NUL = "\0";
/** A backslash that would escape what follows it. Before these a measurement is stored, but never found again. */
const OPEN_IN_MEASUREMENT = /\\(?=[,= "]|$)/g;
/** All that matters where InfluxDB 1's client doubles the others. */
const OPEN_AT_END = /\\$/g;
/** Before these it ends the name of a field too early. */
const OPEN_IN_FIELD = /\\(?=[,= ]|$)/g;

const NAME_IN_1 = escaping(`\\ ,=\n${NUL}`, OPEN_AT_END);
const INFLUXDB_1: Client = {
  measurement: escaping(`\\ ,=\n${NUL}`, OPEN_IN_MEASUREMENT),
  tag: NAME_IN_1,
  field: NAME_IN_1,
  number: pythonFloatText,
  text: escaping('\\"\n'),
};

const INFLUXDB_2: Client = {
  measurement: escaping(` ,\n\r\t${NUL}`, OPEN_IN_MEASUREMENT),
  // what cannot be kept of its backslashes storableTags has seen to
  tag: escaping(` ,=\n\r\t${NUL}`),
  field: escaping(` ,=\n\r\t${NUL}`, OPEN_IN_FIELD),
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
  // InfluxDB skips tabs at the beginning of a line
  const series = client.measurement(measurement).replace(/^(?=\t*(?:#|$))/, "_");
  // InfluxDB 1's client doubles backslashes, which misleads nobody about where the tags end
  const told = version === 1 ? [...tags].filter(([, value]) => value !== "") : storableTags(tags);
  const values = pairs([...fields], client.field, (value, name) => valueOf(value, name, client));
  if (values.length === 0) {
    throw new Error("The point has no fields: it must have at least one");
  }
  return `${[series, ...pairs(told, client.tag, client.tag)].join(",")} ${
    values.join(",")
  } ${timeNs}`;
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
    written.set(writeName(name), writeValue(value, name));
  }
  return [...written].map(([name, value]) => `${name}=${value}`);
}

function valueOf(value: FieldValue, name: string, client: Client): string {
  checkValue(name, value);
  return typeof value === "number" ? client.number(value) : `"${client.text(value)}"`;
}
