import assert from "node:assert/strict";
import { batchAnswerSchema } from "../../../lib/contract.ts";
import { InfluxDb } from "../../../lib/enrich/influxdb/influxdb.ts";
import type { StorePoint } from "../../../lib/enrich/store.ts";
import { FakeInfluxDb } from "../../stand_ins/fake_influxdb.ts";
import { FakeQuestDb } from "../../stand_ins/fake_questdb.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { startEnrich } from "../../whole_programs.ts";

const T0_NS = 1_782_422_405_162_552_000n;
const never = new AbortController().signal;

function pointOf(index: number, fields: Readonly<Record<string, number | string>>): StorePoint {
  return {
    measurement: "sensor",
    tags: new Map([["entity_id", `sensor.n${index}`]]),
    fields: new Map(Object.entries(fields)),
    timeNs: T0_NS + BigInt(index) * 1_000n,
  };
}

/** What QuestDB takes, but for some that it will not, for good or with a 500. */
function fieldsOf(index: number): Readonly<Record<string, number | string>> {
  if (index % 10 === 3) return { value: 1, timestamp: 1_700_000_000 };
  if (index % 10 === 5) return { value: 1, "pm2.5": 1 };
  if (index % 10 === 8) return { value: "text" };
  return { value: index };
}

Deno.test("QuestDB's answers hold up none but the points that they are about, and condemn no other", async () => {
  for (const version of [1, 2, 3] as const) {
    await using fake = await FakeInfluxDb.start({ version: 2 });
    const questDb = new FakeQuestDb();
    fake.trouble = questDb.answer;
    const place = { org: "home", bucket: "home", database: "home" };
    const store = new InfluxDb({ url: fake.url, version, ...place });
    await store.check(never);
    const points = Array.from({ length: 100 }, (_, index) => pointOf(index, fieldsOf(index)));
    const outcomes = await store.write(points, never);
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      points.map((_, index) =>
        index % 10 === 3 ? "pending" : [5, 8].includes(index % 10) ? "refused" : "stored"
      ),
    );
    // by a batch that it answers with an error nothing is stored, so that nothing is stored twice
    assert.equal(questDb.rows.length, 70);
    assert.equal(new Set(questDb.rows.map(({ timeNs }) => timeNs)).size, 70);
    assert.match(JSON.stringify(outcomes[5]), /InfluxDB answered 400: .*invalid column name: pm2/);
    const conflicting = Array.from({ length: 12 }, (_, i) => pointOf(200 + i, { value: "text" }));
    const all = await store.write(conflicting, never);
    assert.deepEqual(new Set(all.map(({ kind }) => kind)), new Set(["refused"]));
    assert.deepEqual(store.status().limits, []);
    assert.equal(store.status().problem, undefined);
  }
});

Deno.test("QuestDB is named as what it is, for as long as it answers", async () => {
  await using fake = await FakeInfluxDb.start({ version: 1 });
  const store = new InfluxDb({ url: fake.url, version: 1, database: "home" });
  const place = `InfluxDB 1 at ${fake.url}, database home`;
  assert.deepEqual([store.status().description, store.status().notes], [place, undefined]);
  fake.trouble = new FakeQuestDb().answer;
  await store.check(never);
  assert.equal(store.status().description, `QuestDB at ${fake.url}`);
  const { notes = [] } = store.status();
  assert.deepEqual(notes.map(({ name }) => name), ["questdb"]);
  assert.match(notes[0]?.reason ?? "", /is no InfluxDB: .*attribute timestamp.*stored twice/);
  // another server whose header says something else is an InfluxDB, as far as anybody knows
  fake.trouble = () => ({ status: 204, headers: { server: "nginx" } });
  await store.check(never);
  assert.deepEqual([store.status().description, store.status().notes], [place, undefined]);
});

Deno.test("Enrich says in health, status, metrics and on its page that it writes to QuestDB, and stores there", async () => {
  await using fake = await FakeInfluxDb.start({ version: 1 });
  const questDb = new FakeQuestDb();
  fake.trouble = questDb.answer;
  using folder = new TemporaryFolder();
  await using enrich = await startEnrich({
    DATA_DIR: folder.path,
    INFLUXDB_URL: fake.url,
    INFLUXDB_DATABASE: "home",
  });
  const event = { event_type: "doorbell", data: { n: 1 }, origin: "LOCAL" };
  const body = JSON.stringify({ event: { ...event, time_fired: "2026-06-25T21:20:05+00:00" } });
  const response = await fetch(`${enrich.url}/events`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body,
  });
  assert.equal(batchAnswerSchema.parse(await response.json()).stored, 1);
  assert.equal(questDb.rows.length, 1);
  const health = await enrich.get("/health");
  assert.equal(health.status, 200);
  const { advice } = await health.json();
  assert.match(JSON.stringify(advice), /QuestDB answers at INFLUXDB_URL, and is no InfluxDB/);
  const { store } = await (await enrich.get("/status")).json();
  assert.equal(store.description, `QuestDB at ${fake.url}`);
  assert.equal(store.notes[0].name, "questdb");
  assert.equal((await enrich.metrics()).get('enrich_store_note{note="questdb"}'), 1);
  assert.match(await (await enrich.get("/")).text(), /QuestDB answers at INFLUXDB_URL/);
});
