/** Runs the benchmark: see `--help`, which options.ts holds. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { complainOf, processOutput } from "../lib/program/command.ts";
import { ConfigError } from "../lib/settings/settings_reader.ts";
import { endAll, takeOutputs } from "../tests/real/parts/process.ts";
import { executable } from "../tests/real/parts/programs.ts";
import { measureGrowth } from "./growth.ts";
import { growthReport } from "./growth_report.ts";
import { longestTurns } from "./loop.ts";
import { loopReport } from "./loop_report.ts";
import { Meter } from "./meter.ts";
import { type BenchOptions, HELP, readOptions } from "./options.ts";
import { writeSection } from "./performance_page.ts";
import { ProgressLine } from "./progress_line.ts";
import type { Report } from "./report.ts";
import { machine } from "./results.ts";
import { measureRounds } from "./rounds.ts";
import {
  GROWTH_SIZES,
  GROWTH_SIZES_QUICK,
  LOOP_SIZES,
  LOOP_SIZES_QUICK,
  SLOW_SYNC_SIZES,
  SLOW_SYNC_SIZES_QUICK,
} from "./sizes.ts";
import { slowSync } from "./slow_sync.ts";

const PAGE = new URL("../docs/performance.md", import.meta.url).pathname;

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

/** Measures what the options ask for. */
async function measure(options: BenchOptions, progress: ProgressLine): Promise<Report> {
  const { kind, quick, store } = options;
  const compiledDir = compiledFolder();
  if (kind === "loop") {
    const sizes = quick ? LOOP_SIZES_QUICK : LOOP_SIZES;
    return loopReport(await longestTurns({ sizes, store, progress }));
  }
  if (kind === "slow-sync") {
    return await slowSync({
      sizes: quick ? SLOW_SYNC_SIZES_QUICK : SLOW_SYNC_SIZES,
      store,
      progress,
    });
  }
  await using meter = await Meter.start();
  if (kind === "rounds") return await measureRounds(options, { meter, progress, compiledDir });
  const sizes = quick ? GROWTH_SIZES_QUICK : GROWTH_SIZES;
  return growthReport(await measureGrowth({ sizes, store, compiledDir, meter, progress }));
}

async function bench(options: BenchOptions): Promise<number> {
  const { store, kind, quick, docs, json } = options;
  // that it cannot be written is better known now
  if (json) await Deno.writeTextFile(json, "");
  const before = machine();
  const date = new Date().toISOString();
  const progress = new ProgressLine();
  const { text, figures, isVoid, plots } = await measure(options, progress);
  progress.end();
  const { processor, cores, loadBefore, deno } = before;
  const table = `Store: ${store}. ${processor}, ${cores} cores, load before: ` +
    `${loadBefore.toFixed(1)}. Deno ${deno}.\n\n${text}`;
  output.write(`${table}\n${quick ? "--quick: of so few events no figure counts.\n" : ""}`);
  if (json) {
    const all = { options, machine: before, date, ...figures };
    await Deno.writeTextFile(json, JSON.stringify(all, null, 2));
  }
  if (docs && !isVoid) await writeSection(PAGE, kind, `${date.slice(0, 10)}. ${table}`, plots);
  return isVoid ? 1 : 0;
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
