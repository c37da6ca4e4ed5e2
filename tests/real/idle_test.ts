import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { newestVersion } from "./parts/home_assistant.ts";
import { LatencyWatch, quantile } from "./parts/latency.ts";
import { DATABASE, Pipeline } from "./parts/pipeline.ts";
import { measured, realTest } from "./parts/real_test_case.ts";

const IDLE_EVENTS = 17;
const IDLE_MS = 60_000;
/** Ten to the sixth bytes: what each program is to take idle, and what none takes by chance. */
const WANTED_MB = 75;
const MOST_MB = 100;
const RATE = 100;
const BURST_SECONDS = 20;
const POLL_MS = 10;

realTest("Idle, both programs are small", async () => {
  await using pipeline = await Pipeline.start({
    version: await newestVersion(),
    minimal: true,
  });
  const programs = { ingest: pipeline.ingest, enrich: pipeline.enrich };
  await pipeline.settle();
  const before = {
    ingest: await programs.ingest.usage(),
    enrich: await programs.enrich.usage(),
  };
  const startMs = performance.now();
  for (let i = 1; i <= IDLE_EVENTS; i++) {
    await pipeline.hass.setState("sensor.idle", { state: String(i) });
    // the pace is what is measured under
    await delay(startMs + i * IDLE_MS / IDLE_EVENTS - performance.now());
  }
  const seconds = (performance.now() - startMs) / 1000;
  for (const name of ["ingest", "enrich"] as const) {
    const { rssMb: mebibytes, cpuSeconds } = await programs[name].usage();
    const rssMb = mebibytes * 2 ** 20 / 1e6;
    const percent = (cpuSeconds - before[name].cpuSeconds) / seconds * 100;
    measured(
      `${name} idle at ${IDLE_EVENTS} events a minute: RSS ${
        rssMb.toFixed(0)
      } MB (wanted: at most ${WANTED_MB}), CPU ${
        percent.toFixed(1)
      } % of a core (wanted: at most 1)`,
    );
    assert.ok(rssMb < MOST_MB, `${name} takes ${rssMb} MB`);
    assert.ok(percent < 10, `${name} takes ${percent} % of a core`);
  }
});

realTest("At 100 events a second a change can soon be read", async () => {
  await using pipeline = await Pipeline.start({
    version: await newestVersion(),
    minimal: true,
  });
  await pipeline.settle();
  const n = RATE * BURST_SECONDS;
  await using watch = new LatencyWatch(pipeline.influxd, DATABASE, "latency", POLL_MS);
  await pipeline.hass.startBurst({
    n,
    rate: RATE,
    entities: 50,
    unit: "latency",
  });
  await watch.untilSeen(n);
  await watch.stop();
  const { latencies } = watch;
  assert.equal(latencies.length, n);
  measured(
    `time_fired to readable at ${RATE} events/s: p50 ${
      quantile(latencies, 0.5).toFixed(0)
    } ms, p99 ${quantile(latencies, 0.99).toFixed(0)} ms (wanted: at most 250), max ${
      quantile(latencies, 1).toFixed(0)
    } ms`,
  );
  assert.ok(quantile(latencies, 0.99) < 2_000, `p99 is ${quantile(latencies, 0.99)} ms`);
});
