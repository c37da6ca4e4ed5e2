import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { exists } from "../../lib/settings/text_file.ts";
import { describeGaps, untilFilled } from "./parts/filling.ts";
import { clientTexts } from "./parts/frames.ts";
import { differences, historyRows, NO_DIFFERENCES, summary } from "./parts/history.ts";
import { HassSocket } from "./parts/hass_socket.ts";
import { HomeAssistant, newestVersion } from "./parts/home_assistant.ts";
import { Influxd, type StoredPoint } from "./parts/influxd.ts";
import { total } from "./parts/metrics_text.ts";
import { DATABASE, indexByEntity, Pipeline, stateKey } from "./parts/pipeline.ts";
import { startEnrich, startIngest } from "./parts/programs.ts";
import { Proxy } from "./parts/proxy.ts";
import { microseconds, Reader } from "./parts/reader.ts";
import { measured, realTestsAtOnce } from "./parts/real_test_case.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { underWrongClock } from "./parts/wrong_clock.ts";

const BURST = { n: 1_000_000, rate: 20, entities: 20 };
/** Home Assistant is asked after 15 s of silence and has 10 s to answer. */
const NOTICED_WITHIN_MS = 30_000;
/** How long it goes on after ingest has noticed, and how long after it is back. */
const AWAY_MS = 3_000;
const AFTER_MS = 2_000;

async function isCapturing({ ingest }: Pipeline): Promise<boolean> {
  return total(await ingest.metrics(), "ingest_capturing") === 1;
}

/** Breaks the connection, measures until ingest has noticed, fixes it, and holds the store against the history. */
async function breakAndFill(
  fault: string,
  pipeline: Pipeline,
  breakIt: () => void,
  fix: () => void,
): Promise<void> {
  const { hass, ingest } = pipeline;
  await using reader = await Reader.start(hass);
  await hass.startBurst(BURST);
  const fromUs = (await reader.untilRead(
    ({ entityId }) => entityId?.startsWith("sensor.burst_") === true,
    "the burst has begun",
  )).timeFiredUs;
  await reader.untilMore(50);
  const before = total(await ingest.metrics(), "ingest_connections_total");
  const brokenMs = performance.now();
  breakIt();
  // a connection can be back within a moment, so the count of connections tells, too
  const capturedAgain = async () =>
    total(await ingest.metrics(), "ingest_connections_total") > before;
  await until(
    async () => !(await isCapturing(pipeline)) || await capturedAgain(),
    "ingest has noticed",
    { limitMs: NOTICED_WITHIN_MS },
  );
  const noticedSeconds = (performance.now() - brokenMs) / 1000;
  await delay(AWAY_MS);
  fix();
  await until(
    async () => await capturedAgain() && await isCapturing(pipeline),
    "ingest captures again",
  );
  const backSeconds = (performance.now() - brokenMs) / 1000;
  await delay(AFTER_MS);
  await hass.fireEvent("burst_stop");
  const status = await untilFilled(ingest);
  const { points } = await pipeline.settle();
  const rows = await historyRows(hass, fromUs);
  assert.ok(rows.length > 100, `${rows.length} rows`);
  assert.deepEqual(summary(differences(rows, points, reader.events, fromUs)), NO_DIFFERENCES);
  assert.ok(status.gaps.some((gap) => gap.rows > 0), "rows were filled");
  measured(
    `${fault}: noticed after ${noticedSeconds.toFixed(1)} s (wanted: within 30), capturing again ` +
      `after ${backSeconds.toFixed(1)} s, ${rows.length} rows all there; gaps: ${
        describeGaps(status)
      }`,
  );
}

async function droppedPeer(): Promise<void> {
  await using pipeline = await Pipeline.start({
    version: await newestVersion(),
    minimal: true,
    proxied: ["hass"],
  });
  const { hassProxy } = pipeline;
  await breakAndFill(
    "a connection that silently drops",
    pipeline,
    () => hassProxy.drop(),
    () => {},
  );
}

async function stoppedPeer(): Promise<void> {
  await using pipeline = await Pipeline.start({ version: await newestVersion(), minimal: true });
  const { hass } = pipeline;
  await breakAndFill(
    "a Home Assistant that is stopped",
    pipeline,
    () => hass.pause(),
    () => hass.resume(),
  );
}

const HEALTH_WITHIN_MS = 10_000;
/** A token that was tried every minute would be tried a third time in it. */
const WATCHED_MS = 135_000;
const RECOVERS_WITHIN_MS = 20_000;
const LOGINS_BEFORE_BAN = 5;

async function wrongToken(): Promise<void> {
  using folder = new TemporaryFolder();
  await using hass = await HomeAssistant.start({
    version: await newestVersion(),
    minimal: true,
    httpYaml: `  ip_ban_enabled: true\n  login_attempts_threshold: ${LOGINS_BEFORE_BAN}\n`,
  });
  await using proxy = new Proxy(hass.url);
  await using enrich = await startEnrich({});
  const tokenFile = folder.file("token");
  await Deno.writeTextFile(tokenFile, "wrong");
  const startedMs = performance.now();
  await using ingest = await startIngest({
    HASS_URL: proxy.url,
    HASS_TOKEN_FILE: tokenFile,
    ENRICHMENT_SERVICE_URL: enrich.url,
  }, { readable: [folder.path] });
  const text = await until(
    async () => {
      const { ready, text } = await ingest.health();
      return !ready && /refused HASS_TOKEN/.test(text) && text;
    },
    "health says that the token is refused",
    { limitMs: HEALTH_WITHIN_MS },
  );
  const saidSeconds = (performance.now() - startedMs) / 1000;
  await delay(startedMs + WATCHED_MS - performance.now());
  const attempts = proxy.connections;
  // the first one, and one a minute later
  assert.equal(attempts, 2, `${attempts} attempts in ${WATCHED_MS / 1000} s`);
  const held = await ingest.health();
  assert.match(held.text, /once a day/);
  const isBanned = () => exists(join(hass.dir, "ip_bans.yaml"));
  assert.ok(!isBanned(), "two failed logins are no ban");
  await Deno.writeTextFile(tokenFile, `${hass.token}\n`);
  const correctedMs = performance.now();
  await until(async () => (await ingest.health()).ready, "ingest is ready", {
    limitMs: RECOVERS_WITHIN_MS,
  });
  await hass.fireEvent("recovered");
  await until(
    async () => total(await ingest.metrics(), "ingest_events_delivered_total") > 0,
    "an event is delivered",
  );
  measured(
    `a wrong token: health says so after ${saidSeconds.toFixed(1)} s (${text}), ${attempts} ` +
      `attempts in ${WATCHED_MS / 1000} s (${held.text}), recovered ${
        ((performance.now() - correctedMs) / 1000).toFixed(0)
      } s after the file was corrected`,
  );

  // what it would have come to: Home Assistant does ban, and health says what to do
  for (let n = 0; n < LOGINS_BEFORE_BAN; n++) {
    await assert.rejects(HassSocket.open(hass.url, "wrong"));
  }
  await until(isBanned, "this address is banned");
  await ingest.stop();
  await ingest.startAgain();
  const banned = await until(async () => {
    const { text } = await ingest.health();
    return /ip_bans\.yaml/.test(text) && text;
  }, "health says how the ban is lifted");
  measured(`a banned address: ${banned}`);
}

const REFUSED_MS = 10_000;
/** More than the deadline of an ordinary command of others, less than ingest's for a subscription. */
const SUBSCRIBE_ANSWER_MS = 20_000;

const presentStates = z.array(z.looseObject({ entity_id: z.string(), last_updated: z.string() }));

async function slowStart(): Promise<void> {
  const version = await newestVersion();
  await using resources = new AsyncDisposableStack();
  const hass = resources.use(await HomeAssistant.start({ version, minimal: true }));
  // in peace: a token that was just made is not yet on the disk
  await hass.stop();
  const proxy = resources.use(new Proxy(hass.url));
  const influxd = resources.use(await Influxd.start());
  await influxd.createDatabase(DATABASE);
  const enrich = resources.use(
    await startEnrich({ INFLUXDB_URL: influxd.url, INFLUXDB_DATABASE: DATABASE }),
  );
  const ingest = resources.use(
    await startIngest({
      HASS_URL: proxy.url,
      HASS_TOKEN: hass.token,
      ENRICHMENT_SERVICE_URL: enrich.url,
    }),
  );
  await delay(REFUSED_MS);
  const refused = proxy.connections;
  assert.ok(refused > 1 && refused < 4 * REFUSED_MS / 1000, `${refused} attempts while refused`);

  const held = Promise.withResolvers<void>();
  proxy.onRequest = (piece) => {
    if (!clientTexts(piece).some((text) => text.includes('"subscribe_events"'))) return;
    proxy.onRequest = () => {};
    proxy.hang();
    held.resolve();
  };
  await hass.startAgain();
  await held.promise;
  const reachedAt = proxy.connections;
  for (let i = 0; i < 5; i++) await hass.setState(`sensor.early_${i}`, { state: String(i) });
  await delay(SUBSCRIBE_ANSWER_MS);
  proxy.release();
  await until(async () => (await ingest.health()).ready, "ingest is ready");
  const whileLate = proxy.connections - reachedAt;
  assert.ok(whileLate <= 3, `${whileLate} more connections while subscribe was late`);
  await untilFilled(ingest);
  const present = presentStates.parse(await hass.rest("states", undefined, "GET"));
  const points = await influxd.allPoints(DATABASE);
  const states = indexByEntity(points);
  const missing = present.filter(({ entity_id, last_updated }) =>
    !states.has(stateKey(entity_id, microseconds(last_updated)))
  );
  assert.deepEqual(missing.map(({ entity_id }) => entity_id), [], "first states that are missing");
  measured(
    `a Home Assistant that starts slowly: ${refused} attempts in ${REFUSED_MS / 1000} s while ` +
      `refused, ${whileLate} more connections while subscribe took ${
        SUBSCRIBE_ANSWER_MS / 1000
      } s, ` +
      `all ${present.length} first states are there`,
  );
}

const HOUR_NS = 3_600_000_000_000n;

async function wrongClock(): Promise<void> {
  using folder = new TemporaryFolder();
  const offsetFile = folder.file("offset");
  await Deno.writeTextFile(offsetFile, "+3600");
  await using pipeline = await Pipeline.start({
    version: await newestVersion(),
    minimal: true,
    ingestEnv: { SNAPSHOT_MINUTES: "1" },
    ingestOptions: { under: await underWrongClock(offsetFile) },
  });
  const { hass, ingest } = pipeline;
  await using reader = await Reader.start(hass);
  await hass.startBurst(BURST);
  const fromUs = (await reader.untilRead(
    ({ entityId }) => entityId?.startsWith("sensor.burst_") === true,
    "the burst has begun",
  )).timeFiredUs;
  await reader.untilMore(50);
  await ingest.kill();
  await reader.untilMore(60);
  // the clock was set while ingest was off
  await Deno.writeTextFile(offsetFile, "-3600");
  await ingest.startAgain();
  await ingest.untilReady();
  await reader.untilMore(50);
  // and is set while it runs
  await Deno.writeTextFile(offsetFile, "+3600");
  await reader.untilMore(50);
  await hass.fireEvent("burst_stop");
  const status = await untilFilled(ingest);
  assert.ok(status.gaps.some((gap) => gap.rows > 0), "rows were filled");
  // regular snapshots stand at full minutes
  const isState = ({ timeNs }: StoredPoint) => timeNs % 60_000_000_000n !== 0n;
  const points = await until(
    async () => {
      const { points } = await pipeline.settle();
      return !points.every(isState) && points;
    },
    "a regular snapshot is stored",
    { limitMs: 180_000, everyMs: 2_000 },
  );
  const rows = await historyRows(hass, fromUs);
  const states = points.filter(isState);
  assert.deepEqual(summary(differences(rows, states, reader.events, fromUs)), NO_DIFFERENCES);
  const nowNs = BigInt(Date.now()) * 1_000_000n;
  const wrong = points.filter(({ timeNs }) => timeNs > nowNs || timeNs < nowNs - HOUR_NS / 2n);
  assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} points have a time of ingest's clock`);
  const snapshots = points.length - states.length;
  assert.ok(snapshots > 0, "regular snapshots are there");
  assert.ok(isAnHourOff(ingest.output), "the clock of ingest was an hour off");
  measured(
    `ingest's clock an hour fast, then slow, then fast again: ${rows.length} rows of history, all ` +
      `there, none elsewhere, ${snapshots} points of regular snapshots and ${
        points.filter(({ measurement }) => measurement === "entities").length
      } descriptions at Home Assistant's time`,
  );
}

/** Whether a line of the log was written by a clock at least half an hour from ours. */
function isAnHourOff(output: string): boolean {
  return output.split("\n").some((line) => {
    const time = /\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d/.exec(line)?.[0];
    return time !== undefined &&
      Math.abs(Date.parse(`${time.replace(" ", "T")}Z`) - Date.now()) > 1_800_000;
  });
}

realTestsAtOnce("Whatever becomes of the connection, ingest notices, comes back, and fills", {
  "A peer that silently drops everything": droppedPeer,
  "A Home Assistant that is stopped (SIGSTOP)": stoppedPeer,
  "A token that is wrong and is corrected in its file": wrongToken,
  "A Home Assistant that starts after ingest and answers subscribe late": slowStart,
  "A clock of ingest's machine that is an hour off changes nothing in the store": wrongClock,
});
