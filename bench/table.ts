/** The table that is printed at the end. */
import {
  figureOf,
  floorRateOf,
  type Limits,
  median,
  ratioOf,
  type Round,
  type Row,
  soundRounds,
  thousands,
} from "./figures.ts";
import { textColumns } from "./text_columns.ts";

/** Text columns: the label, each contestant's figure, and the ratios of the first to the others. */
export function tableOf(
  rounds: readonly Round[],
  contestants: readonly string[],
  rows: readonly Row[],
): string {
  const sound = soundRounds(rounds);
  const [first, ...others] = contestants;
  const head = ["", ...contestants, ...others.map((other) => `${first} ÷ ${other}`)];
  const lines = rows.map((row) => [
    row.label,
    ...contestants.map((name) => number(figureOf(sound, name, row), row.digits, "–")),
    ...others.map((other) => number(ratioOf(sound, first, other, row), 2, "")),
  ]);
  return [...textColumns([head, ...lines]), "", ...notesOf(rounds)].join("\n");
}

function number(value: number | undefined, digits: number, otherwise: string): string {
  return value === undefined ? otherwise : thousands(value, digits);
}

function notesOf(rounds: readonly Round[]): string[] {
  const voids = rounds.flatMap((round, i) =>
    round.void === undefined ? [] : `VOID, round ${i + 1}: ${round.void}`
  );
  const isVoid = voids.length === rounds.length;
  const of = (limit: keyof Limits) =>
    thousands(median(soundRounds(rounds).map(({ limits }) => limits[limit])));
  const part = thousands(
    median(soundRounds(rounds).map((round) => floorRateOf(round) / round.limits.store)),
    2,
  );
  return [
    `Events/s alone: the source ${of("source")}, the floor where nothing is stored ${
      of("reading")
    }, ` +
    `the store from a plain writer ${of("store")}, of which the floor reached ${part}.`,
    ...voids,
    ...(isVoid ? ["Every round is void: run it again while nothing else runs."] : []),
  ];
}
