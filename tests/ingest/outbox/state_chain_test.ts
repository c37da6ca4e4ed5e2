import assert from "node:assert/strict";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import type { StateChain } from "../../../lib/ingest/outbox/state_chain.ts";
import { TemporaryFolder } from "../../temporary.ts";
import {
  allMissing,
  boundsOf,
  type ChainInMemory,
  chainInMemory,
  compare,
  heardRemoval,
  heardState,
  knownAt,
  spooled,
} from "./stretches.ts";

const DAY_US = 86_400_000_000;
/** Home Assistant's time when it is compared: more has passed by it than the test takes. */
const NOW_US = 10_000_000_000;
/** Some ten times what was measured on two slow cores: a turn in which no live event is heard. */
const LONGEST_MS: Readonly<Record<string, number>> = {
  heard: 700,
  open: 150,
  shown: 300,
  "gone and compared": 700,
  next: 150,
  filled: 200,
  status: 300,
};

/** A chain that has heard these states, without a gap. */
function heardAll(states: Readonly<Record<string, number>>): ChainInMemory {
  const all = chainInMemory();
  for (const [entityId, us] of Object.entries(states)) {
    all.chain.heard(spooled(heardState(entityId, us)));
  }
  return all;
}

function openedUs({ opened }: StateChain): number | undefined {
  return opened?.fromUs;
}

/** As `allMissing`, but what tests look at. */
function stretchesOf({ missing }: ChainInMemory) {
  return allMissing(missing).map(({ entityId, fromUs, toUs, startUs, proofUs, isProven }) => {
    assert.equal(isProven, proofUs === undefined);
    return [entityId, fromUs, toUs, startUs, proofUs];
  });
}

Deno.test("Nothing is missing where each event replaces the state that was seen last", () => {
  const all = heardAll({ "a.a": 10 });
  const { chain } = all;
  chain.heard(spooled(heardState("a.a", 20, 10), heardState("a.a", 30, 20)));
  chain.heard(spooled(heardState("b.b", 31), heardRemoval("a.a", 32, 30)));
  chain.heard(spooled(heardState("a.a", 40), heardState("b.b", 41, 31)));
  assert.deepEqual(stretchesOf(all), []);
  assert.equal(chain.seen.last("a.a")?.lastUpdatedUs, 40);
  assert.equal(chain.seen.heard()?.us, 41);
});

Deno.test("An event that replaces another state opens a stretch between both, though capture never stopped", () => {
  const all = heardAll({ "a.a": 10, "b.b": 10 });
  const { chain } = all;
  // the second one follows within one commit
  chain.heard(spooled(heardState("a.a", 50, 40), heardState("a.a", 60, 50)));
  chain.heard(spooled(heardState("a.a", 90, 80)));
  chain.heard(spooled(heardRemoval("b.b", 95, 85)));
  assert.equal(openedUs(chain), undefined);
  assert.deepEqual(stretchesOf(all), [
    ["a.a", 10, 50, 10, 40],
    ["a.a", 60, 90, 60, 80],
    ["b.b", 10, 95, 10, 85],
  ]);
  assert.equal(allMissing(all.missing)[0]?.lastState?.state, "10", "what came before is known");
});

Deno.test("An event that replaces nothing, of an entity that was there, opens a stretch that nothing proves", () => {
  const all = heardAll({ "a.a": 10 });
  all.chain.heard(spooled(heardState("a.a", 50)));
  assert.deepEqual(stretchesOf(all), [["a.a", 10, 50, 10, undefined]]);
});

Deno.test("A clock that goes back while capture goes on leaves nothing out", () => {
  const all = heardAll({ "a.a": 1_000 });
  const { chain } = all;
  chain.heard(spooled(heardState("a.a", 400, 1_000), heardState("a.a", 410, 400)));
  assert.deepEqual(stretchesOf(all), []);
  assert.equal(chain.seen.last("a.a")?.lastUpdatedUs, 410);
  assert.equal(chain.seen.heard()?.us, 410);
});

Deno.test("A gap begins with the last event that was heard, and goes on over a restart", () => {
  const { db, chain } = heardAll({ "a.a": 10, "b.b": 20 });
  assert.equal(openedUs(chain), undefined);
  chain.heard([{ line: "{}", firedUs: 25 }]);
  chain.open();
  assert.equal(openedUs(chain), 25, "an event that is no state's was heard, too");
  const again = chainInMemory(db).chain;
  assert.deepEqual(again.opened, chain.opened);
  again.heard(spooled(heardState("a.a", 50, 10)));
  again.open();
  assert.equal(openedUs(again), 25, "nobody has compared yet");
  compare(again, { "a.a": 50, "b.b": 20 }, NOW_US);
  assert.equal(openedUs(again), undefined);
  assert.equal(openedUs(chainInMemory(db).chain), undefined);
});

Deno.test("Where nothing was ever heard there is no gap", () => {
  const all = chainInMemory();
  all.chain.open();
  assert.equal(openedUs(all.chain), undefined);
  compare(all.chain, { "a.a": 10 }, NOW_US);
  assert.deepEqual(stretchesOf(all), []);
  assert.equal(all.chain.seen.last("a.a")?.lastUpdatedUs, 10);
});

Deno.test("What a gap has left out stands between what was seen and the first state that is known again", () => {
  const all = heardAll({
    "live.one": 10,
    "shown.one": 11,
    "same.one": 12,
    "next.one": 13,
    "gone.one": 14,
    "removed.one": 15,
  });
  const { chain, missing } = all;
  chain.open();
  chain.heard(spooled(
    heardState("live.one", 50, 40),
    heardState("next.one", 51, 13),
    heardState("new.one", 52),
    heardRemoval("removed.one", 53, 45),
  ));
  assert.deepEqual(missing.next(9, Infinity), [], "nothing is read before all is compared");
  // what was heard since is newer than the states that were asked for before
  compare(chain, {
    "live.one": 45,
    "shown.one": 42,
    "same.one": 12,
    "next.one": 13,
    "unseen.one": 43,
    "removed.one": 45,
  }, NOW_US);
  // a second before the gap they were known: reading begins behind what is known
  assert.deepEqual(stretchesOf(all), [
    ["live.one", 10, 50, 10, 40],
    // it may have had states before, and the recorder has them
    ["new.one", 15, 52, 15, undefined],
    ["removed.one", 15, 53, 15, 45],
    // the recorder has its own row too, which proves that nothing is lost
    ["shown.one", 11, 43, 11, 42],
    ["unseen.one", 15, 44, 15, 43],
    ["gone.one", 14, undefined, 14, undefined],
  ]);
  assert.equal(chain.seen.last("shown.one")?.known?.state, "42");
  assert.equal(chain.seen.last("live.one")?.lastUpdatedUs, 50);
});

Deno.test("A state that capture shows and then hears of is one chain", () => {
  const all = heardAll({ "a.a": 10 });
  const { chain } = all;
  chain.open();
  compare(chain, { "a.a": 40 }, NOW_US);
  chain.heard(spooled(heardState("a.a", 50, 40)));
  assert.deepEqual(boundsOf(all.missing), [["a.a", 10, 41]]);
});

Deno.test("An entity that comes back ends what was missing of it, and one that is known to be gone is new then", () => {
  const all = heardAll({ "a.a": 10, "b.b": 10 });
  const { chain, missing } = all;
  chain.open();
  compare(chain, {}, NOW_US);
  chain.heard(spooled(heardState("a.a", 50)));
  assert.deepEqual(boundsOf(missing).sort(), [["a.a", 10, 50], ["b.b", 10, undefined]]);
  // it was read to its end
  for (const { id } of allMissing(missing)) missing.remove(id);
  chain.seen.gone("b.b");
  assert.deepEqual(chain.goneSince(new Set(["a.a"])), [], "it is not asked for again");
  assert.equal(chain.isUnseen("b.b", 10), true, "but present after all it is there again");
  chain.heard(spooled(heardState("b.b", 60)));
  assert.deepEqual(boundsOf(missing), []);
  chain.heard(spooled(heardRemoval("b.b", 70, 60)));
  chain.open();
  chain.heard(spooled(heardState("b.b", 90)));
  assert.deepEqual(boundsOf(missing), [["b.b", 70, 90]], "in a gap it may have been there before");
});

Deno.test("A second gap before the first is read has stretches of its own, with their own begin", () => {
  const all = heardAll({ "a.a": 10, "b.b": 11 });
  const { chain, missing } = all;
  chain.open();
  compare(chain, { "a.a": 50, "b.b": 11 }, NOW_US);
  chain.heard(spooled(heardState("a.a", 70, 50)));
  chain.open();
  compare(chain, { "a.a": 90, "b.b": 80 }, NOW_US);
  assert.deepEqual(
    allMissing(missing).map(({ entityId, fromUs, toUs, beginUs, startUs }) => [
      entityId,
      fromUs,
      toUs,
      beginUs,
      startUs,
    ]),
    [
      ["a.a", 10, 51, 11, 10],
      ["a.a", 70, 91, 70, 70],
      ["b.b", 11, 81, 70, 11],
    ],
  );
});

Deno.test("Where Home Assistant's clock went back in a gap, reading begins as much before it", () => {
  const all = heardAll({ "a.a": 5_000_000_000 });
  const { chain } = all;
  chain.open();
  // by its own clock it is an hour earlier than capture stopped
  compare(chain, { "a.a": 1_400_000_000 }, 1_400_000_000);
  const [, fromUs, toUs, startUs, proofUs] = stretchesOf(all)[0] ?? [];
  assert.deepEqual([fromUs, toUs, proofUs], [5_000_000_000, 1_400_000_001, 1_400_000_000]);
  assert.ok(Number(startUs) <= 1_400_000_000 - 60_000_000, `${startUs}`);
  assert.ok(Number(startUs) >= 1_400_000_000 - 120_000_000, `${startUs}`);
});

Deno.test("A clock that advanced less than the time that passed went back, though it is not behind", () => {
  const all = heardAll({ "a.a": 5_000_000_000 });
  const { db, chain } = all;
  chain.open();
  // capture stopped two hours ago; by Home Assistant's clock that is one hour
  const kept = db.prepare("SELECT value FROM meta WHERE key = 'gap_opened'").get()?.value;
  const opened = { ...JSON.parse(String(kept)), atMs: Date.now() - 7_200_000 };
  db.prepare("UPDATE meta SET value = ? WHERE key = 'gap_opened'").run(JSON.stringify(opened));
  const again = { ...chainInMemory(db), db };
  compare(again.chain, { "a.a": 8_500_000_000 }, 8_600_000_000);
  const [, , , startUs] = stretchesOf(again)[0] ?? [];
  const backUs = 5_000_000_000 - (7_200_000_000 - 3_600_000_000) - 60_000_000;
  assert.ok(Math.abs(Number(startUs) - backUs) < 30_000_000, `${startUs}`);
});

Deno.test("Of an entity that nobody had seen, a state from before the gap says that nothing is missing", () => {
  const all = heardAll({ "a.a": 5_000_000_000 });
  all.chain.open();
  compare(all.chain, { "a.a": 5_000_000_000, "quiet.one": 1_000_000_000 }, 5_100_000_000);
  assert.deepEqual(stretchesOf(all), []);
  assert.equal(all.chain.seen.last("quiet.one")?.lastUpdatedUs, 1_000_000_000);
  // but where a clock went back it may be of the gap
  all.chain.open();
  const present = { "quiet.one": 1_000_000_000, "a.a": 1_400_000_000, "other.one": 1_300_000_000 };
  compare(all.chain, present, 1_400_000_000);
  assert.deepEqual(boundsOf(all.missing).map(([entityId]) => entityId), ["a.a", "other.one"]);
});

Deno.test("Of an entity that nobody had seen, an event that replaces a state from before the gap says that nothing is missing", () => {
  const all = heardAll({ "a.a": 5_000_000_000 });
  all.chain.open();
  const states = [
    heardState("quiet.one", 5_050_000_000, 1_000_000_000),
    heardState("missed.one", 5_060_000_000, 5_020_000_000),
  ];
  all.chain.heard(spooled(...states));
  const present = { "a.a": 5_000_000_000, "quiet.one": 5_050_000_000, "missed.one": 5_060_000_000 };
  compare(all.chain, present, 5_100_000_000);
  assert.deepEqual(boundsOf(all.missing), [["missed.one", 5_000_000_000, 5_060_000_000]]);
});

Deno.test("The first start's import wants the days before, of all entities, and proves nothing", () => {
  const all = chainInMemory();
  const { chain } = all;
  const nowUs = 20 * DAY_US;
  chain.openImport(nowUs, 10);
  chain.heard(spooled(heardState("a.a", nowUs + 10, nowUs - DAY_US)));
  compare(chain, { "a.a": nowUs + 10, "b.b": nowUs - 5 }, nowUs + 100);
  const beginUs = nowUs + 100 - 10 * DAY_US;
  assert.deepEqual(stretchesOf(all), [
    ["a.a", beginUs, nowUs + 10, beginUs, undefined],
    ["b.b", beginUs, nowUs - 4, beginUs, undefined],
  ]);
  assert.equal(openedUs(chain), undefined);
});

Deno.test("An import whose connection is lost before all is compared wants nothing twice", () => {
  const all = chainInMemory();
  const { chain } = all;
  const nowUs = 20 * DAY_US;
  chain.openImport(nowUs, 10);
  chain.heard(spooled(heardState("a.a", nowUs + 10, nowUs - DAY_US)));
  chain.open();
  assert.equal(chain.opened?.importDays, 10);
  chain.heard(spooled(heardState("a.a", nowUs + 50, nowUs + 40)));
  compare(chain, { "a.a": nowUs + 50 }, nowUs + 100);
  const beginUs = nowUs + 100 - 10 * DAY_US;
  assert.deepEqual(boundsOf(all.missing), [
    ["a.a", beginUs, nowUs + 10],
    ["a.a", nowUs + 10, nowUs + 50],
  ]);
});

Deno.test("Where the clock went back by less than the gap is long, all before the step is missing, too", () => {
  const HOUR_US = 3_600_000_000;
  const { db, missing } = heardAll({ "a.a": HOUR_US });
  // three hours ago, by the clock that goes on
  db.exec(`UPDATE meta SET value = json_set(value, '$.atMs', ${Date.now() - 3 * 3_600_000})`);
  const again = chainInMemory(db).chain;
  again.open();
  compare(again, { "a.a": 2 * HOUR_US }, 3 * HOUR_US);
  const [one] = allMissing(missing);
  assert.equal(one?.toUs, 2 * HOUR_US + 1);
  const beforeTheStepUs = 4 * HOUR_US;
  assert.ok(Math.abs((one?.untilUs ?? 0) - beforeTheStepUs) < 120_000_000, `${one?.untilUs}`);
});

Deno.test("Witnesses are the last states that were heard since all was compared, one an entity", () => {
  const { chain } = heardAll({ "before.one": 5 });
  chain.compared(6);
  assert.deepEqual([...chain.witnesses], []);
  for (let i = 0; i < 510; i++) chain.heard(spooled(heardState(`sensor.s${i}`, 100 + i)));
  chain.heard(spooled(heardState("sensor.s10", 700, 110)));
  chain.heard(spooled(heardState("sensor.s510", 701)));
  const { witnesses } = chain;
  assert.equal(witnesses.size, 500);
  assert.equal(witnesses.get("sensor.s10"), 700, "it was heard again");
  assert.equal(witnesses.get("sensor.s510"), 701);
  for (const id of ["sensor.s9", "sensor.s11", "before.one"]) assert.ok(!witnesses.has(id), id);
});

Deno.test("What was heard before something was found missing is no witness of it", () => {
  const { chain } = heardAll({ "a.a": 10, "b.b": 11 });
  chain.compared(20);
  chain.heard(spooled(heardState("a.a", 21, 10), heardState("b.b", 24, 22), heardState("c.c", 25)));
  assert.deepEqual([...chain.witnesses], [["b.b", 24], ["c.c", 25]]);
});

Deno.test("Memory is read again after a transaction that was undone", () => {
  const { db, chain } = heardAll({ "a.a": 10 });
  for (const work of [() => chain.open(), () => chain.openImport(5, 1)]) {
    db.exec("BEGIN");
    work();
    assert.ok(chain.opened);
    db.exec("ROLLBACK");
    chain.reload();
    assert.equal(openedUs(chain), undefined);
  }
  chain.open();
  db.exec("BEGIN");
  chain.compared(20);
  db.exec("ROLLBACK");
  chain.reload();
  assert.equal(openedUs(chain), 10);
});

Deno.test("A house of 14,000 entities is compared, and asked for, in short turns", () => {
  const n = 14_000;
  const id = (i: number) => `sensor.of_a_large_house_${i}`;
  const all = Array.from({ length: n }, (_, i) => i);
  using folder = new TemporaryFolder();
  using outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes: 500_000_000,
    onFailure: assert.ifError,
  });
  const { chain, missing } = outbox;
  const longestMs = new Map<string, number>();
  const turn = <T>(name: string, work: () => T): T => {
    const beganMs = performance.now();
    const result = work();
    const ms = performance.now() - beganMs;
    longestMs.set(name, Math.max(ms, longestMs.get(name) ?? 0));
    return result;
  };
  const commit = (name: string, work: () => void) =>
    turn(name, () => assert.ok(outbox.append([], work)));
  commit("heard", () => chain.heard(spooled(...all.map((i) => heardState(id(i), 1_000 + i)))));
  for (let round = 0; round < 2; round++) {
    turn("open", () => outbox.openGap());
    assert.ok(chain.opened);
    const presentUs = (round + 1) * 100_000;
    // a tenth of them is gone the second time
    const present = round === 0 ? all : all.filter((i) => i % 10 > 0);
    for (let at = 0; at < present.length; at += 200) {
      commit("shown", () => {
        for (const i of present.slice(at, at + 200)) {
          assert.ok(chain.isUnseen(id(i), presentUs + i));
          chain.shown(id(i), knownAt(presentUs + i));
        }
      });
    }
    const states = new Set(present.map(id));
    commit("gone and compared", () => {
      chain.gone(chain.goneSince(states));
      chain.compared(NOW_US);
      chain.seen.hear(presentUs + n);
    });
  }
  assert.equal(missing.extent().entities, n);
  const left = new Map(missing.byGap());
  assert.equal(left.size, 2);
  for (let pages = 0;; pages++) {
    const lastId = missing.lastId();
    const page = turn("next", () => missing.next(650, lastId));
    if (page.length === 0) {
      assert.ok(pages >= 2 * n / 650);
      break;
    }
    commit("filled", () => {
      const now = missing.again(page);
      assert.equal(now.length, page.length);
      missing.filled(
        now.map(({ id }) => ({ id, readUs: 500_000, lastState: knownAt(9), isProven: true })),
      );
      for (const { id } of now) missing.remove(id);
    });
    turn("status", () => [missing.extent(NOW_US), missing.byGap()]);
    for (const { beginUs } of page) left.set(beginUs, (left.get(beginUs) ?? 0) - 1);
  }
  assert.deepEqual([...left.values()], [0, 0]);
  const text = [...longestMs].map(([name, ms]) => `${name} ${ms.toFixed(1)} ms`).join(", ");
  // deno-lint-ignore no-console -- how long each takes is worth seeing
  console.log(`The longest of each with ${n} entities: ${text}`);
  assert.deepEqual([...longestMs.keys()].sort(), Object.keys(LONGEST_MS).sort());
  for (const [name, ms] of longestMs) {
    assert.ok(ms < Number(LONGEST_MS[name]), `${name} took ${ms} ms`);
  }
});
