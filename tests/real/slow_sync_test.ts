import assert from "node:assert/strict";
import * as z from "zod";
import { ProgressLine } from "../../bench/progress_line.ts";
import { slowSync } from "../../bench/slow_sync.ts";
import { realTest } from "./parts/real_test_case.ts";

const figuresSchema = z.object({
  syncs: z.number(),
  shortestSyncMs: z.number(),
  longestTurnMs: z.number(),
  mostPending: z.number(),
  cutOffs: z.number(),
  lost: z.number(),
});

realTest(
  "A disk that takes 200 ms for a sync keeps no message of Home Assistant waiting, and nothing is lost",
  async () => {
    const sizes = { syncMs: 200, count: 20_000, perSecond: 2_000 };
    const { figures } = await slowSync({ sizes, store: "none", progress: new ProgressLine() });
    const { syncs, shortestSyncMs, longestTurnMs, mostPending, cutOffs, lost } = figuresSchema
      .parse(figures);
    assert.ok(
      syncs > 5 && shortestSyncMs >= 190,
      `${syncs} syncs of at least ${shortestSyncMs} ms`,
    );
    // the program itself has waited for them
    assert.ok(longestTurnMs >= 190, `${longestTurnMs} ms`);
    assert.ok(mostPending <= 1_024, `${mostPending} messages waited`);
    assert.deepEqual({ cutOffs, lost }, { cutOffs: 0, lost: 0 });
  },
);
