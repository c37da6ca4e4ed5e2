/** Runs the benchmark: see `--help`, which options.ts holds. */
import { cpus, loadavg, totalmem } from "node:os";
import { complainOf, processOutput } from "../lib/program/command.ts";
import { ConfigError } from "../lib/settings/settings_reader.ts";
import { Checkout, OLD_RELEASE } from "../tests/real/parts/checkout.ts";
import { endAll } from "../tests/real/parts/process.ts";
import {
  type Contestant,
  type ContestantOptions,
  startFloor,
  startPrograms,
} from "./contestant.ts";
import { FLOOR, type Limits, type Round, type Run, voidReason } from "./figures.ts";
import { Measurement } from "./measurement.ts";
import { Meter } from "./meter.ts";
import { type BenchOptions, HELP, readOptions } from "./options.ts";
import { plainLimit } from "./plain_writer.ts";
import { ProgressLine } from "./progress_line.ts";
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
  const { plan: { limit }, store } = options;
  progress.say("what the source can do");
  const alone = await source.alone(limit);
  progress.say("what the store can do");
  await using lineStore = await openLineStore(store);
  return { source: alone, store: await plainLimit(lineStore, limit) };
}

async function roundOf(bench: Bench): Promise<Round> {
  const { options: { plan, store }, source, meter, starts, progress } = bench;
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
  const floor = runs.find(({ contestant }) => contestant === FLOOR)?.figures.get("per_second") ?? 0;
  const isStored = store !== "none" && store !== "local";
  return { limits, runs, void: voidReason(floor, isStored ? limits.store : undefined) };
}

function machine() {
  return {
    processor: cpus()[0]?.model ?? "",
    cores: navigator.hardwareConcurrency,
    memoryMb: Math.round(totalmem() / 1e6),
    architecture: Deno.build.arch,
    deno: Deno.version.deno,
    // of the last minute: beside something else nothing can be measured
    loadBefore: loadavg()[0],
  };
}

/** Every figure, for programs. */
function jsonOf(
  options: BenchOptions,
  before: ReturnType<typeof machine>,
  rounds: readonly Round[],
) {
  return JSON.stringify(
    {
      ...options,
      date: new Date().toISOString(),
      machine: before,
      rounds: rounds.map(({ runs, ...round }) => ({
        ...round,
        runs: runs.map(({ contestant, figures }) => ({
          contestant,
          figures: Object.fromEntries(figures),
        })),
      })),
    },
    null,
    2,
  );
}

async function bench(options: BenchOptions): Promise<number> {
  const { store, plan, against, rounds: count } = options;
  const compiledDir = Deno.env.get("COMPILED_DIR") || undefined;
  if (compiledDir && against) {
    throw new ConfigError([
      "COMPILED_DIR and --against: sources are compared with sources; unset it",
    ]);
  }
  const before = machine();
  const progress = new ProgressLine();
  await using resources = new AsyncDisposableStack();
  const meter = resources.use(await Meter.start());
  const source = resources.use(await Source.start());
  const shared: ContestantOptions = { source, meter, store, compiledDir, backlog: plan.backlog };
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
    rounds.push(await roundOf({ options, source, meter, starts, progress }));
  }
  progress.end();
  const { processor, cores, loadBefore } = before;
  output.write(
    `Store: ${store}. ${processor}, ${cores} cores, load before: ${loadBefore.toFixed(1)}. ` +
      `Deno ${before.deno}.\n\n` +
      `${tableOf(rounds, starts.map(([name]) => name), rowsOf(plan))}\n`,
  );
  if (options.json) await Deno.writeTextFile(options.json, jsonOf(options, before, rounds));
  return rounds.every((round) => round.void !== undefined) ? 1 : 0;
}

/** Runs in a folder of its own for all that is temporary, which goes however it ends. */
async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options.help) {
    output.write(HELP);
    return 0;
  }
  const folder = await Deno.makeTempDir({ prefix: "bench-" });
  Deno.env.set("TMPDIR", folder);
  const interrupted = Promise.withResolvers<number>();
  Deno.addSignalListener("SIGINT", () => interrupted.resolve(130));
  Deno.addSignalListener("SIGTERM", () => interrupted.resolve(143));
  try {
    return await Promise.race([bench(options), interrupted.promise]);
  } finally {
    await endAll();
    await Deno.remove(folder, { recursive: true });
  }
}

const output = processOutput("bench");

if (import.meta.main) {
  Deno.exit(await main(Deno.args).catch((error: unknown) => complainOf(error, output)));
}
