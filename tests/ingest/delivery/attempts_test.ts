import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Attempts } from "../../../lib/ingest/delivery/attempts.ts";
import { WORTH_EVENTS } from "../../../lib/ingest/delivery/batch_beside.ts";
import { LaterClock } from "../../later_clock.ts";
import { linesOf, TIMES } from "./delivering.ts";
import { batchOf } from "../outbox/rows.ts";

/** So long that no machine is slow enough for it to pass by itself. */
const gatherMs = 3_600_000;
const MINUTE_MS = 60_000;

/** Whether the next batch may go so long after one of so many events was sent; undefined: after none. */
async function mayGo(passedMs: number, behind: number | undefined): Promise<boolean> {
  const attempts = new Attempts(
    () => Promise.resolve({ kind: "failed", meaning: "too large", reason: "it is a test" }),
    { ...TIMES, gatherMs },
  );
  const stop = new AbortController();
  if (behind !== undefined) {
    await attempts.all(batchOf(linesOf(behind)), stop.signal, () => {});
  }
  using _ = new LaterClock(() => passedMs);
  let isGathered = false;
  const gathering = attempts.gathered(stop.signal).then(() => void (isGathered = true));
  for (let i = 0; i < 3; i++) await nextTurn();
  const mayGo = isGathered;
  stop.abort();
  await gathering;
  return mayGo;
}

Deno.test("Attempts gather behind a small batch, twice as long behind several events, and not at all at first or behind a large one", async () => {
  assert.ok(await mayGo(0, undefined), "the first does not wait");
  for (const few of [1, 19]) {
    assert.ok(!await mayGo(gatherMs - MINUTE_MS, few), `behind ${few} it waits`);
    assert.ok(await mayGo(gatherMs, few), `behind ${few} it waits no longer than that`);
  }
  for (const several of [20, WORTH_EVENTS - 1]) {
    assert.ok(!await mayGo(2 * gatherMs - MINUTE_MS, several), `behind ${several} it waits longer`);
    assert.ok(await mayGo(2 * gatherMs, several), `behind ${several} it waits no longer than that`);
  }
  assert.ok(await mayGo(0, WORTH_EVENTS), "behind a large one it does not wait");
});
