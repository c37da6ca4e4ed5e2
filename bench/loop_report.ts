/** What `--loop` has to say. */
import { median } from "./figures.ts";
import type { WatchedActivity } from "./loop.ts";
import type { Report } from "./report.ts";
import { textColumns } from "./text_columns.ts";

/** A longer turn keeps capture waiting for longer than is wished. */
const WISHED_MS = 100;

const PROGRAMS = ["ingest", "enrich"] as const;

/** The table of the longest turns, the longest of all, and the machine's noise. */
export function loopReport(activities: readonly WatchedActivity[]): Report {
  const scenes = Map.groupBy(activities, ({ scene }) => scene);
  const ms = (value: number) => value.toFixed(0);
  const rows = [...scenes].flatMap(([scene, all]) => [
    [scene, "", "", ""],
    ...all.map(({ activity, ingest, enrich, idle }) => [
      `  ${activity}`,
      ...[ingest, enrich, idle].map(ms),
    ]),
  ]);
  const turns = activities.flatMap((one) =>
    PROGRAMS.map((program) => ({ ...one, program, tookMs: one[program] }))
  ).sort((a, b) => b.tookMs - a.tookMs);
  const long = turns.filter(({ tookMs }) => tookMs > WISHED_MS);
  const named = (turn: typeof turns[number]) =>
    `${turn.program} ${ms(turn.tookMs)} ms at "${turn.activity}", ${turn.scene}`;
  const cutOffs = activities.filter(({ cutOffs }) => cutOffs > 0)
    .map(({ scene, activity, cutOffs }) => `${cutOffs} at "${activity}", ${scene}`);
  const noiseMs = median(activities.map(({ idle }) => idle));
  return {
    text: [
      ...textColumns([["Longest turn, ms", ...PROGRAMS, "idle program"], ...rows]),
      "",
      `The longest of all: ${turns.slice(0, 1).map(named).join("")}.`,
      `Longer than ${WISHED_MS} ms: ${long.length} of ${turns.length}.`,
      `Cut off as too slow a reader: ${cutOffs.join("; ") || "never"}.`,
      `The machine's noise, which is in all of them: the idle program's longest turns have a ` +
      `median of ${ms(noiseMs)} ms.`,
    ].join("\n"),
    figures: { activities, noiseMs },
    isVoid: false,
  };
}
