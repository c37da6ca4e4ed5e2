/** What real InfluxDBs tell of how long they keep points, when they refuse one: learnt, and no more than that. */
import assert from "node:assert/strict";
import { InfluxDb, type InfluxDbOptions } from "../../lib/enrich/influxdb/influxdb.ts";
import type { PointOutcome, StorePoint } from "../../lib/enrich/store.ts";
import { LaterClock } from "../later_clock.ts";
import { Influxd, type InfluxdUser } from "./parts/influxd.ts";
import { Influxd2 } from "./parts/influxd2.ts";
import { INFLUXD_1 } from "./parts/influxdbs.ts";
import { Proxy } from "./parts/proxy.ts";
import { measured, note, realTest } from "./parts/real_test_case.ts";
import { probe } from "../enrich/influxdb/probe.ts";

const HOUR_S = 3_600;
const never = new AbortController().signal;

let points = 0;

/** A point of its own, so old by this machine's clock, which is the server's. */
function pointOf(ageS: number): StorePoint {
  return {
    measurement: "sensor",
    tags: new Map([["entity_id", "sensor.a"]]),
    fields: new Map([["value", 1]]),
    timeNs: BigInt(Date.now() - ageS * 1_000) * 1_000_000n + BigInt(points++),
  };
}

function countsOf(outcomes: readonly PointOutcome[]): Readonly<Record<string, number>> {
  const kinds = Object.groupBy(outcomes, ({ kind }) => kind);
  return Object.fromEntries(Object.entries(kinds).map(([kind, all]) => [kind, all.length]));
}

/** One that keeps points for an hour, and who may write to it, and not see how long that is. */
interface Keeper extends AsyncDisposable {
  readonly options: InfluxDbOptions;
  count(): Promise<number>;
  /** Has it keep points for a day. */
  keepLonger(): Promise<void>;
}

const BUCKET = "hour";

async function keeper2(by1: boolean): Promise<Keeper> {
  const influxd = await Influxd2.start();
  await influxd.createBucket(BUCKET, HOUR_S);
  const { token } = await influxd.createToken("write");
  const { url, env } = influxd;
  return {
    options: by1
      ? { url, version: 1, database: BUCKET, username: () => "joe", password: () => token }
      : { url, version: 2, org: env.INFLUXDB_ORG, bucket: BUCKET, token: () => token },
    count: async () => (await influxd.allPoints("", BUCKET)).length,
    keepLonger: () => influxd.keepFor(BUCKET, 24 * HOUR_S),
    [Symbol.asyncDispose]: () => influxd[Symbol.asyncDispose](),
  };
}

const ADMIN: InfluxdUser = { username: "admin", password: "pw" };

async function keeper1(program: string): Promise<Keeper> {
  const influxd = await Influxd.start(ADMIN, program);
  await influxd.createDatabase(BUCKET, HOUR_S);
  await influxd.createUser({ username: "wo", password: "wo" });
  await influxd.query(`GRANT WRITE ON "${BUCKET}" TO "wo"`);
  const user = { username: () => "wo", password: () => "wo" };
  return {
    options: { url: influxd.url, version: 1, database: BUCKET, ...user },
    count: async () => (await influxd.allPoints(BUCKET)).length,
    keepLonger: async () =>
      void await influxd.query(`ALTER RETENTION POLICY "autogen" ON "${BUCKET}" DURATION 24h`),
    [Symbol.asyncDispose]: () => influxd[Symbol.asyncDispose](),
  };
}

const program113 = INFLUXD_1["InfluxDB 1.13"];
if (!program113) note("without INFLUXD_1_13 nothing is tried on an InfluxDB 1.13");
const KEEPERS: Readonly<Record<string, () => Promise<Keeper>>> = {
  "InfluxDB 2.7": () => keeper2(false),
  "InfluxDB 2.7, written to as 1.x": () => keeper2(true),
  ...(program113 && { "InfluxDB 1.13": () => keeper1(program113) }),
};

for (const [name, start] of Object.entries(KEEPERS)) {
  realTest(
    `Who may only write to a real ${name} learns from its refusal how long it keeps points`,
    async () => {
      await using keeper = await start();
      await using proxy = new Proxy(keeper.options.url);
      let writes = 0;
      const decoder = new TextDecoder();
      proxy.onRequest = (piece) => {
        const head = decoder.decode(piece.subarray(0, 1_000));
        const isWrite = /^POST \/(api\/v2\/)?write\?/.test(head);
        if (isWrite && !/^content-length: 0\r$/im.test(head)) writes++;
      };
      const store = new InfluxDb({ ...keeper.options, url: proxy.url });
      await probe(store, never);
      assert.equal(store.status().problem, undefined);
      const batch = Array.from({ length: 1_000 }, (_, i) => pointOf(i % 10 === 0 ? 0 : 2 * HOUR_S));
      const expected = { stored: 100, skipped: 900 };
      assert.deepEqual(countsOf(await store.write(batch, never)), expected);
      assert.equal(writes, 2, "the first write tells");
      await probe(store, never);
      assert.deepEqual(countsOf(await store.write(batch, never)), expected);
      assert.equal(writes, 3, "what is older is not sent");
      assert.equal(await keeper.count(), 100);

      await keeper.keepLonger();
      let passedMs = 0;
      using _clock = new LaterClock(() => passedMs);
      passedMs = 61_000;
      await probe(store, never);
      assert.deepEqual(countsOf(await store.write(batch, never)), { stored: 1_000 });
      assert.equal(await keeper.count(), 1_000);
      const ancient = [pointOf(0), pointOf(25 * HOUR_S)];
      assert.deepEqual(countsOf(await store.write(ancient, never)), { stored: 1, skipped: 1 });
      measured(`${name}: 900 of 1,000 points beyond its retention, learnt by one refusal`);
      store.close();
    },
  );
}

if (program113) {
  realTest(
    "What a real InfluxDB 1.13 refuses for its write window waits, and is stored once that is raised",
    async () => {
      await using influxd = await Influxd.start(undefined, program113);
      await influxd.createDatabase("home");
      const policy = 'RETENTION POLICY "autogen" ON "home"';
      await influxd.query(`ALTER ${policy} FUTURE LIMIT 10m PAST LIMIT 1h`);
      const store = new InfluxDb({ url: influxd.url, version: 1, database: "home" });
      await probe(store, never);
      // for ever is how long it keeps them, whatever it says
      const late = [2, 30, 24 * 40].map((hours) => pointOf(hours * HOUR_S));
      const ahead = [pointOf(-HOUR_S)];
      assert.deepEqual(countsOf(await store.write(late, never)), { limited: 3 });
      assert.deepEqual(countsOf(await store.write(ahead, never)), { limited: 1 });
      const mixed = [pointOf(0), ...ahead, ...late, pointOf(60)];
      assert.deepEqual(countsOf(await store.write(mixed, never)), { stored: 2, limited: 4 });
      const [limit] = store.status().limits ?? [];
      assert.equal(limit?.name, "write window");
      assert.equal(limit?.reason, "points outside write window (-1h0m0s to 10m0s)");
      const batch = Array.from({ length: 1_000 }, (_, i) => pointOf(i % 3 === 0 ? 2 * HOUR_S : 0));
      const startMs = performance.now();
      assert.deepEqual(countsOf(await store.write(batch, never)), { stored: 666, limited: 334 });
      measured(`1,000 points across the window in ${(performance.now() - startMs).toFixed(0)} ms`);

      // beside a retention of two days, what is older than that is no matter of the window
      await influxd.query(`ALTER ${policy} DURATION 48h SHARD DURATION 1h`);
      const known = [2, 30, 24 * 40].map((hours) => pointOf(hours * HOUR_S));
      assert.deepEqual(countsOf(await store.write(known, never)), { limited: 2, skipped: 1 });

      await influxd.query(`ALTER ${policy} DURATION INF FUTURE LIMIT 0s PAST LIMIT 0s`);
      let passedMs = 0;
      using _clock = new LaterClock(() => passedMs);
      passedMs = 61_000;
      await probe(store, never);
      const all = [...mixed, ...known, ...batch];
      assert.deepEqual(countsOf(await store.write(all, never)), { stored: all.length });
      assert.deepEqual(store.status().limits, []);
      assert.equal((await influxd.allPoints("home")).length, all.length);
      store.close();
    },
  );
}
