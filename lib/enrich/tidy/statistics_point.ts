/** The point of an hour of long-term statistics: one series a statistic and its names. */
import { type Envelope, STATISTICS_VALUES, type StatisticsHour } from "../../contract.ts";
import type { FieldValue, StorePoint } from "../store.ts";
import { tagsOf } from "./tags.ts";

/**
 * The point of an hour, at its start: no other event can have its series and time, so that an
 * hour imported again is the same point. Tagged as the entity's states are, where it has one.
 */
export function statisticsPoint(
  { registry, source }: Envelope,
  hour: StatisticsHour,
  startUs: number,
): StorePoint {
  const tags = tagsOf({
    statistic_id: hour.statistic_id,
    entity_id: hour.entity_id,
    name: registry ? registry.name : hour.name,
    area: registry?.area,
    floor: registry?.floor,
    device: registry?.device,
    device_class: hour.device_class,
    unit: hour.unit,
    source,
  });
  const fields = new Map<string, FieldValue>();
  for (const name of STATISTICS_VALUES) {
    const value = hour[name];
    if (typeof value === "number") fields.set(name, value);
  }
  return { measurement: "statistics", tags, fields, timeNs: BigInt(startUs) * 1000n };
}
