/** What a store must hold of an event if nothing goes wrong, and comparing it with what it holds. */
import { envelopeSchema } from "../../../lib/contract.ts";
import type { AttributeMode } from "../../../lib/enrich/tidy/attributes.ts";
import { tidyPoint } from "../../../lib/enrich/tidy/tidy.ts";
import { memberText } from "../../../lib/json_text.ts";
import { readBack } from "../../enrich/influxdb/read_back.ts";
import type { ReceivedPoint } from "../../stand_ins/fake_influxdb.ts";
import type { StoredPoint } from "./influxd.ts";

/** The point of an envelope's line. Throws where the line can be no point. */
export function expectedPoint(line: string, attributes: AttributeMode = "standard"): StoredPoint {
  const envelope = envelopeSchema.parse(JSON.parse(line));
  const { point } = tidyPoint(envelope, () => memberText(line, "event") ?? "", { attributes });
  const { measurement, tags, fields, timeNs } = readBack(point);
  return {
    measurement,
    tags: Object.fromEntries(tags),
    fields: Object.fromEntries(fields),
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
