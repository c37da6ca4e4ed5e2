import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { fillingOf, unfilledOf, untilFilled } from "./parts/filling.ts";
import { GapHouse } from "./parts/gap_house.ts";
import {
  availableVersions,
  type HomeAssistantVersion,
  newestVersion,
} from "./parts/home_assistant.ts";
import { missingRows } from "./parts/history.ts";
import { total } from "./parts/metrics_text.ts";
import { DATABASE } from "./parts/pipeline.ts";
import { measured, realTestsAtOnce } from "./parts/real_test_case.ts";
import { recorderRows, untilCommitted } from "./parts/recorder_rows.ts";
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
/** 6 s of them. */
const UPGRADED_EVENTS = 600;
const hassSchema = z.looseObject({ home_assistant: z.looseObject({ ha_version: z.string() }) });
const ENDLESS = 10_000_000;

async function killAndFill(version: HomeAssistantVersion): Promise<void> {
  await using house = await GapHouse.start({ version });
  const { pipeline: { hass } } = house;
  const burst = { n: ENDLESS, rate: RATE, entities: ENTITIES };
  const startedMs = performance.now();
  await hass.startBurst(burst);
  for (const [index, seconds] of OFF_SECONDS.entries()) {
    await delay(BETWEEN_KILLS_SECONDS * 1000);
    if (index === RESTART_BEFORE_KILL) {
      await hass.restart();
      await hass.startBurst(burst);
      await delay(AFTER_RESTART_SECONDS * 1000);
    }
    await house.kill();
    // the outage is what is tested
    await delay(seconds * 1000);
    await house.resume();
  }
  await delay(BETWEEN_KILLS_SECONDS * 1000);
  await hass.fireEvent("burst_stop");
  const changedSeconds = (performance.now() - startedMs) / 1000;
  const { missed, metrics, text } = await house.held();
  assert.ok(
    missed.length > 0.7 * RATE * OFF_SECONDS.reduce((a, b) => a + b),
    `${missed.length} states are remembered of the time that ingest was off`,
  );
  assert.ok(total(metrics, "ingest_gap_rows_filled_total") > 0);
  assert.ok(total(metrics, "ingest_gaps_total") > 0);
  measured(
    `Home Assistant ${version}: ${OFF_SECONDS.length} kills of ingest and a restart in ` +
      `${changedSeconds.toFixed(0)} s at ${RATE} events/s: ${text}`,
  );
}

/** While history is off a gap waits, and it is filled in once history is on. */
async function withoutHistory(version: HomeAssistantVersion): Promise<void> {
  await using house = await GapHouse.start({ version, withoutHistory: true });
  const { pipeline, reader, fromUs } = house;
  const { hass, ingest } = pipeline;
  await hass.startBurst({ n: ENDLESS, rate: 2 * ENTITIES, entities: ENTITIES });
  await reader.untilMore(100);
  await house.kill();
  await reader.untilMore(200);
  await house.resume();
  await reader.untilMore(100);
  await hass.fireEvent("burst_stop");
  const waitingFor = await until(
    async () => (await fillingOf(ingest)).filling.waiting_for ?? undefined,
    "ingest says what it waits for",
  );
  assert.match(waitingFor, /history integration is off/);
  assert.match(ingest.output, /What \d+ entities missed waits: .*history integration is off/);
  const { points } = await pipeline.settle();
  const { gaps, filling } = await fillingOf(ingest);
  assert.equal(filling.state, "waiting");
  assert.deepEqual(gaps.map(({ state, rows }) => [state, rows]), [["open", 0]]);
  assert.deepEqual(unfilledOf({ gaps, filling }), {}, "nothing is given up");

  // the recorder has recorded: with history on, Home Assistant says what is missing
  const yaml = `${hass.dir}/configuration.yaml`;
  await Deno.writeTextFile(yaml, `${await Deno.readTextFile(yaml)}history:\n`);
  await hass.restart();
  await hass.setState("sensor.after", { state: "1" });
  const { missed, text } = await house.held();
  await untilCommitted(hass);
  const before = missingRows(recorderRows(hass, fromUs), points);
  const missing = missed.filter((row) =>
    before.some(({ entityId, timeUs }) => entityId === row.entityId && timeUs === row.timeUs)
  );
  // at most one state an entity was there all the same: the one that get_states showed
  assert.ok(missing.length > 100, `${missing.length} of ${missed.length} rows were missing`);
  measured(
    `Home Assistant ${version}, history off, ${missing.length} of ${missed.length} rows ` +
      `missing: "${waitingFor}", then on: ${text}`,
  );
}

const AT_ONCE = 5_000;
/** A minute is wanted, and what it took is printed. */
const COMPLETE_WITHIN_MS = 240_000;

async function cutOff(version: HomeAssistantVersion): Promise<void> {
  await using house = await GapHouse.start({ version });
  const { pipeline: { hass, ingest, influxd } } = house;
  const before = total(await ingest.metrics(), "ingest_connections_total");
  const startedMs = performance.now();
  await hass.startBurst({ n: AT_ONCE, batch: AT_ONCE, entities: 200, unit: "at once" });
  await until(
    async () => {
      const [series] = await influxd.query(
        `SELECT count("available") FROM "sensor" WHERE "unit" = 'at once'`,
        DATABASE,
      );
      // older cores say that they have written all once a state that came after is there
      await hass.setState("sensor.after", { state: String(performance.now()) });
      return Number(series?.values[0]?.[1] ?? 0) >= AT_ONCE;
    },
    `all ${AT_ONCE} are stored`,
    { limitMs: COMPLETE_WITHIN_MS, everyMs: 200 },
  );
  const seconds = (performance.now() - startedMs) / 1000;
  const { rows, metrics, status, text } = await house.held();
  const cuts = total(metrics, "ingest_connections_total") - before;
  assert.ok(rows.length >= AT_ONCE, `${rows.length} rows`);
  assert.ok(cuts > 0, "Home Assistant has cut ingest off");
  assert.deepEqual(unfilledOf(status), {});
  measured(
    `Home Assistant ${version}: ${AT_ONCE} changes in one turn are stored after ` +
      `${seconds.toFixed(1)} s, cut off ${cuts} times; ${text}`,
  );
}

/** Home Assistant is upgraded while it is captured, and ingest is killed while it fills what it missed. */
async function upgraded(from: HomeAssistantVersion, to: HomeAssistantVersion): Promise<void> {
  await using house = await GapHouse.start({ version: from });
  const { pipeline: { hass, ingest }, reader } = house;
  const burst = { n: ENDLESS, rate: 100, entities: ENTITIES };
  await hass.startBurst(burst);
  await reader.untilMore(UPGRADED_EVENTS);
  await hass.upgrade(to);
  await hass.startBurst(burst);
  await house.kill();
  await reader.untilMore(UPGRADED_EVENTS);
  await house.resume();
  await reader.untilMore(UPGRADED_EVENTS);
  await hass.fireEvent("burst_stop");
  const { missed, text } = await house.held();
  assert.ok(missed.length > 0.7 * UPGRADED_EVENTS, `${missed.length} were missed`);
  const { home_assistant } = hassSchema.parse(await ingest.status());
  assert.equal(home_assistant.ha_version, to);
  measured(`Home Assistant ${from} upgraded to ${to}, 100 events/s, and a kill of ingest: ${text}`);
}

const INTERRUPTIONS = FULL ? 50 : 12;
const INTERRUPTED_MS = FULL ? 3_600_000 : 150_000;
const MAX_OFF_MS = FULL ? 20_000 : 4_000;

/** Numbers from 0 to 1 that are the same for the same seed. */
function randoms(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

/** Ingest is cut off, killed and stopped at random, also while it fills. */
async function interrupted(version: HomeAssistantVersion): Promise<void> {
  const seed = Date.now() % 2_147_483_647;
  const random = randoms(seed);
  await using house = await GapHouse.start({ version });
  const { pipeline: { hass, ingest }, reader } = house;
  await hass.startBurst({ n: ENDLESS, rate: 100, entities: ENTITIES });
  await reader.untilMore(100);
  const faults: Readonly<Record<string, () => Promise<void>>> = {
    cut: () => house.cut(),
    kill: () => house.kill(),
  };
  const names: string[] = [];
  const startedMs = performance.now();
  for (let i = 0; i < INTERRUPTIONS; i++) {
    const [name, fault] = Object.entries(faults)[Math.floor(random() * 2)] ?? [];
    assert.ok(name && fault);
    names.push(name);
    await fault();
    await delay(random() * MAX_OFF_MS);
    await house.resume();
    const dueMs = startedMs + (i + 1) * INTERRUPTED_MS / INTERRUPTIONS;
    // now and then the next one comes at once
    if (random() > 0.3) await delay(Math.max(0, dueMs - performance.now()));
  }
  await hass.fireEvent("burst_stop");
  await untilFilled(ingest);
  const { missed, status, text } = await house.held();
  assert.ok(missed.length > 100, `${missed.length} were missed`);
  assert.deepEqual(unfilledOf(status), {});
  measured(`Home Assistant ${version}, seed ${seed}, ${names.join(" ")}: ${text}`);
}

const versions = await availableVersions();
const newest = await newestVersion();

realTestsAtOnce("Whatever capture misses is filled in from Home Assistant's recorder, once", {
  ...Object.fromEntries(versions.flatMap((version) => [
    [
      `Home Assistant ${version}: ingest is killed, and Home Assistant restarted`,
      () => killAndFill(version),
    ],
    [
      `Home Assistant ${version}: ${AT_ONCE} changes in one turn are all there soon`,
      () => cutOff(version),
    ],
  ])),
  [`Home Assistant ${newest}: while its history integration is off a gap waits`]: () =>
    withoutHistory(newest),
  ...Object.fromEntries(
    versions.slice(0, -1).slice(-1).map((version) => [
      `Home Assistant ${version} is upgraded to ${newest}`,
      () => upgraded(version, newest),
    ]),
  ),
  [`Home Assistant ${newest}: ${INTERRUPTIONS} interruptions at random`]: () => interrupted(newest),
});
