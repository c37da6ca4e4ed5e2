import assert from "node:assert/strict";
import { growthReport } from "../../bench/growth_report.ts";

const GROWTH = {
  entities: [
    { entities: 10, ingestUs: 50, enrichUs: 40, ingestMb: 100, enrichMb: 110 },
    { entities: 50_000, ingestUs: 60, enrichUs: 44, ingestMb: 300, enrichMb: 220 },
  ],
  waiting: [
    { waiting: 10, captureUs: 60, deliverMs: 80, ingestMb: 100 },
    { waiting: 1_000_000, captureUs: 66, deliverMs: 100, ingestMb: 125 },
  ],
};

Deno.test("Growth is told as tables that end with the ratio of the last step to the first", () => {
  const { text } = growthReport(GROWTH);
  assert.match(text, /^50,000 +60\.0 +44\.0 +300 +220$/m);
  assert.match(text, /^last ÷ first +1\.20 +1\.10 +3\.00 +2\.00$/m);
  assert.match(text, /^1,000,000 +66\.0 +100\.0 +125$/m);
  assert.match(text, /^last ÷ first +1\.10 +1\.25 +1\.25$/m);
});

Deno.test("Each of growth's plots has the names of what it shows", () => {
  const { plots } = growthReport(GROWTH);
  assert.deepEqual([...plots ?? []].map(([name]) => name), [
    "entities-cpu.svg",
    "entities-memory.svg",
    "waiting-time.svg",
    "waiting-memory.svg",
  ]);
  assert.match(plots?.get("entities-memory.svg") ?? "", /RSS, MiB.*ingest.*enrich/s);
  assert.match(plots?.get("waiting-time.svg") ?? "", /1,000,000.*events that wait/s);
});
