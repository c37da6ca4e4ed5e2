import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { MissingStates } from "../../../lib/ingest/outbox/missing_states.ts";

const LATER = 1_000_000;

function gaps(): MissingStates {
  return new MissingStates(new DatabaseSync(":memory:"));
}

/** Entities and bounds of all gaps. */
function bounds(of: MissingStates) {
  return of.all().map(({ entityId, fromUs, toUs }) => [entityId, fromUs, toUs]);
}

Deno.test("MissingStates knows the newest state of each entity, and never goes back", () => {
  const of = gaps();
  of.heard({ entityId: "a.a", lastUpdatedUs: 10 });
  of.heard({ entityId: "a.a", lastUpdatedUs: 5 });
  of.filled([{ entityId: "a.a", lastUpdatedUs: 7 }, { entityId: "b.b", lastUpdatedUs: 3 }], []);
  assert.equal(of.seenUs("a.a"), 10);
  assert.equal(of.seenUs("b.b"), 3);
  assert.equal(of.newestSeenUs(), 10);
  assert.equal(of.seenUs("c.c"), undefined);
});

Deno.test("MissingStates opens one of every entity seen, and the first state that is heard ends it", () => {
  const of = gaps();
  assert.deepEqual(bounds(of), [], "nothing was seen, nothing is missing");
  of.heard({ entityId: "a.a", lastUpdatedUs: 10 });
  of.heard({ entityId: "b.b", lastUpdatedUs: 20 });
  assert.deepEqual(bounds(of), [], "while capture goes on there is none");
  of.open();
  assert.deepEqual(bounds(of), [["a.a", 10, undefined], ["b.b", 20, undefined]]);
  of.heard({ entityId: "a.a", lastUpdatedUs: 50, previousUs: 40 });
  of.heard({ entityId: "a.a", lastUpdatedUs: 60, previousUs: 50 });
  assert.deepEqual(bounds(of), [["a.a", 10, 50], ["b.b", 20, undefined]]);
});

Deno.test("MissingStates closes one at once where the state that is replaced is the last one known", () => {
  const of = gaps();
  of.heard({ entityId: "a.a", lastUpdatedUs: 10 });
  of.open();
  of.heard({ entityId: "a.a", lastUpdatedUs: 50, previousUs: 10 });
  assert.deepEqual(bounds(of), []);
});

Deno.test("MissingStates lets one go on that has no end, and opens another behind one that has", () => {
  const of = gaps();
  of.heard({ entityId: "a.a", lastUpdatedUs: 10 });
  of.heard({ entityId: "b.b", lastUpdatedUs: 10 });
  of.open();
  of.heard({ entityId: "a.a", lastUpdatedUs: 50 });
  of.open();
  assert.deepEqual(bounds(of), [
    ["a.a", 10, 50],
    ["b.b", 10, undefined],
    ["a.a", 50, undefined],
  ]);
});

Deno.test("MissingStates of an entity that did not change is closed by its present state", () => {
  const of = gaps();
  of.heard({ entityId: "a.a", lastUpdatedUs: 10 });
  of.heard({ entityId: "b.b", lastUpdatedUs: 10 });
  of.open();
  of.unchanged("a.a", 10);
  of.unchanged("b.b", 30);
  assert.deepEqual(bounds(of), [["b.b", 10, undefined]]);
  of.heard({ entityId: "a.a", lastUpdatedUs: 50 });
  assert.deepEqual(bounds(of), [["b.b", 10, undefined]]);
});

Deno.test("MissingStates opens one of an entity that was never seen from when capture stopped, and no other", () => {
  const of = gaps();
  of.heard({ entityId: "a.a", lastUpdatedUs: 10 });
  of.openUnseen(["a.a", "new.new"], 7);
  of.openUnseen(["new.new"], 7);
  assert.deepEqual(bounds(of), [["new.new", 7, undefined]]);
});

Deno.test("A look goes from the newest unread part to the oldest; the next one behind what it found", () => {
  const of = gaps();
  of.openAll(["a.a", "b.b"], 100);
  of.heard({ entityId: "a.a", lastUpdatedUs: 500 });
  of.beginLook(LATER);
  assert.deepEqual(of.next(1).map(({ entityId, cursorUs }) => [entityId, cursorUs]), [[
    "b.b",
    LATER,
  ]]);
  assert.deepEqual(of.next(9).map(({ cursorUs }) => cursorUs), [LATER, 500]);
  const [b, a] = of.next(9);
  assert.ok(a && b);
  const left = { newestUs: undefined, held: undefined, proof: 1 };
  of.filled([], [{ ...left, id: b.id, cursorUs: 300, newestUs: 900, held: "{}" }]);
  assert.deepEqual(of.next(9).map(({ id, cursorUs, held }) => [id, cursorUs, held]), [
    [a.id, 500, undefined],
    [b.id, 300, "{}"],
  ]);
  assert.equal(of.extent().unreadUs, 400 + 200);
  of.filled([], [
    { ...left, id: a.id, cursorUs: 100 },
    { ...left, id: b.id, cursorUs: 100, newestUs: 900 },
  ]);
  assert.deepEqual(of.next(9), []);
  of.endLook();
  assert.deepEqual(bounds(of), [["a.a", 100, 500], ["b.b", 900, undefined]]);
  assert.deepEqual(of.close(), { entities: 2, unproven: 0 });
  assert.deepEqual(bounds(of), []);
});

Deno.test("MissingStates that a look has not come to the end of is neither ended nor closed", () => {
  const of = gaps();
  of.openAll(["a.a"], 100);
  of.beginLook(LATER);
  of.endLook();
  assert.equal(of.close().entities, 0);
  assert.equal(of.next(1).length, 1, "it goes on where it was");
});

Deno.test("MissingStates counts entities whose older states nobody can prove to be there", () => {
  const of = gaps();
  of.heard({ entityId: "a.a", lastUpdatedUs: 10 });
  of.heard({ entityId: "b.b", lastUpdatedUs: 10 });
  of.open();
  of.beginLook(LATER);
  const [a, b] = of.next(9);
  assert.ok(a && b);
  of.filled([], [
    { id: a.id, cursorUs: 10, newestUs: undefined, held: undefined, proof: 1 },
    { id: b.id, cursorUs: 10, newestUs: undefined, held: undefined, proof: 0 },
  ]);
  of.endLook();
  assert.deepEqual(of.close(), { entities: 2, unproven: 1 });
});

Deno.test("MissingStates that opened after a look had begun are not closed with it", () => {
  const of = gaps();
  of.heard({ entityId: "a.a", lastUpdatedUs: 10 });
  of.open();
  of.beginLook(LATER);
  const [a] = of.next(9);
  assert.ok(a);
  of.filled([], [{ id: a.id, cursorUs: 10, newestUs: undefined, held: undefined, proof: 1 }]);
  of.heard({ entityId: "b.b", lastUpdatedUs: 20 });
  of.open();
  of.endLook();
  assert.deepEqual(of.close(), { entities: 1, unproven: 0 });
  assert.deepEqual(bounds(of), [["b.b", 20, undefined]]);
});
