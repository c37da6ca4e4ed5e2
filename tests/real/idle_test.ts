import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { newestVersion } from "./home_assistant.ts";
import type { Influxd } from "./influxd.ts";
import { DATABASE, Pipeline } from "./pipeline.ts";
import { nowMs } from "./reader.ts";
import { measured, realTest } from "./real_test_case.ts";
import { until } from "../until.ts";

const IDLE_EVENTS = 17;
const IDLE_MS = 60_000;
const RATE = 100;
const BURST_SECONDS = 20;
const POLL_MS = 10;
/** A write's points become readable series by series, so not in the order of their times. */
const OVERLAP_NS = 2_000_000_000n;

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
    const { rssMb, cpuSeconds } = await programs[name].usage();
    const percent = (cpuSeconds - before[name].cpuSeconds) / seconds * 100;
    measured(
      `${name} idle at ${IDLE_EVENTS} events a minute: RSS ${
        rssMb.toFixed(0)
      } MB (wanted: at most 100), CPU ${percent.toFixed(1)} % of a core (wanted: at most 1)`,
    );
    assert.ok(rssMb < 300, `${name} takes ${rssMb} MB`);
    assert.ok(percent < 10, `${name} takes ${percent} % of a core`);
  }
});

/** For each point of the burst: milliseconds from its time to when it could first be read. */
async function latenciesMs(influxd: Influxd, n: number): Promise<number[]> {
  const latencies = new Map<bigint, number>();
  let newestNs = 0n;
  await until(
    async () => {
      const series = await influxd.query(
        `SELECT "value" FROM "sensor" WHERE "unit" = 'latency' AND time > ${newestNs - OVERLAP_NS}`,
        DATABASE,
      );
      const readMs = nowMs();
      for (const [time] of series.flatMap(({ values }) => values)) {
        if (typeof time !== "bigint") throw new Error(`${time} is no time`);
        if (latencies.has(time)) continue;
        latencies.set(time, readMs - Number(time / 1000n) / 1000);
        if (time > newestNs) newestNs = time;
      }
      return latencies.size >= n;
    },
    "all of the burst can be read",
    { limitMs: 120_000, everyMs: POLL_MS },
  );
  return [...latencies.values()].sort((a, b) => a - b);
}

realTest("At 100 events a second a change can soon be read", async () => {
  await using pipeline = await Pipeline.start({
    version: await newestVersion(),
    minimal: true,
  });
  await pipeline.settle();
  const n = RATE * BURST_SECONDS;
  await pipeline.hass.startBurst({
    n,
    rate: RATE,
    entities: 50,
    unit: "latency",
  });
  const latencies = await latenciesMs(pipeline.influxd, n);
  const quantile = (q: number) => latencies[Math.ceil(q * latencies.length) - 1] ?? NaN;
  assert.equal(latencies.length, n);
  measured(
    `time_fired to readable at ${RATE} events/s: p50 ${quantile(0.5).toFixed(0)} ms, p99 ${
      quantile(0.99).toFixed(0)
    } ms (wanted: at most 250), max ${quantile(1).toFixed(0)} ms`,
  );
  assert.ok(quantile(0.99) < 2_000, `p99 is ${quantile(0.99)} ms`);
});
