/** Histories that went wrong once, each as short as it could be made. */
import type { GapAction, GapHouse } from "./gap_actions.ts";
import { GapHistory } from "./gap_history.ts";

const HOUSE: GapHouse = {
  version: "2026.11.0",
  importDays: 0,
  commitIntervalMs: 0,
  aheadSeconds: 0,
  before: 0,
};

async function live(...actions: GapAction[]): Promise<void> {
  await using history = new GapHistory(HOUSE);
  await history.begin();
  for (const one of actions) await history.do(one);
  await history.end();
}

Deno.test("States from before a step back of the clock are filled in, of entities that were quiet for longer, too", () =>
  live(
    { kind: "complete" },
    { kind: "stop" },
    { kind: "changes", n: 9 },
    { kind: "clock", seconds: -3_600 },
    { kind: "changes", n: 9 },
  ));

Deno.test("States that are years ahead of a clock that was put right are filled in", async () => {
  await using history = new GapHistory({ ...HOUSE, aheadSeconds: 3 * 365 * 86_400 });
  await history.begin();
  await history.do({ kind: "complete" });
  await history.do({ kind: "stop" });
  await history.do({ kind: "changes", n: 9 });
  await history.do({ kind: "clock", seconds: -3 * 365 * 86_400 });
  await history.do({ kind: "changes", n: 9 });
  await history.end();
});
