import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import * as z from "zod";
import { TemporaryFolder } from "../temporary.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

const resultSchema = z.object({
  options: z.object({ store: z.string() }),
  ratios: z.object({ floor: z.object({ per_second: z.number().positive() }) }),
  rounds: z.array(z.object({
    limits: z.object({ source: z.number().positive(), store: z.number().positive() }),
    runs: z.array(z.object({
      contestant: z.string(),
      figures: z.record(z.string(), z.number()),
    })),
  })),
});

/** `deno task bench`, with a folder of its own for what is temporary. */
function bench(folder: TemporaryFolder, ...args: readonly string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "bench", ...args],
    cwd: ROOT,
    env: { TMPDIR: folder.path, NO_COLOR: "1", COMPILED_DIR: "" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

Deno.test("The benchmark measures both programs and the floor, loses nothing, and leaves nothing behind", async () => {
  using folder = new TemporaryFolder();
  const json = folder.file("figures.json");
  const { code, stdout, stderr } = await bench(folder, "--quick", `--json=${json}`).output();
  const [table, progress] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.equal(code, 0, progress);
  assert.match(table, /^as fast as taken, until readable: events\/s +[\d,]+ +[\d,]+ +[\d.]+$/m);
  assert.match(table, /--quick/);
  assert.match(progress, /^ours · as fast as taken$/m);
  const { options, rounds } = resultSchema.parse(JSON.parse(Deno.readTextFileSync(json)));
  assert.equal(options.store, "none");
  const [round] = rounds;
  assert.deepEqual(round.runs.map(({ contestant }) => contestant), ["ours", "floor"]);
  for (const { contestant, figures } of round.runs) {
    assert.equal(figures.lost, 0, contestant);
    assert.equal(figures.cut_offs, 0, contestant);
    for (const key of ["per_second", "start_ms", "rss_idle", "rss_load", "cpu_full", "burst_ms"]) {
      assert.ok(figures[key] > 0, `${contestant}: ${key} is ${figures[key]}`);
    }
  }
  assert.ok(round.runs[0].figures.drain_per_second > 0);
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["figures.json"]);
});

Deno.test("A benchmark that is interrupted ends what it started and leaves nothing behind", async () => {
  using folder = new TemporaryFolder();
  const process = bench(folder, "--quick").spawn();
  const reader = process.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let progress = "";
  while (!progress.includes("ours · 500 events/s")) {
    const { value, done } = await reader.read();
    assert.ok(!done, `it has ended: ${progress}`);
    progress += value;
  }
  const [ours] = [...Deno.readDirSync(folder.path)];
  assert.match(ours.name, /^bench-/);
  process.kill("SIGINT");
  await reader.cancel();
  await process.stdout.cancel();
  assert.equal((await process.status).code, 130);
  assert.equal(existsSync(`${folder.path}/${ours.name}`), false);
});

Deno.test("A benchmark whose server is missing says which variable names it", async () => {
  using folder = new TemporaryFolder();
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "bench", "--quick", "--store=victoriametrics"],
    cwd: ROOT,
    env: { TMPDIR: folder.path, VICTORIA_METRICS: "" },
    stdin: "null",
  }).output();
  assert.equal(code, 2);
  assert.match(new TextDecoder().decode(stderr), /let VICTORIA_METRICS be the server's path/);
});

const longestSchema = z.object({
  noiseMs: z.number(),
  activities: z.array(z.object({
    scene: z.string(),
    activity: z.string(),
    ingest: z.number(),
    enrich: z.number(),
    idle: z.number(),
  })),
});

Deno.test("The benchmark says how long both programs' turns are, by what is going on", async () => {
  using folder = new TemporaryFolder();
  const json = folder.file("figures.json");
  const args = ["--loop", "--quick", `--json=${json}`];
  const { code, stdout, stderr } = await bench(folder, ...args).output();
  const [table, progress] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.equal(code, 0, progress);
  assert.match(
    table,
    /^200 entities\n {2}start +\d+ +\d+ +\d+\n {2}20,000 events\/s +\d+ +\d+ +\d+$/m,
  );
  assert.match(table, /^The longest of all: (ingest|enrich) \d+ ms at ".+", .+\.$/m);
  const { activities } = longestSchema.parse(JSON.parse(Deno.readTextFileSync(json)));
  const named = (word: string) =>
    activities.filter(({ activity }) => activity.includes(word)).length;
  assert.deepEqual(
    ["start", "as fast as taken", "drain", "pages open", "registries", "get_states"].map(named),
    [4, 3, 1, 4, 2, 2],
  );
  // a turn in which hundreds of events are taken is never too short to be seen
  for (const { activity, ingest } of activities) {
    if (activity === "as fast as taken") assert.ok(ingest > 0, activity);
  }
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["figures.json"]);
});

const growthSchema = z.object({
  entities: z.array(z.object({
    entities: z.number(),
    ingestUs: z.number().positive(),
    enrichUs: z.number().positive(),
    ingestMb: z.number().positive(),
    enrichMb: z.number().positive(),
  })),
  waiting: z.array(z.object({
    waiting: z.number(),
    captureUs: z.number().positive(),
    deliverMs: z.number().positive(),
    ingestMb: z.number().positive(),
  })),
});

Deno.test("The benchmark says what an event costs as a house and the outbox grow", async () => {
  using folder = new TemporaryFolder();
  const json = folder.file("figures.json");
  const args = ["--growth", "--quick", `--json=${json}`];
  const { code, stdout, stderr } = await bench(folder, ...args).output();
  const [table, progress] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.equal(code, 0, progress);
  assert.match(table, /^Entities +ingest, CPU µs\/event/m);
  const { entities, waiting } = growthSchema.parse(JSON.parse(Deno.readTextFileSync(json)));
  assert.deepEqual(entities.map((step) => step.entities), [10, 100]);
  assert.deepEqual(waiting.map((step) => step.waiting), [10, 1_000]);
});

Deno.test("What needs strace says so where it is missing", async () => {
  using folder = new TemporaryFolder();
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "bench", "--quick", "--slow-sync"],
    cwd: ROOT,
    env: { TMPDIR: folder.path, PATH: bashAlone(folder) },
    stdin: "null",
  }).output();
  assert.equal(code, 2);
  assert.match(new TextDecoder().decode(stderr), /--slow-sync needs strace/);
});

/** A PATH that has bash and no other program. */
function bashAlone(folder: TemporaryFolder): string {
  Deno.mkdirSync(folder.file("bin"));
  Deno.writeTextFileSync(folder.file("bin/bash"), '#!/bin/bash\nexec /bin/bash "$@"\n', {
    mode: 0o755,
  });
  return folder.file("bin");
}
