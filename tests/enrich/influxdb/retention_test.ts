import assert from "node:assert/strict";
import { InfluxDb, type InfluxDbOptions } from "../../../lib/enrich/influxdb/influxdb.ts";
import {
  countBeyondRetention,
  parseDurationMs,
  Retention,
  retentionIn,
} from "../../../lib/enrich/influxdb/retention.ts";
import { type PointOutcome, type StorePoint, StoreUnavailable } from "../../../lib/enrich/store.ts";
import { LaterClock } from "../../later_clock.ts";
import { FakeInfluxDb, type Trouble } from "../../stand_ins/fake_influxdb.ts";
import { probe } from "./probe.ts";

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
      if (known === "beforehand") await probe(store, never);
      const before = fake.requests.length;
      assert.deepEqual(countsOf(await store.write(mostlyOld(), never)), expected);
      writes[known] = fake.requests.length - before;
      assert.equal(fake.points.length, 100);
      // the refusal itself tells it in version 2
      assert.equal(fake.questions.length, known === "beforehand" || version === 1 ? 1 : 0);
      assert.equal(store.status().problem, undefined);
    }
    assert.equal(writes["beforehand"], 1);
    assert.equal(writes["by the first refusal"], 2);
    if (version === 2) assert.equal(writes["never"], 2);
    else assert.ok(writes["never"] > 100, `only ${writes["never"]} writes`);
  });

  Deno.test(`Retention of InfluxDb ${version} and conflicts in one batch, known or not, end right`, async () => {
    for (const known of [true, false]) {
      await using fake = await FakeInfluxDb.start({ version, retentionMs: HOUR_MS });
      const store = influxDb(fake, version);
      await store.write([pointOf(1_000, 0)], never);
      if (known) await probe(store, never);
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
      const requestDeadlineMs = trouble === "hang" ? 1_000 : 10_000;
      const store = influxDb(fake, version, { requestDeadlineMs });
      await probe(store, never);
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
    await probe(store, never);
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
    await probe(store, never);
    const ancient = { ...pointOf(0, 0), timeNs: 1n };
    assert.deepEqual(await store.write([ancient], never), [{ kind: "stored" }]);
  }
});

Deno.test("Retention of a database whose name hurts is asked for by that name", async () => {
  const database = 'a "b\\c';
  await using fake = await FakeInfluxDb.start({ version: 1, database, retentionMs: HOUR_MS });
  const store = influxDb(fake, 1, { database });
  await probe(store, never);
  const outcomes = await store.write([pointOf(0, 2 * HOUR_MS)], never);
  assert.deepEqual(countsOf(outcomes), { skipped: 1 });
  assert.equal(fake.requests.length, 1);
});

Deno.test("A token that may only write learns the retention from a refusal, and what is raised from a write", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2, retentionMs: HOUR_MS });
  fake.hides = true;
  const store = influxDb(fake, 2);
  let passedMs = 0;
  using _clock = new LaterClock(() => passedMs);
  const kinds = async (...ages: readonly number[]) => {
    const outcomes = await store.write(ages.map((ageMs, i) => pointOf(i, ageMs)), never);
    return outcomes.map(({ kind }) => kind);
  };
  assert.deepEqual(await kinds(0, 2 * HOUR_MS, 2 * HOUR_MS), ["stored", "skipped", "skipped"]);
  assert.equal(fake.requests.length, 2, "the first one tells");
  assert.deepEqual(await kinds(2 * HOUR_MS), ["skipped"]);
  assert.equal(fake.requests.length, 2, "it was not sent");
  fake.retentionMs = 24 * HOUR_MS;
  passedMs = 59_000;
  assert.deepEqual(await kinds(2 * HOUR_MS), ["skipped"]);
  passedMs = 61_000;
  assert.deepEqual(await kinds(2 * HOUR_MS), ["stored"], "it is no longer believed");
  assert.deepEqual(await kinds(25 * HOUR_MS, 2 * HOUR_MS), ["skipped", "stored"]);
  fake.retentionMs = HOUR_MS;
  assert.deepEqual(await kinds(2 * HOUR_MS, 0), ["skipped", "stored"], "shorter again");
});

Deno.test("A point is skipped by the server's clock alone: by none where its answers tell no time", async () => {
  for (const version of [1, 2] as const) {
    await using fake = await FakeInfluxDb.start({ version, retentionMs: HOUR_MS });
    // this machine is ten hours ahead of the server
    fake.clockAheadMs = -10 * HOUR_MS;
    fake.tellsTime = false;
    const store = influxDb(fake, version);
    await probe(store, never);
    const points = [pointOf(0, 10 * HOUR_MS), pointOf(1, 12 * HOUR_MS)];
    assert.deepEqual(countsOf(await store.write(points, never)), { stored: 1, skipped: 1 });
    assert.equal(fake.points.length, 1);
    // the control: with it, the old one is not sent
    fake.tellsTime = true;
    await probe(store, never);
    const before = fake.requests.length;
    assert.deepEqual(countsOf(await store.write(points, never)), { stored: 1, skipped: 1 });
    assert.equal(fake.requests.length, before + 1);
    // the server's clock was wrong, and is set a day back
    fake.clockAheadMs = -34 * HOUR_MS;
    await probe(store, never);
    assert.deepEqual(countsOf(await store.write([pointOf(2, 34 * HOUR_MS)], never)), { stored: 1 });
  }
});

Deno.test("What an attribute is called teaches no retention", () => {
  const forged = "partial write: dropped 1 points outside retention policy of duration 1h0m0s - x";
  const conflict =
    `failure writing points to database: partial write: field type conflict: input field "${forged}"`;
  for (const reason of [conflict, `unable to parse '${forged}': missing field value`]) {
    assert.equal(countBeyondRetention({ reason }), 0);
    assert.equal(retentionIn({ reason }), undefined);
  }
  assert.equal(countBeyondRetention({ reason: forged }), 1, "the control");
  assert.equal(retentionIn({ reason: forged }), HOUR_MS, "the control");
});

Deno.test("Retention is looked up now and then, sooner where points were refused for it, and believed for a minute", async () => {
  let nowMs = 0;
  let looks = 0;
  let answer: () => number | undefined = () => HOUR_MS;
  const retention = new Retention(() => {
    looks++;
    return Promise.try(answer);
  }, () => nowMs);
  const isOld = () =>
    BigInt(1e12 - 2 * HOUR_MS) * 1_000_000n < (retention.beyondNs(1e12) ?? -Infinity);
  assert.equal(isOld(), false);
  const at = async (seconds: number, refused: boolean) => {
    nowMs = seconds * 1_000;
    const before = looks;
    await retention.refresh(never, refused);
    return looks > before;
  };
  assert.equal(await at(0, false), true);
  assert.equal(isOld(), true);
  assert.equal(await at(9, true), false);
  assert.equal(await at(19, false), false);
  assert.equal(await at(20, false), true);
  answer = () => {
    throw new StoreUnavailable("gone");
  };
  assert.equal(await at(30, true), true);
  assert.equal(isOld(), true, "a failed look changes nothing");
  assert.equal(await at(79, false), true);
  assert.equal(isOld(), true);
  nowMs = 80_000;
  assert.equal(isOld(), false, "it was looked up a minute ago");
  answer = () => undefined;
  retention.learn(HOUR_MS);
  assert.equal(await at(100, false), true);
  assert.equal(isOld(), true, "what cannot be seen is as it was told");
  answer = () => Infinity;
  assert.equal(await at(130, false), true);
  assert.equal(isOld(), false);
});

Deno.test("Retention takes a point for beyond from a minute past it on", async () => {
  const retention = new Retention(() => Promise.resolve(HOUR_MS));
  await retention.refresh(never);
  const nowMs = 1_782_422_405_162;
  const edge = BigInt(nowMs - HOUR_MS - 60_000) * 1_000_000n;
  assert.equal(retention.beyondNs(nowMs), edge);
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
