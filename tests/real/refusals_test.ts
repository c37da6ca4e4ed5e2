import assert from "node:assert/strict";
import * as z from "zod";
import { InfluxDb } from "../../lib/enrich/influxdb/influxdb.ts";
import { toLine } from "../../lib/enrich/influxdb/line.ts";
import type { PointOutcome, StorePoint } from "../../lib/enrich/store.ts";
import { differences, expectedPoint } from "./parts/expected_point.ts";
import { REAL_INFLUXDBS, type RealInfluxDb } from "./parts/influxdbs.ts";
import { equationOf, total } from "./parts/metrics_text.ts";
import type { Environment, Program } from "./parts/programs.ts";
import { Proxy } from "./parts/proxy.ts";
import { measured, realTest, realTestsAtOnce } from "./parts/real_test_case.ts";
import { SimulatedPipeline } from "./parts/simulated_pipeline.ts";

const FULL = Deno.env.get("FULL") === "1";
const BATCH = 1_000;
/** Halvings until one of a batch is alone: ⌈log₂ 1,000⌉. */
const HALVINGS = 10;
const SLOW_ANSWER_MS = 1_000;

/** A store that refuses points, behind a proxy that counts the writes which reach it. */
interface Refuser extends AsyncDisposable {
  readonly name: string;
  readonly influxDb: RealInfluxDb;
  readonly env: Environment;
  /** How many requests with points came from enrich. */
  writes(): number;
}

/** What is said of a number in a field that is a text. */
function conflict(field: string): string {
  return `partial write: field type conflict: input field "${field}" on measurement "sensor" is ` +
    "type float, already exists as type string dropped=1";
}

async function openRefuser(name: string, answerDelayMs: number): Promise<Refuser> {
  await using resources = new AsyncDisposableStack();
  const influxDb = resources.use(await REAL_INFLUXDBS[name]());
  const proxy = resources.use(new Proxy(influxDb.url));
  proxy.answerDelayMs = answerDelayMs;
  let writes = 0;
  const decoder = new TextDecoder();
  proxy.onRequest = (piece) => {
    const head = decoder.decode(piece.subarray(0, 1_000));
    const isWrite = /^POST \/(api\/v2\/)?write\?/.test(head);
    if (isWrite && !/^content-length: 0\r$/im.test(head)) writes++;
  };
  const owned = resources.move();
  return {
    name,
    influxDb,
    env: influxDb.env(proxy.url),
    writes: () => writes,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** So many places of a batch, as far from each other as can be. */
function spread(count: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.floor((i + 0.5) * BATCH / count));
}

const statusSchema = z.object({
  outbox: z.object({
    dead_letter_reasons: z.array(z.object({ reason: z.string(), count: z.number() })),
  }),
});

const lettersSchema = z.object({
  letters: z.array(z.object({ seq: z.number(), reason: z.string() })),
});

/** The dead letters: the number of the event, and the reason. */
async function buried(ingest: Program): Promise<[seq: number, reason: string][]> {
  const answer = await fetch(`${ingest.url}/dead-letters?limit=1000`);
  return lettersSchema.parse(await answer.json()).letters
    .map(({ seq, reason }): [number, string] => [seq, reason]).sort(([a], [b]) => a - b);
}

/** What sending a batch took. */
interface Took {
  readonly seconds: number;
  readonly writes: number;
  /** Answers of enrich's. */
  readonly deliveries: number;
  /** How many events waited, one after the other. */
  readonly queued: readonly number[];
}

/**
 * Sends 1,000 states in one batch, those at `places` with a number in a field that the store
 * knows as a text, and holds against it what was stored and what is said of the rest.
 */
async function refuse(
  store: Refuser,
  pipeline: SimulatedPipeline,
  places: readonly number[],
  limitMs = 180_000,
): Promise<Took> {
  const { hass, ingest, enrich, enrichProxy } = pipeline;
  const first = hass.fired.length;
  const buriedBefore = (await buried(ingest)).length;
  const deliveries = async () => total(await enrich.metrics(), "enrich_requests_total");
  const fieldAt = (place: number) => `text_${first}_${place}`;
  const nowNs = `${Date.now()}000000`;
  await store.influxDb.write(
    places.map((place) => `sensor ${fieldAt(place)}="text" ${nowNs}`).join("\n"),
  );

  // while one event is on its way the others gather behind it
  enrichProxy.hang();
  hass.fire("ahead");
  await pipeline.untilCaptured();
  const entityId = `sensor.numbered_${first}`;
  const bad = new Set(places);
  for (let seq = 0; seq < BATCH; seq++) {
    hass.setState(entityId, String(seq), { seq, ...(bad.has(seq) ? { [fieldAt(seq)]: 1 } : {}) });
  }
  const before = await pipeline.untilCaptured();
  const writesBefore = store.writes();
  const deliveriesBefore = await deliveries();
  const startedMs = performance.now();
  enrichProxy.release();
  const queued: number[] = [];
  const after = await pipeline.untilDrained(limitMs, (now) => {
    if (now !== queued.at(-1)) queued.push(now);
  });
  const seconds = (performance.now() - startedMs) / 1000;
  // one was of the event ahead
  const took = {
    seconds,
    writes: store.writes() - writesBefore - 1,
    deliveries: await deliveries() - deliveriesBefore - 1,
    queued,
  };
  measured(
    `${store.name}, 1,000 events with ${places.length} bad ones: ${took.writes} writes ` +
      `(1 + 2·b·10 = ${1 + 2 * places.length * HALVINGS}), ${took.deliveries} deliveries, ` +
      `${seconds.toFixed(1)} s; waiting: ${queued.join(", ")}; ${equationOf(after).text}`,
  );

  const points = (await store.influxDb.allPoints()).filter(({ tags }) =>
    tags.entity_id === entityId
  );
  const expected = hass.fired.slice(first + 1).filter((_, seq) => !bad.has(seq))
    .map(({ text }) => expectedPoint(`{"event":${text}}`));
  assert.equal(points.length, BATCH - places.length);
  assert.deepEqual(differences(expected, points), { missing: [], surplus: [] });
  const risen = (name: string) => total(after, name) - total(before, name);
  assert.equal(risen("ingest_events_dead_lettered"), places.length);
  assert.equal(risen("ingest_events_delivered_total"), BATCH + 1 - places.length);

  // the outbox counts from 1, and the event ahead is the first
  const seqAt = (place: number) => first + 2 + place;
  const dead = (await buried(ingest)).slice(buriedBefore);
  assert.deepEqual(dead.map(([seq]) => seq), places.map(seqAt));
  for (const [index, [, reason]] of dead.entries()) {
    assert.match(reason, /^InfluxDB answered 4(00|22): /);
    assert.ok(reason.includes(conflict(fieldAt(places[index] ?? -1))), reason);
  }
  const { outbox } = statusSchema.parse(await ingest.status());
  const told = new Set((await buried(ingest)).map(([, reason]) => reason));
  assert.equal(outbox.dead_letter_reasons.length, Math.min(10, told.size));
  assert.ok(outbox.dead_letter_reasons.every(({ reason }) => told.has(reason)));
  return took;
}

for (const name of Object.keys(REAL_INFLUXDBS)) {
  realTest(`Of 1,000 events 1, 3 and 50 bad ones cost no other: ${name}`, async () => {
    await using store = await openRefuser(name, 0);
    await using pipeline = await SimulatedPipeline.start({ store: store.env });
    const { writes, deliveries } = await refuse(store, pipeline, []);
    assert.deepEqual([writes, deliveries], [1, 1]);
    for (const places of [[500], [0, 1, 999], spread(50)]) {
      const { writes, deliveries } = await refuse(store, pipeline, places);
      assert.equal(deliveries, 1);
      assert.ok(writes <= 1 + 2 * places.length * HALVINGS, `${writes} writes`);
    }
  });
}

const HOUR_NS = 3_600_000_000_000n;

/** What is wrong with a point, and what becomes of it where it is one of many. */
interface Wrong {
  readonly kind: PointOutcome["kind"];
  readonly reason: RegExp;
  readonly change: (point: StorePoint) => StorePoint;
  /** The one that takes it. */
  readonly storedBy?: string;
}

/** A field by which `line` knows what to make of a point. */
const MALFORMED = "malformed";
const TOO_LONG = "too_long";

const WRONG: readonly Wrong[] = [
  {
    kind: "refused",
    reason: /^InfluxDB answered 400: .*unable to parse 'm malformed'/,
    change: (point) => ({ ...point, fields: new Map([[MALFORMED, 1]]) }),
  },
  {
    kind: "refused",
    reason:
      /^InfluxDB answered 4(00|22): .*field type conflict: input field "f" on measurement "m"/,
    change: (point) => ({ ...point, fields: new Map([["f", "a text"]]) }),
  },
  {
    kind: "refused",
    reason: /^InfluxDB answered 4(00|22): .* is too long, 2097152 > 1048576/,
    storedBy: "InfluxDB 1.6",
    change: (point) => ({ ...point, fields: new Map([[TOO_LONG, 1]]) }),
  },
  {
    kind: "skipped",
    reason: /^retention$/,
    change: (point) => ({ ...point, timeNs: point.timeNs - 2n * HOUR_NS }),
  },
];

function lineOf(point: StorePoint, version: 1 | 2 | 3): string {
  if (point.fields.has(MALFORMED)) return "m malformed";
  if (point.fields.has(TOO_LONG)) return `m g="${"x".repeat(2 << 20)}" ${point.timeNs}`;
  return toLine(point, version);
}

for (const [name, open] of Object.entries(REAL_INFLUXDBS)) {
  realTest(`Whatever is refused of 1,000 points, no other is: ${name}`, async () => {
    await using influxDb = await open({ retentionS: 3_600 });
    const nowNs = BigInt(Date.now()) * 1_000_000n;
    await influxDb.write(`m f=1 ${nowNs - 1n}`);
    const good = Array.from({ length: BATCH }, (_, n): StorePoint => ({
      measurement: "m",
      tags: new Map([["n", String(n)]]),
      fields: new Map([["f", n]]),
      timeNs: nowNs + BigInt(n),
    }));
    const wrongAt = new Map(spread(4 * WRONG.length).map((at, n) => [at, WRONG[n % WRONG.length]]));
    const points = good.map((point, n) => wrongAt.get(n)?.change(point) ?? point);
    const store = new InfluxDb({ ...influxDb.options, line: lineOf });
    const outcomes = await store.write(points, AbortSignal.timeout(60_000));
    for (const [n, outcome] of outcomes.entries()) {
      const wrong = wrongAt.get(n);
      const isTaken = wrong === undefined || wrong.storedBy === name;
      assert.equal(outcome.kind, isTaken ? "stored" : wrong.kind, JSON.stringify(outcome));
      if (!isTaken) assert.match("reason" in outcome ? outcome.reason : "", wrong.reason);
    }
    const stored = (await influxDb.query(`SELECT "f" FROM "m" WHERE time >= ${nowNs}`))
      .flatMap(({ values }) => values.map(([, f]) => f));
    const wanted = good.map((_, n) => n).filter((n) => !wrongAt.has(n));
    assert.deepEqual(new Set(stored), new Set(wanted));
  });
}

/**
 * 50 bad ones at the end of the batch take some 150 s at 1 s an answer, and 50 that lie as far
 * apart as can be some 930 s: those with FULL=1 only.
 */
const SLOW_PLACES = {
  "1 bad one": [500],
  "3 bad ones": [0, 1, 999],
  ...(FULL
    ? { "50 bad ones far from each other": spread(50) }
    : { "50 bad ones in a row": Array.from({ length: 50 }, (_, i) => BATCH - 50 + i) }),
} as const;
const SLOW_LIMIT_MS = FULL ? 1_800_000 : 400_000;

async function refuseSlowly(store: Refuser, places: readonly number[]): Promise<void> {
  await using _ = store;
  await using pipeline = await SimulatedPipeline.start({ store: store.env });
  const { seconds, writes, deliveries, queued } = await refuse(
    store,
    pipeline,
    places,
    SLOW_LIMIT_MS,
  );
  // with the event ahead, then without it, then one delivery after the other
  assert.ok(queued.length > 3, `several deliveries: ${queued}`);
  assert.ok(queued.every((now, index) => index === 0 || now < (queued[index - 1] ?? 0)));
  // each delivery begins with all that still waits, and may end on the way to a bad one
  const allowed = 2 * places.length * HALVINGS + deliveries * (1 + 2 * HALVINGS);
  assert.ok(writes <= allowed, `${writes} writes, ${allowed} allowed`);
  // one takes a second, if it is not broken off: what ingest has given up has ended at enrich too
  assert.ok(writes <= seconds + deliveries + 1, `${writes} writes in ${seconds} s`);
}

realTestsAtOnce(
  "A store that takes a second for every answer is no obstacle: each delivery settles some events",
  Object.fromEntries(
    Object.keys(REAL_INFLUXDBS).flatMap((name) =>
      Object.entries(SLOW_PLACES).map(([what, places]) => [
        `${name}, ${what}`,
        async () => await refuseSlowly(await openRefuser(name, SLOW_ANSWER_MS), places),
      ])
    ),
  ),
);
