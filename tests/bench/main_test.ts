import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { z } from "zod";
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
