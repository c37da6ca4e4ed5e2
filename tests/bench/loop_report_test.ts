import assert from "node:assert/strict";
import { loopReport } from "../../bench/loop_report.ts";

Deno.test("The longest turns are told by scene and activity, with the longest of all and the noise", () => {
  const { text, figures } = loopReport([
    { scene: "20,000 entities", activity: "start", ingest: 90, enrich: 12, idle: 3 },
    { scene: "20,000 entities", activity: "flood", ingest: 40, enrich: 101, idle: 9 },
    { scene: "dead letters", activity: "start", ingest: 312, enrich: 0, idle: 4 },
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
The machine's noise, which is in all of them: the idle program's longest turns have a median of 4 ms.`,
  );
  assert.equal(JSON.parse(JSON.stringify(figures)).noiseMs, 4);
});
