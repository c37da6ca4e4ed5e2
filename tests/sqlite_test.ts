import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import {
  holdAlone,
  isBusy,
  isCorrupt,
  isFull,
  openDatabase,
  openingFault,
  Statements,
  transaction,
} from "../lib/sqlite.ts";

const OPTIONS = { userVersion: 2, schema: "CREATE TABLE IF NOT EXISTS t (v TEXT) STRICT" } as const;

/** The path of a file that is not there yet, in a folder that goes with the test. */
function newFile(): { readonly path: string } & Disposable {
  const folder = Deno.makeTempDirSync();
  return {
    path: `${folder}/test.db`,
    [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }),
  };
}

function caught(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return assert.fail("Nothing was thrown");
}

Deno.test("openDatabase makes a file that keeps what was committed, and opens it again", () => {
  using file = newFile();
  const first = openDatabase(file.path, OPTIONS);
  first.exec("INSERT INTO t VALUES ('kept')");
  first.close();
  const second = openDatabase(file.path, OPTIONS);
  assert.equal(second.prepare("SELECT v FROM t").get()?.v, "kept");
  second.close();
});

Deno.test("openDatabase syncs every commit to the disk", () => {
  using file = newFile();
  const db = openDatabase(file.path, OPTIONS);
  const settings = db.prepare(
    "SELECT journal_mode, synchronous, locking_mode, user_version FROM pragma_journal_mode, " +
      "pragma_synchronous, pragma_locking_mode, pragma_user_version",
  ).get();
  assert.deepEqual({ ...settings }, {
    journal_mode: "wal",
    synchronous: 2, // FULL
    locking_mode: "exclusive",
    user_version: 2,
  });
  db.close();
});

Deno.test("openDatabase refuses a file that another one holds, and says so", () => {
  using file = newFile();
  const holder = openDatabase(file.path, OPTIONS);
  assert.throws(() => openDatabase(file.path, OPTIONS), /another process holds it/);
  holder.close();
  openDatabase(file.path, OPTIONS).close();
});

Deno.test("openDatabase opens a file for readers too, which then is as durable", () => {
  using file = newFile();
  using db = openDatabase(file.path, { ...OPTIONS, readers: true });
  const settings = db.prepare(
    "SELECT journal_mode, synchronous FROM pragma_journal_mode, pragma_synchronous",
  );
  assert.deepEqual({ ...settings.get() }, { journal_mode: "wal", synchronous: 2 });
  db.exec("INSERT INTO t VALUES ('a')");
  using reader = new DatabaseSync(file.path, { readOnly: true });
  assert.equal(reader.prepare("SELECT v FROM t").get()?.v, "a");
  const error = caught(() => openDatabase(file.path, OPTIONS));
  assert.match(String(error), /another process holds it/, "not for itself alone");
});

Deno.test("holdAlone lets one hold the file at a time, and leaves the file itself alone", () => {
  using file = newFile();
  const holder = holdAlone(file.path);
  assert.throws(() => holdAlone(file.path), /another process holds it; two programs at once/);
  openDatabase(file.path, OPTIONS).close();
  holder.close();
  holdAlone(file.path).close();
});

Deno.test("holdAlone gives what root has made to the folder's owner", () => {
  using file = newFile();
  const folder = file.path.replace(/\/[^/]*$/, "");
  try {
    Deno.chownSync(folder, 1_234, 1_235);
  } catch {
    return; // only root can make the case
  }
  holdAlone(file.path).close();
  const { uid, gid } = Deno.statSync(`${file.path}.lock`);
  assert.deepEqual([uid, gid], [1_234, 1_235]);
});

Deno.test("isBusy tells that another one writes", () => {
  using file = newFile();
  using writer = openDatabase(file.path, { ...OPTIONS, readers: true });
  using other = new DatabaseSync(file.path, { timeout: 1 });
  writer.exec("BEGIN IMMEDIATE");
  const insert = () => other.prepare("INSERT INTO t VALUES ('a')").run();
  assert.equal(isBusy(caught(insert)), true);
  writer.exec("ROLLBACK");
  insert();
  assert.equal(isBusy(new Error("Another")), false);
});

Deno.test("openDatabase refuses a file of a newer format, and leaves it as it is", () => {
  using file = newFile();
  openDatabase(file.path, { ...OPTIONS, userVersion: 3 }).close();
  assert.throws(() => openDatabase(file.path, OPTIONS), /format is version 3.* reads up to 2/);
  openDatabase(file.path, { ...OPTIONS, userVersion: 3 }).close();
});

Deno.test("openDatabase that cannot make the file's log names DATA_DIR, and says what to do", () => {
  using file = newFile();
  openDatabase(file.path, OPTIONS).close();
  Deno.mkdirSync(`${file.path}-wal`);
  assert.throws(
    () => openDatabase(file.path, OPTIONS),
    /^Error: Cannot write to DATA_DIR \(\S+test\.db: unable to open database file\); the folder and/,
  );
  Deno.removeSync(`${file.path}-wal`);
  openDatabase(file.path, OPTIONS).close();
});

Deno.test("openDatabase lets unknown tables and columns be", () => {
  using file = newFile();
  const newer = openDatabase(file.path, OPTIONS);
  newer.exec("ALTER TABLE t ADD COLUMN later TEXT; CREATE TABLE another (v)");
  newer.exec("INSERT INTO t VALUES ('a', 'b')");
  newer.close();
  const older = openDatabase(file.path, OPTIONS);
  assert.equal(older.prepare("SELECT later FROM t").get()?.later, "b");
  older.close();
});

Deno.test("openDatabase fails on what is no database, which isCorrupt tells", () => {
  using file = newFile();
  Deno.writeTextFileSync(file.path, "no database, but long enough to be taken for one".repeat(100));
  const error = caught(() => openDatabase(file.path, OPTIONS));
  assert.equal(isCorrupt(error), true);
  assert.equal(isFull(error), false);
});

Deno.test("isCorrupt tells a damaged page", () => {
  using file = newFile();
  const db = openDatabase(file.path, OPTIONS);
  const insert = db.prepare("INSERT INTO t VALUES (?)");
  transaction(db, () => {
    for (let i = 0; i < 1_000; i++) insert.run("x".repeat(100));
  });
  db.close();
  const bytes = Deno.readFileSync(file.path);
  bytes.fill(0xff, 4_096);
  Deno.writeFileSync(file.path, bytes);
  const damaged = openDatabase(file.path, OPTIONS);
  const error = caught(() => damaged.prepare("SELECT sum(length(v)) FROM t").get());
  assert.equal(isCorrupt(error), true);
  damaged.close();
});

Deno.test("isFull tells a full database, of which a transaction leaves nothing behind", () => {
  const db = new DatabaseSync(":memory:");
  db.exec("CREATE TABLE t (v TEXT); PRAGMA max_page_count = 10");
  const error = caught(() =>
    transaction(db, () => {
      for (;;) db.prepare("INSERT INTO t VALUES (?)").run("x".repeat(1_000));
    })
  );
  assert.equal(isFull(error), true);
  assert.equal(isCorrupt(error), false);
  assert.equal(db.isTransaction, false);
  assert.equal(db.prepare("SELECT count(*) AS n FROM t").get()?.n, 0);
  db.close();
});

Deno.test("isFull tells a full disk by exec too, which is how a COMMIT meets it", () => {
  const db = new DatabaseSync(":memory:");
  db.exec("CREATE TABLE t (v TEXT); PRAGMA max_page_count = 10");
  const error = caught(() => db.exec("INSERT INTO t VALUES (zeroblob(100000))"));
  assert.equal(isFull(error), true);
  db.close();
});

Deno.test("transaction commits all of its work, or, where that throws, none", () => {
  const db = new DatabaseSync(":memory:");
  db.exec("CREATE TABLE t (v TEXT)");
  const insert = db.prepare("INSERT INTO t VALUES (?)");
  assert.equal(
    transaction(db, () => {
      insert.run("a");
      return "result";
    }),
    "result",
  );
  assert.throws(() =>
    transaction(db, () => {
      insert.run("b");
      throw new Error("Changed my mind");
    }), /Changed my mind/);
  assert.deepEqual(db.prepare("SELECT v FROM t").all().map(({ v }) => v), ["a"]);
  assert.equal(isFull(new Error("Changed my mind")), false);
  db.close();
});

Deno.test("What is wrong is told by SQLite's words, not by those of a path", () => {
  for (const name of ["unlocked", "malformed", "not a database"]) {
    using file = newFile();
    const folder = file.path.replace("test.db", name);
    Deno.mkdirSync(folder);
    const path = `${folder}/test.db`;
    openDatabase(path, { ...OPTIONS, userVersion: 3 }).close();
    const error = caught(() => openDatabase(path, OPTIONS));
    assert.match(String(openingFault(error, path)), /its format is version 3/);
    assert.equal(isCorrupt(error), false);
  }
});

Deno.test("Rows are inserted in their order, however many: of two with one key the last stays", () => {
  using db = new DatabaseSync(":memory:");
  db.exec("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)");
  const statements = new Statements(db);
  const kept = () => db.prepare("SELECT k, v FROM t").all().map(({ k, v }) => [k, v]);
  for (const count of [0, 1, 9, 10, 11, 25]) {
    db.exec("DELETE FROM t");
    const rows = Array.from({ length: count }, (_, i) => [i, `row ${i}`]);
    statements.insert("INTO t (k, v)", rows);
    assert.deepEqual(kept(), rows);
  }
  db.exec("DELETE FROM t");
  const again = Array.from({ length: 25 }, (_, i) => [i % 3, String(i)]);
  statements.insert("OR REPLACE INTO t (k, v)", again);
  assert.deepEqual(kept(), [[0, "24"], [1, "22"], [2, "23"]]);
  assert.throws(() => statements.insert("INTO t (k, v)", [[7, "new"], [0, "old"]]), /UNIQUE/);
});
