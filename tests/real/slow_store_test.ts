import assert from "node:assert/strict";
import { newestVersion } from "./parts/home_assistant.ts";
import type { StoredPoint } from "./parts/influxd.ts";
import { total } from "./parts/metrics_text.ts";
import { Pipeline } from "./parts/pipeline.ts";
import { measured, realTestsAtOnce } from "./parts/real_test_case.ts";
import { until } from "../until.ts";

const RATE = 100;
/** FULL=1: the whole minute; else as much as shows the same, quick attempts and patient ones. */
const SECONDS = Deno.env.get("FULL") === "1" ? 60 : 10;
const STORE_ANSWERS_AFTER_MS = 6_000;
const STORED_WITHIN_MS = 120_000;

function countBurst(points: readonly StoredPoint[]): number {
  return points.filter(({ tags }) => tags.entity_id?.startsWith("sensor.burst_")).length;
}

realTestsAtOnce("A store that is slow has all in the end", {
  [`A store that takes 6 s for every answer has ${SECONDS} s of 100 events a second within two minutes`]:
    async () => {
      await using pipeline = await Pipeline.start({
        version: await newestVersion(),
        minimal: true,
        proxied: ["influxd"],
      });
      const n = SECONDS * RATE;
      pipeline.influxdProxy.answerDelayMs = STORE_ANSWERS_AFTER_MS;
      const startMs = performance.now();
      await pipeline.hass.startBurst({ n, rate: RATE, entities: 50 });
      const before = await pipeline.ingest.metrics();
      await until(
        async () =>
          total(await pipeline.ingest.metrics(), "ingest_events_delivered_total") >=
            total(before, "ingest_events_delivered_total") + n,
        "all are delivered",
        { limitMs: STORED_WITHIN_MS, everyMs: 100 },
      );
      const seconds = (performance.now() - startMs) / 1000;
      const { ingest, points } = await pipeline.settle(STORED_WITHIN_MS);
      assert.equal(countBurst(points), n);
      assert.equal(total(ingest, "ingest_events_dead_lettered"), 0);
      measured(
        `a store that answers after 6 s: ${n} events of ${SECONDS} s stored ${
          seconds.toFixed(1)
        } s after the first`,
      );
    },
});
