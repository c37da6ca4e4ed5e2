import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { SeenStates } from "../../../lib/ingest/outbox/seen_states.ts";
import { until } from "../../until.ts";
import { chainInMemory, knownAt } from "./stretches.ts";

function seenStates(): { readonly db: DatabaseSync; readonly seen: SeenStates } {
  const { db, chain: { seen } } = chainInMemory();
  return { db, seen };
}

Deno.test("SeenStates has the last state of each entity, with all that the next one says of it", () => {
  const { db, seen } = seenStates();
  const known = {
    state: "21.5",
    lastUpdatedUs: 20,
    lastChangedUs: 10,
    deviceClass: "temperature",
    unit: "°C",
    friendlyName: "Kitchen",
  };
  seen.see("a.a", known);
  seen.see("b.b", knownAt(5));
  for (const one of [seen, new SeenStates(db)]) {
    assert.deepEqual(one.last("a.a"), { lastUpdatedUs: 20, known, isGone: false });
    assert.equal(one.last("c.c"), undefined);
    assert.deepEqual(one.entityIds().sort(), ["a.a", "b.b"]);
  }
});

Deno.test("SeenStates goes back where Home Assistant's clock does", () => {
  const { seen } = seenStates();
  seen.see("a.a", knownAt(20));
  seen.see("a.a", knownAt(10));
  assert.equal(seen.last("a.a")?.lastUpdatedUs, 10);
  assert.equal(seen.last("a.a")?.known?.state, "10");
});

Deno.test("SeenStates knows an entity that is gone, since when, and again once it is back", () => {
  const { seen } = seenStates();
  for (const entityId of ["a.a", "b.b", "c.c"]) seen.see(entityId, knownAt(20));
  seen.gone("a.a");
  seen.gone("b.b", 30);
  seen.gone("never.seen");
  const gone = { known: undefined, isGone: true };
  assert.deepEqual(seen.last("a.a"), { ...gone, lastUpdatedUs: 20 });
  assert.deepEqual(seen.last("b.b"), { ...gone, lastUpdatedUs: 30 });
  assert.equal(seen.last("never.seen"), undefined);
  assert.deepEqual(seen.entityIds(), ["c.c"]);
  seen.see("a.a", knownAt(40));
  assert.deepEqual(seen.entityIds().sort(), ["a.a", "c.c"]);
  assert.equal(seen.last("a.a")?.isGone, false);
});

Deno.test("SeenStates believes of a stamp that 0.1.0 wrote nothing that it knew of another", () => {
  const { db, seen } = seenStates();
  seen.see("a.a", knownAt(20));
  seen.see("b.b", knownAt(20));
  seen.gone("b.b");
  // as 0.1.0 does, without the columns' names
  const write = db.prepare(
    "INSERT INTO seen VALUES (?, ?) ON CONFLICT DO UPDATE " +
      "SET last_updated_us = max(last_updated_us, excluded.last_updated_us)",
  );
  for (const entityId of ["a.a", "b.b", "new.new"]) write.run(entityId, 30);
  const again = new SeenStates(db);
  for (const entityId of ["a.a", "b.b", "new.new"]) {
    const found = again.last(entityId);
    assert.deepEqual(found, { lastUpdatedUs: 30, known: undefined, isGone: false }, entityId);
  }
  assert.deepEqual(seen.entityIds().sort(), ["a.a", "b.b", "new.new"]);
});

Deno.test("SeenStates knows up to when everything was heard, over a restart too, and of 0.1.0 what was seen last", () => {
  const { db, seen } = seenStates();
  assert.equal(seen.heard(), undefined);
  db.exec("INSERT INTO seen VALUES ('a.a', 20), ('b.b', 50)");
  assert.equal(seen.heard()?.us, 50);
  seen.hear(40);
  assert.equal(seen.heard()?.us, 40, "an event that is no state's counts, and a clock may go back");
  const again = new SeenStates(db).heard();
  assert.deepEqual(again, seen.heard());
  assert.ok(Math.abs(Number(again?.atMs) - Date.now()) < 60_000);
});

Deno.test("SeenStates measures how long ago that was, by the monotonic clock as long as it runs", async () => {
  const { db, seen } = seenStates();
  seen.hear(40);
  const heard = seen.heard();
  assert.ok(heard);
  const beganMs = performance.now();
  // a local clock that is an hour off does not matter while it runs
  const turned = { ...heard, atMs: heard.atMs - 3_600_000 };
  await until(() => performance.now() - beganMs > 30, "time passes");
  const sinceUs = seen.sinceUs(turned);
  assert.ok(sinceUs >= 30_000 && sinceUs < 3_000_000_000, `${sinceUs}`);
  const { sinceUs: after } = { sinceUs: new SeenStates(db).sinceUs(turned) };
  assert.ok(after >= 3_600_000_000, `after a restart there is only the local clock: ${after}`);
});

Deno.test("SeenStates does not count from an event that was undone", async () => {
  const { db, seen } = seenStates();
  seen.hear(40);
  const heardMs = performance.now();
  await until(() => performance.now() - heardMs > 50, "time passes");
  db.exec("BEGIN");
  seen.hear(90);
  db.exec("ROLLBACK");
  const heard = seen.heard();
  assert.ok(heard?.us === 40);
  assert.ok(seen.sinceUs(heard) >= 45_000, `${seen.sinceUs(heard)} µs`);
});

Deno.test("SeenStates forgets what was undone, once it is said", () => {
  const { db, seen } = seenStates();
  seen.see("a.a", knownAt(20));
  db.exec("BEGIN");
  seen.see("a.a", knownAt(30));
  db.exec("ROLLBACK");
  assert.equal(seen.last("a.a")?.lastUpdatedUs, 30, "else nothing would be tested");
  seen.reload();
  assert.equal(seen.last("a.a")?.lastUpdatedUs, 20);
});

Deno.test("SeenStates lists entities in pages, but those that are gone", () => {
  const { seen, db } = seenStates();
  const ids = Array.from({ length: 5_001 }, (_, i) => `sensor.e${i}`);
  db.exec("BEGIN");
  for (const [i, id] of ids.entries()) {
    seen.see(id, knownAt(i + 1));
    if (i % 3 === 0) seen.gone(id);
  }
  db.exec("COMMIT");
  const pages = [...seen.entityIdPages()];
  assert.ok(pages.length > 2 && pages.every(({ length }) => length <= 2_000));
  const expected = ids.filter((_, i) => i % 3 !== 0);
  assert.deepEqual(new Set(pages.flat()), new Set(expected));
  assert.equal(pages.flat().length, expected.length);
});
