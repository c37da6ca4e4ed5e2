import assert from "node:assert/strict";
import { LaterClock } from "../../later_clock.ts";
import { until } from "../../until.ts";
import { ServerStore } from "../../../lib/enrich/victoriametrics/server_store.ts";
import type { PointOutcome, StorePoint } from "../../../lib/enrich/store.ts";
import {
  FakeVictoriaMetrics,
  type FakeVictoriaMetricsOptions,
} from "../../stand_ins/fake_victoriametrics.ts";

function soon(): AbortSignal {
  return AbortSignal.timeout(20_000);
}

function pointOf(value: number): StorePoint {
  return {
    measurement: "sensor",
    tags: new Map([["entity_id", "sensor.a"]]),
    fields: new Map([["value", value]]),
    timeNs: BigInt(Date.now() - 10_000 + value) * 1_000_000n,
  };
}

/** Sends it until it is taken, as ingest does. */
async function writtenOnce(store: ServerStore, value: number): Promise<PointOutcome | undefined> {
  for (;;) {
    try {
      return (await store.write([pointOf(value)], soon()))[0];
    } catch {
      // it is away, or was
    }
  }
}

/** What another process of it holds that takes the place of the first after it had taken 1 and 2, once 3 is written. */
async function valuesAfter(
  first: FakeVictoriaMetricsOptions,
  second: FakeVictoriaMetricsOptions,
): Promise<number[]> {
  const before = await FakeVictoriaMetrics.start(first);
  const port = Number(new URL(before.url).port);
  const store = new ServerStore({ url: before.url, version: 1, database: "home" });
  for (const value of [1, 2]) assert.equal((await writtenOnce(store, value))?.kind, "stored");
  await before[Symbol.asyncDispose]();
  await assert.rejects(store.write([pointOf(3)], soon()), /Cannot reach VictoriaMetrics/);
  await using after = await FakeVictoriaMetrics.start({ ...second, port });
  assert.equal((await writtenOnce(store, 3))?.kind, "stored");
  store.close();
  return after.samples.map(({ value }) => value);
}

Deno.test("A VictoriaMetrics that was killed gets again what it had acknowledged, before anything new", async () => {
  assert.deepEqual(
    await valuesAfter({ started: 100 }, { started: 200, wasKilled: true }),
    [1, 2, 3],
  );
});

Deno.test("A VictoriaMetrics that was ended as it should be gets nothing again", async () => {
  assert.deepEqual(await valuesAfter({ started: 100 }, { started: 200, wasKilled: false }), [3]);
});

Deno.test("A VictoriaMetrics that did not answer for a while, and is the same, gets nothing again", async () => {
  assert.deepEqual(await valuesAfter({ started: 100 }, { started: 100 }), [3]);
});

Deno.test("Behind vmauth, where nobody knows whether it is the same, it gets all again", async () => {
  const options = { behindVmauth: true };
  assert.deepEqual(await valuesAfter(options, options), [1, 2, 3]);
});

Deno.test("What a killed VictoriaMetrics is to get again waits, with what is new, until it takes it", async () => {
  const before = await FakeVictoriaMetrics.start({ started: 100 });
  const port = Number(new URL(before.url).port);
  const store = new ServerStore({ url: before.url, version: 1, database: "home" });
  await writtenOnce(store, 1);
  await before[Symbol.asyncDispose]();
  await assert.rejects(store.write([pointOf(2)], soon()));
  await using after = await FakeVictoriaMetrics.start({ port, started: 200, wasKilled: true });
  after.answer = { status: 503, body: "" };
  await assert.rejects(store.write([pointOf(2)], soon()), /503/);
  after.answer = undefined;
  await writtenOnce(store, 2);
  store.close();
  assert.deepEqual(after.samples.map(({ value }) => value), [1, 2]);
});

Deno.test("A new series that VictoriaMetrics throws away does not hold up those that it has", async () => {
  await using fake = await FakeVictoriaMetrics.start({ flags: { "storage.maxHourlySeries": "2" } });
  const store = new ServerStore({ url: fake.url, version: 1, database: "home" });
  const write = async (...entities: string[]) => {
    const points = entities.map((entity, i) => ({
      ...pointOf(i),
      tags: new Map([["entity_id", entity]]),
    }));
    return (await store.write(points, soon())).map(({ kind }) => kind);
  };
  assert.deepEqual(await write("sensor.a", "sensor.b"), ["stored", "stored"]);
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(await write("sensor.a", "sensor.c", "sensor.b"), [
      "stored",
      "limited",
      "stored",
    ]);
  }
  assert.equal(store.status().limits?.[0]?.name, "storage.maxHourlySeries");
  store.close();
});

Deno.test("Of two writes at once neither is called stored while VictoriaMetrics throws new series away", async () => {
  await using fake = await FakeVictoriaMetrics.start({ flags: { "storage.maxHourlySeries": "1" } });
  const store = new ServerStore({ url: fake.url, version: 1, database: "home" });
  const write = async (entity: string) => {
    const tags = new Map([["entity_id", entity]]);
    return (await store.write([{ ...pointOf(1), tags }], soon()))[0]?.kind;
  };
  assert.equal(await write("sensor.a"), "stored");
  const { promise, resolve } = Promise.withResolvers<void>();
  const asked = fake.questions.length;
  const areAsked = (looks: number) => () => fake.questions.length >= asked + looks;
  fake.metrics = promise;
  const first = write("sensor.b");
  await until(areAsked(1), "the first looks whether its point is kept");
  const second = write("sensor.c");
  await Promise.race([second, until(areAsked(2), "the second looks, too")]);
  resolve();
  assert.deepEqual(await Promise.all([first, second]), ["limited", "limited"]);
  assert.equal(fake.samples.length, 1);
  store.close();
});

Deno.test("A /metrics that never can be read does not end the writing once many points are kept", async () => {
  await using fake = await FakeVictoriaMetrics.start();
  fake.metrics = "failing";
  let passedMs = 0;
  using _clock = new LaterClock(() => passedMs);
  const store = new ServerStore({ url: fake.url, version: 1, database: "home" });
  for (let round = 0; round < 3; round++) {
    const points = Array.from({ length: 24_999 }, (_, i) => pointOf(i));
    const outcomes = await store.write(points, soon());
    assert.equal(outcomes.filter(({ kind }) => kind === "stored").length, points.length);
    passedMs += 60_000;
  }
  store.close();
});

Deno.test("Behind vmauth what exceeds VictoriaMetrics' usual limits of labels is not called stored", async () => {
  await using fake = await FakeVictoriaMetrics.start({ behindVmauth: true });
  const store = new ServerStore({ url: fake.url, version: 1, database: "home" });
  const long = { ...pointOf(1), tags: new Map([["name", "x".repeat(5_000)]]) };
  const many = {
    ...pointOf(2),
    tags: new Map(Array.from({ length: 40 }, (_, i): [string, string] => [`t${i}`, "x"])),
  };
  const outcomes = await store.write([long, many, pointOf(3)], soon());
  store.close();
  assert.deepEqual(outcomes.map(({ kind }) => kind), ["limited", "limited", "stored"]);
  assert.deepEqual([...fake.ignored], []);
});

Deno.test("A limit is named until the very event that it is in the way of is stored, be it one with texts", async () => {
  await using fake = await FakeVictoriaMetrics.start();
  const store = new ServerStore({ url: fake.url, version: 1, database: "home" });
  const names = () => store.status().limits?.map(({ name }) => name);
  const whole = (timeMs: number): StorePoint => ({
    ...pointOf(1),
    fields: new Map<string, number | string>([["value", 1], ["state", "on"]]),
    timeNs: BigInt(timeMs) * 1_000_000n,
  });
  const kindOf = async (point: StorePoint) => (await store.write([point], soon()))[0]?.kind;
  const nowMs = Date.now();
  const early = whole(nowMs - 10_000);
  // its clock is 40 days ahead: by that the event is too old, by the other one it is not
  fake.clockAheadMs = 40 * 86_400_000;
  assert.equal(await kindOf(early), "limited");
  assert.deepEqual(names(), ["clock"]);
  assert.equal(await kindOf(whole(nowMs + 40 * 86_400_000)), "stored");
  assert.deepEqual(names(), ["clock"]);
  fake.clockAheadMs = 0;
  // the answer to a write tells of its clock
  await store.check(soon());
  assert.equal(await kindOf(early), "stored");
  assert.deepEqual(names(), []);
  store.close();
});
