/** Runs the benchmark: see `--help`, which options.ts holds. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { complainOf, processOutput } from "../lib/program/command.ts";
import { ConfigError } from "../lib/settings/settings_reader.ts";
import { Checkout, OLD_RELEASE } from "../tests/real/parts/checkout.ts";
import { endAll, takeOutputs } from "../tests/real/parts/process.ts";
import { executable } from "../tests/real/parts/programs.ts";
import {
  type Contestant,
  type ContestantOptions,
  readingLimit,
  startFloor,
  startPrograms,
} from "./contestant.ts";
import { FLOOR, floorRateOf, type Limits, type Round, type Run, voidReason } from "./figures.ts";
import { Measurement } from "./measurement.ts";
import { Meter } from "./meter.ts";
import { type BenchOptions, HELP, readOptions } from "./options.ts";
import { plainLimit } from "./plain_writer.ts";
import { ProgressLine } from "./progress_line.ts";
import { machine, resultsText } from "./results.ts";
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

/** Where COMPILED_DIR says that compiled programs are. Throws ConfigError where they are not there. */
function compiledFolder(): string | undefined {
  const named = Deno.env.get("COMPILED_DIR");
  if (!named) return undefined;
  const missing = ["ingest", "enrich"].map((name) => executable(resolve(named), name))
    .filter((path) => !existsSync(path));
  if (missing.length === 0) return resolve(named);
  throw new ConfigError([
    `COMPILED_DIR=${named}: there is no ${
      missing.join(", no ")
    }; run deno task compile, or unset it`,
  ]);
}

async function bench(options: BenchOptions): Promise<number> {
  const { store, plan, against, json, rounds: count } = options;
  const compiledDir = compiledFolder();
  if (compiledDir && against) {
    throw new ConfigError([
      "COMPILED_DIR and --against: sources are compared with sources; unset it",
    ]);
  }
  // that it cannot be written is better known now
  if (json) await Deno.writeTextFile(json, "");
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
    // in turn from either end, so that no one is always the first or behind the same one
    const order = i % 2 === 1 ? starts : starts.toReversed();
    rounds.push(await roundOf({ options, source, meter, starts: order, progress }));
  }
  progress.end();
  const names = starts.map(([name]) => name);
  const rows = rowsOf(plan);
  const { processor, cores, loadBefore, deno } = before;
  output.write(
    `Store: ${store}. ${processor}, ${cores} cores, load before: ${loadBefore.toFixed(1)}. ` +
      `Deno ${deno}.\n\n${tableOf(rounds, names, rows)}\n` +
      (plan.counts ? "" : "--quick: of so few events no figure counts.\n"),
  );
  if (json) {
    const all = { options, machine: before, rounds, contestants: names, rows };
    await Deno.writeTextFile(json, resultsText(all));
  }
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
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    interrupted.reject(event.reason);
  });
  try {
    return await Promise.race([bench(options), interrupted.promise]);
  } catch (error) {
    await endAll();
    const said = takeOutputs();
    if (said !== "") output.complain(said);
    throw error;
  } finally {
    await endAll();
    await Deno.remove(folder, { recursive: true });
  }
}

const output = processOutput("bench");

if (import.meta.main) {
  Deno.exit(await main(Deno.args).catch((error: unknown) => complainOf(error, output)));
}
