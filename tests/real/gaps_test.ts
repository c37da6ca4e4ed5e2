import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { describeGaps, untilFilled } from "./parts/filling.ts";
import { differences, historyRows, missingRows, NO_DIFFERENCES, summary } from "./parts/history.ts";
import {
  availableVersions,
  type HomeAssistantVersion,
  newestVersion,
} from "./parts/home_assistant.ts";
import { byReason, equationOf, total } from "./parts/metrics_text.ts";
import { DATABASE, Pipeline } from "./parts/pipeline.ts";
import { nowMs, Reader } from "./parts/reader.ts";
import { measured, realTestsAtOnce } from "./parts/real_test_case.ts";
import { until } from "../until.ts";

const FULL = Deno.env.get("FULL") === "1";
/** How long ingest is left off after each kill, in seconds; FULL=1: three minutes, five kills. */
const OFF_SECONDS = FULL ? [5, 8, 12, 16, 20] : [5, 12];
/** Home Assistant is restarted before this one, so that ingest is killed while it fills. */
const RESTART_BEFORE_KILL = FULL ? 3 : 1;
const BETWEEN_KILLS_SECONDS = FULL ? 20 : 12;
const AFTER_RESTART_SECONDS = 3;
const ENTITIES = 20;
/** Each of the entities ten times a second. */
const RATE = ENTITIES * 10;
/** More than are made before the burst is stopped. */
const ENDLESS = 10_000_000;

interface Off {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Kills ingest, leaves it off for the time, and starts it. */
async function leaveOff({ ingest }: Pipeline, seconds: number): Promise<Off> {
  await ingest.kill();
  const fromMs = nowMs();
  // the outage is what is tested
  await delay(seconds * 1000);
  await ingest.startAgain();
  return { fromMs, untilMs: fromMs + seconds * 1000 };
}

/** The time_fired of an event fired now, by which everything before is told from what follows. */
async function mark({ hass }: Pipeline, reader: Reader): Promise<bigint> {
  await hass.fireEvent("marked");
  return (await reader.untilRead(({ eventType }) => eventType === "marked", "the mark is read"))
    .timeFiredUs;
}

function entityIdsOf(reader: Reader): string[] {
  return [...new Set(reader.events.flatMap(({ entityId }) => entityId ?? []))];
}

async function killAndFill(version: HomeAssistantVersion): Promise<void> {
  await using pipeline = await Pipeline.start({ version, minimal: true });
  const { hass, ingest } = pipeline;
  await using reader = await Reader.start(hass);
  const fromUs = await mark(pipeline, reader);
  const burst = { n: ENDLESS, rate: RATE, entities: ENTITIES };
  const startedMs = performance.now();
  await hass.startBurst(burst);
  const offs: Off[] = [];
  for (const [index, seconds] of OFF_SECONDS.entries()) {
    await delay(BETWEEN_KILLS_SECONDS * 1000);
    if (index === RESTART_BEFORE_KILL) {
      await hass.restart();
      await hass.startBurst(burst);
      await delay(AFTER_RESTART_SECONDS * 1000);
    }
    offs.push(await leaveOff(pipeline, seconds));
  }
  await delay(BETWEEN_KILLS_SECONDS * 1000);
  await hass.fireEvent("burst_stop");
  const changedSeconds = (performance.now() - startedMs) / 1000;

  const status = await untilFilled(ingest);
  const { ingest: metrics, points } = await pipeline.settle();
  reader.throwIfBroken();
  const rows = await historyRows(hass, fromUs, entityIdsOf(reader));
  const whileOff = rows.filter(({ timeUs }) =>
    offs.some(({ fromMs, untilMs }) =>
      Number(timeUs) / 1000 > fromMs && Number(timeUs) / 1000 < untilMs
    )
  );
  assert.ok(
    whileOff.length > 0.7 * RATE * OFF_SECONDS.reduce((a, b) => a + b),
    `${whileOff.length} states are remembered of the time that ingest was off`,
  );
  assert.deepEqual(summary(differences(rows, points, reader.events, fromUs)), NO_DIFFERENCES);
  const filled = status.gaps.reduce((sum, gap) => sum + gap.rows, 0);
  assert.ok(
    filled >= whileOff.length,
    `the status tells of ${filled} filled rows where ${whileOff.length} were`,
  );
  assert.ok(total(metrics, "ingest_gap_rows_filled_total") > 0);
  assert.ok(total(metrics, "ingest_gaps_total") > 0);
  measured(
    `Home Assistant ${version}: ${OFF_SECONDS.length} kills of ingest and a restart in ` +
      `${changedSeconds.toFixed(0)} s at ${RATE} events/s: ${rows.length} rows of history, ` +
      `${whileOff.length} of them while ingest was off, ${filled} filled, none missing, none ` +
      `twice; ${equationOf(metrics).text}; gaps: ${describeGaps(status)}`,
  );
}

async function withoutHistory(): Promise<void> {
  await using pipeline = await Pipeline.start({
    version: await newestVersion(),
    minimal: true,
    withoutHistory: true,
  });
  const { hass, ingest } = pipeline;
  await using reader = await Reader.start(hass);
  const fromUs = await mark(pipeline, reader);
  await hass.startBurst({ n: ENDLESS, rate: 2 * ENTITIES, entities: ENTITIES });
  await reader.untilMore(100);
  const off = await leaveOff(pipeline, 5);
  await reader.untilMore(100);
  await hass.fireEvent("burst_stop");

  const metrics = await until(
    async () => {
      const metrics = await ingest.metrics();
      return total(metrics, "ingest_gap_unfilled_total") > 0 && metrics;
    },
    "ingest counts what it cannot fill",
    { limitMs: 120_000 },
  );
  const reasons = Object.keys(byReason(metrics, "ingest_gap_unfilled_total"));
  assert.ok(reasons.some((reason) => /history/.test(reason)), `reasons: ${reasons}`);
  const { gaps } = await untilFilled(ingest);
  const gap = gaps.find(({ unfilled }) =>
    Object.keys(unfilled).some((reason) => /history/.test(reason))
  );
  assert.ok(gap?.from && gap.to, "the status names the interval");
  assert.ok(Date.parse(gap.from) <= off.fromMs && Date.parse(gap.to) >= off.untilMs);
  const logged = ingest.output.split("\n").find((line) => /history/.test(line));
  assert.ok(logged, "the log says that history is off");
  assert.match(
    logged,
    /\d\d:\d\d:\d\d.*\d\d:\d\d:\d\d.*\d\d:\d\d:\d\d/,
    "the log names the interval",
  );
  const { points } = await pipeline.settle();
  await ingest.stop();

  // the recorder has recorded: with history on, Home Assistant says what is missing
  const yaml = `${hass.dir}/configuration.yaml`;
  await Deno.writeTextFile(yaml, `${await Deno.readTextFile(yaml)}history:\n`);
  await hass.restart();
  const untilUs = BigInt(Math.floor(off.untilMs)) * 1000n;
  const rows = (await historyRows(hass, fromUs, entityIdsOf(reader))).filter(({ timeUs }) =>
    timeUs < untilUs
  );
  const missing = missingRows(rows, points).filter(({ entityId }) =>
    entityId.startsWith("sensor.burst_")
  );
  // at most one state an entity is there all the same: the one that get_states showed
  assert.ok(missing.length > 5 * 2 * ENTITIES * 0.7, `${missing.length} rows are missing`);
  assert.ok(missing.every(({ timeUs }) => Number(timeUs) / 1000 >= off.fromMs - 100));
  measured(
    `without history: ${missing.length} of ${rows.length} rows are missing, as they must; ` +
      `ingest says: ${JSON.stringify(gap)}, ${
        JSON.stringify(byReason(metrics, "ingest_gap_unfilled_total"))
      }, ${logged}`,
  );
}

const AT_ONCE = 5_000;
const COMPLETE_WITHIN_MS = 60_000;

async function cutOff(version: HomeAssistantVersion): Promise<void> {
  await using pipeline = await Pipeline.start({ version, minimal: true });
  const { hass, ingest, influxd } = pipeline;
  await using reader = await Reader.start(hass);
  const fromUs = await mark(pipeline, reader);
  await pipeline.settle();
  const before = total(await ingest.metrics(), "ingest_connections_total");
  const startedMs = performance.now();
  await hass.startBurst({ n: AT_ONCE, batch: AT_ONCE, entities: 200, unit: "at once" });
  await until(
    async () => {
      const [series] = await influxd.query(
        `SELECT count("available") FROM "sensor" WHERE "unit" = 'at once'`,
        DATABASE,
      );
      return Number(series?.values[0]?.[1] ?? 0) >= AT_ONCE;
    },
    `all ${AT_ONCE} are stored`,
    { limitMs: COMPLETE_WITHIN_MS, everyMs: 200 },
  );
  const seconds = (performance.now() - startedMs) / 1000;
  const status = await untilFilled(ingest);
  const { ingest: metrics, points } = await pipeline.settle();
  const cuts = total(metrics, "ingest_connections_total") - before;
  const rows = await historyRows(hass, fromUs, entityIdsOf(reader));
  assert.ok(rows.length >= AT_ONCE, `${rows.length} rows`);
  assert.deepEqual(summary(differences(rows, points, reader.events, fromUs)), NO_DIFFERENCES);
  assert.ok(cuts > 0, "Home Assistant has cut ingest off");
  measured(
    `Home Assistant ${version}: ${AT_ONCE} changes in one turn are stored after ` +
      `${seconds.toFixed(1)} s, cut off ${cuts} times; gaps: ${describeGaps(status)}`,
  );
}

const versions = await availableVersions();

realTestsAtOnce("Whatever capture misses is filled in from Home Assistant's history, once", {
  ...Object.fromEntries(versions.flatMap((version) => [
    [
      `Home Assistant ${version}: ingest is killed, and Home Assistant restarted`,
      () => killAndFill(version),
    ],
    [
      `Home Assistant ${version}: ${AT_ONCE} changes in one turn are there within a minute`,
      () => cutOff(version),
    ],
  ])),
  "Without the history integration the same states are missing, and ingest says so": withoutHistory,
});
