/** A point as one line of InfluxDB's line protocol: the library's `Point` behind guards for its traps. */
import { Point } from "@influxdata/influxdb-client";
import { Buffer } from "node:buffer";
import type { FieldValue, StorePoint } from "../store.ts";

/** InfluxDB refuses a longer text field, and the whole point with it. */
const MAX_TEXT_BYTES = 1_048_576;
/** InfluxDB, models/points.go, MaxKeyLength: measurement, tags and the name of one field. */
const MAX_NAMES_BYTES = 65_535;
/** InfluxDB, models/time.go: what lies between these fits its int64 of nanoseconds. */
const MIN_TIME_NS = -9_223_372_036_854_775_806n;
const MAX_TIME_NS = 9_223_372_036_854_775_806n;

/** A backslash here would escape what follows it, or the line's own next character. */
const OPEN_BACKSLASH = /\\(?=[,= "]|$)/g;

/**
 * The line of a point, its time in nanoseconds. What line protocol cannot say is written as near
 * to it as can be: a backslash before a character that needs one, or at the end of a name, gets a
 * `_` behind it, a `#` that would make the line a comment gets one before it, a tag or field
 * `time` becomes `time_`, line breaks and NUL in names become `\n` and `\0` (InfluxDB's parser skips
 * NUL as white space). Tags without a value are left out.
 *
 * Throws an Error whose message names the part that cannot be written: no field, a name that is
 * empty, `__proto__`, used twice or too long, a number that is not finite, a text above 1 MiB, a
 * time beyond the year 2262.
 */
export function toLine({ measurement, tags, fields, timeNs }: StorePoint): string {
  checkIdentity({ measurement, timeNs });
  checkNames({ measurement, tags, fields });
  const point = new Point(measurementOf(measurement)).timestamp(String(timeNs));
  const tagKeys = new Set<string>();
  for (const [name, value] of tags) {
    if (value === "") continue;
    point.tag(keyOf("Tag", name, tagKeys), writable(value));
  }
  const fieldKeys = new Set<string>();
  for (const [name, value] of fields) {
    addField(point, keyOf("Field", name, fieldKeys), value);
  }
  const line = point.toLineProtocol();
  if (line === undefined) throw new Error("The point has no fields: it must have at least one");
  return line;
}

function measurementOf(name: string): string {
  return writable(name.startsWith("#") ? `_${name}` : name);
}

function writable(name: string): string {
  const text = name.includes("\0") ? name.replaceAll("\0", "\\0") : name;
  return text.includes("\\") ? text.replace(OPEN_BACKSLASH, "\\_") : text;
}

/** The name as it is written. `Point` keeps names in plain objects, where `__proto__` gets lost. */
function keyOf(kind: "Tag" | "Field", name: string, taken: Set<string>): string {
  if (name === "") throw new Error(`${kind} without a name: it must not be empty`);
  if (name === "__proto__") throw new Error(`${kind} "__proto__" cannot be written: rename it`);
  const key = name === "time" ? "time_" : writable(name);
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

/** Throws an Error where the measurement is empty, or the time nothing that InfluxDB can hold. */
export function checkIdentity(
  { measurement, timeNs }: Pick<StorePoint, "measurement" | "timeNs">,
): void {
  if (measurement === "") throw new Error("The measurement has no name: it must not be empty");
  if (timeNs < MIN_TIME_NS || timeNs > MAX_TIME_NS) {
    throw new Error(`time is ${timeNs} ns: it must lie between the years 1677 and 2262`);
  }
}

/** Throws an Error that names the field where it and the series together are longer than InfluxDB takes. */
export function checkNames(
  { measurement, tags, fields }: Pick<StorePoint, "measurement" | "tags" | "fields">,
): void {
  let series = measurement.length;
  for (const [name, value] of tags) series += name.length + value.length + 2;
  for (const name of fields.keys()) {
    if (series + name.length <= MAX_NAMES_BYTES / 6) continue;
    // each character is three bytes at most, and doubled where it is escaped
    const texts = [measurement, ...[...tags].flat(), name]
      .map((text) => text.replace(/[,= ]/g, "\\$&"));
    // with what InfluxDB itself puts between series and field: "#!~#"
    if (Buffer.byteLength(texts.join(",")) + 3 <= MAX_NAMES_BYTES) continue;
    throw new Error(
      `Field ${
        JSON.stringify(name.slice(0, 40))
      } is too long with the tags: their names and values ` +
        "must not exceed 65,535 bytes together",
    );
  }
}

/** Throws an Error that names the field where InfluxDB would refuse its value. */
export function checkValue(name: string, value: FieldValue): void {
  if (typeof value === "number") {
    if (Number.isFinite(value)) return;
    throw new Error(`Field ${JSON.stringify(name)} is ${value}: it must be a finite number`);
  }
  if (value.length > MAX_TEXT_BYTES / 3 && Buffer.byteLength(value) > MAX_TEXT_BYTES) {
    throw new Error(`Field ${JSON.stringify(name)} is too large: it must not exceed 1 MiB`);
  }
}

function addField(point: Point, key: string, value: FieldValue): void {
  checkValue(key, value);
  if (typeof value === "number") point.floatField(key, value);
  else point.stringField(key, value);
}
