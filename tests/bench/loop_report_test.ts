import assert from "node:assert/strict";
import { loopReport } from "../../bench/loop_report.ts";

Deno.test("The longest turns are told by scene and activity, with the longest of all, cut-offs and the noise", () => {
  const { text, figures } = loopReport([
    { scene: "20,000 entities", activity: "start", ingest: 90, enrich: 12, idle: 3, cutOffs: 0 },
    { scene: "20,000 entities", activity: "flood", ingest: 40, enrich: 101, idle: 9, cutOffs: 2 },
    { scene: "dead letters", activity: "start", ingest: 312, enrich: 0, idle: 4, cutOffs: 0 },
  ]);
  assert.equal(
    text,
    `Longest turn, ms  ingest  enrich  idle program
20,000 entities
  start               90      12             3
  flood               40     101             9
dead letters
  start              312       0             4

The longest of all: ingest 312 ms at "start", dead letters.
Longer than 100 ms: 2 of 6.
Cut off as too slow a reader: 2 at "flood", 20,000 entities.
The machine's noise, which is in all of them: the idle program's longest turns have a median of 4 ms.`,
  );
  assert.match(
    loopReport([{ scene: "one", activity: "start", ingest: 1, enrich: 1, idle: 1, cutOffs: 0 }])
      .text,
    /^Cut off as too slow a reader: never\.$/m,
  );
  assert.equal(JSON.parse(JSON.stringify(figures)).noiseMs, 4);
});
