/** A real QuestDB 9.3.4, which takes what is written to InfluxDB and is none: FULL=1, with its class path and Java 17. */
import assert from "node:assert/strict";
import { InfluxDb } from "../../lib/enrich/influxdb/influxdb.ts";
import type { StorePoint } from "../../lib/enrich/store.ts";
import { until } from "../until.ts";
import { equationOf, total } from "./parts/metrics_text.ts";
import { QuestDb } from "./parts/questdb.ts";
import { measured, note, realTest } from "./parts/real_test_case.ts";
import { SimulatedPipeline } from "./parts/simulated_pipeline.ts";

const FULL = Deno.env.get("FULL") === "1";
const T0_NS = 1_782_422_405_162_552_000n;
const STORED = { kind: "stored" } as const;
const never = new AbortController().signal;

function pointOf(index: number, fields: Readonly<Record<string, number | string>>): StorePoint {
  return {
    measurement: "sensor",
    tags: new Map([["entity_id", `sensor.n${index}`]]),
    fields: new Map(Object.entries(fields)),
    timeNs: T0_NS + BigInt(index) * 1_000n,
  };
}

async function answers(): Promise<void> {
  await using questDb = await QuestDb.start();
  const store = new InfluxDb({ url: questDb.url, version: 1, database: "any" });
  await store.check(never);
  assert.equal(store.status().description, `QuestDB at ${questDb.url}`);
  assert.deepEqual(store.status().notes?.map(({ name }) => name), ["questdb"]);

  const refused = [..."-./?'\":()%*+~"].map((character) => `a${character}b`);
  assert.deepEqual(await store.write([pointOf(0, { value: 1 })], never), [STORED]);
  const points = [
    ...refused.map((name, index) => pointOf(index + 1, { value: 1, [name]: 1 })),
    pointOf(50, { value: "text" }),
    pointOf(51, { value: 1, timestamp: 1 }),
    pointOf(52, { value: 1, "a b": 1, a_b: 1, "Küche": 1, text: "a, b" }),
    pointOf(53, { value: 1 }),
  ];
  const outcomes = await store.write(points, never);
  const kinds = outcomes.map(({ kind }) => kind);
  const expected = [...refused.map(() => "refused"), "refused", "pending", "stored", "stored"];
  assert.deepEqual(kinds, expected);
  await questDb.untilRows("sensor", 3);

  // a backslash in a name is lost
  const backslash = pointOf(60, { "a\\b": 1 });
  assert.deepEqual(await store.write([backslash], never), [STORED]);
  await questDb.untilRows("sensor", 4);
  const columns = await questDb.query("SHOW COLUMNS FROM sensor");
  const names = columns.map(({ column }) => column);
  assert.ok(names.includes("ab") && !names.includes("a\\b"), String(names));

  // what is sent again is another row; times are cut to microseconds
  const again = { ...pointOf(53, { value: 1 }), timeNs: T0_NS + 53_123n };
  assert.deepEqual(await store.write([again], never), [STORED]);
  await questDb.untilRows("sensor", 5);
  const rows = await questDb.query(
    "SELECT timestamp, count() AS n FROM sensor WHERE entity_id = 'sensor.n53'",
  );
  assert.deepEqual(rows.map(({ n }) => Number(n)), [2]);
  assert.match(String(rows[0]?.timestamp), /\.162605Z$/);

  // with DEDUP it is the same row, of the fields of the last one alone
  await questDb.query("ALTER TABLE sensor DEDUP ENABLE UPSERT KEYS(timestamp, entity_id)");
  const twice = [pointOf(70, { value: 1, b: 2 }), pointOf(70, { value: 3 })];
  for (const point of twice) assert.deepEqual(await store.write([point], never), [STORED]);
  const united = await until(async () => {
    const [row] = await questDb.query("SELECT * FROM sensor WHERE entity_id = 'sensor.n70'");
    return row?.value === 3 && row;
  }, "it shows the last one");
  assert.equal(united.b, null);
  await questDb.untilRows("sensor", 6);
}

async function flow(): Promise<void> {
  await using questDb = await QuestDb.start();
  await using pipeline = await SimulatedPipeline.start({
    store: { INFLUXDB_URL: questDb.url, INFLUXDB_DATABASE: "home" },
  });
  const { hass, ingest, enrich } = pipeline;
  let n = 0;
  const change = (count: number) => {
    const end = n + count;
    for (; n < end; n++) hass.setState(`sensor.numbered_${n % 50}`, String(n), { n });
  };
  change(500);
  const bad = 5;
  for (let i = 0; i < bad; i++) {
    hass.setState(`input_datetime.wake_${i}`, "2026-06-25 07:00:00", { timestamp: 1_782_370_800 });
    hass.setState(`sensor.air_${i}`, "1.5", { "pm2.5": 12 });
    change(100);
  }
  await pipeline.untilCaptured();
  await until(
    async () => {
      // those to blame are tried again when others pass
      change(1);
      return total(await ingest.metrics(), "ingest_events_queued") === 0;
    },
    "all others are stored, and those that fail alone are dead letters",
    { limitMs: 300_000, everyMs: 200 },
  );
  const metrics = await pipeline.untilDrained();
  measured(`QuestDB: ${equationOf(metrics).text}`);
  assert.equal(total(metrics, "ingest_events_dead_lettered"), 2 * bad);
  assert.equal(total(metrics, "ingest_events_delivered_total"), pipeline.fired.length - 2 * bad);
  await questDb.untilRows("sensor", n);
  const [distinct] = await questDb.query("SELECT count_distinct(n) AS n FROM sensor");
  assert.equal(Number(distinct?.n), n, "nothing is stored twice");
  await enrich.untilReady();
  const health = await fetch(`${enrich.url}/health`);
  assert.match(await health.text(), /QuestDB answers at INFLUXDB_URL, and is no InfluxDB/);
}

if (FULL) {
  realTest("QuestDB's answers are as the scripted one's, and its notes are true", answers);
  realTest("QuestDB holds up no event but those that it stumbles over", flow);
} else note("QuestDB is tried with FULL=1 only");
