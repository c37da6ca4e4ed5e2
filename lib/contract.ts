/**
 * What ingest and enrich agree on: the event, its envelope, the answers of
 * `POST /events`. Nothing else is shared between the two programs.
 */
import * as z from "zod";
import { parseTimeUs } from "./time.ts";

/** The largest body that `POST /events` takes, in bytes. */
export const MAX_BODY_BYTES = 16_000_000;
/** The most lines that one request to `POST /events` may have. */
export const MAX_REQUEST_LINES = 5_000;
/** The most events that ingest puts into one request. */
export const MAX_BATCH_EVENTS = 1_000;
/** The most bytes of events that ingest puts into one request. */
export const MAX_BATCH_BYTES = 4_000_000;

export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether it is what JSON calls an object. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * A JSON object passed through as it is. Not `z.record`: that copies every
 * attribute and leaves out a key named `__proto__`, which is a name like any other.
 */
const jsonObject = z.custom<JsonObject>(isJsonObject, "must be an object");

const time = z.string("must be a text").refine(
  (text) => parseTimeUs(text) !== undefined,
  "must be an ISO 8601 time with an offset, for example 2026-06-25T21:20:05.162552+00:00",
);

/** A state as Home Assistant says it; releases add fields, so others are let through. */
export const stateSchema = z.looseObject({
  entity_id: z.string(),
  state: z.string(),
  attributes: jsonObject,
  last_changed: time.optional(),
  last_updated: time.optional(),
});
export type State = z.infer<typeof stateSchema>;

/** Whether the state says that Home Assistant has none. */
export function isUnavailable(state: string): boolean {
  return state === "unavailable" || state === "unknown";
}

const entityId = z.string("must be a text").regex(
  /^[^.]+\.[^.]+$/,
  "must be <domain>.<object_id>",
);

/** The data of `state_changed`: `new_state` is null when the entity was removed. */
export const stateChangedSchema = z.looseObject({
  entity_id: entityId,
  old_state: stateSchema.nullish(),
  new_state: stateSchema.nullable(),
});

/** The data of `state_snapshot`, an event of ingest's own making. */
export const stateSnapshotSchema = z.looseObject({
  entity_id: entityId,
  new_state: stateSchema,
});

/** Not `z.array`: that makes an error of each element, gigabytes of them where somebody sends millions. */
const texts = z.custom<readonly string[]>(
  (value) => Array.isArray(value) && value.every((text) => typeof text === "string"),
  "must be a list of texts",
);

/** The data of `entity_info`, an event of ingest's own making: what the registries say of an entity. */
export const entityInfoSchema = z.looseObject({
  entity_id: entityId,
  name: z.string().nullish(),
  area: z.string().nullish(),
  floor: z.string().nullish(),
  device: z.string().nullish(),
  manufacturer: z.string().nullish(),
  model: z.string().nullish(),
  platform: z.string().nullish(),
  entity_category: z.string().nullish(),
  labels: texts.optional(),
  unit: z.string().nullish(),
  device_class: z.string().nullish(),
  state_class: z.string().nullish(),
  old_entity_id: z.string().nullish(),
  /** Whether the registry has lost it; the rest is what was said last. Absent of 0.1.0. */
  removed: z.boolean().nullish(),
});
export type EntityInfo = z.infer<typeof entityInfoSchema>;

/** What an hour of a statistic can hold. */
export const STATISTICS_VALUES = ["mean", "min", "max", "sum", "state"] as const;
const statisticsValue = z.number("must be a number").nullish();

/**
 * The data of `statistics`, an event of ingest's own making: an hour of Home Assistant's
 * long-term statistics. Values that the statistic does not have are absent or null.
 */
export const statisticsSchema = z.looseObject({
  statistic_id: z.string("must be a text").min(1, "must not be empty"),
  /** Absent where the statistic is no entity's. */
  entity_id: entityId.nullish(),
  /** Start of the hour. */
  start: time,
  mean: statisticsValue,
  min: statisticsValue,
  max: statisticsValue,
  sum: statisticsValue,
  state: statisticsValue,
  name: z.string().nullish(),
  unit: z.string().nullish(),
  device_class: z.string().nullish(),
}).refine(
  (hour) => STATISTICS_VALUES.some((name) => typeof hour[name] === "number"),
  `must have at least one of ${STATISTICS_VALUES.join(", ")}`,
);
export type StatisticsHour = z.infer<typeof statisticsSchema>;

/** The events that are of one entity or statistic by their very type. */
export const ENTITY_EVENT_TYPES: readonly string[] = [
  "state_changed",
  "state_snapshot",
  "entity_info",
  "statistics",
];

/** An event as Home Assistant fires it. */
export const eventSchema = z.looseObject({
  event_type: z.string("must be a text").min(1, "must not be empty"),
  data: jsonObject,
  time_fired: time,
  origin: z.string("must be a text"),
  context: z.looseObject({
    id: z.string().nullish(),
    parent_id: z.string().nullish(),
    user_id: z.string().nullish(),
  }).nullish(),
});
export type HassEvent = z.infer<typeof eventSchema>;

/** The names that held when the event was spooled. */
export const registryNamesSchema = z.object({
  name: z.string().nullish(),
  area: z.string().nullish(),
  floor: z.string().nullish(),
  device: z.string().nullish(),
});
export type RegistryNames = z.infer<typeof registryNamesSchema>;

/** One line of `application/x-ndjson`. All but `event` is optional. */
export const envelopeSchema = z.object({
  event: eventSchema,
  registry: registryNamesSchema.nullish(),
  source: z.string().nullish(),
  via: z.enum(["history", "snapshot", "registry", "statistics"]).nullish(),
});
export type Envelope = z.infer<typeof envelopeSchema>;

/**
 * The answer to many events. `index` counts lines from 0; `stored` counts events. `limited` tells of
 * which pending lines a limit of the store is in the way, and which: such a line stands in `pending`
 * too, so that an ingest that does not know the word sends it again.
 */
export const batchAnswerSchema = z.object({
  status: z.enum(["success", "partial"]),
  stored: z.int().nonnegative(),
  skipped: z.record(z.string(), z.int().nonnegative()),
  problems: z.array(z.object({
    index: z.int().nonnegative(),
    event_id: z.string().optional(),
    reason: z.string(),
  })),
  pending: z.array(z.int().nonnegative()),
  limited: z.array(z.object({ index: z.int().nonnegative(), reason: z.string() })).default([]),
});
export type BatchAnswer = z.infer<typeof batchAnswerSchema>;

/** The answer to one event. */
export interface EventAnswer {
  readonly status: "success";
  readonly event_id: string;
  readonly skipped?: string;
}

/** The answer to a request that failed as a whole. */
export const failureSchema = z.object({
  detail: z.string(),
  cause: z.string().optional(),
});
export type Failure = z.infer<typeof failureSchema>;

/** So many issues of one event are named, and so long is a reason: answers, dead letters and pages hold it. */
const MAX_ISSUES = 5;
const MAX_REASON_CHARS = 500;

/** A zod error as one line: the field's path, then what it must be. Beyond five they are counted. */
export function describeIssues({ issues }: z.ZodError): string {
  const named = issues.slice(0, MAX_ISSUES)
    .map(({ path, message }) => `${path.join(".") || "event"}: ${message}`);
  const more = issues.length - named.length;
  return [...named, ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
}

/** A reason of at most 500 characters: a text of the event, or of the store, may be in it. */
export function shortReason(reason: string): string {
  return reason.length <= MAX_REASON_CHARS ? reason : `${reason.slice(0, MAX_REASON_CHARS - 1)}…`;
}
