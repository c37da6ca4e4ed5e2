import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { StoreSize } from "../../../lib/enrich/local/store_size.ts";
import { StoreUnavailable } from "../../../lib/enrich/store.ts";
import { isFull, openDatabase } from "../../../lib/sqlite.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { newStore, pointOf } from "./stores.ts";

const BATCH = 500;

/** A batch of points that are new. */
function batch(number: number) {
  return Array.from(
    { length: BATCH },
    (_, i) =>
      pointOf([["value", i], ["state", "x".repeat(100)]], {
        tags: [["entity_id", `sensor.n${i}`]],
        timeNs: BigInt(Date.now()) * 1_000_000n + BigInt(number),
      }),
  );
}

const walBytes = (path: string) => Deno.statSync(`${path}-wal`).size;

Deno.test("A reader whose transaction stays open bounds what is written, is named, and costs nothing once it ends", async () => {
  using test = newStore({ maxBytes: 40_000_000 });
  await test.store.write(batch(0));
  using reader = new DatabaseSync(test.path, { readOnly: true });
  const count = () => reader.prepare("SELECT count(*) AS n FROM point").get()?.n;
  reader.exec("BEGIN");
  assert.equal(count(), BATCH);
  let written = 1;
  let refused: unknown;
  while (!refused && written < 1_000) {
    try {
      await test.store.write(batch(written));
      written++;
    } catch (error) {
      refused = error;
    }
  }
  assert.ok(refused instanceof StoreUnavailable, `${written} batches were written`);
  assert.match(
    refused.message,
    /another program has been reading it for so long that \d+ MB wait in .*-wal; end that program/,
  );
  assert.equal(test.store.status().problem, refused.message);
  // half of so small a store is for the log, and one batch more
  assert.ok(walBytes(test.path) > 20_000_000 && walBytes(test.path) < 25_000_000);
  assert.equal(count(), BATCH, "the reader sees what was there when it began");
  assert.equal(test.store.counts().points, written * BATCH);
  assert.deepEqual(test.store.pruned, new Map([["age", 0], ["size", 0]]));

  reader.exec("COMMIT");
  await test.store.probe();
  assert.equal(test.store.status().problem, undefined);
  assert.ok(walBytes(test.path) < 5_000_000, `${walBytes(test.path)} bytes`);
  assert.equal(count(), written * BATCH);
});

Deno.test("Readers that come and go do not make the write-ahead log grow", async () => {
  using test = newStore({ maxBytes: 100_000_000 });
  await test.store.write(batch(0));
  using reader = new DatabaseSync(test.path, { readOnly: true });
  let largest = 0;
  for (let written = 1; written <= 60; written++) {
    assert.equal(
      reader.prepare("SELECT count(*) AS n FROM point").get()?.n,
      written * BATCH,
    );
    await test.store.write(batch(written));
    largest = Math.max(largest, walBytes(test.path));
  }
  assert.ok(largest < 10_000_000, `${largest} bytes`);
});

Deno.test("Another program that writes to the file is named, and nothing is lost by it", async () => {
  using test = newStore();
  await test.store.write(batch(0));
  using writer = new DatabaseSync(test.path);
  writer.exec("BEGIN IMMEDIATE");
  await assert.rejects(test.store.write(batch(1)), StoreUnavailable);
  assert.match(test.store.status().problem ?? "", /locked; end the program that writes to it/);
  writer.exec("ROLLBACK");
  await test.store.write(batch(1));
  assert.equal(test.store.status().problem, undefined);
  assert.equal(test.store.counts().points, 2 * BATCH);
});

Deno.test("A short disk keeps the file from growing, and takes nothing from what it holds", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("store.sqlite");
  using db = openDatabase(path, { userVersion: 1, schema: "CREATE TABLE IF NOT EXISTS t (v)" });
  const insert = db.prepare("INSERT INTO t VALUES (zeroblob(4000))");
  const fill = (rows: number) => {
    for (let i = 0; i < rows; i++) insert.run();
  };
  fill(100);
  const sizeWith = (spare: number) => new StoreSize(db, path, 100_000_000, () => spare);
  const roomy = sizeWith(50_000_000_000);
  assert.ok(roomy.fullness < 0.01);
  assert.equal(roomy.wish, "raise LOCAL_STORE_MAX_MB");
  roomy.enforce();
  fill(100);
  for (const spare of [0, -1_000_000_000]) {
    const short = sizeWith(spare);
    assert.equal(short.fullness, 1);
    assert.equal(short.wish, "free space on its disk");
    short.enforce();
    const fault = caught(() => fill(1));
    assert.ok(isFull(fault), String(fault));
    // what is deleted makes room
    short.enforce(1_000);
    db.exec("DELETE FROM t WHERE rowid IN (SELECT rowid FROM t LIMIT 20)");
    assert.ok(short.fullness < 0.95 && short.fullness > 0.85, `${short.fullness} full`);
    short.enforce();
    fill(20);
    assert.ok(isFull(caught(() => fill(2))));
  }
  sizeWith(1_000_000).enforce();
  fill(100);
});

function caught(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}
