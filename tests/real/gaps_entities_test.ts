import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { unfilledOf, untilFilled } from "./parts/filling.ts";
import { GapHouse } from "./parts/gap_house.ts";
import { HistoryRequests } from "./parts/history_requests.ts";
import {
  availableVersions,
  type HomeAssistantVersion,
  newestVersion,
} from "./parts/home_assistant.ts";
import { LatencyWatch, quantile } from "./parts/latency.ts";
import { LoopWatch } from "./parts/loop_watch.ts";
import { DATABASE } from "./parts/pipeline.ts";
import { measured, realTest, realTestsAtOnce } from "./parts/real_test_case.ts";
import {
  createNumber,
  deleteNumber,
  manySensorsYaml,
  renameEntity,
} from "./parts/registered_entities.ts";

const FULL = Deno.env.get("FULL") === "1";

/** Within one gap an entity is renamed, another is removed, and a third is both. */
async function renamed(version: HomeAssistantVersion): Promise<void> {
  await using house = await GapHouse.start({ version });
  const { pipeline: { hass, ingest } } = house;
  using socket = await hass.connect();
  const set = (entityId: string, value: number) =>
    hass.callService("input_number", "set_value", { entity_id: entityId, value });
  const a = await createNumber(socket, "renamed");
  const gone = await createNumber(socket, "gone");
  const both = await createNumber(socket, "both");
  for (const id of [a, gone, both]) await set(id, 1);
  await house.mark();
  await untilFilled(ingest);
  const beginUs = await house.mark();
  await house.cut();
  for (const id of [a, gone, both]) await set(id, 2);
  const { area_id } = z.looseObject({ area_id: z.string() }).parse(
    await socket.command({ type: "config/area_registry/create", name: "Hall" }),
  );
  await renameEntity(socket, a, "input_number.b");
  await socket.command({
    type: "config/entity_registry/update",
    entity_id: "input_number.b",
    area_id,
  });
  await set("input_number.b", 3);
  await deleteNumber(socket, "gone");
  await renameEntity(socket, both, "input_number.both_b");
  await set("input_number.both_b", 3);
  await deleteNumber(socket, "both");
  await house.mark();
  await house.resume();
  await set("input_number.b", 4);
  const { status, points, text } = await house.held({
    // what was heard before is stored under the name that it had
    except: ({ entityId, timeUs }) =>
      (timeUs <= beginUs && entityId === "input_number.b") ||
      // nobody can ask for an entity_id that came and went unheard
      entityId === "input_number.both_b",
  });
  const statesOf = (entityId: string) =>
    points.filter(({ tags }) => tags.entity_id === entityId && tags.event_type === undefined)
      .filter(({ measurement }) => measurement === "input_number")
      .sort((one, other) => Number(one.timeNs - other.timeNs))
      .map(({ fields }) => fields.state ?? fields.value);
  assert.deepEqual(statesOf(gone), [0, 1, 2, "removed"]);
  assert.deepEqual(statesOf("input_number.b").slice(-3), [2, 3, 4]);
  // names are those of when it is filled in, not those of before the gap, as a live event's may be
  const areas = points.filter(({ measurement, tags, fields }) =>
    measurement === "input_number" && tags.entity_id === "input_number.b" && fields.value !== 4
  ).map(({ tags }) => tags.area);
  assert.deepEqual(new Set(areas), new Set(["Hall"]), "filled states have the present names");
  measured(
    `Home Assistant ${version}, renamed, removed, and both, of which nothing is asked: ${text}; ` +
      JSON.stringify(unfilledOf(status)),
  );
}

/** Each of 5,000 entities changes while ingest is off for ten seconds. */
async function manyEntities(version: HomeAssistantVersion): Promise<void> {
  const entities = 5_000;
  await using house = await GapHouse.start({ version });
  const { pipeline: { hass, ingest, hassProxy }, reader } = house;
  const requests = new HistoryRequests(hassProxy);
  await hass.startBurst({ n: entities, rate: 1_000, entities, prefix: "many" });
  await reader.untilRead(({ eventType }) => eventType === "burst_done", "all have changed");
  await house.mark();
  await untilFilled(ingest);
  requests.take();
  await using loop = new LoopWatch(ingest);
  await house.cut();
  await hass.startBurst({ n: entities, rate: 1_000, entities, prefix: "many", unit: "other" });
  await delay(10_000);
  await house.mark();
  loop.take();
  await house.resume();
  await untilFilled(ingest);
  const { longestMs } = loop.take();
  const { rows, barriers, entities: most } = requests.take();
  const { missed, text } = await house.held();
  assert.ok(missed.length >= entities, `${missed.length} were missed`);
  measured(
    `Home Assistant ${version}, ${entities} entities after 10 s: ${rows} requests of at most ` +
      `${most} entities, ${barriers} barriers, longest turn ${longestMs.toFixed(0)} ms; ${text}`,
  );
  assert.ok(rows <= 10, `${rows} requests`);
}

const FORGOTTEN = "sensor.removed_a_year_ago";

/** An entity that has gone long ago is asked for once. */
async function goneLongAgo(version: HomeAssistantVersion): Promise<void> {
  await using house = await GapHouse.start({ version });
  const { pipeline: { hass, ingest, hassProxy } } = house;
  const requests = new HistoryRequests(hassProxy);
  await house.kill();
  {
    using outbox = new DatabaseSync(`${ingest.dir}/data/outbox.sqlite`);
    outbox.prepare("INSERT INTO seen (entity_id, last_updated_us) VALUES (?, ?)")
      .run(FORGOTTEN, (Date.now() - 365 * 86_400_000) * 1000);
  }
  await house.resume();
  await untilFilled(ingest);
  const first = requests.take();
  assert.ok(first.rows >= 1 && first.rows <= 2, `${first.rows} requests`);
  await house.cut();
  await house.mark();
  await house.resume();
  await untilFilled(ingest);
  const second = requests.take();
  assert.equal(second.rows, 0, "it is asked for once");
  // a control: what changes while capture is off is asked for
  await house.cut();
  await hass.setState("sensor.changes", { state: "1" });
  await house.mark();
  await house.resume();
  const { status } = await house.held();
  const third = requests.take();
  assert.ok(third.rows > 0);
  assert.deepEqual(unfilledOf(status), {});
  measured(
    `Home Assistant ${version}, an entity that has gone a year ago: ${JSON.stringify(first)}, ` +
      `then ${JSON.stringify(second)}, and with a change ${JSON.stringify(third)}`,
  );
}

const SENSORS = 14_000;
const LIVE = { n: 1_000_000, rate: 50, entities: 10, prefix: "live", unit: "live" };

/** Home Assistant with 14,000 sensors is restarted: each has its old state, and then a new one. */
async function restarted(version: HomeAssistantVersion): Promise<void> {
  await using house = await GapHouse.start({
    version,
    templateYaml: manySensorsYaml(SENSORS),
  });
  const { pipeline: { hass, ingest, influxd, hassProxy } } = house;
  const requests = new HistoryRequests(hassProxy);
  await house.mark();
  await untilFilled(ingest);
  requests.take();
  await using loop = new LoopWatch(ingest);
  await using watch = new LatencyWatch(influxd, DATABASE, "live", 20);
  loop.take();
  const stoppedMs = performance.now();
  await hass.restart();
  const runningMs = performance.now();
  await hass.startBurst(LIVE);
  const beganMs = performance.timeOrigin + performance.now();
  await untilFilled(ingest);
  const filledMs = performance.now();
  const { longestMs } = loop.take();
  await watch.untilSeen(100);
  await hass.fireEvent("burst_stop");
  const { rows, barriers, entities } = requests.take();
  const meanwhile = watch.latencies.filter(({ firedMs }) =>
    firedMs > beganMs && firedMs < performance.timeOrigin + filledMs
  );
  await watch.stop();
  assert.ok(meanwhile.length > 0 && rows <= 30, `${meanwhile.length} states, ${rows} requests`);
  const { text } = await house.held();
  measured(
    `Home Assistant ${version}, restart with ${SENSORS} sensors: ${rows} requests of at most ` +
      `${entities} entities, ${barriers} barriers; RUNNING after ${
        ((runningMs - stoppedMs) / 1000).toFixed(1)
      } s, filled ${((filledMs - runningMs) / 1000).toFixed(1)} s later; longest turn ` +
      `${longestMs.toFixed(0)} ms; ${meanwhile.length} live states meanwhile, p50 ` +
      `${quantile(meanwhile, 0.5).toFixed(0)} ms, p99 ${
        quantile(meanwhile, 0.99).toFixed(0)
      } ms; ` +
      text,
  );
}

const versions = await availableVersions();
const newest = await newestVersion();

realTestsAtOnce("What is missing is asked for of the entities concerned alone", {
  [`Home Assistant ${newest}: renamed, removed, and both within a gap`]: () => renamed(newest),
  [`Home Assistant ${newest}: 5,000 entities`]: () => manyEntities(newest),
  [`Home Assistant ${newest}: an entity that has gone a year ago`]: () => goneLongAgo(newest),
});

// one after the other: how long live events take is measured
for (const version of FULL ? versions : [newest]) {
  realTest(
    `A restart of Home Assistant ${version} with ${SENSORS} sensors is filled in beside what happens live`,
    () => restarted(version),
  );
}
