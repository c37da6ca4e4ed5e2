/** A point as VictoriaMetrics can hold it: numbers alone, written as a line that it reads exactly. */
import { perNames, perShape } from "../influxdb/per_shape.ts";
import { checkFields, checkIdentity, checkNames } from "../point_limits.ts";
import type { FieldValue, StorePoint } from "../store.ts";

/** What is left of a point. */
export interface MetricPoint {
  /** All its fields are numbers. */
  readonly point: StorePoint;
  /** How many texts are left out: VictoriaMetrics would store the number 0 in their place. */
  readonly texts: number;
}

/** The numbers of a point, or undefined where it has none. */
export function numbersOf(point: StorePoint): MetricPoint | undefined {
  const numbers = [...point.fields].filter(([, value]) => typeof value === "number");
  if (numbers.length === 0) return undefined;
  const texts = point.fields.size - numbers.length;
  return { point: { ...point, fields: new Map<string, FieldValue>(numbers) }, texts };
}

/** What is earlier it throws away without a word (lib/storage/time.go), and for 0 it stores the present time. */
const FIRST_NS = 86_400_000_000_000n;
const SPECIAL = /[\\ ,=]/g;
const BREAKS = /[\n\r\t\0]/g;
const BREAK: Readonly<Record<string, string>> = {
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\0": "\\0",
};

/**
 * The line of a point whose fields are numbers (tried with 1.151.0; its parser is
 * lib/protoparser/influx/parser.go). It reads `\\`, `\ `, `\,` and `\=` as what follows the backslash,
 * everywhere, so that all these are kept. As `toLine` does for InfluxDB, line breaks, tabs and NUL
 * become `\n`, `\r`, `\t` and `\0`, a `#` that would make the line a comment gets a `_` before it, and
 * a tag or field `time` becomes `time_`; so does a tag `__name__`, which would be lost. A `"` in the
 * name of a field keeps a backslash before it: alone it would store 0, at the present time. Tags
 * without a value are left out.
 *
 * Throws an Error that names the part that cannot be written: those of `toLine`, and a time
 * before 2 January 1970.
 */
export function metricLine(point: StorePoint): string {
  const { fields, timeNs } = point;
  checkIdentity(point);
  checkNames(point);
  checkFields(point);
  if (timeNs < FIRST_NS) {
    throw new Error(
      `time is ${timeNs} ns: VictoriaMetrics keeps nothing from before 2 January 1970`,
    );
  }
  const { series, samples } = formOf(point);
  const values = samples.map(([key, name]) => `${key}${fields.get(name)}`);
  return `${series} ${values.join(",")} ${timeNs}`;
}

/** What the lines of one shape have in common. */
interface MetricForm {
  /** The measurement and the labels, as they are written. */
  readonly series: string;
  /** What is written before the value, and the field's name. */
  readonly samples: readonly (readonly [key: string, name: string])[];
}

const samplesOf = perNames((names): MetricForm["samples"] =>
  uniquePairs("Field", names.map((name) => [name, name]))
    .map(([key, name]) => [`${key.replaceAll('"', '\\"')}=`, name])
);

const formOf = perShape(({ measurement, tags }, names): MetricForm => {
  const labels = uniquePairs("Tag", [...tags].filter(([, value]) => value !== ""));
  const samples = samplesOf(names);
  const series = [
    written(measurement.replace(/^#/, "_#")),
    ...labels.map(([name, value]) => `${name}=${written(value)}`),
  ];
  return { series: series.join(","), samples };
});

function written(text: string): string {
  return storedText(text.replace(SPECIAL, "\\$&"));
}

/** With the names as they are written. */
function uniquePairs<T>(
  kind: "Tag" | "Field",
  pairs: readonly (readonly [string, T])[],
): readonly (readonly [string, T])[] {
  const taken = new Set<string>();
  return pairs.map(([name, value]) => {
    if (name === "") throw new Error(`${kind} without a name: it must not be empty`);
    const stored = storedName(name);
    if (taken.has(stored)) {
      throw new Error(`${kind} ${JSON.stringify(name)} would be written under the name of another`);
    }
    taken.add(stored);
    return [stored.replace(SPECIAL, "\\$&"), value];
  });
}

/** The name by which it is found again. */
function storedName(name: string): string {
  return storedText(name === "time" || name === "__name__" ? `${name}_` : name);
}

/** A text as it is stored. UTF-8 has no half of a surrogate pair. */
export function storedText(text: string): string {
  return text.toWellFormed().replace(BREAKS, (char) => BREAK[char] ?? char);
}
