/** A point as one line of InfluxDB's line protocol: what the library writes, behind guards for its traps. */
import { escape, Point } from "@influxdata/influxdb-client";
import { checkFields, checkIdentity, checkNames, storableTags } from "../point_limits.ts";
import type { StorePoint } from "../store.ts";
import { type Names, perNames, perShape } from "./per_shape.ts";

/** A backslash here would escape what follows it, or the line's own next character. */
const OPEN_BACKSLASH = /\\(?=[,= "]|$)/g;

/**
 * The line of a point for that version of InfluxDB, its time in nanoseconds. What line protocol
 * cannot say is written as near to it as can be: a backslash at the end of any name, or of a tag's
 * value, gets a `_` behind it, and in the names of measurements and fields one before a comma, a
 * space, `=` or `"` does, too; a `#` that would make the line a comment gets one before it, a tag
 * or field `time` becomes `time_`, line breaks, tabs and NUL in names become `\n`, `\r`, `\t` and
 * `\0` (InfluxDB's parser skips NUL as white space). Tags without a value are left out.
 *
 * InfluxDB 3 reads two backslashes as one (influxdb_line_protocol 2.0.0): there they are doubled.
 *
 * Throws an Error whose message names the part that cannot be written: no field, a name that is
 * empty, `__proto__`, used twice or too long, a number that is not finite, a text above 1 MiB, a
 * time beyond the year 2262.
 */
export function toLine(point: StorePoint, version: 1 | 2 | 3 = 2): string {
  checkIdentity(point);
  const { series, fields } = version === 3 ? formOf3(point) : formOf(point);
  checkFields(point);
  const written = fields.map(({ name, key }) => {
    const value = point.fields.get(name) ?? "";
    return key + (typeof value === "number" ? String(value) : escape.quoted(value));
  });
  return `${series} ${written.join(",")} ${point.timeNs}`;
}

/** What the lines of one shape have in common. */
interface LineForm {
  /** The measurement and the tags, as they are written. */
  readonly series: string;
  readonly fields: FieldKeys;
}

/** In the order in which they are written, each with what stands before its value. */
type FieldKeys = readonly { readonly name: string; readonly key: string }[];

const formOf = lineForms((name) => name);
const formOf3 = lineForms((name) => name.replaceAll("\\", "\\\\"));

function lineForms(doubled: (name: string) => string): (point: StorePoint) => LineForm {
  const fieldKeysOf = perNames((names) => fieldKeys(names, doubled));
  return perShape(({ measurement, tags, fields }, names) => {
    checkNames({ measurement, tags, fields });
    checkFields({ fields });
    const point = new Point(doubled(measurementOf(measurement))).floatField("f", 0).timestamp("0");
    const tagKeys = new Set<string>();
    for (const [name, value] of storableTags(tags)) {
      point.tag(doubled(keyOf("Tag", withoutNul(name), tagKeys)), doubled(withoutNul(value)));
    }
    return { series: String(point).slice(0, -" f=0 0".length), fields: fieldKeysOf(names) };
  });
}

function fieldKeys(names: Names, doubled: (name: string) => string): FieldKeys {
  const taken = new Set<string>();
  return names.map((name): readonly [string, string] => [
    name,
    doubled(keyOf("Field", writable(name), taken)),
  ])
    .sort(([, a], [, b]) => a < b ? -1 : 1)
    .map(([name, key]) => ({ name, key: `${escape.tag(key)}=` }));
}

function measurementOf(name: string): string {
  return writable(name.startsWith("#") ? `_${name}` : name);
}

function writable(name: string): string {
  const text = withoutNul(name);
  return text.includes("\\") ? text.replace(OPEN_BACKSLASH, "\\_") : text;
}

function withoutNul(text: string): string {
  return text.includes("\0") ? text.replaceAll("\0", "\\0") : text;
}

/** The name as it is written. `Point` keeps names in plain objects, where `__proto__` gets lost. */
function keyOf(kind: "Tag" | "Field", name: string, taken: Set<string>): string {
  if (name === "") throw new Error(`${kind} without a name: it must not be empty`);
  if (name === "__proto__") throw new Error(`${kind} "__proto__" cannot be written: rename it`);
  const key = name === "time" ? "time_" : name;
  // so the library writes line breaks and tabs, and UTF-8 half a surrogate pair: two names can become one
  const written = key.toWellFormed().replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll(
    "\t",
    "\\t",
  );
  if (taken.has(written)) {
    throw new Error(`${kind} ${JSON.stringify(name)} would be written under the name of another`);
  }
  taken.add(written);
  return key;
}
