import assert from "node:assert/strict";
import {
  isVictoriaMetrics,
  ServerStore,
  type ServerStoreOptions,
} from "../../../lib/enrich/victoriametrics/server_store.ts";
import { batchAnswerSchema } from "../../../lib/contract.ts";
import type { FieldValue, StorePoint } from "../../../lib/enrich/store.ts";
import { FakeInfluxDb } from "../../stand_ins/fake_influxdb.ts";
import { FakeInfluxDb3 } from "../../stand_ins/fake_influxdb3.ts";
import { FakeVictoriaMetrics, seriesOf } from "../../stand_ins/fake_victoriametrics.ts";
import { startEnrich } from "../../whole_programs.ts";

const DAY_MS = 86_400_000;

function soon(): AbortSignal {
  return AbortSignal.timeout(20_000);
}

function storeAt(url: string, options: Partial<ServerStoreOptions> = {}): ServerStore {
  return new ServerStore({ url, version: 1, database: "home", ...options });
}

function point(
  fields: Readonly<Record<string, FieldValue>>,
  timeMs = Date.now(),
  tags: Readonly<Record<string, string>> = { entity_id: "sensor.a" },
): StorePoint {
  return {
    measurement: "sensor",
    tags: new Map(Object.entries(tags)),
    fields: new Map(Object.entries(fields)),
    timeNs: BigInt(Math.floor(timeMs)) * 1_000_000n,
  };
}

Deno.test("isVictoriaMetrics knows its programs by their headers, and other databases behind vmauth by theirs", () => {
  const vmagent = { "x-server-hostname": "vm" };
  const server = { ...vmagent, "x-influxdb-version": "1.8.0" };
  assert.ok(isVictoriaMetrics(new Headers(server)));
  assert.ok(isVictoriaMetrics(new Headers(vmagent)));
  assert.ok(isVictoriaMetrics(new Headers({ ...server, server: "nginx" })));
  assert.ok(!isVictoriaMetrics(new Headers({ ...server, "x-influxdb-build": "OSS" })));
  assert.ok(!isVictoriaMetrics(new Headers({ ...vmagent, server: "questDB/1.0" })));
  // with -http.header.disableServerHostname
  const withoutHost = { "x-influxdb-version": "1.8.0" };
  assert.ok(isVictoriaMetrics(new Headers(withoutHost)));
  assert.ok(!isVictoriaMetrics(new Headers({ ...withoutHost, "x-influxdb-build": "OSS" })));
  assert.ok(!isVictoriaMetrics(new Headers({ "x-influxdb-version": "1.8.10" })));
  assert.ok(!isVictoriaMetrics(new Headers()));
});

Deno.test("VictoriaMetrics is known before the first point is written, and gets numbers alone", async () => {
  await using fake = await FakeVictoriaMetrics.start();
  const store = storeAt(fake.url);
  const timeMs = Date.now();
  const outcomes = await store.write([
    point({ value: 21.5, state: "warm", friendly_name_str: "Küche" }, timeMs),
    point({ state: "on" }, timeMs),
    point({ value: 0 }, timeMs, { entity_id: "sensor.b" }),
  ], soon());
  store.close();
  assert.deepEqual(outcomes, [
    { kind: "stored", texts: 2 },
    { kind: "skipped", reason: "no_number" },
    { kind: "stored" },
  ]);
  assert.deepEqual(fake.writes.map(({ body }) => body === ""), [true, false]);
  assert.deepEqual(fake.samples, [
    {
      series: seriesOf("sensor_value", { db: "home", entity_id: "sensor.a" }),
      timeMs,
      value: 21.5,
    },
    { series: seriesOf("sensor_value", { db: "home", entity_id: "sensor.b" }), timeMs, value: 0 },
  ]);
  assert.match(store.status().description, /^VictoriaMetrics at http.*, db=home, retention 1M$/);
});

Deno.test("An InfluxDB keeps texts, and asks nothing more while points come in", async () => {
  await using fake = await FakeInfluxDb.start({ version: 1, database: "home" });
  const store = storeAt(fake.url);
  for (let i = 0; i < 3; i++) {
    const [outcome] = await store.write([point({ state: "on" }, Date.now() + i)], soon());
    assert.deepEqual(outcome, { kind: "stored" });
  }
  store.close();
  assert.deepEqual(fake.requests.map(({ body }) => body === ""), [true, false, false, false]);
  assert.deepEqual(fake.points.map(({ fields }) => fields.get("state")), ["on", "on", "on"]);
  assert.match(store.status().description, /^InfluxDB 1 at /);
});

Deno.test("An InfluxDB 3 behind vmauth, whose answers to writes name only vmauth's host, gets texts", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const server = new FakeInfluxDb3();
  fake.trouble = (request) => ({
    ...server.answer(request),
    headers: { "x-server-hostname": "vmauth" },
  });
  const store = storeAt(fake.url, { version: 3 });
  for (let i = 0; i < 2; i++) {
    const outcomes = await store.write([point({ state: "on" }, Date.now() + i)], soon());
    assert.deepEqual(outcomes, [{ kind: "stored" }]);
  }
  assert.ok(!store.isVictoriaMetrics);
  assert.equal(server.points.size, 2);
  store.close();
});

Deno.test("A server that refuses a write of nothing, in words that nobody knows, is written to as before", async () => {
  await using fake = await FakeInfluxDb.start({ version: 1, database: "home" });
  fake.trouble = ({ body }) => body === "" ? { status: 400, body: "no lines" } : undefined;
  const store = storeAt(fake.url);
  assert.deepEqual(await store.write([point({ state: "on" })], soon()), [{ kind: "stored" }]);
  store.close();
});

Deno.test("A server that is exchanged for another kind gets points in its own form, both ways", async () => {
  await using influx = await FakeInfluxDb.start({ version: 1, database: "home" });
  const port = Number(new URL(influx.url).port);
  const store = storeAt(influx.url);
  const write = async () => {
    const both = point({ value: 1, state: "on" });
    for (;;) {
      try {
        return (await store.write([both], soon()))[0];
      } catch {
        // as ingest does: it is sent again
      }
    }
  };
  assert.deepEqual(await write(), { kind: "stored" });
  await influx.stop();
  await assert.rejects(store.write([point({ state: "lost" })], soon()), /Cannot reach/);
  {
    await using victoria = await FakeVictoriaMetrics.start({ port });
    assert.deepEqual(await write(), { kind: "stored", texts: 1 });
    assert.ok(store.isVictoriaMetrics);
    assert.deepEqual(victoria.samples.map(({ series }) => series), [
      seriesOf("sensor_value", { db: "home", entity_id: "sensor.a" }),
    ]);
  }
  await influx.restart();
  assert.deepEqual(await write(), { kind: "stored" });
  assert.ok(!store.isVictoriaMetrics);
  assert.equal(influx.points.at(-1)?.fields.get("state"), "on");
  store.close();
});

Deno.test("A server that was exchanged while nothing failed gets nothing counted as stored in the wrong form", async () => {
  await using influx = await FakeInfluxDb.start({ version: 1, database: "home" });
  const port = Number(new URL(influx.url).port);
  const store = storeAt(influx.url);
  await store.write([point({ value: 1 })], soon());
  await influx.stop();
  await using victoria = await FakeVictoriaMetrics.start({ port });
  // so soon after the last answer it is not asked what it is
  await assert.rejects(
    store.write([point({ value: 1, state: "on" })], soon()),
    /Another kind of server answers at INFLUXDB_URL now/,
  );
  const [outcome] = await store.write([point({ value: 1, state: "on" })], soon());
  assert.deepEqual(outcome, { kind: "stored", texts: 1 });
  assert.equal(victoria.writes.length, 2);
  store.close();
});

Deno.test("An answer of a proxy's in between does not make VictoriaMetrics an InfluxDB", async () => {
  await using fake = await FakeVictoriaMetrics.start();
  const store = storeAt(fake.url);
  await store.write([point({ value: 1 })], soon());
  fake.answer = { status: 503, body: "" };
  await assert.rejects(
    store.write([point({ value: 1, state: "on" })], soon()),
    /^StoreUnavailable: Cannot write to VictoriaMetrics: it answered 503; VictoriaMetrics' own log/,
  );
  fake.answer = undefined;
  await store.write([point({ value: 1, state: "on" })], soon());
  await assert.rejects(
    store.write([point({ value: 1 })], AbortSignal.abort()),
    /^StoreUnavailable: VictoriaMetrics has not answered in time$/,
  );
  assert.ok(fake.samples.every(({ series }) => !series.includes("state")));
  store.close();
});

Deno.test("A point that has no line is refused, and its neighbours go to VictoriaMetrics", async () => {
  await using fake = await FakeVictoriaMetrics.start();
  const store = storeAt(fake.url);
  const points = Array.from({ length: 20 }, (_, i) => point({ value: i }, Date.now() + i));
  points[7] = point({ value: NaN });
  const outcomes = await store.write(points, soon());
  store.close();
  assert.equal(outcomes.filter(({ kind }) => kind === "stored").length, 19);
  assert.equal(outcomes[7]?.kind, "refused");
});

Deno.test("Points beyond VictoriaMetrics' retention are left out, those too far ahead refused", async () => {
  const days = 3;
  await using fake = await FakeVictoriaMetrics.start({
    retentionMs: days * DAY_MS,
    flags: { retentionPeriod: `${days}d` },
  });
  const store = storeAt(fake.url);
  const nowMs = Date.now();
  const outcomes = await store.write([
    point({ value: 1 }, nowMs - days * DAY_MS - 1_000),
    point({ value: 2 }, nowMs - days * DAY_MS + 120_000),
    point({ value: 3 }, nowMs + 2 * DAY_MS + 60_000),
    point({ value: 4 }, nowMs + 2 * DAY_MS - 60_000),
  ], soon());
  store.close();
  assert.deepEqual(outcomes.map(({ kind }) => kind), ["skipped", "stored", "refused", "stored"]);
  assert.deepEqual(fake.samples.map(({ value }) => value), [2, 4]);
  assert.deepEqual([...fake.ignored], []);
});

Deno.test("VictoriaMetrics is not asked for buckets again and again, which it logs and counts as errors", async () => {
  await using fake = await FakeVictoriaMetrics.start();
  const store = storeAt(fake.url, { version: 2, org: "o", bucket: "b" });
  for (let i = 0; i < 3; i++) await store.check(soon());
  store.close();
  assert.deepEqual(fake.questions.map(({ path }) => path), ["/metrics"]);
});

Deno.test("What an InfluxDB kept is no reason to leave events out once VictoriaMetrics is in its place", async () => {
  await using influx = await FakeInfluxDb.start({
    version: 1,
    database: "home",
    retentionMs: 2 * DAY_MS,
  });
  const port = Number(new URL(influx.url).port);
  const store = storeAt(influx.url);
  const old = point({ value: 1 }, Date.now() - 10 * DAY_MS);
  assert.equal((await store.write([old], soon()))[0]?.kind, "skipped");
  await influx.stop();
  await assert.rejects(store.write([point({ value: 2 })], soon()), /Cannot reach/);
  await using victoria = await FakeVictoriaMetrics.start({ port });
  assert.deepEqual(await store.write([old], soon()), [{ kind: "stored" }]);
  assert.equal(victoria.samples.length, 1);
  store.close();
});

Deno.test("VictoriaMetrics that is set as InfluxDB 3 gets its numbers, as it did by the endpoint of 2", async () => {
  await using fake = await FakeVictoriaMetrics.start();
  const store = storeAt(fake.url, { version: 3 });
  assert.deepEqual(await store.write([point({ value: 1, state: "on" })], soon()), [
    { kind: "stored", texts: 1 },
  ]);
  assert.equal(fake.samples.length, 1);
  store.close();
});

/** A state as ingest sends it. */
function stateLine(entityId: string, state: string, attributes = {}): string {
  const time = new Date().toISOString().replace("Z", "+00:00");
  const newState = {
    entity_id: entityId,
    state,
    attributes,
    last_changed: time,
    last_updated: time,
  };
  const data = { entity_id: entityId, old_state: null, new_state: newState };
  const event = { event_type: "state_changed", data, origin: "LOCAL", time_fired: time };
  return JSON.stringify({ event });
}

Deno.test("enrich tells VictoriaMetrics as what it is, and accounts for texts and events without a number, in both schemas", async () => {
  for (const schema of ["tidy", "homeassistant"]) {
    await using fake = await FakeVictoriaMetrics.start();
    await using enrich = await startEnrich({
      SCHEMA: schema,
      INFLUXDB_URL: `${fake.url}/influx`,
      INFLUXDB_DATABASE: "home",
    });
    const lines = [
      stateLine("sensor.temperature", "21.5", { friendly_name: "Küche", half: 10.5 }),
      stateLine("sensor.text", "hello"),
      stateLine("light.a", "on"),
    ];
    const response = await enrich.get("/events", {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: lines.join("\n"),
    });
    const answer = batchAnswerSchema.parse(await response.json());
    // tidy stores of each state whether it is available
    const isTidy = schema === "tidy";
    assert.equal(answer.stored, isTidy ? 3 : 2, schema);
    assert.deepEqual(answer.skipped, isTidy ? {} : { no_number: 1 });
    assert.deepEqual(answer.problems, []);
    const metrics = await enrich.metrics();
    assert.ok((metrics.get('enrich_attributes_left_out_total{reason="text"}') ?? 0) > 0);
    if (!isTidy) assert.equal(metrics.get('enrich_events_skipped_total{reason="no_number"}'), 1);
    assert.equal(metrics.get('enrich_store_note{note="not_deduplicated"}'), 1);
    assert.ok(fake.samples.length > 0);
    assert.ok(!fake.samples.some(({ series }) => /_(?:state|\w*_str)"/.test(series)));
    const status = await (await enrich.get("/status")).text();
    assert.match(
      status,
      /"description":\s*"VictoriaMetrics at http[^"]*\/influx, db=home, retention 1M"/,
    );
    const health = await enrich.get("/health");
    assert.equal(health.status, 200, "a note is no alarm");
    assert.match(await health.text(), /start it with -dedup\.minScrapeInterval=1ms/);
  }
});
