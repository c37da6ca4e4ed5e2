import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openOutbox } from "../../../lib/ingest/outbox/open_outbox.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { FakeEnrich } from "../../stand_ins/fake_enrich.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { startIngest } from "../../whole_programs.ts";
import { knownAt } from "./stretches.ts";

const LINE = `{"event":{"event_type":"x","data":{"text":"${"y".repeat(1_000)}"},"origin":"LOCAL",` +
  `"time_fired":"2026-06-25T21:20:05+00:00"}}`;

/** An outbox of some megabytes whose first pages are sound. */
function damagedBeyondItsStart(path: string): void {
  const outbox = new Outbox({
    path,
    maxBytes: 50_000_000,
    onFailure: (error) => assert.fail(String(error)),
  });
  assert.ok(outbox.append(Array.from({ length: 3_000 }, () => LINE)));
  outbox[Symbol.dispose]();
  const bytes = Deno.readFileSync(path);
  Deno.writeFileSync(path, bytes.fill(0xff, 400_000));
}

/** An outbox that has seen many entities, and cannot read all of them any more. */
function damagedWhereEntitiesStand(path: string): void {
  const outbox = new Outbox({ path, maxBytes: 50_000_000, onFailure: assert.ifError });
  outbox.append([], () => {
    for (let n = 0; n < 3_000; n++) {
      outbox.chain.seen.see(`sensor.number_${n}`, knownAt(n + 1));
    }
  });
  outbox[Symbol.dispose]();
  const leaves = (db: DatabaseSync) =>
    db.prepare("SELECT pageno FROM dbstat WHERE name = 'seen' AND pagetype = 'leaf'").all();
  using db = new DatabaseSync(path);
  const page = Number(leaves(db)[5]?.pageno);
  const bytes = Deno.readFileSync(path);
  Deno.writeFileSync(path, bytes.fill(0xff, (page - 1) * 4_096, page * 4_096));
}

const DAMAGES = [damagedBeyondItsStart, damagedWhereEntitiesStand];
for (const damage of DAMAGES) {
  Deno.test(`Ingest sets an outbox aside whose damage shows only while it runs, and the next start is a new one: ${damage.name}`, async () => {
    using folder = new TemporaryFolder();
    await using enrich = new FakeEnrich();
    const path = folder.file("outbox.sqlite");
    damage(path);
    const env = {
      DATA_DIR: folder.path,
      HASS_URL: "http://127.0.0.1:1",
      HASS_TOKEN: "token",
      ENRICHMENT_SERVICE_URL: enrich.url,
    };
    const ingest = await startIngest(env);
    await assert.rejects(
      ingest.ended,
      /outbox\.sqlite is damaged: set aside as .*outbox\.sqlite\.damaged-.*start ingest again/,
    );
    const names = [...Deno.readDirSync(folder.path)].map(({ name }) => name);
    assert.equal(
      names.filter((name) => /^outbox\.sqlite\.damaged-[^-]*-[^-]*-[^-]*Z$/.test(name)).length,
      1,
      names.join(),
    );

    await using again = await startIngest(env);
    const status = await (await again.get("/status")).json();
    assert.equal(status.events.received, 0);
  });
}

function namesIn(folder: TemporaryFolder): string[] {
  return [...Deno.readDirSync(folder.path)]
    .map(({ name }) => name.replace(/damaged-[\d.T-]+Z/, "damaged-TIME")).sort();
}

Deno.test("openOutbox lets a damaged file go: nothing of it is left beside the new one's log", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  const options = { path, maxBytes: 50_000_000, onFailure: assert.ifError };
  new Outbox(options)[Symbol.dispose]();
  let root: number;
  {
    using db = new DatabaseSync(path);
    const row = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'counter'").get();
    root = Number(row?.rootpage);
  }
  const bytes = Deno.readFileSync(path);
  Deno.writeFileSync(path, bytes.fill(0xff, (root - 1) * 4_096, root * 4_096));
  const { outbox, setAside } = openOutbox(options);
  assert.ok(setAside);
  assert.ok(outbox.append([LINE]));
  assert.deepEqual(namesIn(folder), [
    "outbox.sqlite",
    "outbox.sqlite-wal",
    "outbox.sqlite.damaged-TIME",
  ]);
  outbox[Symbol.dispose]();
});

Deno.test("openOutbox sets the log of a file that is gone or empty aside, which SQLite would delete", () => {
  for (const isGone of [true, false]) {
    using folder = new TemporaryFolder();
    const path = folder.file("outbox.sqlite");
    const options = { path, maxBytes: 50_000_000, onFailure: assert.ifError };
    {
      using outbox = new Outbox(options);
      assert.ok(outbox.append([LINE]));
      Deno.copyFileSync(`${path}-wal`, folder.file("log"));
    }
    if (isGone) Deno.removeSync(path);
    else Deno.truncateSync(path);
    Deno.renameSync(folder.file("log"), `${path}-wal`);
    const log = Deno.readFileSync(`${path}-wal`);
    const { outbox, setAside } = openOutbox(options);
    outbox[Symbol.dispose]();
    assert.deepEqual(Deno.readFileSync(`${setAside}-wal`), log);
    assert.equal(outbox.counters().received, 0);
  }
});

Deno.test("openOutbox sets a file aside whose header has become one of no format that there is", () => {
  // the schema's format, of which there are four; that of writing, above 2 SQLite only reads; of reading
  for (const [at, value] of [[47, 6], [18, 3], [18, 66], [19, 3]] as const) {
    using folder = new TemporaryFolder();
    const path = folder.file("outbox.sqlite");
    const options = { path, maxBytes: 50_000_000, onFailure: assert.ifError };
    openOutbox(options).outbox[Symbol.dispose]();
    const bytes = Deno.readFileSync(path);
    bytes[at] = value;
    Deno.writeFileSync(path, bytes);
    const { outbox, setAside } = openOutbox(options);
    using _outbox = outbox;
    assert.deepEqual(Deno.readFileSync(String(setAside)), bytes, `byte ${at}`);
    assert.ok(outbox.append([LINE]));
  }
});
