import assert from "node:assert/strict";
import { describeGaps, fillingOf, untilFilled } from "./parts/filling.ts";
import { HomeAssistant, type HomeAssistantVersion, newestVersion } from "./parts/home_assistant.ts";
import { LatencyWatch, quantile } from "./parts/latency.ts";
import { equationOf, total } from "./parts/metrics_text.ts";
import { DATABASE, Pipeline } from "./parts/pipeline.ts";
import { run } from "./parts/process.ts";
import type { Program } from "./parts/programs.ts";
import { nowMs } from "./parts/reader.ts";
import { measured, realTest } from "./parts/real_test_case.ts";
import { until } from "../until.ts";

const ENTITIES = 500;
/** FULL=1: a million states; else a tenth. */
const ROWS = Deno.env.get("FULL") === "1" ? 2_000 : 200;
const STATES = ENTITIES * ROWS;
const DAY_US = 86_400_000_000;
/** The recorder keeps ten days: an hour less, so that nothing falls out while the test runs. */
const SPAN_US = 10 * DAY_US - DAY_US / 24;
const STEP_US = Math.floor(SPAN_US / ROWS) - 7;
/** Odd, so that the microseconds are of all kinds. */
const OFFSET_US = 12_347;
const LIVE_RATE = 100;
const LATENCY_MS = 1_000;
const MEMORY_MB = 250;
/** What ingest asks for at once, and so the most that a kill may repeat. */
const PAGE_ROWS = 2_000;
const LIMIT_MS = 900_000;

function timeUs(startUs: number, entity: number, row: number): bigint {
  return BigInt(startUs + row * STEP_US + entity * OFFSET_US);
}

/** A Home Assistant's folder whose recorder remembers the states. Returns the time of the first, in microseconds. */
async function seed(hass: HomeAssistant): Promise<number> {
  await hass.stop();
  const startUs = Math.floor(nowMs()) * 1000 - SPAN_US;
  const { code, stdout, stderr } = await run([
    hass.python,
    `${import.meta.dirname}/home-assistant/seed_history.py`,
    `${hass.dir}/home-assistant_v2.db`,
    ...[ENTITIES, ROWS, startUs, STEP_US, OFFSET_US].map(String),
  ]);
  assert.equal(code, 0, stderr);
  assert.ok(Number(stdout) >= STATES);
  await hass.startAgain();
  // entities that Home Assistant has now: ingest asks for those that it can know of
  await hass.startBurst({ n: ENTITIES, batch: ENTITIES, entities: ENTITIES, prefix: "imported" });
  return startUs;
}

/** How many points each measurement holds. */
async function countPoints({ influxd }: Pipeline): Promise<number> {
  const names = (await influxd.query("SHOW MEASUREMENTS", DATABASE)).flatMap(({ values }) =>
    values.map(([name]) => String(name))
  );
  let sum = 0;
  for (const name of names) {
    const own = name === "events" || name === "entities";
    const counts = await influxd.query(
      `SELECT count(${own ? "*" : '"available"'}) FROM "${name}" GROUP BY *`,
      DATABASE,
    );
    for (const { values } of counts) {
      sum += Math.max(...values.flatMap(([, ...row]) => row.map(Number)));
    }
  }
  return sum;
}

/** Every seeded state must be a point of its own at its own microsecond, and nothing else of the past. */
async function assertImported({ influxd }: Pipeline, startUs: number): Promise<void> {
  const endNs = timeUs(startUs, ENTITIES, ROWS - 1) * 1000n;
  let count = 0;
  for (let entity = 0; entity < ENTITIES; entity++) {
    const series = await influxd.query(
      `SELECT "value" FROM "sensor" WHERE "entity_id" = 'sensor.imported_${entity}' AND time <= ${endNs} GROUP BY *`,
      DATABASE,
    );
    assert.equal(series.length, 1, `series of sensor.imported_${entity}`);
    const values = series[0]?.values ?? [];
    const wrong = values.findIndex(([time, value], row) =>
      time !== timeUs(startUs, entity, row) * 1000n || value !== row
    );
    assert.equal(wrong, -1, `row ${wrong} of sensor.imported_${entity}: ${values[wrong]}`);
    assert.equal(values.length, ROWS, `rows of sensor.imported_${entity}`);
    count += values.length;
  }
  assert.equal(count, STATES);
}

/** The most memory that ingest took while this was held, sampled. */
class MemoryWatch implements Disposable {
  maxMb = 0;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(ingest: Program) {
    this.#timer = setInterval(() => {
      ingest.usage().then(
        ({ rssMb }) => this.maxMb = Math.max(this.maxMb, rssMb),
        () => {}, // it is being killed
      );
    }, 500);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

async function importHistory(version: HomeAssistantVersion): Promise<void> {
  let startUs = 0;
  await using pipeline = await Pipeline.start({
    version,
    minimal: true,
    ingestEnv: { BACKFILL_DAYS: "10" },
    prepare: async (hass) => {
      startUs = await seed(hass);
    },
  });
  const { hass, ingest, enrich, influxd } = pipeline;
  using memory = new MemoryWatch(ingest);
  await using watch = new LatencyWatch(influxd, DATABASE, "latency", 50);
  const startedMs = performance.now();
  await hass.startBurst({ n: 10_000_000, rate: LIVE_RATE, entities: 50, unit: "latency" });

  const rows = async () => total(await ingest.metrics(), "ingest_gap_rows_filled_total");
  await until(async () => await rows() > 0.4 * STATES, "ingest is midway", { limitMs: LIMIT_MS });
  const midway = await fillingOf(ingest);
  const killedMs = nowMs();
  await ingest.kill();
  await ingest.startAgain();
  await until(
    async () => total(await ingest.metrics(), "ingest_capturing") === 1,
    "ingest captures again",
  );
  const backMs = nowMs();
  await untilFilled(ingest, LIMIT_MS);
  const seconds = (performance.now() - startedMs) / 1000;
  await hass.fireEvent("burst_stop");
  await watch.stop();
  const live = watch.latencies.filter(({ firedMs }) =>
    firedMs < killedMs - 1_000 || firedMs > backMs + 1_000
  );
  await until(
    async () => total(await ingest.metrics(), "ingest_events_queued") === 0,
    "all is out",
  );
  const [metrics, enrichMetrics] = [await ingest.metrics(), await enrich.metrics()];
  await assertImported(pipeline, startUs);
  const points = await countPoints(pipeline);
  const repeatedByEnrich = total(enrichMetrics, "enrich_events_received_total") - points;
  const repeatedByIngest = equationOf(metrics).received - points;
  measured(
    `${STATES} states of ${ENTITIES} entities imported in ${seconds.toFixed(0)} s ` +
      `(${
        (STATES / seconds).toFixed(0)
      }/s) beside ${LIVE_RATE} live events/s: time_fired to readable of ` +
      `${live.length} live events p50 ${quantile(live, 0.5).toFixed(0)} ms, p99 ${
        quantile(live, 0.99).toFixed(0)
      } ms (wanted: at most ${LATENCY_MS}), max ${quantile(live, 1).toFixed(0)} ms; RSS at most ${
        memory.maxMb.toFixed(0)
      } MB (wanted: below ${MEMORY_MB})`,
  );
  measured(
    `killed midway (${midway.filling.rows} rows): spooled ${repeatedByIngest} and sent ${repeatedByEnrich} ` +
      `more events than there are points (wanted: at most a page of ${PAGE_ROWS}); status then: ` +
      `${JSON.stringify(midway.filling)}; gaps: ${describeGaps(await fillingOf(ingest))}; ${
        equationOf(metrics).text
      }`,
  );
  assert.ok(live.length > LIVE_RATE * 5, `${live.length} live events were seen`);
  assert.ok(quantile(live, 0.99) <= LATENCY_MS, "live events pass within a second");
  assert.ok(memory.maxMb > 0 && memory.maxMb < MEMORY_MB, `${memory.maxMb} MB`);
  assert.ok(repeatedByEnrich <= PAGE_ROWS, `${repeatedByEnrich} events were repeated`);
  assert.ok(repeatedByIngest <= PAGE_ROWS, `${repeatedByIngest} events were spooled twice`);
}

realTest(
  `Ten days of history, ${STATES} states, are imported while live events pass, and a kill midway repeats no more than a page`,
  async () => await importHistory(await newestVersion()),
);
