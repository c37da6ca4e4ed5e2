import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { LocalStore } from "../../../lib/enrich/local/local_store.ts";
import { type StorePoint, StoreUnavailable } from "../../../lib/enrich/store.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { startEnrich } from "../../whole_programs.ts";
import { DAY_MS, newStore, NOW_MS, pointAt, pointOf } from "./stores.ts";

const signal = new AbortController().signal;

Deno.test("LocalStore prunes what is older than its days, and nothing else", async () => {
  using test = newStore({ days: 5 });
  const kept = [
    pointAt(NOW_MS - 5 * DAY_MS),
    pointAt(NOW_MS),
    pointAt(NOW_MS + DAY_MS, "sensor.c"),
  ];
  const old = [pointAt(NOW_MS - 5 * DAY_MS - 1), pointAt(NOW_MS - 10 * DAY_MS, "sensor.b")];
  await test.store.write([...old, ...kept]);
  assert.equal(await test.store.prune(NOW_MS, signal), 2);
  assert.deepEqual([...test.store.read()], kept);
  assert.deepEqual(test.store.counts(), { series: 2, points: 3 });
  assert.equal(await test.store.prune(NOW_MS, signal), 0);
});

Deno.test("LocalStore keeps imported statistics, however old", async () => {
  using test = newStore();
  await test.store.write([
    pointOf([["mean", 1]], { measurement: "statistics" }),
    pointOf([["value", 1]]),
    pointAt(NOW_MS),
  ]);
  assert.equal(await test.store.prune(NOW_MS, signal), 1);
  assert.deepEqual(
    [...test.store.read()].map(({ measurement, timeNs }) => [measurement, timeNs > 1n]),
    [["statistics", false], ["sensor", true]],
  );
});

Deno.test("LocalStore prunes many series and long ones step by step, and ends with its signal", async () => {
  using test = newStore({ days: 1 });
  const long = Array.from({ length: 12_000 }, (_, i) => pointAt(i, "sensor.long"));
  const many = Array.from({ length: 1_200 }, (_, i) => pointAt(i, `sensor.n${i}`));
  await test.store.write([...many.slice(0, 600), ...long, ...many.slice(600), pointAt(NOW_MS)]);
  const stop = new AbortController();
  const pruning = test.store.prune(NOW_MS, stop.signal);
  while (test.store.pruned.get("age") === 0) await nextTurn();
  stop.abort();
  const pruned = await pruning;
  assert.ok(pruned > 0 && pruned <= 5_000, `${pruned} in one step`);
  assert.equal(await test.store.prune(NOW_MS, signal), 13_200 - pruned);
  assert.deepEqual([...test.store.read()], [pointAt(NOW_MS)]);
  assert.deepEqual(test.store.counts(), { series: 1, points: 1 });
});

Deno.test("LocalStore takes points between the steps of pruning", async () => {
  using test = newStore({ days: 1 });
  await test.store.write([
    ...Array.from({ length: 12_000 }, (_, i) => pointAt(i)),
    pointAt(NOW_MS - 1),
  ]);
  let pruned = false;
  const pruning = test.store.prune(NOW_MS, signal).then(() => pruned = true);
  await test.store.write([pointAt(NOW_MS)]);
  assert.equal(pruned, false);
  await pruning;
  assert.deepEqual([...test.store.read()], [pointAt(NOW_MS - 1), pointAt(NOW_MS)]);
});

Deno.test("A clock that is ahead prunes nothing within the days before the newest point", async () => {
  using test = newStore({ days: 30 });
  const kept = Array.from(
    { length: 30 },
    (_, i) => pointAt(NOW_MS - i * DAY_MS, `sensor.n${i % 3}`),
  );
  const old = pointAt(NOW_MS - 31 * DAY_MS);
  await test.store.write([...kept, old]);
  for (const aheadMs of [31 * DAY_MS, 365 * DAY_MS, 100 * 365 * DAY_MS]) {
    await test.store.prune(NOW_MS + aheadMs, signal);
    assert.equal(test.store.counts().points, 30, `${aheadMs / DAY_MS} days ahead`);
  }
  assert.deepEqual(test.store.pruned, new Map([["age", 1], ["size", 0]]));
});

Deno.test("A point of the future prunes nothing, with a clock that is ahead too", async () => {
  using test = newStore({ days: 30 });
  const kept = [
    pointAt(NOW_MS - 29 * DAY_MS),
    pointAt(NOW_MS),
    pointAt(Date.UTC(2099, 0), "sensor.b"),
  ];
  await test.store.write(kept);
  assert.equal(await test.store.prune(NOW_MS, signal), 0);
  assert.equal(await test.store.prune(NOW_MS + 60 * DAY_MS, signal), 0);
  assert.deepEqual([...test.store.read()], kept);
  await test.store.write([pointAt(NOW_MS - 31 * DAY_MS, "sensor.c")]);
  assert.equal(await test.store.prune(NOW_MS, signal), 1, "what is old goes all the same");
});

Deno.test("A clock that is behind prunes less", async () => {
  using test = newStore({ days: 5 });
  const kept = [pointAt(NOW_MS - 8 * DAY_MS), pointAt(NOW_MS)];
  await test.store.write([...kept, pointAt(NOW_MS - 14 * DAY_MS)]);
  assert.equal(await test.store.prune(NOW_MS - 7 * DAY_MS, signal), 1);
  assert.equal(await test.store.prune(0, signal), 0);
  assert.deepEqual([...test.store.read()], kept);
});

/** What enrich has kept, and how far back, once it has pruned at its start. */
async function keptAtStart(points: readonly StorePoint[]): Promise<unknown> {
  using folder = new TemporaryFolder();
  const store = new LocalStore(folder.file("store.sqlite"), { days: 30, maxBytes: 100_000_000 });
  await store.write(points);
  store.close();
  await using enrich = await startEnrich({ DATA_DIR: folder.path });
  const { points: kept, oldest_point, pruned } = await until(async () => {
    const status = await (await enrich.get("/status")).json();
    return status.store.oldest_point !== undefined && status.store;
  }, "it has pruned");
  return { kept, oldestMs: Date.parse(oldest_point), pruned };
}

Deno.test("Enrich that starts with a clock two months ahead keeps what it has, and with a true one prunes", async () => {
  const nowMs = Date.now();
  const house = (lastMs: number) => [0, 10, 20, 29].map((days) => pointAt(lastMs - days * DAY_MS));
  const lastMs = nowMs - 60 * DAY_MS;
  assert.deepEqual(await keptAtStart(house(lastMs)), {
    kept: 4,
    oldestMs: lastMs - 29 * DAY_MS,
    pruned: { age: 0, size: 0 },
  });
  assert.deepEqual(await keptAtStart([...house(lastMs), pointAt(nowMs)]), {
    kept: 1,
    oldestMs: nowMs,
    pruned: { age: 4, size: 0 },
  });
});

/** Of the 8 MB half is for the write-ahead log. */
const SMALL = { days: 30, maxBytes: 8_000_000 };
const TEXT = "x".repeat(300);

/** As ingest does: what the store does not take now is sent again. */
async function writeAll(store: LocalStore, points: readonly StorePoint[]): Promise<void> {
  for (let i = 0; i < points.length; i += 500) {
    await until(
      async () => {
        try {
          return await store.write(points.slice(i, i + 500));
        } catch (error) {
          if (error instanceof StoreUnavailable) return undefined;
          assert.fail(String(error));
        }
      },
      "the store takes the points",
      { everyMs: 1 },
    );
  }
}

/** Of a few series in turn, a minute apart unless it is said, the last one at the given time. */
function minutes(count: number, lastMs: number, apartMs = 60_000): StorePoint[] {
  return Array.from({ length: count }, (_, i) =>
    pointOf([["state", TEXT], ["n", i]], {
      tags: [["entity_id", `sensor.n${i % 7}`]],
      timeNs: BigInt(lastMs - (count - 1 - i) * apartMs) * 1_000_000n,
    }));
}

/** Waits until room is made, for pruning is done one after the other. */
async function settled(store: LocalStore): Promise<void> {
  await store.prune(Date.now(), signal);
  assert.ok(store.fullness < 0.98, `${store.fullness} full`);
}

for (const [apartMs, apart] of [[60_000, "a minute"], [1, "a millisecond"]] as const) {
  Deno.test(`A local store at its bound deletes the oldest points, ${apart} apart, and keeps the newest`, async () => {
    using test = newStore(SMALL);
    const points = minutes(20_000, Date.now(), apartMs);
    await writeAll(test.store, points);
    await settled(test.store);
    const kept = [...test.store.read()].map(({ fields }) => Number(fields.get("n"))).sort((a, b) =>
      a - b
    );
    assert.ok(kept.length > 7_000, `${kept.length} were kept`);
    assert.equal(kept.at(-1), points.length - 1);
    // a part of the time is deleted series by series
    const holes = points.length - kept[0]! - kept.length;
    assert.ok(holes >= 0 && holes <= 100, `${holes} newer points are gone`);
    assert.equal(test.store.pruned.get("size"), points.length - kept.length);
    assert.equal(test.store.pruned.get("age"), 0);
    assert.equal(test.store.counts().points, kept.length);
    const { size } = Deno.statSync(test.path);
    assert.ok(size <= 4_000_000, `${size} bytes`);
    assert.equal(
      test.store.oldestMs,
      Number(points[kept[0]!]!.timeNs / 1_000_000n),
    );
  });
}

Deno.test("Room is made by age where few old points are followed by many of one moment", async () => {
  using test = newStore(SMALL);
  const nowMs = Date.now();
  const points = minutes(12_000, nowMs, 1);
  await writeAll(test.store, [...minutes(500, nowMs - DAY_MS, 3_600_000), ...points]);
  await settled(test.store);
  const kept = [...test.store.read()];
  assert.ok(kept.every(({ timeNs }) => timeNs > BigInt(nowMs - DAY_MS) * 1_000_000n));
  const first = kept.reduce(
    (least, { fields }) => Math.min(least, Number(fields.get("n"))),
    Infinity,
  );
  const holes = points.length - first - kept.length;
  assert.ok(holes >= 0 && holes <= 100, `${holes} newer points are gone`);
});

Deno.test("A batch that is larger than what is freed at once has room made for it, and no more", async () => {
  using test = newStore(SMALL);
  const large = (from: number) =>
    Array.from({ length: 500 }, (_, i) =>
      pointOf([["state", "x".repeat(900)]], {
        timeNs: BigInt(Date.now() + from + i) * 1_000_000n,
      }));
  for (let from = 0; from < 5_000; from += 500) await writeAll(test.store, large(from));
  assert.ok(test.store.fullness > 0.7, `${test.store.fullness} full`);
  const newest = [...test.store.read()].at(-1)?.timeNs;
  // what does not fit at all takes no more than half away
  const tooLarge = large(9_000).flatMap((point) =>
    Array.from({ length: 8 }, (_, i) => ({ ...point, timeNs: point.timeNs + BigInt(i) }))
  );
  for (let n = 0; n < 50; n++) {
    await assert.rejects(test.store.write(tooLarge), StoreUnavailable);
    await test.store.prune(Date.now(), signal);
  }
  assert.ok(test.store.fullness > 0.4, `${test.store.fullness} full`);
  assert.equal([...test.store.read()].at(-1)?.timeNs, newest);
});

Deno.test("A local store that is larger than a lowered bound is pruned at once", async () => {
  using test = newStore(SMALL);
  await writeAll(test.store, minutes(8_000, Date.now()));
  test.store.close();
  test.store = new LocalStore(test.path, { ...SMALL, maxBytes: SMALL.maxBytes / 2 });
  assert.ok(test.store.fullness > 1.4, `${test.store.fullness} full`);
  await test.store.probe();
  await test.store.prune(Date.now(), signal);
  assert.ok(test.store.fullness > 0.9 && test.store.fullness < 0.96, `${test.store.fullness} full`);
});

Deno.test("A local store with room deletes nothing for want of it", async () => {
  using test = newStore({ days: 30, maxBytes: 100_000_000 });
  await writeAll(test.store, minutes(20_000, Date.now()));
  assert.equal(test.store.counts().points, 20_000);
  assert.deepEqual(test.store.pruned, new Map([["age", 0], ["size", 0]]));
  assert.equal(test.store.shortage(Date.now()), undefined);
});

Deno.test("Statistics go last, and then the oldest of them first", async () => {
  using test = newStore(SMALL);
  const hours = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) =>
      pointOf([["mean", 1], ["note", TEXT]], {
        measurement: "statistics",
        tags: [["statistic_id", "sensor.a"]],
        timeNs: BigInt(from + i) * 3_600_000_000_000n,
      }));
  await writeAll(test.store, hours(0, 3_000));
  await writeAll(test.store, minutes(20_000, Date.now()));
  await settled(test.store);
  const statistics = () =>
    [...test.store.read()].filter(({ measurement }) => measurement === "statistics");
  assert.equal(statistics().length, 3_000);
  await writeAll(test.store, hours(3_000, 20_000));
  await settled(test.store);
  const left = statistics();
  assert.ok(left.length < 20_000 && left.length > 3_000, `${left.length} statistics`);
  assert.equal(left.at(-1)?.timeNs, 22_999n * 3_600_000_000_000n);
  const states = test.store.counts().points - left.length;
  assert.ok(states >= 50 && states <= 61, `${states} states are left, a minute apart`);
});

Deno.test("A clock that is behind deletes old points for want of room, and no statistics", async () => {
  using test = newStore(SMALL);
  const nowMs = Date.now();
  const statistics = minutes(1_000, nowMs).map((point) => ({
    ...point,
    measurement: "statistics",
  }));
  await writeAll(test.store, statistics);
  const now = Date.now;
  Date.now = () => Date.UTC(2020, 0);
  try {
    // what the clock itself has made is the newest to it
    await writeAll(test.store, [pointAt(Date.now()), ...minutes(20_000, nowMs)]);
    await settled(test.store);
  } finally {
    Date.now = now;
  }
  const { size } = Object.fromEntries(test.store.pruned);
  assert.ok(size > 0, "room was made");
  const left = [...test.store.read()].filter(({ measurement }) => measurement === "statistics");
  assert.equal(left.length, 1_000);
});

Deno.test("An import of more old points than fit takes no newer ones away, and is counted", async () => {
  using test = newStore(SMALL);
  const nowMs = Date.now();
  const live = minutes(3_000, nowMs);
  await writeAll(test.store, live);
  const imported = minutes(20_000, nowMs - 4 * DAY_MS);
  await writeAll(test.store, imported);
  await settled(test.store);
  const firstLiveNs = live[0]?.timeNs ?? 0n;
  const kept = [...test.store.read()].map(({ timeNs }) => timeNs);
  assert.equal(kept.filter((timeNs) => timeNs >= firstLiveNs).length, live.length);
  assert.ok(kept.length > live.length + 3_000, `${kept.length} were kept`);
  assert.equal(test.store.pruned.get("size"), live.length + imported.length - kept.length);
});

Deno.test("One odd point of 1970 or 2099 costs no other when room is made", async () => {
  using test = newStore(SMALL);
  const odd = [pointAt(5, "sensor.odd"), pointAt(Date.UTC(2099, 0), "sensor.odd")];
  await writeAll(test.store, [...odd, ...minutes(12_000, Date.now())]);
  await settled(test.store);
  const kept = [...test.store.read()];
  assert.ok(kept.length > 7_000, `${kept.length} were kept`);
  assert.ok(kept.some(({ timeNs }) => timeNs === odd[1]?.timeNs));
});

Deno.test("A local store that is smaller than its days says so, with what to do", async () => {
  using test = newStore(SMALL);
  await writeAll(test.store, minutes(20_000, Date.now()));
  await settled(test.store);
  const shortage = test.store.shortage(Date.now());
  assert.match(
    shortage?.reason ?? "",
    /^The local store is 9\d % full and holds \d+(?:\.\d)? of the 30 days of LOCAL_STORE_DAYS: /,
  );
  assert.equal(shortage?.action, "raise LOCAL_STORE_MAX_MB, or lower LOCAL_STORE_DAYS");
  test.store.close();
  using again = {
    store: new LocalStore(test.path, { ...SMALL, days: 2 }),
    [Symbol.dispose]() {
      this.store.close();
    },
  };
  await again.store.prune(Date.now(), signal);
  assert.equal(
    again.store.shortage(Date.now()),
    undefined,
    "it holds the two days that it is set to",
  );
});
