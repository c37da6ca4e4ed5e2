import assert from "node:assert/strict";
import { InfluxDb, type InfluxDbOptions } from "../../../lib/enrich/influxdb/influxdb.ts";
import { parseDurationMs, Retention } from "../../../lib/enrich/influxdb/retention.ts";
import { type PointOutcome, type StorePoint, StoreUnavailable } from "../../../lib/enrich/store.ts";
import { FakeInfluxDb, type Trouble } from "../../stand_ins/fake_influxdb.ts";

const HOUR_MS = 3_600_000;
const never = new AbortController().signal;

function influxDb(fake: FakeInfluxDb, version: 1 | 2, options: Partial<InfluxDbOptions> = {}) {
  return new InfluxDb({
    url: fake.url,
    version,
    org: "home",
    bucket: "home",
    database: "home",
    token: () => "token",
    ...options,
  });
}

/** A point that is that old by this machine's clock. */
function pointOf(index: number, ageMs: number, value: number | string = index): StorePoint {
  return {
    measurement: "sensor",
    tags: new Map([["entity_id", `sensor.n${index}`]]),
    fields: new Map([["value", value]]),
    timeNs: BigInt(Date.now() - ageMs) * 1_000_000n,
  };
}

/** 1,000 points, of which all but each tenth are beyond an hour, and those at `bad` meet a type conflict. */
function mostlyOld(bad: ReadonlySet<number> = new Set()): readonly StorePoint[] {
  return Array.from(
    { length: 1_000 },
    (_, i) => pointOf(i, i % 10 === 0 ? 0 : 2 * HOUR_MS, bad.has(i) ? "text" : i),
  );
}

function countsOf(outcomes: readonly PointOutcome[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { kind } of outcomes) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

for (const version of [1, 2] as const) {
  Deno.test(`Retention of InfluxDb ${version}, once it is known, spares sending what is beyond it`, async () => {
    const expected = { stored: 100, skipped: 900 };
    const writes: Record<string, number> = {};
    for (const known of ["beforehand", "by the first refusal", "never"]) {
      await using fake = await FakeInfluxDb.start({
        version,
        retentionMs: HOUR_MS,
        username: version === 1 ? "u" : undefined,
        password: "p",
      });
      fake.hides = known === "never";
      const store = influxDb(fake, version, { username: () => "u", password: () => "p" });
      if (known === "beforehand") await store.probe(never);
      const before = fake.requests.length;
      assert.deepEqual(countsOf(await store.write(mostlyOld(), never)), expected);
      writes[known] = fake.requests.length - before;
      assert.equal(fake.points.length, 100);
      assert.equal(fake.questions.length, 1);
      assert.equal(store.status().problem, undefined);
    }
    assert.equal(writes["beforehand"], 1);
    assert.ok(writes["by the first refusal"] <= 3, `${writes["by the first refusal"]} writes`);
    assert.ok(writes["never"] > 100, `only ${writes["never"]} writes`);
  });

  Deno.test(`Retention of InfluxDb ${version} and conflicts in one batch, known or not, end right`, async () => {
    for (const known of [true, false]) {
      await using fake = await FakeInfluxDb.start({ version, retentionMs: HOUR_MS });
      const store = influxDb(fake, version);
      await store.write([pointOf(1_000, 0)], never);
      if (known) await store.probe(never);
      else fake.questionTrouble = () => "login page";
      const bad = new Set([0, 1, 500, 501, 990]);
      const outcomes = await store.write(mostlyOld(bad), never);
      outcomes.forEach((outcome, i) => {
        const kind = i % 10 !== 0 ? "skipped" : bad.has(i) ? "refused" : "stored";
        assert.equal(outcome.kind, kind, `${i}`);
      });
      assert.equal(fake.points.length, 1 + 97);
      const writes = fake.requests.length - (known ? 2 : 1);
      if (known) assert.ok(writes <= 1 + 2 * 3 * 10, `${writes} writes`);
    }
  });

  Deno.test(`Retention of InfluxDb ${version} that cannot be seen neither fails nor holds up a write`, async () => {
    const troubles: readonly Trouble[] = [
      "hang",
      "reset",
      "login page",
      { status: 401, body: "{}" },
      { status: 503, headers: { "retry-after": "60" } },
      { status: 200, body: '{"results":[{"series":[{"columns":["name"]}]}],"buckets":[]}' },
    ];
    for (const trouble of troubles) {
      await using fake = await FakeInfluxDb.start({ version, retentionMs: HOUR_MS });
      fake.questionTrouble = () => trouble;
      const store = influxDb(fake, version, { requestDeadlineMs: 50 });
      await store.probe(never);
      assert.ok(fake.questions.length > 0);
      assert.equal(store.status().problem, undefined);
      const points = [pointOf(0, 0), pointOf(1, 2 * HOUR_MS)];
      assert.deepEqual(countsOf(await store.write(points, never)), { stored: 1, skipped: 1 });
      assert.equal(store.status().problem, undefined);
    }
  });

  Deno.test(`Retention of InfluxDb ${version} is measured by the server's clock, and what is at its edge by the server`, async () => {
    await using fake = await FakeInfluxDb.start({ version, retentionMs: HOUR_MS });
    fake.clockAheadMs = -3 * HOUR_MS;
    const store = influxDb(fake, version);
    await store.probe(never);
    const ages = [4.1, 3.9, 2].map((hours) => hours * HOUR_MS);
    const byServer = await store.write(ages.map((ageMs, i) => pointOf(i, ageMs)), never);
    assert.deepEqual(byServer.map(({ kind }) => kind), ["skipped", "stored", "stored"]);
    assert.equal(fake.requests.length, 2);
    const atEdge = await store.write([pointOf(3, 4 * HOUR_MS + 30_000)], never);
    assert.deepEqual(atEdge, [{ kind: "skipped", reason: "retention" }]);
    assert.equal(fake.requests.length, 3, "it was sent");
  });
}

Deno.test("Retention forever skips nothing", async () => {
  for (const version of [1, 2] as const) {
    await using fake = await FakeInfluxDb.start({ version });
    const store = influxDb(fake, version);
    await store.probe(never);
    const ancient = { ...pointOf(0, 0), timeNs: 1n };
    assert.deepEqual(await store.write([ancient], never), [{ kind: "stored" }]);
  }
});

Deno.test("Retention of a database whose name hurts is asked for by that name", async () => {
  const database = 'a "b\\c';
  await using fake = await FakeInfluxDb.start({ version: 1, database, retentionMs: HOUR_MS });
  const store = influxDb(fake, 1, { database });
  await store.probe(never);
  const outcomes = await store.write([pointOf(0, 2 * HOUR_MS)], never);
  assert.deepEqual(countsOf(outcomes), { skipped: 1 });
  assert.equal(fake.requests.length, 1);
});

Deno.test("Retention is looked up every minute, and sooner where points were refused for it", async () => {
  let nowMs = 0;
  let looks = 0;
  let answer: () => number | undefined = () => HOUR_MS;
  const retention = new Retention(() => {
    looks++;
    return Promise.try(answer);
  }, () => nowMs);
  const old = BigInt(1e12 - 2 * HOUR_MS) * 1_000_000n;
  assert.equal(retention.isBeyond(old, 1e12), false);
  const at = async (seconds: number, refused: boolean) => {
    nowMs = seconds * 1_000;
    const before = looks;
    await retention.refresh(never, refused);
    return looks > before;
  };
  assert.equal(await at(0, false), true);
  assert.equal(retention.isBeyond(old, 1e12), true);
  assert.equal(await at(9, true), false);
  assert.equal(await at(59, false), false);
  assert.equal(await at(60, false), true);
  answer = () => {
    throw new StoreUnavailable("gone");
  };
  assert.equal(await at(70, true), true);
  assert.equal(retention.isBeyond(old, 1e12), false, "nothing is known");
  answer = () => Infinity;
  assert.equal(await at(130, false), true);
  assert.equal(retention.isBeyond(old, 1e12), false);
});

Deno.test("Retention takes a point for beyond from a minute past it on", async () => {
  const retention = new Retention(() => Promise.resolve(HOUR_MS));
  await retention.refresh(never);
  const nowMs = 1_782_422_405_162;
  const edge = BigInt(nowMs - HOUR_MS - 60_000) * 1_000_000n;
  assert.equal(retention.isBeyond(edge, nowMs), false);
  assert.equal(retention.isBeyond(edge - 1n, nowMs), true);
});

Deno.test("Retention durations are read as Go writes them", () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ["0s", 0],
    ["168h0m0s", 604_800_000],
    ["1h30m0s", 5_400_000],
    ["876000h0m0s", 3_153_600_000_000],
    ["1.5s", 1_500],
    ["", undefined],
    ["INF", undefined],
    ["1w", undefined],
    ["undefined", undefined],
  ];
  for (const [text, ms] of cases) assert.equal(parseDurationMs(text), ms, text);
});
