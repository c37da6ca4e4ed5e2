/** What ingest says of its gaps, and waiting until they are filled. */
import * as z from "zod";
import type { Program } from "./programs.ts";
import { total } from "./metrics_text.ts";
import { until } from "../../until.ts";

const FILLED_LIMIT_MS = 240_000;
const EVERY_MS = 100;

const statusSchema = z.looseObject({
  filling: z.looseObject({
    state: z.enum(["idle", "waiting", "reading"]),
    waiting_for: z.string().nullish(),
    entities: z.number(),
    rows: z.number(),
  }),
  gaps: z.array(z.looseObject({
    reason: z.string(),
    from: z.string().nullish(),
    to: z.string().nullish(),
    entities: z.number(),
    rows: z.number(),
    unfilled: z.record(z.string(), z.number()),
    state: z.enum(["open", "filled"]),
  })),
});

export type FillingStatus = z.infer<typeof statusSchema>;

export async function fillingOf(ingest: Program): Promise<FillingStatus> {
  return statusSchema.parse(await ingest.status());
}

/**
 * Waits until ingest captures, no gap is open, nothing is missing and nothing is queued; returns what
 * it says then. A socket that was cut just now must have been noticed.
 */
export async function untilFilled(
  ingest: Program,
  limitMs = FILLED_LIMIT_MS,
): Promise<FillingStatus> {
  return await until(
    async () => {
      const metrics = await ingest.metrics();
      const status = await fillingOf(ingest);
      const { state, entities } = status.filling;
      return total(metrics, "ingest_capturing") === 1 &&
        total(metrics, "ingest_events_queued") === 0 &&
        state === "idle" && entities === 0 &&
        status.gaps.every(({ state }) => state === "filled") && status;
    },
    "all gaps are filled",
    { limitMs, everyMs: EVERY_MS },
  );
}

/** Of how many entities states may be missing for good, by reason, over all gaps. */
export function unfilledOf({ gaps }: FillingStatus): Record<string, number> {
  const unfilled: Record<string, number> = {};
  for (const [reason, entities] of gaps.flatMap((gap) => Object.entries(gap.unfilled))) {
    unfilled[reason] = (unfilled[reason] ?? 0) + entities;
  }
  return unfilled;
}

/** One line for people. */
export function describeGaps({ gaps }: FillingStatus): string {
  return gaps.map(({ reason, entities, rows, unfilled }) => {
    const left = Object.entries(unfilled).map(([why, count]) => `, ${count} not: ${why}`);
    return `${reason}: ${rows} rows of ${entities} entities${left.join("")}`;
  }).join("; ");
}
