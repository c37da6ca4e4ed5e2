/**
 * What Home Assistant's recorder says of long-term statistics, read, and made into envelopes. Pure.
 * The answers' shapes are those of core 2024.3 and 2025.4; keys come and go, so most are optional.
 */
import * as z from "zod";
import { type RegistryNames, STATISTICS_VALUES, type StatisticsHour } from "../../contract.ts";
import { formatTimeUs } from "../../time.ts";
import { listOf } from "../hass/answer_list.ts";
import { envelopeLine } from "../outbox/envelope.ts";

const text = z.string().nullish().catch(undefined);
const value = z.number().nullish().catch(undefined);

/** The answer to `recorder/list_statistic_ids`. */
export const statisticsListSchema = listOf(z.object({
  statistic_id: z.string(),
  name: text,
  unit_class: text,
  /** The unit that the entity's states have now, and in which hours are told. */
  display_unit_of_measurement: text,
}));
export type Statistic = z.infer<typeof statisticsListSchema>[number];

/** The answer to `recorder/statistics_during_period`; times in milliseconds since 1970. */
export const statisticsRowsSchema = z.record(
  z.string(),
  listOf(z.object({
    start: z.number(),
    end: z.number(),
    mean: value,
    min: value,
    max: value,
    sum: value,
    state: value,
  })),
);
export type StatisticsRow = z.infer<typeof statisticsRowsSchema>[string][number];

/** What is used of `get_states`: how the states of an entity are tagged. */
export const entityAttributesSchema = listOf(z.object({
  entity_id: z.string(),
  attributes: z.object({ friendly_name: text, device_class: text }),
}));
export type EntityAttributes = z.infer<typeof entityAttributesSchema>[number]["attributes"];

/** The parameters for the rows of one statistic from `startMs` until before `endMs`. */
export function rowsOf(
  { statistic_id, unit_class, display_unit_of_measurement: unit }: Statistic,
  { period, startMs, endMs }: { period: "hour" | "month"; startMs: number; endMs?: number },
) {
  return {
    statistic_ids: [statistic_id],
    period,
    types: period === "hour" ? STATISTICS_VALUES : ["mean", "sum"],
    start_time: formatTimeUs(startMs * 1000),
    end_time: endMs === undefined ? undefined : formatTimeUs(endMs * 1000),
    // without it the values would follow a unit that is changed between the list and this
    units: unit_class && unit ? { [unit_class]: unit } : undefined,
  };
}

/** The entity that the statistic is of; ids of others have a colon (`energy:solar`). */
export function entityOf({ statistic_id }: Statistic): string | undefined {
  return statistic_id.includes(":") ? undefined : statistic_id;
}

/** Whether the row says anything. */
export function hasValue(row: StatisticsRow): boolean {
  return STATISTICS_VALUES.some((name) => typeof row[name] === "number");
}

/** The line of `POST /events` of an hour. */
export function statisticsLine(
  statistic: Statistic,
  row: StatisticsRow,
  { storedId, registry, attributes, source }: {
    /** The id that it had when it was imported first. */
    readonly storedId: string;
    readonly registry: RegistryNames | undefined;
    readonly attributes: EntityAttributes | undefined;
    readonly source: string | undefined;
  },
): string {
  const start = formatTimeUs(row.start * 1000);
  const data: StatisticsHour = {
    statistic_id: storedId,
    entity_id: entityOf(statistic),
    start,
    ...Object.fromEntries(STATISTICS_VALUES.map((name) => [name, row[name] ?? undefined])),
    name: attributes?.friendly_name ?? statistic.name ?? undefined,
    unit: statistic.display_unit_of_measurement ?? undefined,
    device_class: attributes?.device_class ?? undefined,
  };
  const event = { event_type: "statistics", data, time_fired: start, origin: "LOCAL" };
  return envelopeLine(JSON.stringify(event), { registry, source, via: "statistics" });
}
