import assert from "node:assert/strict";
import { LocalStore } from "../lib/enrich/local/local_store.ts";
import { Outbox } from "../lib/ingest/outbox/outbox.ts";
import { FakeInfluxDb } from "./stand_ins/fake_influxdb.ts";
import { SimulatedHomeAssistant } from "./simulator/home_assistant.ts";
import { HOUSE } from "./simulator/sample_house.ts";
import { TemporaryFolder } from "./temporary.ts";
import { until } from "./until.ts";
import { type Program, startEnrich, startIngest } from "./whole_programs.ts";

interface House {
  readonly hass: SimulatedHomeAssistant;
  readonly ingest: Program;
  readonly enrich: Program;
  readonly influx: FakeInfluxDb;
  readonly folder: TemporaryFolder;
}

function ingestOf(hass: SimulatedHomeAssistant, enrich: Program, folder: TemporaryFolder) {
  return startIngest({
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    DATA_DIR: folder.path,
    ENRICHMENT_SERVICE_URL: enrich.url,
    SERVICE_TOKEN: "s3cret-token",
  });
}

function enrichOf(influx: FakeInfluxDb, folder: TemporaryFolder, port = "0") {
  return startEnrich({
    ENRICH_PORT: port,
    DATA_DIR: folder.path,
    INFLUXDB_URL: influx.url,
    INFLUXDB_ORG: "home",
    INFLUXDB_BUCKET: "home",
    INFLUXDB_TOKEN: "token",
    SERVICE_TOKEN: "s3cret-token",
  });
}

const AUTHORIZED = { headers: { authorization: "Bearer s3cret-token" } };

/** A living house, both programs, and an InfluxDB, for as long as the test takes. */
async function running(test: (house: House) => Promise<void>): Promise<void> {
  using folder = new TemporaryFolder();
  await using influx = await FakeInfluxDb.start({ version: 2 });
  await using hass = new SimulatedHomeAssistant({ house: HOUSE, recorder: false }).start();
  await using enrich = await enrichOf(influx, folder);
  await using ingest = await ingestOf(hass, enrich, folder);
  await capturing(ingest);
  await test({ hass, ingest, enrich, influx, folder });
}

async function statusOf(program: Program) {
  return await (await program.get("/status", AUTHORIZED)).json();
}

function capturing(ingest: Program) {
  return until(
    async () => (await statusOf(ingest)).home_assistant.kind === "capturing",
    "it captures",
  );
}

/** Waits until a fired mark has come through, and nothing waits behind it. */
async function settled({ hass, ingest, influx }: Pick<House, "hass" | "ingest" | "influx">) {
  const mark = crypto.randomUUID();
  hass.fire("mark", { mark });
  await until(
    () => influx.points.some(({ fields }) => fields.get("mark_str") === mark),
    "the mark is stored",
  );
  await until(async () => (await statusOf(ingest)).events.queued === 0, "nothing waits");
}

/** Whether every event that the house has fired since is a point at its own time. */
function missing({ hass, influx }: Pick<House, "hass" | "influx">, since: number): string[] {
  const stored = new Set(influx.points.map(({ timeNs }) => timeNs / 1000n));
  return hass.fired.slice(since).filter(({ timeFiredUs }) => !stored.has(BigInt(timeFiredUs)))
    .map(({ text }) => text);
}

Deno.test("Both programs carry every event into InfluxDB, once, at its own microsecond", async () => {
  await running(async (house) => {
    const since = house.hass.fired.length;
    await house.hass.burst({ n: 2_000, entities: 50 });
    for (let i = 0; i < 20; i++) house.hass.fire("custom", { i });
    await settled(house);
    assert.deepEqual(missing(house, since), []);
    const { events } = await statusOf(house.ingest);
    const enriched = await statusOf(house.enrich);
    assert.equal(events.delivered, enriched.events.stored);
    assert.equal(events.delivered, house.influx.points.length);
    assert.deepEqual(events.dropped, { outbox_full: 0 });
    assert.equal(events.dead_lettered, 0);
  });
});

Deno.test("A point carries the names of its entity", async () => {
  await running(async (house) => {
    const { hass, influx } = house;
    const entity = [...hass.registries.entities.values()].find(({ entity_id }) =>
      entity_id.startsWith("sensor.") && hass.registries.entities.get(entity_id)?.device_id
    );
    assert.ok(entity);
    hass.setState(entity.entity_id, "12.5", { unit_of_measurement: "°C" });
    await settled(house);
    const point = influx.points.find(({ tags, fields }) =>
      tags.get("entity_id") === entity.entity_id && fields.get("value") === 12.5
    );
    assert.ok(point);
    assert.equal(point.measurement, "sensor");
    for (const tag of ["name", "area", "floor", "device"]) assert.ok(point.tags.get(tag), tag);
    const info = influx.points.find(({ measurement, tags }) =>
      measurement === "entities" && tags.get("entity_id") === entity.entity_id
    );
    assert.equal(info?.fields.get("area"), point.tags.get("area"));
  });
});

Deno.test("Nothing is lost while InfluxDB is away, and health says so", async () => {
  await running(async (house) => {
    const { hass, ingest, influx } = house;
    const since = hass.fired.length;
    await influx.stop();
    await hass.burst({ n: 500, entities: 10 });
    await until(
      async () => (await ingest.get("/health", AUTHORIZED)).status === 503,
      "health says so",
    );
    assert.match(
      await (await ingest.get("/health", AUTHORIZED)).text(),
      /Cannot reach the database/,
    );
    assert.ok((await statusOf(ingest)).events.queued >= 500);
    await influx.restart();
    await settled(house);
    assert.deepEqual(missing(house, since), []);
    assert.equal((await ingest.get("/health", AUTHORIZED)).status, 200);
  });
});

Deno.test("Enrich is ready once the store has answered, not before, and says who does not answer", async () => {
  await using influx = await FakeInfluxDb.start({ version: 1, database: "home" });
  let hangs = true;
  influx.trouble = () => hangs ? "hang" : undefined;
  await using enrich = await startEnrich({
    INFLUXDB_URL: influx.url,
    INFLUXDB_DATABASE: "home",
  });
  const health = async () => {
    const response = await enrich.get("/health");
    return { isReady: response.ok, text: await response.text() };
  };
  const first = await health();
  assert.ok(!first.isReady, first.text);
  assert.match(first.text, /The database has not answered yet/);
  assert.equal((await enrich.metrics()).get("enrich_store_ready"), 0);
  await until(async () => {
    const { isReady, text } = await health();
    assert.ok(!isReady, text);
    return /Cannot reach the database at .*: no answer within 10 s; check that it runs/.test(text);
  }, "health says that InfluxDB does not answer");
  hangs = false;
  await until(async () => (await health()).isReady, "it is ready");
  assert.equal(influx.points.length, 0);
});

Deno.test("Nothing is lost or stored twice when a reply of InfluxDB or enrich itself is lost", async () => {
  using folder = new TemporaryFolder();
  await using influx = await FakeInfluxDb.start({ version: 2 });
  await using hass = new SimulatedHomeAssistant({ house: HOUSE, recorder: false }).start();
  let enrich = await enrichOf(influx, folder);
  const port = new URL(enrich.url).port;
  await using ingest = await ingestOf(hass, enrich, folder);
  await capturing(ingest);
  const since = hass.fired.length;
  const [area] = hass.registries.areas.values();
  assert.ok(area);
  const lost = influx.requests.length;
  influx.trouble = (_, index) => index === lost ? "lose reply" : undefined;
  await hass.burst({ n: 200, entities: 10 });
  hass.renameArea(area.area_id, "Renamed meanwhile");
  await until(() => influx.requests.length > lost + 1, "the batch is repeated");
  await enrich.stop();
  await hass.burst({ n: 200, entities: 10 });
  enrich = await enrichOf(influx, folder, port);
  await settled({ hass, ingest, influx });
  await enrich.stop();
  assert.deepEqual(missing({ hass, influx }, since), []);
  const identities = influx.points.map(({ measurement, tags, timeNs }) =>
    `${measurement} ${tags.get("entity_id") ?? ""} ${timeNs}`
  );
  assert.equal(new Set(identities).size, identities.length, "a point stands in two series");
});

Deno.test("Ingest keeps what could not be delivered over its own stop", async () => {
  using folder = new TemporaryFolder();
  await using influx = await FakeInfluxDb.start({ version: 2 });
  await using hass = new SimulatedHomeAssistant({ house: HOUSE, recorder: false }).start();
  await using enrich = await enrichOf(influx, folder);
  let since: number;
  {
    await using ingest = await ingestOf(hass, enrich, folder);
    await capturing(ingest);
    since = hass.fired.length;
    await influx.stop();
    await hass.burst({ n: 300, entities: 10 });
    await until(async () => (await statusOf(ingest)).events.queued >= 300, "all is spooled");
  }
  const upTo = hass.fired.length;
  await influx.restart();
  await using ingest = await ingestOf(hass, enrich, folder);
  await capturing(ingest);
  await settled({ hass, ingest, influx });
  const stored = new Set(influx.points.map(({ timeNs }) => timeNs / 1000n));
  assert.deepEqual(
    hass.fired.slice(since, upTo).filter(({ timeFiredUs }) => !stored.has(BigInt(timeFiredUs))),
    [],
  );
});

Deno.test("Ingest delivers what it holds before it stops, where that takes no longer than 3 s", async () => {
  using folder = new TemporaryFolder();
  await using influx = await FakeInfluxDb.start({ version: 2 });
  await using hass = new SimulatedHomeAssistant({ house: HOUSE, recorder: false }).start();
  await using enrich = await enrichOf(influx, folder);
  const ingest = await ingestOf(hass, enrich, folder);
  await capturing(ingest);
  // slow enough that most still waits when it is told to stop
  influx.delayMs = 200;
  await hass.burst({ n: 1_500, entities: 10 });
  await until(async () => (await statusOf(ingest)).events.received >= 1_500, "all is spooled");
  await ingest.stop();
  using outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes: 1e9,
    onFailure: assert.ifError,
  });
  const { received, delivered, waiting } = outbox.counters();
  assert.ok(received >= 1_500);
  assert.equal(waiting, 0);
  assert.equal(delivered, received);
});

Deno.test("Without InfluxDB events go to the local store, and it says so", async () => {
  using folder = new TemporaryFolder();
  {
    await using hass = new SimulatedHomeAssistant({ house: HOUSE, recorder: false }).start();
    await using enrich = await startEnrich({ DATA_DIR: folder.path });
    await using ingest = await startIngest({
      HASS_URL: hass.url,
      HASS_TOKEN: hass.token,
      DATA_DIR: folder.path,
      ENRICHMENT_SERVICE_URL: enrich.url,
    });
    await capturing(ingest);
    assert.match((await statusOf(enrich)).store.description, /the local store/);
    const first = await ingest.metrics();
    for (const name of ["gaps_total", "gap_rows_filled_total"]) {
      assert.ok(first.has(`ingest_${name}`));
    }
    assert.ok(first.has("ingest_gap_entities"), "how much is still to be filled in");
    await hass.burst({ n: 100, entities: 10 });
    await until(async () => {
      const metrics = await ingest.metrics();
      return (metrics.get("ingest_events_delivered_total") ?? 0) >= 100 &&
        metrics.get("ingest_events_queued") === 0;
    }, "all is delivered");
  }
  const store = new LocalStore(folder.file("store.sqlite"), { days: 30, maxBytes: 100_000_000 });
  const points = [...store.read()].filter(({ tags }) =>
    tags.get("entity_id")?.startsWith("sensor.burst_")
  );
  store.close();
  assert.equal(points.length, 100);
});

/** The names of all members, at any depth. */
function keysOf(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const own = Array.isArray(value) ? [] : Object.keys(value);
  return [...own, ...Object.values(value).flatMap(keysOf)];
}

Deno.test("The status of both programs is in snake case, and Home Assistant's version has its old name too", async () => {
  await running(async (house) => {
    await settled(house);
    const [ingest, enrich] = [await statusOf(house.ingest), await statusOf(house.enrich)];
    assert.equal(ingest.home_assistant.ha_version, "2026.11.0");
    assert.equal(ingest.home_assistant.haVersion, "2026.11.0");
    const keys = [...keysOf(ingest), ...keysOf(enrich)];
    assert.ok(keys.length > 50, `only ${keys.length} keys`);
    assert.deepEqual(keys.filter((key) => /[A-Z]/.test(key)), ["haVersion"]);
  });
});
