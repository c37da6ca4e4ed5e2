import assert from "node:assert/strict";
import { LOOP_PROBE, LoopTurns } from "../../bench/loop_turns.ts";
import { nowMs } from "../../bench/readable.ts";
import { TemporaryFolder } from "../temporary.ts";

/** Runs a program under the probe to its end. */
async function probed(folder: TemporaryFolder, program: string): Promise<LoopTurns> {
  Deno.writeTextFileSync(folder.file("program.ts"), program);
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--no-config",
      `--allow-write=${folder.path}`,
      `--preload=${LOOP_PROBE}`,
      "program.ts",
    ],
    cwd: folder.path,
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return new LoopTurns(folder.path);
}

const block = (ms: number) =>
  `Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${ms});`;
const pause = "await new Promise((resolve) => setTimeout(resolve, 100));";

Deno.test("A program that blocks for 300 ms is seen to, and one that works in turns is not", async () => {
  using folder = new TemporaryFolder();
  const fromMs = nowMs();
  const turns = await probed(folder, `${pause} ${block(300)} ${pause}`);
  const longest = await turns.longest(fromMs, nowMs());
  // a busy machine only makes it longer
  assert.ok(longest >= 295 && longest < 2_000, `${longest} ms`);
  assert.equal(await turns.longest(fromMs - 60_000, fromMs), 0);
  using other = new TemporaryFolder();
  const steps = Array.from({ length: 30 }, () => `${block(10)} ${pause}`).join("\n");
  const short = await (await probed(other, steps)).longest(fromMs, nowMs());
  assert.ok(short >= 9 && short < longest, `${short} ms of ${longest} ms`);
});

Deno.test("Where no probe ran nothing is made up", async () => {
  using folder = new TemporaryFolder();
  await assert.rejects(new LoopTurns(folder.path).longest(0, nowMs()), Deno.errors.NotFound);
});
