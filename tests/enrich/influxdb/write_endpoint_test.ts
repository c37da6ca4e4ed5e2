import assert from "node:assert/strict";
import { InfluxDb, type InfluxDbOptions } from "../../../lib/enrich/influxdb/influxdb.ts";
import { InfluxDbFault } from "../../../lib/enrich/influxdb/influxdb_answer.ts";
import type { StorePoint } from "../../../lib/enrich/store.ts";
import { FakeInfluxDb } from "../../stand_ins/fake_influxdb.ts";
import { FakeInfluxDb3 } from "../../stand_ins/fake_influxdb3.ts";

const T0_NS = 1_782_422_405_162_552_000n;
const never = new AbortController().signal;

function pointOf(index: number, value: number | string = index): StorePoint {
  return {
    measurement: "sensor",
    tags: new Map([["entity_id", `sensor.n${index}`]]),
    fields: new Map([["value", value]]),
    timeNs: T0_NS + BigInt(index),
  };
}

async function version3(options: Partial<InfluxDbOptions> = {}) {
  const fake = await FakeInfluxDb.start({ version: 2 });
  const server = new FakeInfluxDb3();
  fake.trouble = server.answer;
  const store = new InfluxDb({ url: fake.url, version: 3, database: "home", ...options });
  return { server, store, fake, [Symbol.asyncDispose]: () => fake.stop() };
}

Deno.test("InfluxDb 3 writes by its own endpoint, with a token or without one", async () => {
  for (const token of [undefined, "t0ken"]) {
    await using three = await version3(token === undefined ? {} : { token: () => token });
    three.server.token = token;
    await three.store.check(never);
    await three.store.write([pointOf(0)], never);
    assert.equal(three.server.points.size, 1);
    for (const { path, query, headers } of three.fake.requests) {
      assert.equal(path, "/api/v3/write_lp");
      assert.deepEqual(Object.fromEntries(query), { db: "home", precision: "nanosecond" });
      assert.equal(headers.authorization, token && `Token ${token}`);
    }
    three.server.token = "another";
    await assert.rejects(three.store.write([pointOf(1)], never), /401 .*; check INFLUXDB_TOKEN/);
  }
});

Deno.test("InfluxDb 3 without its own endpoint, as in a cloud, is written to by that of 2", async () => {
  for (const release of ["3.4", "3.5"] as const) {
    await using three = await version3();
    three.server.hasWriteLp = false;
    three.server.release = release;
    await three.store.check(never);
    assert.deepEqual(await three.store.write([pointOf(0)], never), [{ kind: "stored" }]);
    const points = [1, 2, 3, 4, 5].map((i) => pointOf(i, i === 3 ? "text" : i));
    const outcomes = await three.store.write(points, never);
    assert.deepEqual(outcomes.map(({ kind }) => kind), [
      "stored",
      "stored",
      "refused",
      "stored",
      "stored",
    ]);
    assert.match(
      JSON.stringify(outcomes[2]),
      /(?:parsing failed|parse failed).*: invalid column type/,
    );
    assert.equal(three.server.points.size, 5);
    const conflicting = Array.from({ length: 12 }, (_, i) => pointOf(i + 10, "text"));
    const all = await three.store.write(conflicting, never);
    assert.deepEqual(new Set(all.map(({ kind }) => kind)), new Set(["refused"]));
    const asked = three.fake.requests.map(({ path }) => path);
    assert.deepEqual(asked.slice(0, 3), ["/api/v3/write_lp", "/api/v2/write", "/api/v2/write"]);
    assert.ok(!asked.slice(1).includes("/api/v3/write_lp"));
    const [, { query }] = three.fake.requests;
    assert.deepEqual(Object.fromEntries(query), { bucket: "home", precision: "ns" });
  }
});

Deno.test("InfluxDb 3 says of an address that has neither endpoint that it is wrong, and tries both again", async () => {
  await using three = await version3();
  three.fake.trouble = () => ({ status: 404, body: "Not found" });
  for (let round = 0; round < 2; round++) {
    const error = await three.store.check(never).catch((error) => error);
    assert.ok(error instanceof InfluxDbFault);
    assert.match(error.message, /404 \(Not found\); check INFLUXDB_URL and INFLUXDB_VERSION$/);
  }
  assert.equal(three.fake.requests.length, 4);
  three.fake.trouble = three.server.answer;
  await three.store.check(never);
  assert.equal(three.fake.requests.at(-1)?.path, "/api/v3/write_lp");
});
