/** `--slow-sync`: what Home Assistant sees of an ingest whose disk takes long for each sync. */
import { join } from "node:path";
import { ConfigError } from "../lib/settings/settings_reader.ts";
import { run } from "../tests/real/parts/process.ts";
import { until } from "../tests/until.ts";
import { median, thousands } from "./figures.ts";
import { LOOP_PROBE, LoopTurns } from "./loop_turns.ts";
import { ProgramPair } from "./program_pair.ts";
import type { ProgressLine } from "./progress_line.ts";
import { nowMs, untilReadable } from "./readable.ts";
import type { Report } from "./report.ts";
import type { SlowSyncSizes } from "./sizes.ts";
import { Source } from "./source.ts";
import type { StoreName } from "./store.ts";
import { textColumns } from "./text_columns.ts";

/** Home Assistant cuts off a reader for whom more messages than this wait for 5 s. */
const WISHED_PENDING = 1_024;
/** A sync that is shorter than this part of what was asked for was not slowed down. */
const SLOWED_PART = 0.95;

export interface SlowSyncOptions {
  readonly sizes: SlowSyncSizes;
  readonly store: StoreName;
  readonly progress: ProgressLine;
}

/** How long each sync in a log of `strace -T` took, in milliseconds. */
export function syncTimesMs(log: string): number[] {
  return [...log.matchAll(/ = 0 (?:\(DELAYED\) )?<(\d+\.\d+)>$/gm)]
    .map(([, seconds]) => Number(seconds) * 1000);
}

/** The shortest one. Throws where there is none, or one was not slowed down. */
export function shortestOf(syncsMs: readonly number[], slowedMs: number): number {
  const shortest = Math.min(...syncsMs);
  if (syncsMs.length > 0 && shortest >= slowedMs * SLOWED_PART) return shortest;
  throw new Error(
    `Syncs were not slowed down: of ${syncsMs.length} the shortest took ${shortest.toFixed(1)} ms`,
  );
}

/** A command that runs a program each of whose syncs takes so much longer; each is written to the file. */
function slowly(syncMs: number, file: string): readonly string[] {
  const calls = "fsync,fdatasync";
  return [
    ...["strace", "-D", "-f", "--seccomp-bpf", "-qqq", "-T", "-o", file, "-e", "signal=none"],
    ...["-e", `trace=${calls}`, "-e", `inject=${calls}:delay_enter=${syncMs * 1000}`],
  ];
}

/** Throws ConfigError without strace, Error where the syncs prove not to have been slow. */
export async function slowSync({ sizes, store, progress }: SlowSyncOptions): Promise<Report> {
  const { syncMs, count, perSecond } = sizes;
  if ((await run(["strace", "--version"])).code !== 0) {
    throw new ConfigError(["--slow-sync needs strace in PATH (Debian: strace)"]);
  }
  await using resources = new AsyncDisposableStack();
  const dir = await Deno.makeTempDir({ prefix: "strace-" });
  const log = join(dir, "log");
  progress.say("slow syncs: start");
  const source = resources.use(await Source.start());
  const under = slowly(syncMs, log);
  const pair = resources.use(
    await ProgramPair.start({ source, store, compiledDir: "", preload: LOOP_PROBE, under }),
  );
  await pair.untilSettled(1_000);
  const before = (await pair.counts()).received;
  const syncsBefore = syncTimesMs(await Deno.readTextFile(log)).length;
  const fromMs = nowMs();
  const fired = await source.fire(
    { count, perSecond },
    (n) => progress.say(`slow syncs: ${n} of ${count} fired`),
  );
  progress.say("slow syncs: the last are committed");
  await until(
    async () => (await pair.counts()).received >= before + count,
    "all that was fired is committed",
  );
  const committedMs = nowMs();
  const { first, firstUs, lastUs } = fired;
  const numbers = { first, count, fromUs: firstUs };
  const { lost } = await untilReadable(
    pair.store,
    numbers,
    lastUs,
    (n) => progress.say(`slow syncs: ${n} of ${count} readable`),
  );
  const syncs = syncTimesMs(await Deno.readTextFile(log)).slice(syncsBefore);
  const shortest = shortestOf(syncs, syncMs);
  const figures = {
    syncMs,
    perSecond,
    count,
    syncs: syncs.length,
    shortestSyncMs: shortest,
    medianSyncMs: median(syncs),
    behindMs: committedMs - fired.lastUs / 1000,
    mostPending: fired.mostPending,
    cutOffs: fired.cutOffs,
    lost,
    longestTurnMs: await new LoopTurns(pair.ingest.dir).longest(fromMs, nowMs()),
  };
  return { text: textOf(figures), figures, isVoid: false };
}

interface SlowSyncFigures {
  readonly syncMs: number;
  readonly perSecond: number;
  readonly count: number;
  readonly syncs: number;
  readonly shortestSyncMs: number;
  readonly medianSyncMs: number;
  /** How long after the last one was fired all were on the disk. */
  readonly behindMs: number;
  readonly mostPending: number;
  readonly cutOffs: number;
  readonly lost: number;
  readonly longestTurnMs: number;
}

function textOf(figures: SlowSyncFigures): string {
  const { syncMs, perSecond, count, syncs, shortestSyncMs, mostPending } = figures;
  const rows: [label: string, value: string][] = [
    ["all are on the disk after the last was fired, ms", thousands(figures.behindMs)],
    ["most messages that waited for ingest", thousands(mostPending)],
    ["cut off as too slow a reader", thousands(figures.cutOffs)],
    ["lost", thousands(figures.lost)],
    ["longest turn of ingest, ms", thousands(figures.longestTurnMs)],
    ["a sync takes, ms: median", thousands(figures.medianSyncMs)],
    ["  the shortest", thousands(shortestSyncMs)],
    ["syncs", thousands(syncs)],
  ];
  const verdict = mostPending <= WISHED_PENDING
    ? `Never more than ${thousands(WISHED_PENDING)} messages waited.`
    : `More than ${
      thousands(WISHED_PENDING)
    } messages waited: Home Assistant cuts such a reader off.`;
  return [
    `${thousands(count)} events at ${thousands(perSecond)}/s, each sync ${syncMs} ms longer`,
    ...textColumns(rows),
    "",
    verdict,
  ].join("\n");
}
