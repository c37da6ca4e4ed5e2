import assert from "node:assert/strict";
import fc from "fast-check";
import { openDatabase, transaction } from "../../lib/sqlite.ts";
import { TemporaryFolder } from "../temporary.ts";
import { action } from "./actions.ts";
import { FullDisk } from "./full_disk.ts";
import { History } from "./history.ts";

/**
 * OUTBOX_MODEL_RUNS=20000 tries so many histories, some ten minutes of them; OUTBOX_MODEL_SEED with the
 * seed of a failure tries those again.
 */
const runs = Number(Deno.env.get("OUTBOX_MODEL_RUNS") ?? 300);
const seed = Number(Deno.env.get("OUTBOX_MODEL_SEED") ?? Date.now() % 0x7fffffff);

Deno.test(`Outbox loses nothing, counts all and drains, whatever ${runs} histories do to it (seed ${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 30, size: "max" }), async (actions) => {
      using history = new History();
      for (const one of actions) await history.do(one);
      await history.end();
    }),
    { numRuns: runs, seed },
  );
});

Deno.test("FullDisk refuses what a full tmpfs was seen to refuse, and nothing else", () => {
  using folder = new TemporaryFolder();
  using disk = new FullDisk();
  const schema = "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, n INTEGER)";
  const path = folder.file("a.sqlite");
  const open = (file = path) => openDatabase(file, { userVersion: 1, schema });
  const full = { message: "database or disk is full" };
  const fullWithCode = { ...full, errcode: 13 };
  {
    using db = open();
    const count = () => db.prepare("SELECT count(*) AS n FROM t").get()?.n;
    const insert = db.prepare("INSERT INTO t (n) VALUES (1)");
    const returning = db.prepare("INSERT INTO t (n) VALUES (1) RETURNING n");
    transaction(db, () => insert.run());
    disk.fill();
    let isCommitting = false;
    const refused = () =>
      transaction(db, () => {
        insert.run();
        isCommitting = true;
      });
    assert.throws(
      refused,
      (error: Error) => !("errcode" in error) && error.message === full.message,
    );
    assert.ok(isCommitting, "COMMIT fails, and no statement");
    assert.equal(db.isTransaction, false);
    transaction(db, () => db.exec("DELETE FROM t WHERE id = 99"));
    assert.throws(() => transaction(db, () => db.exec("DELETE FROM t")), full);
    assert.throws(() => insert.run(), fullWithCode);
    assert.throws(() => db.exec("UPDATE t SET n = 1"), full);
    assert.throws(() => db.exec("PRAGMA user_version=1"), full);
    assert.equal(returning.get()?.n, 1, "as if all were well");
    db.exec(schema);
    assert.equal(count(), 1);
    disk.fill({ spills: true });
    assert.throws(() => transaction(db, () => insert.run()), fullWithCode);
    disk.fill({ freeRows: 1 });
    transaction(db, () => insert.run());
    assert.throws(() => transaction(db, () => insert.run()), full);
    assert.equal(count(), 2);
  }
  assert.throws(
    () => open(folder.file("new.sqlite")),
    /new\.sqlite: the disk of DATA_DIR is full: \d+ bytes free; free space on it/,
  );
  disk.free();
  using db = open();
  db.exec("INSERT INTO t (n) VALUES (1)");
});
