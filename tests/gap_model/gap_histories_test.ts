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

function live(...actions: GapAction[]): Promise<void> {
  return liveIn(HOUSE, ...actions);
}

async function liveIn(house: GapHouse, ...actions: GapAction[]): Promise<void> {
  await using history = new GapHistory(house);
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

Deno.test("An entity that was gone in a gap, and is back before a step back of the clock in the next, loses nothing", () =>
  liveIn(
    { ...HOUSE, version: "2024.3.3", commitIntervalMs: 60, before: 4 },
    // its recorder cannot be asked for as long as nothing is heard
    { kind: "cut" },
    { kind: "change", entity: 4, how: "remove" },
    { kind: "clock", seconds: 3_600 },
    { kind: "wait", ms: 25 },
    { kind: "complete" },
    { kind: "stop" },
    { kind: "changes", n: 9 },
    { kind: "clock", seconds: -3_600 },
    { kind: "changes", n: 9 },
  ));

Deno.test("An entity that was gone in a gap, and is back behind a step back of the clock while that waits, loses nothing", () =>
  liveIn(
    { ...HOUSE, version: "2025.4.4", commitIntervalMs: 20, before: 10 },
    { kind: "stop" },
    { kind: "changes", n: 9 },
    { kind: "start" },
    {
      kind: "restart",
      crashed: true,
      loses: true,
      downMs: 10,
      startingMs: 15,
      historyMs: 0,
      awaits: true,
    },
    { kind: "complete" },
    { kind: "clock", seconds: -3_600 },
    { kind: "changes", n: 12 },
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
