import assert from "node:assert/strict";
import fc from "fast-check";
import { InfluxDb, type InfluxDbOptions } from "../../../lib/enrich/influxdb/influxdb.ts";
import { lineErrorsIn, namedLines } from "../../../lib/enrich/influxdb/line_errors.ts";
import { rememberSecret } from "../../../lib/log.ts";
import type { PointOutcome, StorePoint } from "../../../lib/enrich/store.ts";
import { CollectedLog } from "../../collected_log.ts";
import { FakeInfluxDb } from "../../stand_ins/fake_influxdb.ts";
import { FakeInfluxDb3 } from "../../stand_ins/fake_influxdb3.ts";

const T0_NS = 1_782_422_405_162_552_000n;
const SECRET = "a text that is nobody's business ";
const never = new AbortController().signal;

/** A server of 3.x on a real socket, and enrich's side of it. */
async function version3(options: Partial<InfluxDbOptions> = {}) {
  const fake = await FakeInfluxDb.start({ version: 2 });
  const server = new FakeInfluxDb3();
  fake.trouble = server.answer;
  const store = new InfluxDb({ url: fake.url, version: 3, database: "home", ...options });
  const writes = () => fake.requests.filter(({ body }) => body !== "").length;
  return { server, store, fake, writes, [Symbol.asyncDispose]: () => fake.stop() };
}

function pointOf(index: number, more: Partial<StorePoint> = {}): StorePoint {
  return {
    measurement: "sensor",
    tags: new Map([["entity_id", `sensor.n${index}`]]),
    fields: new Map([["value", index]]),
    timeNs: T0_NS + BigInt(index),
    ...more,
  };
}

/** Of its own time; those of `bad` meet a type conflict, once a number is stored. */
function pointsWith(count: number, bad: ReadonlySet<number>): readonly StorePoint[] {
  return Array.from(
    { length: count },
    (_, index) => pointOf(index, bad.has(index) ? { fields: new Map([["value", SECRET]]) } : {}),
  );
}

function kindsOf(outcomes: readonly PointOutcome[]): readonly string[] {
  return outcomes.map(({ kind }) => kind);
}

function numbersOf(bad: ReadonlySet<number>, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => bad.has(index) ? "refused" : "stored");
}

Deno.test("InfluxDb 3 finds any number of refused points by three writes", async () => {
  for (const places of [[500], [0, 1, 999], Array.from({ length: 300 }, (_, i) => i * 3 + 1)]) {
    await using three = await version3();
    await three.store.write([pointOf(-1)], never);
    const bad = new Set(places);
    const outcomes = await three.store.write(pointsWith(1_000, bad), never);
    assert.deepEqual(kindsOf(outcomes), numbersOf(bad, 1_000));
    assert.equal(three.server.points.size, 1 + 1_000 - bad.size);
    assert.equal(three.writes() - 1, 3);
    assert.deepEqual(outcomes[places[0]], {
      kind: "refused",
      reason: "InfluxDB answered 400: invalid column type for column 'value', expected " +
        "iox::column_type::field::float, got iox::column_type::field::string",
    });
    const [{ path, query }] = three.fake.requests;
    assert.equal(path, "/api/v3/write_lp");
    assert.deepEqual(Object.fromEntries(query), { db: "home", precision: "nanosecond" });
    assert.equal(three.store.status().problem, undefined);
  }
});

Deno.test("InfluxDb 3 tells each line's own reason, also of releases that name whole lines", async () => {
  await using three = await version3();
  three.server.release = "3.4";
  three.server.changesErrors = (errors) => errors.toReversed();
  await three.store.write([pointOf(-1)], never);
  const long = new Map([["value", SECRET.repeat(1_500)]]);
  const points = [
    pointOf(0, { fields: long }),
    pointOf(1),
    pointOf(2, { fields: new Map([["value", 2], ["entity_id", 2]]) }),
    ...pointsWith(20, new Set(Array.from({ length: 20 }, (_, i) => i))).map((point, i) => ({
      ...point,
      timeNs: T0_NS + BigInt(100 + i),
    })),
  ];
  const outcomes = await three.store.write(points, never);
  assert.deepEqual(kindsOf(outcomes), numbersOf(new Set([0, 2, ...range(3, 23)]), 23));
  const [first, , third] = outcomes;
  assert.match(JSON.stringify(first), /for column 'value', expected .*float, got .*string/);
  assert.match(JSON.stringify(third), /for column 'entity_id', expected .*tag, got .*float/);
  assert.doesNotMatch(JSON.stringify(outcomes), new RegExp(SECRET));
  assert.equal(three.writes() - 1, 3);
});

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

Deno.test("InfluxDb 3 halves where the list of refused lines is too long to be read, and shows nothing of the lines", async () => {
  await using log = await CollectedLog.begin();
  await using three = await version3();
  three.server.release = "3.4";
  await three.store.write([pointOf(-1)], never);
  const long = new Map([["value", SECRET.repeat(1_500)]]);
  const bad = new Set(range(0, 60));
  const points = range(0, 64).map((i) => pointOf(i, bad.has(i) ? { fields: long } : {}));
  const outcomes = await three.store.write(points, never);
  assert.deepEqual(kindsOf(outcomes), numbersOf(bad, 64));
  assert.doesNotMatch(JSON.stringify([outcomes, log.lines]), new RegExp(SECRET));
  assert.equal(three.server.points.size, 1 + 4);
});

Deno.test("InfluxDb 3 refuses no point that the server would take, whatever its list of refused lines says", async () => {
  const indexes = fc.uniqueArray(fc.nat(39), { maxLength: 40 });
  const lies = fc.constantFrom("none", "short", "shifted", "twice", "outside", "zero", "part");
  await fc.assert(
    fc.asyncProperty(indexes, lies, async (bad, lie) => {
      await using three = await version3();
      await three.store.write([pointOf(-1)], never);
      three.server.changesErrors = (errors) => {
        const [first] = errors;
        const also = (line_number: number) => [...errors, { ...first, line_number }];
        if (lie === "none") return [];
        if (lie === "short") return errors.slice(0, 2);
        if (lie === "twice") return [...errors, first];
        if (lie === "outside") return also(41);
        if (lie === "zero") return also(0);
        if (lie === "part") return also(1.5);
        return errors.map((error) => ({ ...error, line_number: error.line_number + 1 }));
      };
      const outcomes = await three.store.write(pointsWith(40, new Set(bad)), never);
      assert.deepEqual(kindsOf(outcomes), numbersOf(new Set(bad), 40));
      assert.equal(three.server.points.size, 1 + 40 - bad.length);
      const halving = 1 + 2 * bad.length * Math.ceil(Math.log2(40));
      assert.ok(three.writes() - 1 <= halving + 20, `${three.writes()} writes, ${lie}`);
    }),
    { numRuns: 60 },
  );
});

Deno.test("InfluxDb 3 keeps waiting what a limit of the server is in the way of, and no other", async () => {
  for (const release of ["3.4", "3.5", "3.9"] as const) {
    await using three = await version3();
    Object.assign(three.server, { release, maxTables: 2, maxColumns: 4 });
    await three.store.write([pointOf(0), pointOf(1, { measurement: "light" })], never);
    const wide = new Map([["value", 1], ["a", 1], ["b", 1], ["c", 1]]);
    const points = [
      pointOf(2),
      pointOf(3, { measurement: "switch" }),
      pointOf(4, { fields: wide }),
      pointOf(5, { fields: new Map([["value", "text"]]) }),
      pointOf(6, { measurement: "light" }),
    ];
    const outcomes = await three.store.write(points, never);
    assert.deepEqual(kindsOf(outcomes), ["stored", "limited", "limited", "refused", "stored"]);
    assert.match(JSON.stringify(outcomes[1]), /number of tables limit/);
    assert.match(JSON.stringify(outcomes[2]), /columns per table limit of 4 columns; store fewer/);
    const limits = three.store.status().limits ?? [];
    assert.deepEqual(limits.map(({ name }) => name), ["tables", "columns"]);
    Object.assign(three.server, { maxTables: 3, maxColumns: 5 });
    assert.deepEqual(kindsOf(await three.store.write([points[1], points[2]], never)), [
      "stored",
      "stored",
    ]);
    assert.deepEqual(three.store.status().limits, []);
  }
});

Deno.test("InfluxDb 3 that may have no further database says so, and its points wait", async () => {
  await using three = await version3();
  for (const name of ["a", "b", "c", "d", "e"]) three.server.databases.add(name);
  const wish = /422 \(Adding a new database would exceed limit of 5 databases\); delete a database/;
  await assert.rejects(three.store.check(never), wish);
  assert.match(three.store.status().problem ?? "", wish);
  const points = pointsWith(40, new Set());
  const outcomes = await three.store.write(points, never);
  assert.deepEqual(new Set(kindsOf(outcomes)), new Set(["limited"]));
  assert.deepEqual(three.store.status().limits?.map(({ name }) => name), ["databases"]);
  three.server.databases.delete("a");
  await three.store.check(never);
  assert.deepEqual(kindsOf(await three.store.write(points, never)), numbersOf(new Set(), 40));
  assert.deepEqual(three.store.status().limits, []);
});

Deno.test("InfluxDb 3 keeps waiting a point with a tag that the table's first write did not have", async () => {
  await using three = await version3();
  three.server.hasFixedTags = true;
  await three.store.write([pointOf(0)], never);
  const tags = new Map([["entity_id", "sensor.n1"], ["area", "Kitchen"]]);
  const outcomes = await three.store.write([pointOf(1, { tags }), pointOf(2)], never);
  assert.deepEqual(kindsOf(outcomes), ["limited", "stored"]);
  assert.match(JSON.stringify(outcomes[0]), /Detected a new tag 'area' .*; update InfluxDB/);
  three.server.hasFixedTags = false;
  assert.deepEqual(kindsOf(await three.store.write([pointOf(1, { tags })], never)), ["stored"]);
});

Deno.test("InfluxDb 3 does not bury many points for words that nobody knows", async () => {
  await using three = await version3();
  const words = "catalog subscription error: gone";
  const points = pointsWith(30, new Set());
  three.fake.trouble = ({ body }) =>
    body === "" ? three.server.answer(emptyWrite()) : {
      status: 400,
      body: JSON.stringify({
        error: "partial write of line protocol occurred",
        data: body.split("\n").map((_, i) => ({ error_message: words, line_number: i + 1 })),
      }),
    };
  const outcomes = await three.store.write(points, never);
  assert.deepEqual(new Set(kindsOf(outcomes)), new Set(["limited"]));
  three.fake.trouble = three.server.answer;
  assert.deepEqual(
    kindsOf(await three.store.write(points, never)),
    numbersOf(new Set(), points.length),
  );
});

function emptyWrite() {
  const query = new URLSearchParams({ db: "home", precision: "nanosecond" });
  return { method: "POST", path: "/api/v3/write_lp", query, headers: {}, body: "", size: 0 };
}

Deno.test("A list of refused lines is believed only where it can be about these lines", () => {
  const bodyOf = (numbers: readonly unknown[]) =>
    JSON.stringify({
      error: "partial write of line protocol occurred",
      data: numbers.map((line_number) => ({ original_line: "x", line_number, error_message: "y" })),
    });
  const named = (numbers: readonly unknown[]) => {
    const lines = namedLines(lineErrorsIn(bodyOf(numbers)), ["a", "b", "c"]);
    return lines && [...lines.keys()];
  };
  assert.deepEqual(named([2]), ["b"]);
  assert.deepEqual(named([3, 1]), ["c", "a"]);
  for (const numbers of [[], [0], [4], [2, 2], [1.5], ["1"], [null], [1e300]]) {
    assert.equal(named(numbers), undefined, JSON.stringify(numbers));
  }
  const cut = bodyOf([1, 2]).slice(0, -1);
  assert.equal(lineErrorsIn(cut), undefined);
  assert.equal(lineErrorsIn("<html>"), undefined);
});

Deno.test("What a server says of a line is cut only once no secret is in it", () => {
  rememberSecret("a-token-of-thirty-characters-12");
  const error_message = `${"x".repeat(485)} a-token-of-thirty-characters-12 refused`;
  const body = JSON.stringify({
    error: "partial write",
    data: [{ line_number: 1, error_message }],
  });
  assert.doesNotMatch(lineErrorsIn(body)?.[0]?.reason ?? "a-token", /a-token/);
});
