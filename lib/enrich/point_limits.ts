/** What InfluxDB would not take as a point, and what it can keep of tags. */
import { Buffer } from "node:buffer";
import type { FieldValue, StorePoint } from "./store.ts";

/** InfluxDB refuses a longer text field, and the whole point with it. */
const MAX_TEXT_BYTES = 1_048_576;
/** InfluxDB, models/points.go, MaxKeyLength: measurement, tags and the name of one field. */
const MAX_NAMES_BYTES = 65_535;
/** InfluxDB, models/time.go: what lies between these fits its int64 of nanoseconds. */
const MIN_TIME_NS = -9_223_372_036_854_775_806n;
const MAX_TIME_NS = 9_223_372_036_854_775_806n;

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

/** Throws an Error where there is no field, or one with a value that cannot be stored. */
export function checkFields({ fields }: Pick<StorePoint, "fields">): void {
  if (fields.size === 0) throw new Error("The point has no fields: it must have at least one");
  for (const [name, value] of fields) checkValue(name, value);
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

/** Before these, and at the end, line protocol takes a backslash for its own. */
const OPEN_BACKSLASH = /\\(?=[,= ]|$)/g;
const FINAL_BACKSLASH = /\\$/;

type Tag = readonly [name: string, value: string];

/**
 * The tags as InfluxDB can keep them; those without a value are left out. A name or value cannot
 * end in a backslash: it gets a `_` behind it. Every other backslash is kept (seen with 1.6.7 and
 * 2.7.12), unless the tags of the point together mislead InfluxDB about where the line ends: then
 * one before a comma, a space or `=` gets a `_`, too.
 */
export function storableTags(tags: ReadonlyMap<string, string>): readonly Tag[] {
  const given = [...tags].filter(([, value]) => value !== "");
  const closed = withUnderscores(given, FINAL_BACKSLASH);
  return misleads(closed) ? withUnderscores(given, OPEN_BACKSLASH) : closed;
}

function withUnderscores(tags: readonly Tag[], backslash: RegExp): readonly Tag[] {
  return tags.map(([name, value]) => [
    name.replace(backslash, "\\_"),
    value.replace(backslash, "\\_"),
  ]);
}

/**
 * InfluxDB cuts a request into lines before it reads them, and there skips each backslash with the
 * character behind it (models/points.go, scanLine). So a space behind a backslash, which a second
 * one escapes, begins the fields too early; there a quotation mark holds lines together where more
 * `=` than commas were before it.
 */
function misleads(tags: readonly Tag[]): boolean {
  const names = tags.map(([name]) => takenForOwn(name)).join("");
  const all = names + tags.map(([, value]) => takenForOwn(value)).join("");
  return names.includes(" ") || all.includes(" ") && /[,=]/.test(all);
}

function takenForOwn(text: string): string {
  return text.includes("\\") ? text.replace(/[,= ]/g, "\\$&").replace(/\\[^]/g, "") : "";
}
