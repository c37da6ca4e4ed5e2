import assert from "node:assert/strict";
import { InfluxDb, type InfluxDbOptions } from "../../../lib/enrich/influxdb/influxdb.ts";
import { type PointOutcome, type StorePoint, StoreUnavailable } from "../../../lib/enrich/store.ts";
import { FakeInfluxDb, type ReceivedRequest, type Trouble } from "../../stand_ins/fake_influxdb.ts";
import { probe } from "./probe.ts";

const T0_NS = 1_782_422_405_162_552_000n;
const LIMIT = /^max-series-per-database limit exceeded: \(\d+\); raise max-series-per-database in /;
/** What a real 2.7.12 said when its disk was full, and then, the disk free again, until it was restarted. */
const DISK_FULL = "unexpected error writing points to database: error loading series file for " +
  'database "3104648a91f54cf7": write /var/lib/influxdb2/engine/data/3104648a91f54cf7/_series/00/' +
  "0000.initializing: no space left on device";
const SHARD = DISK_FULL.replace(
  "database: ",
  "database: not attempting to open shard 2; opening shard previously failed with: ",
);
/** What a real QuestDB 9.3.4 says of a field named `timestamp`, of a table that may have any name. */
const questDb = (table: string) =>
  "failed to parse line protocol:errors encountered on line(s):write error: " +
  `${table}, error: java.lang.UnsupportedOperationException`;
const never = new AbortController().signal;

function influxDb(fake: FakeInfluxDb, options: Partial<InfluxDbOptions> = {}): InfluxDb {
  const place = { org: "home", bucket: "home", database: "home", token: () => "token" };
  return new InfluxDb({ url: fake.url, version: 1, ...place, ...options });
}

let points = 0;

/** A point of its own time. */
function pointOf(entityId: string, value: number | string = 1): StorePoint {
  return {
    measurement: "sensor",
    tags: new Map([["entity_id", entityId]]),
    fields: new Map([["value", value]]),
    timeNs: T0_NS + BigInt(points++),
  };
}

function pointsOf(count: number, entityId: (index: number) => string): readonly StorePoint[] {
  return Array.from({ length: count }, (_, index) => pointOf(entityId(index)));
}

function known(index: number): string {
  return `sensor.known_${index % 100}`;
}

/** Of five every fifth is of a series of its own. */
function knownOrNew(index: number): string {
  return index % 5 === 3 ? `sensor.new_${index}` : known(index);
}

function countKinds(outcomes: readonly PointOutcome[]): Record<string, number> {
  return Object.fromEntries(
    [...Map.groupBy(outcomes, ({ kind }) => kind)].map(([kind, all]) => [kind, all.length]),
  );
}

function reasonsOf(outcomes: readonly PointOutcome[], kind: string): readonly string[] {
  return outcomes.flatMap((outcome) =>
    outcome.kind === kind && "reason" in outcome ? [outcome.reason] : []
  );
}

async function unavailable(write: Promise<unknown>): Promise<StoreUnavailable> {
  const error = await write.then((outcomes) => outcomes, (error) => error);
  assert.ok(error instanceof StoreUnavailable, `Not StoreUnavailable: ${JSON.stringify(error)}`);
  return error;
}

/** Each write of a line in which `bad` finds something is answered so; what else comes, as ever. */
function failing(
  status: number,
  message: string,
  bad: RegExp = /./,
): (request: ReceivedRequest) => Trouble | undefined {
  return ({ body }) => bad.test(body) ? { status, body: JSON.stringify({ message }) } : undefined;
}

function writesTo(fake: FakeInfluxDb): number {
  return fake.requests.filter(({ body }) => body !== "").length;
}

/** A store whose 100 series are all that it may have. */
async function fullOfSeries(
  test: (fake: FakeInfluxDb, store: InfluxDb) => Promise<void>,
): Promise<void> {
  await using fake = await FakeInfluxDb.start({ version: 1 });
  const store = influxDb(fake);
  await store.write(pointsOf(100, known), never);
  fake.maxSeries = 100;
  fake.requests.length = 0;
  await test(fake, store);
}

Deno.test("A limit of the server holds the points that it is in the way of, and no other, in few requests", async () => {
  await fullOfSeries(async (fake, store) => {
    const batch = pointsOf(1_000, knownOrNew);
    const outcomes = await store.write(batch, never);
    assert.deepEqual(countKinds(outcomes), { stored: 800, limited: 200 });
    outcomes.forEach((outcome, index) =>
      assert.equal(outcome.kind, index % 5 === 3 ? "limited" : "stored")
    );
    for (const reason of reasonsOf(outcomes, "limited")) assert.match(reason, LIMIT);
    assert.equal(fake.points.length, 900);
    // all, those that are known, the new ones, and halves of these until there is one
    assert.equal(fake.requests.length, 3 + 8);
    assert.equal(store.status().problem, undefined);
    assert.deepEqual(store.status().limits?.map(({ name }) => name), ["max-series-per-database"]);
    // and no more each time
    assert.deepEqual(countKinds(await store.write(batch, never)), { stored: 800, limited: 200 });
    assert.equal(fake.requests.length, 2 * 11);
    fake.maxSeries = Infinity;
    assert.deepEqual(countKinds(await store.write(batch, never)), { stored: 1_000 });
    assert.equal(fake.points.length, 1_100);
    assert.deepEqual(store.status().limits, []);
  });
});

Deno.test("A limit that is in the way of every point costs a few requests each time", async () => {
  await fullOfSeries(async (fake, store) => {
    const outcomes = await store.write(pointsOf(200, (n) => `sensor.new_${n}`), never);
    assert.deepEqual(countKinds(outcomes), { limited: 200 });
    assert.equal(fake.requests.length, 9);
    const known = await store.write([pointOf("sensor.new_7")], never);
    assert.deepEqual(countKinds(known), { limited: 1 });
    assert.equal(fake.requests.length, 10);
    const others = await store.write(pointsOf(200, (n) => `sensor.newer_${n}`), never);
    assert.deepEqual(countKinds(others), { limited: 200 });
    assert.equal(fake.requests.length, 19);
  });
});

Deno.test("A limit leaves nothing out that there is room for", async () => {
  for (const [series, room, stored] of [[100, 100, 1_000], [100, 37, 370], [200, 1, 5]] as const) {
    await using fake = await FakeInfluxDb.start({ version: 1 });
    fake.maxSeries = room;
    const store = influxDb(fake);
    const outcomes = await store.write(pointsOf(1_000, (n) => `sensor.n${n % series}`), never);
    const limited = 1_000 - stored;
    assert.deepEqual(countKinds(outcomes), { stored, ...(limited > 0 && { limited }) });
    assert.equal(fake.points.length, stored);
    assert.ok(fake.requests.length <= 18, `${fake.requests.length} requests, room for ${room}`);
  }
});

Deno.test("A limit does not believe that a series is there because it once was", async () => {
  await fullOfSeries(async (fake, store) => {
    // somebody has dropped them all, and other series have their place
    fake.forgetSeries();
    fake.maxSeries = 0;
    fake.requests.length = 0;
    const outcomes = await store.write(pointsOf(1_000, known), never);
    assert.deepEqual(countKinds(outcomes), { limited: 1_000 });
    assert.ok(fake.requests.length <= 12, `${fake.requests.length} requests`);
  });
});

Deno.test("A limit is found by a program that has just started, too, and what it found it knows", async () => {
  await fullOfSeries(async (fake) => {
    const started = influxDb(fake);
    const batch = pointsOf(1_000, knownOrNew);
    assert.deepEqual(countKinds(await started.write(batch, never)), { stored: 800, limited: 200 });
    assert.equal(fake.points.length, 900);
    const first = fake.requests.length;
    assert.ok(first <= 1 + 2 * 200 * 3, `${first} requests`);
    const next = pointsOf(1_000, (n) => knownOrNew(n).replace("new", "newer"));
    assert.deepEqual(countKinds(await started.write(next, never)), { stored: 800, limited: 200 });
    assert.equal(fake.requests.length - first, 11);
  });
});

Deno.test("A limit hides no problem: a type conflict beside it is one", async () => {
  await fullOfSeries(async (_, store) => {
    const batch = [pointOf("sensor.new"), pointOf(known(1), "text"), pointOf(known(1))];
    const outcomes = await store.write(batch, never);
    assert.deepEqual(outcomes.map(({ kind }) => kind), ["limited", "refused", "stored"]);
    assert.match(reasonsOf(outcomes, "refused")[0], /field type conflict/);
    // 1.6.7 counts the conflict among what the limit has dropped: two of two
    const both = await store.write([pointOf("sensor.newer"), pointOf(known(1), "text")], never);
    assert.deepEqual(both.map(({ kind }) => kind), ["limited", "refused"]);
  });
});

Deno.test("A limit of tables, columns or an organization holds as well, whatever status tells of it", async () => {
  const cases = [
    [
      400,
      "partial write of line protocol occurred: Update to schema would exceed number of tables limit of 2000 tables",
      "tables",
    ],
    [
      422,
      "Update to schema would exceed number of columns per table limit of 500 columns",
      "columns",
    ],
    [500, "Adding a new database would exceed limit of 5 databases", "databases"],
    [
      429,
      "dml handler error: service limit reached: couldn't create new table; namespace contains 500 existing tables",
      "service limit",
    ],
    [
      403,
      "couldn't create columns in table `sensor`; table contains 200 existing columns, limit is 200",
      "service limit",
    ],
  ] as const;
  for (const [status, message, name] of cases) {
    await using fake = await FakeInfluxDb.start({ version: 2 });
    fake.trouble = failing(status, message, /new/);
    const store = influxDb(fake, { version: 2 });
    const batch = pointsOf(200, (n) => n % 50 === 7 ? `sensor.new_${n}` : known(n));
    const outcomes = await store.write(batch, never);
    assert.deepEqual(countKinds(outcomes), { stored: 196, limited: 4 }, message);
    assert.deepEqual(store.status().limits?.map((limit) => limit.name), [name]);
    assert.equal(store.status().problem, undefined);
    // where every point is concerned, the answer does not say so, and few are asked about
    fake.requests.length = 0;
    const all = await influxDb(fake, { version: 2 })
      .write(pointsOf(1_000, (n) => `sensor.new_${n}`), never);
    assert.deepEqual(countKinds(all), { limited: 1_000 });
    assert.ok(fake.requests.length < 60, `${fake.requests.length} requests`);
  }
});

Deno.test("The words of a limit in a point's own text are none", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const message = "unable to parse 'sensor state=max-series-per-database limit exceeded': missing";
  fake.trouble = failing(400, message, /bad/);
  const outcomes = await influxDb(fake, { version: 2 })
    .write([pointOf("sensor.bad"), pointOf("sensor.good")], never);
  assert.deepEqual(countKinds(outcomes), { refused: 1, stored: 1 });
});

Deno.test("A refusal of all of more than ten points in words that nobody knows holds them", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  fake.trouble = failing(400, "the moon is full");
  const store = influxDb(fake, { version: 2 });
  for (const count of [11, 1_000]) {
    fake.requests.length = 0;
    const outcomes = await store.write(pointsOf(count, (n) => `sensor.n${count}_${n}`), never);
    assert.deepEqual(countKinds(outcomes), { limited: count });
    for (const reason of reasonsOf(outcomes, "limited")) assert.match(reason, /the moon is full/);
    assert.ok(fake.requests.length < 60, `${fake.requests.length} requests for ${count}`);
  }
  assert.deepEqual(store.status().limits?.map(({ name, reason }) => [name, reason]), [
    ["unknown", "InfluxDB answered 400: the moon is full"],
  ]);
});

Deno.test("A server that is known to refuse everything holds what comes singly, too, and what time did not reach", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  fake.trouble = failing(400, "the moon is full");
  const caller = new AbortController();
  const cut = influxDb(fake, { version: 2 });
  fake.trouble = (request, index) => {
    if (index === 15) caller.abort();
    return failing(400, "the moon is full")(request);
  };
  const outcomes = await cut.write(pointsOf(1_000, (n) => `sensor.n${n}`), caller.signal);
  const { limited, pending } = countKinds(outcomes);
  assert.ok(limited > 0 && limited < 10 && limited + pending === 1_000, `${limited}, ${pending}`);
  assert.deepEqual(countKinds(await cut.write([pointOf("sensor.other")], never)), { limited: 1 });
  fake.trouble = () => undefined;
  assert.deepEqual(countKinds(await cut.write([pointOf("sensor.n999")], never)), { stored: 1 });
});

Deno.test("One point that is to blame does not make problems of others, which are held", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const bad = failing(
    400,
    "unable to parse 'sensor value': missing field value",
    /^[^\n]*\.bad[^\n]*$/,
  );
  fake.trouble = (request) => bad(request) ?? failing(400, "the moon is full")(request);
  const batch = pointsOf(100, (n) => n === 0 ? "sensor.bad" : `sensor.n${n}`);
  const outcomes = await influxDb(fake, { version: 2 }).write(batch, never);
  assert.deepEqual(countKinds(outcomes), { refused: 1, limited: 99 });
});

Deno.test("A refusal of ten points, of some, or in words that are known is a problem as ever", async () => {
  const write = async (count: number, message: string, bad: RegExp) => {
    await using fake = await FakeInfluxDb.start({ version: 2 });
    fake.trouble = failing(400, message, bad);
    const store = influxDb(fake, { version: 2 });
    const outcomes = await store.write(pointsOf(count, (n) => `sensor.n${n}.`), never);
    assert.deepEqual(store.status().limits, []);
    return countKinds(outcomes);
  };
  assert.deepEqual(await write(10, "the moon is full", /./), { refused: 10 });
  assert.deepEqual(await write(40, "the moon is full", /n\d*[1-9]\./), { refused: 36, stored: 4 });
  // more than ten in a row, and all that is good behind them
  const firstFifteen = /n(\d|1[0-4])\./;
  assert.deepEqual(await write(100, "the moon is full", firstFifteen), { refused: 15, stored: 85 });
  const parse = "unable to parse 'sensor value': missing field value";
  assert.deepEqual(await write(40, parse, /./), { refused: 40 });
  const quest = "failed to parse line protocol:errors encountered on line(s): error in line 2: " +
    "table: m, column: value; cast error from protocol type: STRING to column type: DOUBLE";
  assert.deepEqual(await write(40, quest, /./), { refused: 40 });
});

Deno.test("A 5xx that one point causes leaves that one pending, and stores the others", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  fake.trouble = failing(500, questDb("sensor"), /n500\b/);
  const store = influxDb(fake, { version: 2 });
  const outcomes = await store.write(pointsOf(1_000, (n) => `sensor.n${n}`), never);
  assert.deepEqual(countKinds(outcomes), { stored: 999, pending: 1 });
  assert.equal(outcomes[500].kind, "pending");
  assert.equal(fake.points.length, 999);
  // all, nothing, and two of each halving
  assert.ok(fake.requests.length <= 22, `${fake.requests.length} requests`);
  assert.equal(store.status().problem, undefined);
  // alone it makes the request fail, so that ingest counts it
  const { message } = await unavailable(store.write([pointOf("sensor.n500")], never));
  assert.match(message, /500 \(failed to parse .* java.lang.UnsupportedOperationException\)/);
});

Deno.test("A 5xx of every point holds all, and few are asked about", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  fake.trouble = failing(500, "internal error");
  const store = influxDb(fake, { version: 2 });
  const { message } = await unavailable(store.write(pointsOf(1_000, (n) => `sensor.n${n}`), never));
  assert.match(message, /500 \(internal error\)/);
  assert.ok(fake.requests.length < 60, `${fake.requests.length} requests`);
  assert.equal(store.status().problem, message);
});

Deno.test("A 5xx of many points beside good ones stores what is found, and leaves the rest pending", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  fake.trouble = failing(500, "internal error", /n\d*[02468]\b/);
  const store = influxDb(fake, { version: 2 });
  const outcomes = await store.write(pointsOf(1_000, (n) => `sensor.n${n}`), never);
  const { stored, pending, ...others } = countKinds(outcomes);
  assert.deepEqual(others, {});
  assert.ok(stored >= 30 && stored + pending === 1_000, `${stored} stored, ${pending} pending`);
  assert.ok(fake.requests.length < 150, `${fake.requests.length} requests`);
});

Deno.test("A 5xx that an empty write gets, too, or that speaks of an overload, is nobody's fault", async () => {
  for (const [status, body, requests] of [[500, /^/, 2], [503, /./, 1], [502, /./, 1]] as const) {
    await using fake = await FakeInfluxDb.start({ version: 2 });
    fake.trouble = failing(status, "no", body);
    const store = influxDb(fake, { version: 2 });
    await unavailable(store.write(pointsOf(100, known), never));
    assert.equal(fake.requests.length, requests);
  }
});

Deno.test("A 5xx that names a shard, an engine, a cache or the disk holds all until a write passes again", async () => {
  const words = [
    DISK_FULL,
    SHARD,
    "engine: cache-max-memory-size exceeded: (1073741824/1073741824)",
    "unexpected error writing points to database: engine is closed",
  ];
  for (const word of words) {
    await using fake = await FakeInfluxDb.start({ version: 2 });
    fake.trouble = failing(500, word);
    const store = influxDb(fake, { version: 2 });
    const { message } = await unavailable(store.write(pointsOf(100, known), never));
    assert.equal(fake.requests.length, 1);
    assert.match(message, /restart InfluxDB/);
    // of nothing it takes everything
    await probe(store, never);
    assert.equal(fake.requests.at(-1)?.body, "");
    assert.equal(store.status().problem, message);
    await fake.stop();
    await probe(store, never);
    assert.match(store.status().problem ?? "", /refused/);
    await fake.restart();
    await probe(store, never);
    assert.equal(store.status().problem, message);
    fake.trouble = () => undefined;
    assert.deepEqual(countKinds(await store.write(pointsOf(100, known), never)), { stored: 100 });
    assert.equal(store.status().problem, undefined);
  }
});

Deno.test("A 5xx with such a word in a user's own name is not about the server", async () => {
  for (const words of ['cannot store "disk use" of the table "cache"', questDb("disk")]) {
    await using fake = await FakeInfluxDb.start({ version: 2 });
    fake.trouble = failing(500, words, /bad/);
    const outcomes = await influxDb(fake, { version: 2 })
      .write([pointOf("sensor.good"), pointOf("sensor.bad")], never);
    assert.deepEqual(outcomes.map(({ kind }) => kind), ["stored", "pending"]);
  }
});

Deno.test("InfluxDB 2.0, which tells a partial write by a 500, is understood like its successors", async () => {
  const words = "failed to write points to database: partial write: ";
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const store = influxDb(fake, { version: 2 });
  fake.trouble = ({ body }) => {
    const lines = body === "" ? [] : body.split("\n");
    const old = lines.filter((line) => line.includes("old")).length;
    const text = lines.filter((line) => line.includes('"text"')).length;
    const conflict =
      'field type conflict: input field "value" on measurement "sensor" is type string';
    const what = text > 0
      ? `${conflict}, already exists as type float dropped=${text}`
      : `points beyond retention policy dropped=${old}`;
    return text + old === 0
      ? undefined
      : { status: 500, body: JSON.stringify({ code: "internal error", message: words + what }) };
  };
  const olds = await store.write(pointsOf(100, (n) => `sensor.old_${n}`), never);
  assert.deepEqual(countKinds(olds), { skipped: 100 });
  assert.equal(writesTo(fake), 1);
  const outcomes = await store.write(
    [pointOf("sensor.a"), pointOf("sensor.old"), pointOf("sensor.b", "text"), pointOf("sensor.c")],
    never,
  );
  assert.deepEqual(outcomes.map(({ kind }) => kind), ["stored", "skipped", "refused", "stored"]);
  assert.equal(store.status().problem, undefined);
});

/** A point that is so many minutes old. */
function agedPoint(minutes: number, entityId = "sensor.a"): StorePoint {
  const timeNs = BigInt(Date.now() - minutes * 60_000) * 1_000_000n + BigInt(points++);
  return { ...pointOf(entityId), timeNs };
}

const HOUR = 60;
const WINDOW = { pastMs: 3_600_000, futureMs: 600_000 };
const WINDOW_WORDS =
  /^points outside write window \(-1h0m0s to 10m0s\); raise PAST LIMIT and FUTURE LIMIT of the /;

Deno.test("What lies outside a write window of InfluxDB 1.13 is limited, never skipped, and nothing else is", async () => {
  await using fake = await FakeInfluxDb.start({ version: 1, window: WINDOW });
  const store = influxDb(fake);
  const kindsOf = async (...minutes: readonly number[]) =>
    (await store.write(minutes.map((age) => agedPoint(age)), never)).map(({ kind }) => kind);
  // it calls them outside the retention policy, of duration 0s
  assert.deepEqual(await kindsOf(2 * HOUR, 30 * 24 * HOUR), ["limited", "limited"]);
  assert.equal(fake.requests.length, 1, "all of them were refused");
  assert.deepEqual(await kindsOf(-HOUR), ["limited"]);
  const outcomes = await store.write([agedPoint(2 * HOUR)], never);
  for (const reason of reasonsOf(outcomes, "limited")) assert.match(reason, WINDOW_WORDS);
  assert.deepEqual(store.status().limits?.map(({ name }) => name), ["write window"]);
  assert.equal(store.status().problem, undefined);
  assert.deepEqual(await kindsOf(0, -HOUR, 2 * HOUR, 3, 20 * 24 * HOUR), [
    "stored",
    "limited",
    "limited",
    "stored",
    "limited",
  ]);
  assert.equal(store.status().limits?.length, 1, "others of the same series were stored");
});

Deno.test("A write window cuts a batch at its ends, in few requests", async () => {
  await using fake = await FakeInfluxDb.start({ version: 1, window: WINDOW });
  const store = influxDb(fake);
  const batch = Array.from({ length: 1_000 }, (_, i) => agedPoint(i % 3 === 0 ? 2 * HOUR + i : 1));
  const outcomes = await store.write(batch, never);
  outcomes.forEach(({ kind }, i) => assert.equal(kind, i % 3 === 0 ? "limited" : "stored"));
  assert.ok(fake.requests.length <= 2 * 10 + 1, `${fake.requests.length} requests`);
});

Deno.test("A write window beside a retention: what is older than both is skipped, the rest waits", async () => {
  const retentionMs = 24 * 3_600_000;
  await using fake = await FakeInfluxDb.start({ version: 1, window: WINDOW, retentionMs });
  const ages = [0, 2 * HOUR, 25 * HOUR, 3 * HOUR, 26 * HOUR];
  const expected = ["stored", "limited", "skipped", "limited", "skipped"];
  for (const known of [false, true]) {
    const store = influxDb(fake);
    if (known) await probe(store, never);
    else fake.questionTrouble = () => "login page";
    const outcomes = await store.write(ages.map((age) => agedPoint(age)), never);
    assert.deepEqual(outcomes.map(({ kind }) => kind), expected);
    const all = await store.write([2, 25, 26].map((hours) => agedPoint(hours * HOUR)), never);
    assert.deepEqual(all.map(({ kind }) => kind), ["limited", "skipped", "skipped"]);
    fake.questionTrouble = () => undefined;
  }
});

Deno.test("A write window that was raised is no limit any more once a point that it held is stored", async () => {
  await using fake = await FakeInfluxDb.start({ version: 1, window: WINDOW });
  const store = influxDb(fake);
  const late = agedPoint(2 * HOUR);
  assert.deepEqual(countKinds(await store.write([late], never)), { limited: 1 });
  await store.write([agedPoint(0)], never);
  assert.equal(store.status().limits?.length, 1, "that another is stored says nothing");
  fake.trouble = () => ({ status: 204 });
  assert.deepEqual(countKinds(await store.write([late], never)), { stored: 1 });
  assert.deepEqual(store.status().limits, []);
});
