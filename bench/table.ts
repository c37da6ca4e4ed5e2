/** The table that is printed at the end. */
import { type Figures, FLOOR, median, type Round, type Row, thousands } from "./figures.ts";
import { overRuns } from "./figures.ts";

/** The rounds that count; all of them where none does, for the table says so. */
export function soundRounds(rounds: readonly Round[]): readonly Round[] {
  const sound = rounds.filter((round) => round.void === undefined);
  return sound.length > 0 ? sound : rounds;
}

/** Text columns: the label, each contestant's figure, and the first's ratio to the floor's. */
export function tableOf(
  rounds: readonly Round[],
  contestants: readonly string[],
  rows: readonly Row[],
): string {
  const runs = soundRounds(rounds).flatMap((round) => round.runs);
  const figures = new Map(contestants.map((name) => [name, overRuns(runs, name, rows)]));
  const others = contestants.filter((name) => name !== FLOOR);
  const head = ["", ...contestants, ...others.map((name) => `${name} ÷ floor`)];
  const lines = rows.map((row) => [
    row.label,
    ...contestants.map((name) => cell(figures.get(name), row)),
    ...others.map((name) => ratio(figures.get(name), figures.get(FLOOR), row)),
  ]);
  const widths = head.map((_, i) => Math.max(...[head, ...lines].map((line) => line[i].length)));
  const text = [head, ...lines].map((line) =>
    line.map((text, i) => i === 0 ? text.padEnd(widths[i]) : text.padStart(widths[i])).join("  ")
  );
  return [...text, "", ...notesOf(rounds)].join("\n");
}

function notesOf(rounds: readonly Round[]): string[] {
  const voids = rounds.flatMap((round, i) =>
    round.void === undefined ? [] : `VOID, round ${i + 1}: ${round.void}`
  );
  const isVoid = voids.length === rounds.length;
  const of = (limit: "source" | "store") =>
    thousands(median(soundRounds(rounds).map(({ limits }) => limits[limit])));
  return [
    `The source alone: ${of("source")} events/s. The store from a plain writer: ${
      of("store")
    } lines/s.`,
    ...voids,
    ...(isVoid ? ["Every round is void: run it again while nothing else runs."] : []),
  ];
}

function cell(figures: Figures | undefined, { key, digits }: Row): string {
  const value = figures?.get(key);
  return value === undefined ? "–" : thousands(value, digits);
}

function ratio(own: Figures | undefined, floor: Figures | undefined, { key }: Row): string {
  const [value, base] = [own?.get(key), floor?.get(key)];
  return value === undefined || !base ? "" : thousands(value / base, 2);
}
