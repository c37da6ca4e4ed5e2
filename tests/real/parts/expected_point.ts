/** What a store must hold of an event if nothing goes wrong, and comparing it with what it holds. */
import { envelopeSchema } from "../../../lib/contract.ts";
import type { AttributeMode } from "../../../lib/enrich/tidy/attributes.ts";
import { tidyPoint } from "../../../lib/enrich/tidy/tidy.ts";
import { memberText } from "../../../lib/json_text.ts";
import type { ReceivedPoint } from "../../stand_ins/fake_influxdb.ts";
import type { StoredPoint } from "./influxd.ts";

/** What line protocol cannot say of a name, as it is said instead. */
function written(name: string): string {
  return name.replace(/\\(?=[,= "]|$)/g, "\\_").replaceAll("\0", "\\0").replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r").replaceAll("\t", "\\t").toWellFormed();
}

/** As an object, its names as they are written. Throws where two names become one. */
function byWrittenName<T>(entries: ReadonlyMap<string, T>): Record<string, T> {
  const object = Object.fromEntries([...entries].map(([name, value]) => [written(name), value]));
  if (Object.keys(object).length === entries.size) return object;
  throw new Error(`Cannot write ${JSON.stringify([...entries.keys()])}: two names become one`);
}

/** The point of an envelope's line. Throws where the line can be no point. */
export function expectedPoint(line: string, attributes: AttributeMode = "standard"): StoredPoint {
  const envelope = envelopeSchema.parse(JSON.parse(line));
  const { point } = tidyPoint(envelope, memberText(line, "event") ?? "", { attributes });
  const { measurement, tags, fields, timeNs } = point;
  return {
    // a line must not begin like a comment
    measurement: written(measurement.replace(/^#/, "_#")),
    tags: byWrittenName(new Map([...tags].map(([name, value]) => [name, written(value)]))),
    fields: byWrittenName(fields),
    timeNs,
  };
}

/** A point of the fake, as a real store gives it back. */
export function storedPoint({ measurement, tags, fields, timeNs }: ReceivedPoint): StoredPoint {
  const values = [...fields].map(([name, value]): [string, string | number | boolean] => [
    name,
    typeof value === "bigint" ? Number(value) : value,
  ]);
  return {
    measurement,
    tags: Object.fromEntries(tags),
    fields: Object.fromEntries(values),
    timeNs,
  };
}

function textOf({ measurement, tags, fields, timeNs }: StoredPoint): string {
  // a store gives -0 back as 0, as JSON does
  const sorted = (entries: object) => Object.entries(entries).sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify([measurement, sorted(tags), String(timeNs), sorted(fields)]);
}

/** Points that are not there as they must be, and points that must not be there. */
export function differences(
  expected: readonly StoredPoint[],
  stored: readonly StoredPoint[],
): { readonly missing: string[]; readonly surplus: string[] } {
  const wanted = new Set(expected.map(textOf));
  const there = new Set(stored.map(textOf));
  return {
    missing: [...wanted].filter((text) => !there.has(text)),
    surplus: [...there].filter((text) => !wanted.has(text)),
  };
}
