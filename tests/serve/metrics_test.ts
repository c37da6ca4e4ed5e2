import assert from "node:assert/strict";
import { Metrics } from "../../lib/serve/metrics.ts";

Deno.test("Metrics reads its numbers when asked, and keeps none", () => {
  const metrics = new Metrics("ingest");
  let queued = 1;
  const skipped = new Map([["filter", 2]]);
  metrics.gauge("events_queued", "Waiting.", () => queued);
  metrics.counter("events_skipped_total", "Left out.", () => skipped, "reason");
  assert.match(metrics.text(), /^ingest_events_queued 1$/m);
  queued = 5;
  skipped.delete("filter");
  skipped.set('odd "reason"\n', 3);
  const text = metrics.text();
  assert.match(text, /^ingest_events_queued 5$/m);
  assert.match(text, /^ingest_events_skipped_total\{reason="odd \\"reason\\"\\n"\} 3$/m);
  assert.doesNotMatch(text, /filter/);
});

Deno.test("Metrics says what the process takes, and no number that nobody measured", () => {
  const text = new Metrics("x").text();
  const rss = Number(/^process_resident_memory_bytes (\d+)$/m.exec(text)?.[1]);
  assert.ok(rss > 10_000_000, `${rss}`);
  assert.match(text, /^process_cpu_seconds_total \d/m);
});
