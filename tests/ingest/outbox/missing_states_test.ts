import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { MissingStates, type Stretch } from "../../../lib/ingest/outbox/missing_states.ts";
import { allMissing, boundsOf, knownAt } from "./stretches.ts";

const FIRST = { entityId: "a.a", fromUs: 100, toUs: 500, beginUs: 100, proofUs: 400 };

function missingStates(...stretches: readonly Partial<Stretch>[]): MissingStates {
  const of = new MissingStates(new DatabaseSync(":memory:"));
  add(of, ...stretches);
  return of;
}

function add(of: MissingStates, ...stretches: readonly Partial<Stretch>[]): void {
  for (const one of stretches) {
    of.add({ ...FIRST, lastState: knownAt(100), startsLater: false, ...one });
  }
}

Deno.test("MissingStates keeps a stretch with its bounds, its proof, and the state before it", () => {
  const of = missingStates({});
  const [kept] = of.next(9, Infinity);
  assert.deepEqual(kept, {
    id: 1,
    ...FIRST,
    untilUs: undefined,
    startUs: 100,
    readUs: 100,
    lastState: knownAt(100),
    isProven: false,
  });
  assert.deepEqual(of.again(kept ? [kept] : []), [kept]);
});

Deno.test("MissingStates has nothing to prove where nobody says what must be there", () => {
  const [one] = allMissing(missingStates({ proofUs: undefined, lastState: undefined }));
  assert.deepEqual([one?.isProven, one?.lastState], [true, undefined]);
});

Deno.test("MissingStates ends what had no end, where it is in reading, and notes anew what had one", () => {
  const of = missingStates({ toUs: undefined, proofUs: undefined });
  of.filled([{ id: 1, readUs: 300, lastState: knownAt(250), isProven: true }]);
  add(of, { fromUs: 200, beginUs: 200, toUs: 900, proofUs: 800 });
  add(of, { fromUs: 900, beginUs: 900, toUs: 1_500, proofUs: 1_400 });
  const [ended, anew] = allMissing(of);
  assert.deepEqual(boundsOf(of), [["a.a", 100, 900], ["a.a", 900, 1_500]]);
  assert.deepEqual([ended?.readUs, ended?.beginUs, ended?.lastState], [300, 100, knownAt(250)]);
  assert.deepEqual([ended?.proofUs, ended?.isProven], [800, false], "the end says by which row");
  assert.equal(anew?.isProven, false);
});

Deno.test("MissingStates ends no other entity's", () => {
  const of = missingStates({ toUs: undefined, entityId: "b.b" }, {});
  assert.deepEqual(boundsOf(of), [["b.b", 100, undefined], ["a.a", 100, 500]]);
});

Deno.test("What has no start yet is not read, and then from a little before its gap's begin, behind what is known", () => {
  const later = { startsLater: true, beginUs: 300 };
  const of = missingStates(
    { ...later, entityId: "old.one" },
    { ...later, entityId: "new.one", fromUs: 350 },
    { ...later, entityId: "ahead.one", fromUs: 5_000, toUs: 6_000 },
    { ...later, entityId: "back.one", fromUs: 400, toUs: 350 },
    { ...later, entityId: "gone.one", toUs: undefined },
    { ...later, entityId: "before.one", toUs: 250 },
  );
  assert.deepEqual(of.next(9, Infinity), []);
  assert.equal(of.extent().entities, 6, "but it counts");
  of.start(1_000, { isAll: false, backUs: 50, earlyUs: 70 });
  const starts = Object.fromEntries(
    allMissing(of).map(({ entityId, startUs, readUs }) => [entityId, [startUs, readUs]]),
  );
  assert.deepEqual(starts, {
    "old.one": [230, 230],
    "new.one": [350, 350],
    // their stamps say by themselves that a clock went back
    "ahead.one": [50, 50],
    "back.one": [50, 50],
    "gone.one": [230, 230],
    // its clock went back a little, unnoticed
    "before.one": [230, 230],
  });
  // what has a start keeps it
  of.filled([{ id: 1, readUs: 450, lastState: undefined, isProven: false }]);
  of.start(1_000, { isAll: true, backUs: 7, earlyUs: 70 });
  assert.deepEqual(allMissing(of).map(({ readUs }) => readUs), [450, 350, 50, 50, 230, 230]);
});

Deno.test("Where reading begins is the same in steps, from the first to the last", () => {
  const later = { startsLater: true, beginUs: 300 };
  const make = () =>
    missingStates(
      { ...later, entityId: "old.one" },
      { ...later, entityId: "new.one", fromUs: 350 },
      { ...later, entityId: "ahead.one", fromUs: 5_000, toUs: 6_000 },
      { entityId: "read.already" },
      { ...later, entityId: "gone.one", toUs: undefined },
    );
  const ways: ((of: MissingStates, most?: number) => number)[] = [
    (of, most) => of.start(1_000, { isAll: false, backUs: 50, earlyUs: 70 }, most),
    (of, most) => of.start(450, { isAll: true, backUs: 50, earlyUs: 70, untilUs: 900 }, most),
    (of, most) => of.startImport(250, most),
  ];
  for (const start of ways) {
    const [atOnce, inSteps] = [make(), make()];
    assert.equal(start(atOnce), 4);
    assert.equal(start(inSteps, 3), 3);
    assert.equal(allMissing(inSteps).filter(({ startUs }) => startUs === 0).length, 1);
    assert.equal(start(inSteps, 3), 1);
    assert.equal(start(inSteps, 3), 0);
    assert.deepEqual(allMissing(inSteps), allMissing(atOnce));
  }
});

Deno.test("Where a clock went back all that has no start yet is read from there", () => {
  const of = missingStates({ startsLater: true, beginUs: 300 }, {});
  of.start(1_000, { isAll: true, backUs: 50, earlyUs: 70 });
  assert.deepEqual(allMissing(of).map(({ startUs }) => startUs), [50, 100]);
});

Deno.test("Where a clock went back what is missing goes on behind the state that ends it", () => {
  const of = missingStates({ startsLater: true, beginUs: 300 }, { entityId: "read.already" });
  of.start(450, { isAll: true, backUs: 50, earlyUs: 70, untilUs: 900 });
  assert.deepEqual(allMissing(of).map(({ untilUs }) => untilUs), [900, undefined]);
});

Deno.test("What an entity that was gone had before a step back of the clock stays missing when it is back", () => {
  const MINUTE_US = 60_000_000;
  const goneUs = 60 * MINUTE_US;
  const untilOf = (toUs: number, again: Partial<Stretch> = {}) => {
    const of = missingStates({ toUs: undefined, proofUs: undefined });
    of.gone(goneUs);
    add(of, { toUs, ...again });
    const [one] = allMissing(of);
    assert.equal(one?.toUs, toUs);
    return one?.untilUs;
  };
  assert.equal(untilOf(goneUs + MINUTE_US), undefined, "it is back later");
  assert.equal(untilOf(goneUs - 900_000), undefined, "what is heard may be a little late");
  assert.equal(untilOf(goneUs - 5 * MINUTE_US), goneUs + MINUTE_US);
  assert.equal(untilOf(50), goneUs + MINUTE_US, "also where it is older than all that is missing");
  assert.equal(untilOf(50, { startsLater: true, beginUs: 40 }), goneUs + MINUTE_US, "a gap later");
});

Deno.test("An import wants all of its days of what has no start yet", () => {
  const of = missingStates(
    { startsLater: true, lastState: undefined, toUs: 900 },
    { entityId: "b.b", fromUs: 700, toUs: 900 },
  );
  of.startImport(250);
  assert.deepEqual(allMissing(of).map(({ fromUs, startUs, readUs }) => [fromUs, startUs, readUs]), [
    [250, 250, 250],
    [700, 700, 700],
  ]);
});

Deno.test("An import asks for nothing that was heard before the connection was lost", () => {
  const later = { startsLater: true, beginUs: 100 };
  const of = missingStates(
    { ...later, lastState: undefined, toUs: 900 },
    { ...later, fromUs: 900, toUs: 1_200 },
  );
  of.startImport(250);
  assert.deepEqual(boundsOf(of), [["a.a", 250, 900], ["a.a", 900, 1_200]]);
  assert.deepEqual(allMissing(of).map(({ readUs }) => readUs), [250, 900]);
});

Deno.test("MissingStates reads the newest gap first, in it what is read least, and none behind the barrier", () => {
  const of = missingStates(
    { entityId: "old.a", beginUs: 100 },
    { entityId: "old.b", beginUs: 100 },
    { entityId: "new.a", beginUs: 700, fromUs: 700, toUs: 900 },
    { entityId: "new.b", beginUs: 700, fromUs: 720, toUs: 900 },
    { entityId: "later.a", beginUs: 950, fromUs: 950, toUs: 990 },
  );
  assert.equal(of.lastId(), 5);
  const next = (limit: number, lastId = 4) =>
    of.next(limit, lastId).map(({ entityId }) => entityId);
  assert.deepEqual(next(9, 5), ["later.a"], "of one gap alone");
  assert.deepEqual(next(9), ["new.a", "new.b"], "later.a came behind the barrier");
  of.filled([{ id: 3, readUs: 800, lastState: undefined, isProven: false }]);
  assert.deepEqual(next(9), ["new.b", "new.a"]);
  assert.deepEqual(next(1), ["new.b"]);
  of.remove(3);
  of.remove(4);
  assert.deepEqual(next(9).sort(), ["old.a", "old.b"]);
  for (const id of [1, 2, 5]) of.remove(id);
  assert.deepEqual([of.lastId(), next(9, 5)], [0, []]);
});

Deno.test("What is noted behind a barrier has a number that no barrier stands behind, also where it ends what was there", () => {
  const of = missingStates({}, { entityId: "b.b", toUs: undefined });
  const barrier = of.lastId();
  of.remove(1);
  // an event ends it: rows may be missing of which the recorder had not heard at the barrier
  const before = of.next(9, barrier);
  assert.deepEqual(before.map(({ entityId }) => entityId), ["b.b"]);
  add(of, { entityId: "b.b", toUs: 900 });
  assert.deepEqual(of.next(9, barrier), []);
  assert.deepEqual(of.again(before), [], "what was asked for meanwhile is asked for again");
  of.remove(of.lastId());
  assert.equal(of.lastId(), 0);
  add(of, {});
  assert.deepEqual(of.next(9, barrier), [], "no number is given twice");
  assert.equal(of.next(9, of.lastId()).length, 1);
});

Deno.test("MissingStates goes on where a page left it, and is proven for good", () => {
  const of = missingStates({}, { entityId: "b.b" });
  of.filled([
    { id: 1, readUs: 300, lastState: knownAt(250), isProven: true },
    { id: 2, readUs: 300, lastState: undefined, isProven: false },
  ]);
  assert.deepEqual(
    allMissing(of).map(({ readUs, lastState, isProven }) => [readUs, lastState, isProven]),
    [[300, knownAt(250), true], [300, undefined, false]],
  );
});

Deno.test("MissingStates counts entities, of each gap and in all, and how much of their time is not read", () => {
  const of = missingStates(
    {},
    { fromUs: 500, toUs: 600, beginUs: 500 },
    { entityId: "b.b", toUs: undefined, beginUs: 500, fromUs: 500 },
    { entityId: "c.c", startsLater: true, beginUs: 500, fromUs: 200, toUs: 800 },
  );
  assert.deepEqual(of.byGap(), new Map([[100, 1], [500, 3]]));
  assert.deepEqual(of.extent(1_000), { entities: 3, unreadUs: 400 + 100 + 500 + 300 });
  of.filled([{ id: 1, readUs: 450, lastState: undefined, isProven: false }]);
  assert.equal(of.extent(1_000).unreadUs, 50 + 100 + 500 + 300);
  // a clock that stands before all of them has nothing left to read, not less
  assert.equal(of.extent(50).unreadUs, 0);
  assert.deepEqual(new MissingStates(new DatabaseSync(":memory:")).extent(), {
    entities: 0,
    unreadUs: 0,
  });
});

Deno.test("MissingStates counts more microseconds than a number of JavaScript holds exactly", () => {
  // as ten days of 14,000 entities are
  const end = { fromUs: 0, beginUs: 0, toUs: 4_000_000_000_000_000 };
  const of = missingStates(...["a.a", "b.b", "c.c"].map((entityId) => ({ ...end, entityId })));
  for (const nowUs of [undefined, Number.MAX_SAFE_INTEGER, end.toUs]) {
    assert.equal(of.extent(nowUs).unreadUs, 3 * end.toUs);
  }
});

Deno.test("An event ends all stretches of its entity that have no end, each under a number of its own", () => {
  const of = missingStates(
    { entityId: "old.id", toUs: undefined },
    { entityId: "new.id", toUs: undefined, fromUs: 200 },
  );
  of.renamed("old.id", "new.id");
  add(of, { entityId: "new.id", fromUs: 200, toUs: 900 });
  assert.deepEqual(boundsOf(of).sort(), [
    ["new.id", 100, 900],
    ["new.id", 200, 900],
    ["old.id", 100, undefined],
  ]);
});

Deno.test("What is read next is found as soon where much is missing as where little is", () => {
  const fastestMs = (entities: number) => {
    const db = new DatabaseSync(":memory:");
    const of = new MissingStates(db);
    db.exec("BEGIN");
    for (let i = 0; i < entities; i++) add(of, { entityId: `sensor.a${i}`, fromUs: 100 + i % 7 });
    db.exec("COMMIT");
    const took = Array.from({ length: 9 }, () => {
      const fromMs = performance.now();
      assert.equal(of.next(50, Infinity).length, 50);
      return performance.now() - fromMs;
    });
    return Math.min(...took);
  };
  const [little, much] = [fastestMs(200), fastestMs(20_000)];
  assert.ok(much < 10 * little, `${much} ms, and ${little} ms of a hundredth of it`);
});
