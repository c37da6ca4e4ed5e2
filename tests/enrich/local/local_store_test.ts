import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { type StorePoint, StoreUnavailable } from "../../../lib/enrich/store.ts";
import { FakeInfluxDb } from "../../stand_ins/fake_influxdb.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { startEnrich } from "../../whole_programs.ts";
import { until } from "../../until.ts";
import { DAY_MS, newStore, NOW_MS, pointAt, pointOf } from "./stores.ts";

const signal = new AbortController().signal;
const STORED = { kind: "stored" } as const;

function damage(path: string, { fromPage }: { readonly fromPage: number }): void {
  const bytes = Deno.readFileSync(path);
  Deno.writeFileSync(path, bytes.fill(0xff, fromPage * 4_096));
}

Deno.test("LocalStore gives back what it stored, after a restart too", async () => {
  using test = newStore();
  const points = [
    pointOf([["value", 21.5], ["state", "déjà \0 \ud800 \"'\\\n"], ["__proto__", 1], ["2", 2]], {
      tags: [["entity_id", "sensor.a"], ["name", 'A "name"'], ["__proto__", "x"]],
      timeNs: 1_782_422_405_162_552_123n,
    }),
    pointOf([["value", -1]], { timeNs: -5n, measurement: "events" }),
  ];
  assert.deepEqual(await test.store.write(points), [STORED, STORED]);
  test.store.close();
  test.reopen();
  assert.deepEqual([...test.store.read()], points);
});

Deno.test("LocalStore unites the fields of one series and time, the newest value winning", async () => {
  using test = newStore();
  await test.store.write([pointOf([["value", 1], ["state", "a"], ["__proto__", 1]])]);
  await test.store.write([
    pointOf([["state", "b"], ["humidity", 2]]),
    pointOf([["__proto__", 2], ['quoted "name"', 3]]),
    pointOf([['quoted "name"', 4]]),
  ]);
  assert.deepEqual([...test.store.read()], [
    pointOf([
      ["value", 1],
      ["state", "b"],
      ["__proto__", 2],
      ["humidity", 2],
      ['quoted "name"', 4],
    ]),
  ]);
});

Deno.test("LocalStore is the same after points were written twice, in any order", async () => {
  const fields = fc.uniqueArray(
    fc.tuple(
      fc.string(),
      fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string()),
    ),
    { selector: ([name]) => name, minLength: 1 },
  );
  const points = fc.uniqueArray(
    fc.tuple(fc.constantFrom("sensor", "light"), fc.constantFrom("a", "b"), fc.bigInt(-9n, 9n)),
    { selector: String },
  ).chain((identities) =>
    fc.tuple(
      ...identities.map(([measurement, entity, timeNs]) =>
        fields.map((fields) =>
          pointOf(fields, { measurement, tags: [["entity_id", entity]], timeNs })
        )
      ),
    )
  );
  using test = newStore();
  const db = test.store;
  // of another measurement, and newer than what is then pruned
  const newest = pointOf([["n", 1]], {
    measurement: "events",
    timeNs: BigInt(NOW_MS) * 1_000_000n,
  });
  const empty = async () => {
    await db.write([newest]);
    await db.prune(NOW_MS, signal);
    assert.deepEqual(db.counts(), { series: 1, points: 1 });
  };
  const keyOf = ({ measurement, tags, timeNs }: StorePoint) =>
    `${measurement} ${tags.get("entity_id")} ${timeNs}`;
  const all = () =>
    new Map(
      [...db.read()].filter(({ measurement }) => measurement !== "events")
        .map((point) => [keyOf(point), point.fields]),
    );
  await fc.assert(
    fc.asyncProperty(points, async (points) => {
      await empty();
      await db.write(points);
      await db.write(points.toReversed());
      // JSON has no -0
      const expected = points.map((point) =>
        [
          keyOf(point),
          new Map([...point.fields].map(([name, value]) => [name, value === 0 ? 0 : value])),
        ] as const
      );
      assert.deepEqual(all(), new Map(expected));
      assert.equal(db.counts().points, points.length + 1);
    }),
    { numRuns: 50 },
  );
});

Deno.test("LocalStore stores many points at once as it does one by one", async () => {
  const shared = [new Map([["entity_id", "a"]]), new Map([["entity_id", "b"]]), new Map()];
  const point = fc.record<StorePoint>({
    measurement: fc.constantFrom("sensor", "light"),
    tags: fc.constantFrom(...shared),
    fields: fc.dictionary(fc.constantFrom("value", "state", "2"), fc.nat(), { minKeys: 1 })
      .map((fields) => new Map(Object.entries(fields))),
    timeNs: fc.constantFrom(-1n, 1n, 2n),
  });
  const rowsOf = (path: string) => {
    using db = new DatabaseSync(path, { readOnly: true });
    return ["series", "point", "total"].map((table) => db.prepare(`SELECT * FROM ${table}`).all());
  };
  await fc.assert(
    fc.asyncProperty(fc.array(point, { maxLength: 20 }), async (points) => {
      using together = newStore();
      using alone = newStore();
      await together.store.write(points);
      for (const one of points) await alone.store.write([{ ...one, tags: new Map(one.tags) }]);
      assert.deepEqual(rowsOf(together.path), rowsOf(alone.path));
    }),
    { numRuns: 50 },
  );
});

Deno.test("LocalStore takes the tags in any order, and one without a value for none", async () => {
  using test = newStore();
  await test.store.write([
    pointOf([["a", 1]], { tags: [["x", "1"], ["y", "2"], ["z", ""]] }),
    pointOf([["b", 2]], { tags: [["y", "2"], ["x", "1"]] }),
  ]);
  assert.deepEqual(test.store.counts(), { series: 1, points: 1 });
});

Deno.test("LocalStore refuses what is no point, and stores its neighbours", async () => {
  using test = newStore();
  const outcomes = await test.store.write([
    pointOf([["value", 1]], { timeNs: 1n }),
    pointOf([]),
    pointOf([["value", NaN]]),
    pointOf([["value", -Infinity]]),
    pointOf([["value", 1]], { timeNs: 2n ** 63n - 1n }),
    pointOf([["value", 1]], { measurement: "" }),
    pointOf([["value", 1]], { timeNs: 2n }),
  ]);
  assert.deepEqual(outcomes, [
    STORED,
    { kind: "refused", reason: "The point has no fields: it must have at least one" },
    { kind: "refused", reason: 'Field "value" is NaN: it must be a finite number' },
    { kind: "refused", reason: 'Field "value" is -Infinity: it must be a finite number' },
    {
      kind: "refused",
      reason: "time is 9223372036854775807 ns: it must lie between the years 1677 and 2262",
    },
    { kind: "refused", reason: "The measurement has no name: it must not be empty" },
    STORED,
  ]);
  assert.equal(test.store.counts().points, 2);
});

Deno.test("LocalStore counts series and points, over restarts too", async () => {
  using test = newStore();
  await test.store.write([pointAt(1), pointAt(2), pointAt(2), pointAt(2, "sensor.b")]);
  await test.store.write([pointAt(1), pointAt(3)]);
  assert.deepEqual(test.store.counts(), { series: 2, points: 4 });
  test.store.close();
  test.reopen();
  assert.deepEqual(test.store.counts(), { series: 2, points: 4 });
  assert.equal([...test.store.read()].length, 4);
});

Deno.test("LocalStore reads more than a page, while points are written", async () => {
  using test = newStore();
  const points = Array.from({ length: 2_500 }, (_, i) => pointAt(i, `sensor.n${i % 3}`));
  await test.store.write(points);
  const times = new Set<bigint>();
  for (const { timeNs } of test.store.read()) {
    if (times.size === 10) await test.store.write([pointAt(9_999, "sensor.n2")]);
    times.add(timeNs);
  }
  assert.equal(times.size, 2_501);
});

Deno.test("LocalStore that cannot write says why, keeps what it had, and recovers", async () => {
  using test = newStore();
  await test.store.write([pointAt(1)]);
  test.store.close();
  const other = new DatabaseSync(test.path);
  other.exec(
    "CREATE TRIGGER fault BEFORE INSERT ON point WHEN new.time_ns > 2000000 " +
      "BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END",
  );
  other.close();
  test.reopen();
  await assert.rejects(test.store.write([pointAt(2), pointAt(3)]), StoreUnavailable);
  assert.match(test.store.status().problem ?? "", /disk I\/O error; check the disk/);
  assert.deepEqual([...test.store.read()], [pointAt(1)]);
  assert.deepEqual(test.store.counts(), { series: 1, points: 1 });
  await test.store.probe();
  assert.equal(test.store.status().problem, undefined);
});

Deno.test("LocalStore whose pages are damaged says what to do", async () => {
  using test = newStore();
  await test.store.write(Array.from({ length: 2_000 }, (_, i) => pointAt(i)));
  test.store.close();
  damage(test.path, { fromPage: 5 });
  test.reopen();
  await assert.rejects(test.store.write([pointAt(1)]), StoreUnavailable);
  // a write of nothing does not come near the damage
  await test.store.probe();
  assert.match(test.store.status().problem ?? "", /malformed; move the file away/);
});

Deno.test("LocalStore does not open a file that is none of its own, and says what to do", () => {
  using test = newStore();
  test.store.close();
  damage(test.path, { fromPage: 1 });
  assert.throws(() => test.reopen(), /malformed; move the file away/);
  damage(test.path, { fromPage: 0 });
  assert.throws(
    () => test.reopen(),
    /not a database; move the file away/,
  );
});

Deno.test("LocalStore tells its size and counts in enrich's status and metrics", async () => {
  using folder = new TemporaryFolder();
  await using enrich = await startEnrich({ DATA_DIR: folder.path });
  const event = { event_type: "x", data: { n: 1 }, origin: "LOCAL" };
  for (const second of ["05", "06", "07"]) {
    const time_fired = `2026-06-25T21:20:${second}.162552+00:00`;
    const response = await enrich.get("/events", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...event, time_fired }),
    });
    assert.equal((await response.json()).status, "success");
  }
  const { store } = await (await enrich.get("/status")).json();
  const { size } = Deno.statSync(folder.file("store.sqlite"));
  assert.equal(store.points, 3);
  assert.equal(store.series, 1);
  assert.match(store.description, /store\.sqlite/);
  assert.ok(store.size_bytes >= size && store.size_bytes < 1e6, `${store.size_bytes} of ${size}`);
  const metrics = await enrich.metrics();
  assert.equal(metrics.get("enrich_store_points"), 3);
  assert.equal(metrics.get("enrich_store_bytes"), store.size_bytes);
  await using influx = await FakeInfluxDb.start({ version: 1 });
  await using other = await startEnrich({ INFLUXDB_URL: influx.url, INFLUXDB_DATABASE: "home" });
  await until(async () => (await other.get("/health")).ok, "InfluxDB has answered");
  const status = await (await other.get("/status")).json();
  assert.deepEqual(Object.keys(status.store), ["description"]);
  assert.equal((await other.metrics()).has("enrich_store_bytes"), false);
});

Deno.test("Enrich whose local store cannot be written says what to do, and not that a server is to run", async () => {
  using folder = new TemporaryFolder();
  await using enrich = await startEnrich({ DATA_DIR: folder.path });
  using writer = new DatabaseSync(folder.file("store.sqlite"));
  writer.exec("BEGIN IMMEDIATE");
  const event = {
    event_type: "x",
    data: {},
    origin: "LOCAL",
    time_fired: new Date().toISOString(),
  };
  const response = await enrich.get("/events", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(event),
  });
  assert.equal(response.status, 500);
  const { reasons } = await (await enrich.get("/health")).json();
  assert.equal(reasons.length, 1);
  assert.match(reasons[0].reason, /locked; end the program that writes to it/);
  assert.equal(
    reasons[0].action,
    "events are stored again once that is done; ingest keeps what waits",
  );
});

Deno.test("Enrich whose local store is too small for its days is well, and says so everywhere", async () => {
  using folder = new TemporaryFolder();
  await using enrich = await startEnrich({ DATA_DIR: folder.path, LOCAL_STORE_MAX_MB: "8" });
  assert.deepEqual(await (await enrich.get("/health")).json(), { status: "ready" });
  const nowMs = Date.now();
  const lines = (from: number) =>
    Array.from({ length: 200 }, (_, i) =>
      JSON.stringify({
        event: {
          event_type: "x",
          data: { text: "y".repeat(250) },
          origin: "LOCAL",
          time_fired: new Date(nowMs - (20_000 - from - i) * 60_000).toISOString(),
        },
      }));
  const pruned = async () => (await (await enrich.get("/status")).json()).store.pruned.size > 0;
  for (let from = 0; from < 20_000 && !await pruned(); from += 200) {
    await until(async () => {
      const response = await enrich.get("/events", {
        method: "POST",
        headers: { "content-type": "application/x-ndjson" },
        body: lines(from).join("\n"),
      });
      const answer = await response.json();
      return response.status === 500 ? undefined : answer.stored === 200;
    }, "the points are stored");
  }
  const { store } = await until(async () => {
    const status = await (await enrich.get("/status")).json();
    return status.store.fullness < 0.98 && status;
  }, "room is made");
  assert.ok(store.fullness > 0.9, `${store.fullness} full`);
  assert.ok(store.size_bytes < 8_100_000, `${store.size_bytes} bytes`);
  const reachMs = nowMs - Date.parse(store.oldest_point);
  assert.ok(reachMs > 2 * DAY_MS && reachMs < 20_000 * 60_000, `${reachMs / DAY_MS} days`);
  const { advice: [shortage], ...health } = await (await enrich.get("/health")).json();
  assert.deepEqual(health, { status: "ready" });
  const days = Number(/ holds ([\d.]+) of the 30 days /.exec(shortage.reason)?.[1]);
  assert.ok(Math.abs(days - reachMs / DAY_MS) < 1, shortage.reason);
  const metrics = await enrich.metrics();
  assert.ok((metrics.get('enrich_store_pruned_total{reason="size"}') ?? 0) >= store.pruned.size);
  assert.equal(metrics.get('enrich_store_pruned_total{reason="age"}'), 0);
  assert.ok((metrics.get("enrich_store_oldest_point_age_seconds") ?? 0) > 2 * 86_400);
  assert.ok((metrics.get("enrich_store_fullness_ratio") ?? 0) > 0.9);
  const page = await (await enrich.get("/")).text();
  assert.match(page, /Events are stored, but something needs your attention/);
  assert.match(page, /of the 30 days of LOCAL_STORE_DAYS.*raise LOCAL_STORE_MAX_MB, or lower/);
});
