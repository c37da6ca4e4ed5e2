/** What was measured in rounds, for programs, and on what machine. */
import { cpus, loadavg, totalmem } from "node:os";
import { figureOf, ratioOf, type Round, type Row, soundRounds } from "./figures.ts";

/** What it was measured on. */
export function machine() {
  return {
    processor: cpus()[0]?.model ?? "",
    cores: navigator.hardwareConcurrency,
    memoryMb: Math.round(totalmem() / 1e6),
    architecture: Deno.build.arch,
    deno: Deno.version.deno,
    /** Of the last minute: beside something else nothing can be measured. */
    loadBefore: loadavg()[0],
  };
}

export interface Results {
  readonly rounds: readonly Round[];
  /** The first is what the ratios are of. */
  readonly contestants: readonly string[];
  readonly rows: readonly Row[];
}

/** The table's figures and ratios by their keys, and every round's, for JSON. */
export function roundFigures({ rounds, contestants, rows }: Results): object {
  const sound = soundRounds(rounds);
  const [first, ...others] = contestants;
  const byKey = (of: (row: Row) => number | undefined) =>
    Object.fromEntries(rows.map((row) => [row.key, of(row)]));
  return {
    figures: Object.fromEntries(
      contestants.map((name) => [name, byKey((row) => figureOf(sound, name, row))]),
    ),
    ratios: Object.fromEntries(
      others.map((other) => [other, byKey((row) => ratioOf(sound, first, other, row))]),
    ),
    rounds: rounds.map(({ runs, ...round }) => ({
      ...round,
      runs: runs.map(({ contestant, figures }) => ({
        contestant,
        figures: Object.fromEntries(figures),
      })),
    })),
  };
}
