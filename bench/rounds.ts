/** Rounds: both programs beside the floor, load after load. */
import { ConfigError } from "../lib/settings/settings_reader.ts";
import { Checkout, OLD_RELEASE } from "../tests/real/parts/checkout.ts";
import {
  type Contestant,
  type ContestantOptions,
  readingLimit,
  startFloor,
  startPrograms,
} from "./contestant.ts";
import { FLOOR, floorRateOf, type Limits, type Round, type Run, voidReason } from "./figures.ts";
import { Measurement } from "./measurement.ts";
import type { Meter } from "./meter.ts";
import type { BenchOptions } from "./options.ts";
import { plainLimit } from "./plain_writer.ts";
import type { ProgressLine } from "./progress_line.ts";
import type { Report } from "./report.ts";
import { roundFigures } from "./results.ts";
import { rowsOf } from "./rows.ts";
import { Source } from "./source.ts";
import { openLineStore } from "./store.ts";
import { tableOf } from "./table.ts";

const OURS = "ours";

/** Names a contestant, and starts it. */
type Start = readonly [name: string, start: () => Promise<Contestant>];

interface Bench {
  readonly options: BenchOptions;
  readonly source: Source;
  readonly meter: Meter;
  readonly starts: readonly Start[];
  readonly progress: ProgressLine;
}

async function limitsOf({ options, source, progress }: Bench): Promise<Limits> {
  const { plan, store } = options;
  progress.say("what the source can do");
  const alone = await source.alone(plan.limit);
  progress.say("what the floor can do without a store");
  const reading = await readingLimit(source, plan.full);
  progress.say("what the store can do");
  await using lineStore = await openLineStore(store);
  return { source: alone, reading, store: await plainLimit(lineStore, plan.limit) };
}

async function roundOf(bench: Bench): Promise<Round> {
  const { options: { plan }, source, meter, starts, progress } = bench;
  const limits = await limitsOf(bench);
  const runs: Run[] = [];
  for (const [name, start] of starts) {
    progress.within(name);
    progress.say("starts");
    await using contestant = await start();
    const say = (text: string) => progress.say(text);
    const figures = await new Measurement({ contestant, source, meter, say }, plan).run();
    runs.push({ contestant: name, figures });
  }
  progress.within("");
  const floor = floorRateOf({ runs });
  return { limits, runs, void: plan.counts ? voidReason(floor, limits) : undefined };
}

/** Measures as many rounds as the options ask for. Throws ConfigError for what cannot be. */
export async function measureRounds(
  options: BenchOptions,
  { meter, progress, compiledDir }: {
    readonly meter: Meter;
    readonly progress: ProgressLine;
    readonly compiledDir: string | undefined;
  },
): Promise<Report> {
  const { store, plan, against, rounds: count } = options;
  if (compiledDir && against) {
    throw new ConfigError([
      "COMPILED_DIR and --against: sources are compared with sources; unset it",
    ]);
  }
  await using resources = new AsyncDisposableStack();
  const source = resources.use(await Source.start());
  const shared: ContestantOptions = { source, meter, store, compiledDir };
  const starts: Start[] = [[OURS, () => startPrograms(shared)]];
  if (against) {
    const commit = against === "v0.1.0" ? OLD_RELEASE : against;
    const { path } = resources.use(await Checkout.of(commit));
    starts.push([against, () => startPrograms({ ...shared, checkout: path })]);
  }
  starts.push([FLOOR, () => startFloor(shared)]);
  const rounds: Round[] = [];
  for (let i = 1; i <= count; i++) {
    progress.round(i, count);
    // in turn from either end, so that no one is always the first or behind the same one
    const order = i % 2 === 1 ? starts : starts.toReversed();
    rounds.push(await roundOf({ options, source, meter, starts: order, progress }));
  }
  const contestants = starts.map(([name]) => name);
  const rows = rowsOf(plan);
  return {
    text: tableOf(rounds, contestants, rows),
    figures: roundFigures({ rounds, contestants, rows }),
    isVoid: rounds.every((round) => round.void !== undefined),
  };
}
