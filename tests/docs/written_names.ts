/** What SCHEMA=tidy writes: the names of measurements, tags and fields. */
import { envelopeSchema } from "../../lib/contract.ts";
import type { FieldValue, StorePoint } from "../../lib/enrich/store.ts";
import { tidyPoint } from "../../lib/enrich/tidy/tidy.ts";
import { recordedEvents } from "../recorded.ts";
import { smallHousePoints } from "../small_house.ts";
import type { Names } from "./influxql_names.ts";

/** Of every recorded event, and of a house with what the recordings lack; of the fields those that are wanted. */
export function writtenNames(isWanted: (value: FieldValue) => boolean = () => true): Names {
  const names = new Map<string, { readonly tags: Set<string>; readonly fields: Set<string> }>();
  const add = ({ measurement, tags, fields }: StorePoint) => {
    const known = names.get(measurement) ?? { tags: new Set(), fields: new Set() };
    for (const tag of tags.keys()) known.tags.add(tag);
    for (const [field, value] of fields) if (isWanted(value)) known.fields.add(field);
    names.set(measurement, known);
  };
  for (const { text } of recordedEvents()) {
    const envelope = envelopeSchema.parse({ event: JSON.parse(text) });
    add(tidyPoint(envelope, () => text, { attributes: "standard" }).point);
  }
  for (const point of smallHousePoints(new Date())) add(point);
  return names;
}
