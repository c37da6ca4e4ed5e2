/** What `ingest import-statistics` and the running ingest say to each other. */
import * as z from "zod";
import { parseTimeUs } from "../../time.ts";

/** POST starts an import (202, 409 while one runs), GET tells how far it is. */
export const IMPORT_PATH = "/import-statistics";

/** A day stands for its first moment in UTC. Undefined where the text is no time. */
export function sinceMs(since: string): number | undefined {
  const isDay = /^\d{4}-\d\d-\d\d$/.test(since);
  const timeUs = parseTimeUs(isDay ? `${since}T00:00:00Z` : since);
  return timeUs === undefined ? undefined : timeUs / 1000;
}

/** What is to be imported: everything that was not imported before, unless told otherwise. */
export const importRequestSchema = z.strictObject({
  /** Imports again from this moment on, whatever was imported before. */
  since: z.string("must be a text").refine(
    (text) => sinceMs(text) !== undefined,
    "must be a date as 2024-01-31, or a time with an offset as 2024-01-31T08:00:00+01:00",
  ).optional(),
  /** Only statistics whose id it matches; `*` stands for any characters, `?` for one. */
  entities: z.string("must be a text").min(1, "must not be empty").optional(),
});
export type ImportRequest = z.infer<typeof importRequestSchema>;

const count = z.int().nonnegative();

/** How far the import is, or how the last one ended. */
export const importProgressSchema = z.object({
  state: z.enum(["none", "running", "done", "failed"]),
  statistics: z.object({ done: count, to_do: count }),
  /** Hours that were put into the outbox. */
  rows: count,
  rows_per_second: z.number().nonnegative(),
  seconds: z.number().nonnegative(),
  seconds_left: z.number().nonnegative().optional(),
  /** What it waits for, or why it failed. */
  reason: z.string().optional(),
});
export type ImportProgress = z.infer<typeof importProgressSchema>;
