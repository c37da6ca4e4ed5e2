/** What ingest says of its gaps, and waiting until they are filled. */
import { z } from "zod";
import type { Program } from "./programs.ts";
import { total } from "./metrics_text.ts";
import { until } from "../../until.ts";

/** The last look at the recorder comes 90 s after subscribing. */
const FILLED_LIMIT_MS = 240_000;
const EVERY_MS = 250;
/** So many answers in a row must say that nothing is to do: a gap is known only after get_states. */
const SAMPLES = 8;

const statusSchema = z.looseObject({
  filling: z.looseObject({
    state: z.enum(["idle", "waiting", "reading"]),
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

/** Waits until ingest captures, all gaps are filled and nothing is queued; returns what it says then. */
export async function untilFilled(
  ingest: Program,
  limitMs = FILLED_LIMIT_MS,
): Promise<FillingStatus> {
  let samples = 0;
  return await until(
    async () => {
      const metrics = await ingest.metrics();
      const status = await fillingOf(ingest);
      if (!metrics.has("ingest_gap_entities")) throw new Error("There is no ingest_gap_entities");
      const filled = total(metrics, "ingest_capturing") === 1 &&
        total(metrics, "ingest_gap_entities") === 0 &&
        total(metrics, "ingest_events_queued") === 0 &&
        status.gaps.every(({ state }) => state === "filled");
      samples = filled ? samples + 1 : 0;
      return samples >= SAMPLES && status;
    },
    "all gaps are filled",
    { limitMs, everyMs: EVERY_MS },
  );
}

/** One line for people. */
export function describeGaps({ gaps }: FillingStatus): string {
  return gaps.map(({ reason, entities, rows, unfilled }) => {
    const left = Object.entries(unfilled).map(([why, count]) => `, ${count} not: ${why}`);
    return `${reason}: ${rows} rows of ${entities} entities${left.join("")}`;
  }).join("; ");
}
