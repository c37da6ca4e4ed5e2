import assert from "node:assert/strict";
import { InfluxDb, type InfluxDbOptions } from "../../../lib/enrich/influxdb/influxdb.ts";
import { type PointOutcome, type StorePoint, StoreUnavailable } from "../../../lib/enrich/store.ts";
import { FakeInfluxDb, type ScriptedAnswer, type Trouble } from "../../stand_ins/fake_influxdb.ts";
import { ORG_ID } from "../../stand_ins/fake_influxdb_admin.ts";
import { until } from "../../until.ts";
import { probe } from "./probe.ts";

const T0_NS = 1_782_422_405_162_552_000n;
const STORED = { kind: "stored" } as const;
const never = new AbortController().signal;

/** The reply of an InfluxDB 2 that a proxy or another release words differently. */
function json(status: number, body: unknown, headers: Record<string, string> = {}): ScriptedAnswer {
  return {
    status,
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  };
}

/** The adapter for a fake's version, with what opens its door. */
function influxDb(fake: FakeInfluxDb, options: Partial<InfluxDbOptions> = {}): InfluxDb {
  return new InfluxDb({
    url: fake.url,
    version: 2,
    org: "home",
    bucket: "home",
    database: "home",
    token: () => "token",
    ...options,
  });
}

function pointOf(index: number, value: number | string = index): StorePoint {
  return {
    measurement: "sensor",
    tags: new Map([["entity_id", `sensor.n${index % 7}`]]),
    fields: new Map([["value", value]]),
    timeNs: T0_NS + BigInt(index),
  };
}

/** Points of which those at the given places meet a type conflict. */
function pointsWith(count: number, bad: ReadonlySet<number>): readonly StorePoint[] {
  return Array.from({ length: count }, (_, i) => pointOf(i, bad.has(i) ? "text" : i));
}

function kindsOf(outcomes: readonly PointOutcome[]): readonly string[] {
  return outcomes.map(({ kind }) => kind);
}

async function unavailable(write: Promise<unknown>): Promise<StoreUnavailable> {
  const error = await write.then(() => undefined, (error) => error);
  assert.ok(error instanceof StoreUnavailable, `Not StoreUnavailable: ${error}`);
  return error;
}

Deno.test("InfluxDb 2 writes to organization and bucket with its token", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2, token: "s3cret" });
  const store = influxDb(fake, { token: () => "s3cret" });
  assert.deepEqual(await store.write([pointOf(0, 21.5)], never), [STORED]);
  const [request] = fake.requests;
  assert.equal(request.path, "/api/v2/write");
  assert.deepEqual(Object.fromEntries(request.query), {
    org: "home",
    bucket: "home",
    precision: "ns",
  });
  assert.equal(request.headers.authorization, "Token s3cret");
  assert.deepEqual(fake.points, [{
    measurement: "sensor",
    tags: new Map([["entity_id", "sensor.n0"]]),
    fields: new Map([["value", 21.5]]),
    timeNs: T0_NS,
  }]);
});

Deno.test("InfluxDb 1 writes to the database, user and password in the header alone", async () => {
  await using fake = await FakeInfluxDb.start({ version: 1, username: "é", password: "pä:ss" });
  const credentials = { username: () => "é", password: () => "pä:ss" };
  const store = influxDb(fake, { version: 1, ...credentials });
  assert.deepEqual(await store.write([pointOf(0)], never), [STORED]);
  const [{ path, query }] = fake.requests;
  assert.equal(path, "/write");
  assert.deepEqual(Object.fromEntries(query), { db: "home", precision: "ns" });
  assert.equal(fake.points.length, 1);
});

Deno.test("InfluxDb 1 stores in an InfluxDB 2 with a token for its password, says so, and believes only its refusals about retention", async () => {
  const hourMs = 3_600_000;
  await using fake = await FakeInfluxDb.start({ version: 2, retentionMs: hourMs });
  const credentials = { username: () => "joe", password: () => "token" };
  const store = influxDb(fake, { version: 1, ...credentials });
  await probe(store, never);
  assert.equal(store.status().problem, undefined);
  assert.equal(
    store.status().description,
    `InfluxDB 2 (1.x API) at ${fake.url}, database home`,
  );
  const nowNs = BigInt(Date.now()) * 1_000_000n;
  const ages = [0n, 2n, 2n, 2n].map((hours) => nowNs - hours * BigInt(hourMs) * 1_000_000n);
  const points = ages.map((timeNs, i) => ({ ...pointOf(i), timeNs }));
  const before = fake.requests.length;
  for (let n = 0; n < 2; n++) {
    assert.deepEqual(kindsOf(await store.write(points, never)), [
      "stored",
      "skipped",
      "skipped",
      "skipped",
    ]);
    await probe(store, never);
  }
  // the first tells, and what is left is sent again
  const writes = fake.requests.slice(before).filter(({ body }) => body !== "");
  assert.equal(writes.length, 2 + 1);
  assert.ok(writes.every(({ path }) => path === "/write"));
  // the control
  await using own = await FakeInfluxDb.start({ version: 1 });
  const plain = influxDb(own, { version: 1 });
  await probe(plain, never);
  assert.equal(plain.status().description, `InfluxDB 1 at ${own.url}, database home`);
});

Deno.test("InfluxDb 2 takes the organization by name or by id, also where it asks how long points are kept", async () => {
  for (const org of ["home", ORG_ID, ORG_ID.toUpperCase()]) {
    await using fake = await FakeInfluxDb.start({ version: 2, retentionMs: 3_600_000 });
    const store = influxDb(fake, { org });
    await probe(store, never);
    assert.equal(store.status().problem, undefined);
    assert.deepEqual(kindsOf(await store.write([pointOf(0)], never)), ["skipped"]);
    assert.equal(fake.questions.length, 1);
    assert.equal(fake.requests.length, 1, "its retention is known, and nothing was sent");
    fake.places.clear();
    assert.equal(await store.create(never), true);
    assert.deepEqual([...fake.places], ["home"]);
    assert.equal(await store.create(never), false, "there is one already");
  }
});

Deno.test("InfluxDb keeps the path of its URL, and leaves user and password in it out", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  fake.trouble = () => ({ status: 204 });
  const url = fake.url.replace("http://", "http://someone:hidden@") + "/influx/";
  const store = influxDb(fake, { url });
  await store.write([pointOf(0)], never);
  assert.equal(fake.requests[0].path, "/influx/api/v2/write");
  assert.equal(
    store.status().description,
    `InfluxDB 2 at ${fake.url}/influx, organization home, bucket home`,
  );
});

Deno.test("InfluxDb sends large batches compressed", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const points = pointsWith(1_000, new Set());
  const store = influxDb(fake, { compresses: true });
  assert.deepEqual(await store.write(points, never), points.map(() => STORED));
  const [{ headers, size, body }] = fake.requests;
  assert.equal(headers["content-encoding"], "gzip");
  assert.ok(size * 3 < body.length, `${size} bytes for ${body.length}`);
  assert.equal(fake.points.length, 1_000);
});

Deno.test("InfluxDb compresses nothing that stays on this machine", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const points = pointsWith(1_000, new Set());
  for (const url of [fake.url, fake.url.replace("127.0.0.1", "localhost")]) {
    assert.deepEqual(await influxDb(fake, { url }).write(points, never), points.map(() => STORED));
  }
  assert.equal(fake.points.length, 1_000);
  const plain = fake.requests.map(({ headers, size, body }) => [
    headers["content-encoding"],
    size === body.length,
  ]);
  assert.deepEqual(plain, [[undefined, true], [undefined, true]]);
});

Deno.test("InfluxDb asks nothing where there is nothing to write", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  assert.deepEqual(await influxDb(fake).write([], never), []);
  assert.equal(fake.requests.length, 0);
});

for (const version of [1, 2] as const) {
  Deno.test(`InfluxDb ${version} refuses exactly the points that conflict, within 1 + 2·b·⌈log₂ n⌉ requests`, async () => {
    for (const places of [[500], [0, 1, 999], Array.from({ length: 50 }, (_, i) => i * 20 + 7)]) {
      await using fake = await FakeInfluxDb.start({ version });
      const store = influxDb(fake, { version });
      await store.write([pointOf(-1)], never);
      const bad = new Set(places);
      const outcomes = await store.write(pointsWith(1_000, bad), never);
      outcomes.forEach((outcome, i) => {
        assert.equal(outcome.kind, bad.has(i) ? "refused" : "stored");
        if (outcome.kind !== "refused") return;
        assert.match(outcome.reason, /^InfluxDB answered 4\d\d: .*type string, already exists/);
      });
      assert.equal(fake.points.length, 1 + 1_000 - bad.size);
      const writes = fake.requests.length - 1;
      assert.ok(writes <= 1 + 2 * bad.size * 10, `${writes} requests for ${bad.size}`);
      assert.equal(store.status().problem, undefined);
    }
  });
}

Deno.test("InfluxDb refuses a point that has no line, and sends its neighbours", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const noFields = { ...pointOf(1), fields: new Map() };
  const outcomes = await influxDb(fake).write([pointOf(0), noFields, pointOf(2)], never);
  assert.deepEqual(kindsOf(outcomes), ["stored", "refused", "stored"]);
  assert.equal(fake.requests.length, 1);
  assert.deepEqual(kindsOf(await influxDb(fake).write([noFields], never)), ["refused"]);
  assert.equal(fake.requests.length, 1);
  await fake.stop();
  const known = await influxDb(fake).write([pointOf(0), noFields], never);
  assert.deepEqual(kindsOf(known), ["pending", "refused"]);
});

Deno.test("InfluxDb unites the fields of a point, and a repetition changes nothing", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  fake.trouble = (_, index) => index === 0 ? "lose reply" : undefined;
  const store = influxDb(fake);
  const points = [pointOf(0, 1), { ...pointOf(0), fields: new Map([["humidity", 2]]) }];
  await unavailable(store.write(points, never));
  const lost = fake.points;
  assert.deepEqual(await store.write(points, never), [STORED, STORED]);
  assert.deepEqual(fake.points, lost);
  assert.deepEqual(fake.points.map(({ fields }) => fields), [
    new Map([["value", 1], ["humidity", 2]]),
  ]);
});

Deno.test("InfluxDb holds everything and names the setting that is to be fixed", async () => {
  type Case = readonly [1 | 2 | 3, Partial<InfluxDbOptions>, RegExp];
  const secret = () => "wr0ng";
  const cases: readonly Case[] = [
    [1, { username: secret, password: secret }, /401 \(authorization failed\);.*_USERNAME.*_PASSW/],
    [1, {}, /401 \(unable to parse authentication credentials\);.*USERNAME and INFLUXDB_PASSWORD/],
    [1, { database: "nope" }, /404 \(database not found: "nope"\);.*INFLUXDB_DATABASE$/],
    [1, { version: 2 }, /404 \(404 page not found\);.*INFLUXDB_URL and INFLUXDB_VERSION$/],
    [2, { token: secret }, /401 \(unauthorized access\); check INFLUXDB_TOKEN$/],
    [2, { token: undefined }, /401 \(unauthorized access\); check INFLUXDB_TOKEN$/],
    [2, { bucket: "nope" }, /404 \(bucket "nope" not found\);.*INFLUXDB_BUCKET$/],
    [2, { org: "nope" }, /404 \(organization name "nope" not found\);.*INFLUXDB_ORG$/],
    [
      2,
      { org: "00c0ffee00c0ffee" },
      /404 \(organization not found\);.*_ORG: 16 hexadecimal digits/,
    ],
    [
      2,
      { version: 1 },
      /401 \(unauthorized access\); this is an InfluxDB 2, .*_PASSWORD to a token/,
    ],
    [
      2,
      { version: 1, username: secret, password: secret },
      /401 \(Unauthorized\); this is an Infl/,
    ],
    [
      2,
      { version: 1, username: secret, password: () => "token", database: "nope" },
      /404 \(no dbrp mapping found\); .*make that bucket, or correct INFLUXDB_DATABASE$/,
    ],
  ];
  for (const [version, options, problem] of cases) {
    const username = version === 1 && options.database === undefined ? "user" : undefined;
    await using fake = await FakeInfluxDb.start({ version: version === 1 ? 1 : 2, username });
    const store = influxDb(fake, { version, ...options });
    const error = await unavailable(store.write(pointsWith(10, new Set()), never));
    assert.match(error.message, problem);
    assert.doesNotMatch(error.message, /wr0ng/);
    assert.equal(store.status().problem, error.message);
    assert.equal(fake.requests.length, 1);
  }
});

Deno.test("InfluxDb says who lacks the permission, and forgets it once that is fixed", async () => {
  for (const version of [1, 2] as const) {
    await using fake = await FakeInfluxDb.start({ version });
    const store = influxDb(fake, { version });
    fake.forbids = true;
    const { message } = await unavailable(store.write([pointOf(0)], never));
    assert.match(
      message,
      version === 1 ? /403 .*INFLUXDB_USERNAME.*_DATABASE$/ : /403 .*INFLUXDB_TOKEN.*_BUCKET$/,
    );
    fake.forbids = false;
    assert.deepEqual(await store.write([pointOf(0)], never), [STORED]);
    assert.equal(store.status().problem, undefined);
  }
});

Deno.test("InfluxDb says that the token was deactivated, and forgets it once it is active", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const store = influxDb(fake);
  fake.inactive = true;
  const { message } = await unavailable(store.write([pointOf(0)], never));
  assert.match(
    message,
    /403 \(.*: token is inactive\); activate that token .*, or set INFLUXDB_TOKEN to another one$/,
  );
  assert.equal(store.status().problem, message);
  fake.inactive = false;
  assert.deepEqual(await store.write([pointOf(0)], never), [STORED]);
});

Deno.test("InfluxDb takes nothing but 204 for success", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const store = influxDb(fake);
  fake.trouble = () => "login page";
  const login = await unavailable(store.write([pointOf(0)], never));
  assert.match(login.message, /200 \(Sign in\) where 204 was expected: is INFLUXDB_URL a proxy/);
  fake.trouble = () => ({ status: 302, headers: { location: fake.url } });
  const redirect = await unavailable(store.write([pointOf(0)], never));
  assert.match(
    redirect.message,
    /it redirects; set INFLUXDB_URL to where.*INFLUXDB_HEADERS to what/,
  );
  assert.equal(fake.points.length, 0);
});

Deno.test("InfluxDb passes on how long an overloaded server wants to be left alone", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const after = async (header: string | undefined, status = 503) => {
    fake.trouble = () => json(status, { message: "full" }, header ? { "retry-after": header } : {});
    return await unavailable(influxDb(fake).write([pointOf(0)], never));
  };
  assert.equal((await after("7", 429)).retryAfterMs, 7_000);
  assert.equal((await after("86400")).retryAfterMs, 600_000);
  // a date is of the server's clock, which may be another one than ours
  fake.clockAheadMs = 3_600_000;
  const date = new Date(Date.now() + 3_660_000).toUTCString();
  const { retryAfterMs = 0 } = await after(date);
  assert.ok(retryAfterMs > 50_000 && retryAfterMs <= 61_000, `${retryAfterMs}`);
  const { message, ...error } = await after(undefined, 500);
  assert.equal(error.retryAfterMs, undefined);
  assert.match(message, /500 \(full\)/);
});

Deno.test("InfluxDb that asked to be left alone is, by every request, until its time is over", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const store = influxDb(fake);
  const seconds = ["60", "1"];
  fake.trouble = (_, index) =>
    index < 2 ? json(503, {}, { "retry-after": seconds[index] }) : undefined;
  await unavailable(store.write([pointOf(0)], never));
  for (let n = 0; n < 3; n++) {
    const { message, retryAfterMs = 0 } = await unavailable(store.write([pointOf(n)], never));
    assert.match(message, /left alone, (59|60) s more/);
    assert.ok(retryAfterMs > 50_000 && retryAfterMs <= 60_000, `${retryAfterMs}`);
    await probe(store, never);
  }
  assert.match(store.status().problem ?? "", /503/);
  assert.equal(fake.requests.length, 1);
  const other = influxDb(fake);
  await unavailable(other.write([pointOf(0)], never));
  const since = performance.now();
  await until(async () => {
    const outcomes = await other.write([pointOf(0)], never);
    return outcomes.length === 1;
  }, "the time is over");
  assert.ok(performance.now() - since > 900, `after ${performance.now() - since} ms`);
  assert.equal(fake.requests.length, 3);
});

Deno.test("InfluxDb that is closed under way tells what it stored, and the rest is pending", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const store = influxDb(fake);
  await store.write([pointOf(-1)], never);
  fake.trouble = (_, index) => void (index === 3 && store.close());
  const kinds = kindsOf(await store.write(pointsWith(8, new Set([2])), never));
  assert.deepEqual(kinds, ["stored", "stored", ...Array(6).fill("pending")]);
  await unavailable(store.write([pointOf(0)], never));
});

Deno.test("InfluxDb writes lines as it is told to, and refuses a point whose line fails", async () => {
  await using fake = await FakeInfluxDb.start({ version: 1 });
  const store = influxDb(fake, {
    version: 1,
    line: ({ timeNs }, version) => {
      if (timeNs === T0_NS) throw new Error("no such line");
      return `m v="${version}" ${timeNs}`;
    },
  });
  const refused = { kind: "refused", reason: "no such line" };
  assert.deepEqual(await store.write([pointOf(0), pointOf(1)], never), [refused, STORED]);
  assert.equal(fake.requests[0].body, `m v="1" ${T0_NS + 1n}`);
});

Deno.test("InfluxDb names the file's options beside the variables where a file is set", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const store = influxDb(fake, { token: () => "wr0ng", configFile: "influxdb.yaml" });
  const { message } = await unavailable(store.write([pointOf(0)], never));
  assert.match(message, /check INFLUXDB_TOKEN \(token in influxdb\.yaml\)$/);
});

Deno.test("InfluxDb stores again, without a restart, once the database is there and the token right", async () => {
  for (const version of [1, 2] as const) {
    await using fake = await FakeInfluxDb.start({ version });
    const store = influxDb(fake, { version });
    const points = pointsWith(10, new Set());
    fake.places.clear();
    const { message } = await unavailable(store.write(points, never));
    assert.match(
      message,
      /not found.*; create it by "enrich check --create", or correct INFLUXDB_/,
    );
    fake.places.add("home");
    assert.deepEqual(await store.write(points, never), points.map(() => STORED));
    assert.equal(store.status().problem, undefined);
  }
});

Deno.test("InfluxDb that is gone, hangs or breaks off is unavailable, and says how", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const store = influxDb(fake, { requestDeadlineMs: 50 });
  const saying = async (trouble: Trouble) => {
    fake.trouble = () => trouble;
    const error = await unavailable(store.write([pointOf(0)], never));
    assert.equal(store.status().problem, error.message);
    return error.message;
  };
  assert.match(await saying("hang"), /no answer within 0.05 s; check that it runs/);
  assert.match(await saying("reset"), /was closed|was reset/);
  await fake.stop();
  assert.match(await saying("hang"), /connection refused.*INFLUXDB_URL$/);
  await fake.restart();
  fake.trouble = () => undefined;
  assert.deepEqual(await store.write([pointOf(0)], never), [STORED]);
  assert.equal(store.status().problem, undefined);
});

Deno.test("InfluxDb is not to blame for a caller whose time is up", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const store = influxDb(fake);
  await probe(store, never);
  fake.trouble = () => "hang";
  const caller = new AbortController();
  const writing = unavailable(store.write([pointOf(0)], caller.signal));
  await fake.requested(2);
  caller.abort();
  assert.equal((await writing).message, "InfluxDB has not answered in time");
  assert.equal(store.status().problem, undefined);
  await unavailable(store.write([pointOf(0)], caller.signal));
  assert.equal(fake.requests.length, 2);
});

Deno.test("InfluxDb keeps what it knows when bisection is cut short, and calls the rest pending", async () => {
  const bad = new Set([1]);
  // all, 0-3, 0-1, 0, 1: refused, refused, refused, stored, refused; then 2-3
  const cutAfter = 5;
  const stops: readonly ((fake: FakeInfluxDb, caller: AbortController) => Trouble)[] = [
    () => json(503, {}),
    () => json(401, {}),
    () => "reset",
    (_, caller) => {
      caller.abort();
      return "hang";
    },
  ];
  for (const stop of stops) {
    await using fake = await FakeInfluxDb.start({ version: 2 });
    const store = influxDb(fake);
    await store.write([pointOf(-1)], never);
    const caller = new AbortController();
    fake.trouble = (_, index) => index > cutAfter ? stop(fake, caller) : undefined;
    const outcomes = await store.write(pointsWith(8, bad), caller.signal);
    assert.deepEqual(kindsOf(outcomes), [
      "stored",
      "refused",
      ...Array(6).fill("pending"),
    ]);
  }
});

Deno.test("InfluxDb that goes away before any point is known leaves nothing known", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const store = influxDb(fake);
  await store.write([pointOf(-1)], never);
  fake.trouble = (_, index) => index > 1 ? json(503, {}, { "retry-after": "3" }) : undefined;
  const error = await unavailable(store.write(pointsWith(8, new Set([0])), never));
  assert.equal(error.retryAfterMs, 3_000);
});

Deno.test("InfluxDb splits what is too large, and refuses what is too large alone", async () => {
  for (const version of [1, 2] as const) {
    await using fake = await FakeInfluxDb.start({ version, maxBodyBytes: 400 });
    const points = pointsWith(100, new Set());
    // hard to compress: what counts are the bytes on the wire
    const text = Array.from({ length: 1_000 }, (_, i) => (i * 7_919) % 9_973).join("");
    const huge = { ...pointOf(50), fields: new Map([["text", text]]) };
    const outcomes = await influxDb(fake, { version }).write([...points, huge], never);
    assert.deepEqual(outcomes.slice(0, 100), points.map(() => STORED));
    assert.deepEqual(outcomes[100], {
      kind: "refused",
      reason: version === 1
        ? "InfluxDB answered 413: Request Entity Too Large"
        : "InfluxDB answered 413: 413 Request Entity Too Large",
    });
    assert.equal(fake.points.length, 100);
  }
});

Deno.test("InfluxDb that refuses every write for the same reason has refused no point", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const store = influxDb(fake);
  fake.trouble = () => json(400, { error: "database is required" });
  const { message } = await unavailable(store.write(pointsWith(10, new Set()), never));
  assert.match(message, /400 \(database is required\); check INFLUXDB_URL/);
  assert.equal(fake.requests.length, 2);
  assert.equal(fake.requests[1].body, "");
});

Deno.test("InfluxDb that refuses in words of its own, but takes an empty body, has refused a point", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  fake.trouble = ({ body }) => body.includes('"text"') ? { status: 422 } : undefined;
  const store = influxDb(fake);
  assert.deepEqual(await store.write(pointsWith(8, new Set([2, 5])), never), [
    STORED,
    STORED,
    { kind: "refused", reason: "InfluxDB answered 422" },
    STORED,
    STORED,
    { kind: "refused", reason: "InfluxDB answered 422" },
    STORED,
    STORED,
  ]);
  assert.equal(fake.requests.filter(({ body }) => body === "").length, 1);
});

Deno.test("InfluxDb probe stores nothing, and shows what it found until the next success", async () => {
  for (const version of [1, 2] as const) {
    await using fake = await FakeInfluxDb.start({ version });
    const store = influxDb(fake, { version });
    await probe(store, never);
    assert.equal(store.status().problem, undefined);
    fake.forbids = true;
    await probe(store, never);
    assert.match(store.status().problem ?? "", /403/);
    fake.forbids = false;
    await probe(store, never);
    assert.equal(store.status().problem, undefined);
    assert.equal(fake.points.length, 0);
  }
});

Deno.test("InfluxDb that a write could not reach, or that refused its token, is well once a write of nothing passes", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const store = influxDb(fake);
  const fails = async () => {
    await unavailable(store.write([pointOf(0)], never));
    assert.ok(store.status().problem);
  };
  await fake.stop();
  await fails();
  await fake.restart();
  await probe(store, never);
  assert.equal(store.status().problem, undefined);
  fake.forbids = true;
  await fails();
  fake.forbids = false;
  await probe(store, never);
  assert.equal(store.status().problem, undefined);
  fake.trouble = () => ({ status: 200, body: "<title>Log in</title>" });
  await fails();
  fake.trouble = () => undefined;
  await probe(store, never);
  assert.equal(store.status().problem, undefined);
});

Deno.test("InfluxDb that forgets its limits names none again that a write from before then meets", async () => {
  await using fake = await FakeInfluxDb.start({ version: 1, database: "home" });
  fake.maxSeries = 0;
  fake.delayMs = 200;
  const store = influxDb(fake, { version: 1 });
  const written = store.write([pointOf(0)], never);
  await fake.requested(1);
  store.forgetLimits();
  assert.deepEqual(kindsOf(await written), ["limited"]);
  assert.deepEqual(store.status().limits, []);
  // the control: one from after that does
  assert.deepEqual(kindsOf(await store.write([pointOf(0)], never)), ["limited"]);
  assert.equal(store.status().limits?.length, 1);
});

Deno.test("InfluxDb probe takes what other releases say to an empty body for success", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const store = influxDb(fake);
  for (const message of ["writing requires points", "incoming write was empty"]) {
    fake.trouble = () => json(400, { code: "invalid", message });
    await probe(store, never);
    assert.equal(store.status().problem, undefined);
  }
  fake.trouble = () => json(400, { code: "invalid", message: "invalid precision" });
  await probe(store, never);
  assert.match(store.status().problem ?? "", /invalid precision/);
});

Deno.test("InfluxDb reads its secrets again at each request", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2, token: "new" });
  let token = "old";
  const store = influxDb(fake, { token: () => token });
  await unavailable(store.write([pointOf(0)], never));
  token = "new";
  assert.deepEqual(await store.write([pointOf(0)], never), [STORED]);
});

Deno.test("InfluxDb is unavailable while a secret cannot be read or sent, and never shows it", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const unreadable = influxDb(fake, {
    token: () => {
      throw new Error("INFLUXDB_TOKEN_FILE names no file");
    },
  });
  const missing = await unavailable(unreadable.write([pointOf(0)], never));
  assert.equal(missing.message, "INFLUXDB_TOKEN_FILE names no file");
  for (const token of ["s3cret\nline", "s3cret€"]) {
    const store = influxDb(fake, { token: () => token });
    const { message } = await unavailable(store.write([pointOf(0)], never));
    assert.match(message, /INFLUXDB_TOKEN holds/);
    assert.doesNotMatch(message + store.status().problem, /s3cret/);
  }
  assert.equal(fake.requests.length, 0);
});

Deno.test("InfluxDb reads little of a long answer", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  fake.trouble = () => ({ status: 500, body: "no end ".repeat(1_000_000) });
  const { message } = await unavailable(influxDb(fake).write([pointOf(0)], never));
  assert.ok(message.length < 700, `${message.length}`);
  fake.trouble = ({ body }) =>
    body === "" ? undefined : json(400, { message: `unable to parse '${"x".repeat(100_000)}'` });
  const [outcome] = await influxDb(fake).write([pointOf(0)], never);
  assert.equal(outcome.kind, "refused");
  assert.ok(JSON.stringify(outcome).length < 700);
});

Deno.test("InfluxDb does not wait for an answer to end once it knows enough", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  const before = performance.now();
  fake.trouble = () => ({ status: 500, body: "no end ".repeat(1_000), unfinished: true });
  await unavailable(influxDb(fake).write([pointOf(0)], never));
  assert.ok(performance.now() - before < 5_000);
  fake.trouble = () => ({ status: 401, body: "who", unfinished: true });
  const store = influxDb(fake, { requestDeadlineMs: 50 });
  const { message } = await unavailable(store.write([pointOf(0)], never));
  assert.match(message, /401 \(who\); check INFLUXDB_TOKEN$/);
});
