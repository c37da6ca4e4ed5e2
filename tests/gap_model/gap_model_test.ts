import fc from "fast-check";
import { gapActions, gapHouse } from "./gap_actions.ts";
import { GapHistory } from "./gap_history.ts";

/** GAP_MODEL_RUNS=2000 tries so many histories; GAP_MODEL_SEED those of a failure again. */
const runs = Number(Deno.env.get("GAP_MODEL_RUNS") ?? 25);
const seed = Number(Deno.env.get("GAP_MODEL_SEED") ?? Date.now() % 0x7fffffff);

Deno.test(`Whatever ${runs} histories do, what the recorder has is captured, and what it lost is said (seed ${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(gapHouse, gapActions, async (house, actions) => {
      await using history = new GapHistory(house);
      await history.begin();
      for (const one of actions) await history.do(one);
      await history.end();
    }),
    { numRuns: runs, seed, endOnFailure: !Deno.env.get("GAP_MODEL_SHRINK") },
  );
});
