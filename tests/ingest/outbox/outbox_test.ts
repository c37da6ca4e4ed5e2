import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { OutboxCounters } from "../../../lib/ingest/outbox/ledger.ts";
import { openOutbox } from "../../../lib/ingest/outbox/open_outbox.ts";
import { envelopeLine } from "../../../lib/ingest/outbox/envelope.ts";
import type { Spooled, StateStamp } from "../../../lib/ingest/outbox/state_chain.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { CollectedLog } from "../../collected_log.ts";
import { FullDisk } from "../../outbox_model/full_disk.ts";
import { LaterClock } from "../../later_clock.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { allMissing, boundsOf, heardState, spooled } from "./stretches.ts";
import { rowsOf } from "./rows.ts";

const MAX_BYTES = 50_000_000;
const ALL = { maxEvents: 1_000_000, maxBytes: 1e12 };

function open(path: string, maxBytes = MAX_BYTES): Outbox {
  return new Outbox({
    path,
    maxBytes,
    commitIntervalMs: 1e6,
    onFailure: (error) => {
      throw error;
    },
  });
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((a, b) => a + b, 0);
}

function assertEquation(counters: OutboxCounters): void {
  const { received, delivered, leftOut, dropped, deadLetters, waiting } = counters;
  assert.equal(received, delivered + sum(leftOut) + deadLetters + sum(dropped) + waiting);
}

function done(rows: readonly { seq: number }[]) {
  return {
    done: rows.map(({ seq }) => seq),
    delivered: rows.length,
    leftOut: {},
    problems: [],
  };
}

Deno.test("Outbox keeps lines byte for byte and in order until they are settled", () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder.file("outbox.sqlite"));
  const lines = ['{"a":1.0}', '{"b":9007199254740993}', '{"c":"☃ 😀 \\u0000"}'];
  outbox.append(lines);
  const rows = rowsOf(outbox.waiting.next.peek(ALL));
  assert.deepEqual(rows.map(({ line }) => line), lines);
  outbox.settle(done(rows.slice(0, 2)));
  assert.deepEqual(rowsOf(outbox.waiting.next.peek(ALL)).map(({ line }) => line), lines.slice(2));
  assertEquation(outbox.counters());
});

Deno.test("Outbox commits what was added together, once the interval is over", async () => {
  using folder = new TemporaryFolder();
  const { outbox } = openOutbox({
    path: folder.file("outbox.sqlite"),
    maxBytes: MAX_BYTES,
    commitIntervalMs: 5,
    onFailure: assert.ifError,
  });
  using _ = outbox;
  const changed = outbox.changed(AbortSignal.timeout(10_000));
  outbox.add({ line: "a" });
  outbox.add({ line: "b" });
  assert.equal(outbox.counters().received, 0);
  await changed;
  assert.equal(outbox.counters().received, 2);
});

/** Which `synchronous` the file had at each commit, and whether events were added in it: SQLite says so itself. */
class WatchedCommits implements Disposable {
  readonly modes: { readonly adds: boolean; readonly mode: number }[] = [];
  readonly #exec = DatabaseSync.prototype.exec;
  #lines = 0;

  constructor() {
    const onExec = (db: DatabaseSync, sql: string) => this.#onExec(db, sql);
    DatabaseSync.prototype.exec = function (sql: string) {
      onExec(this, sql);
    };
  }

  #onExec(db: DatabaseSync, sql: string): void {
    if (sql !== "COMMIT") return this.#exec.call(db, sql);
    const mode = Number(db.prepare("PRAGMA synchronous").get()?.synchronous);
    const lines = Number(db.prepare("SELECT max(seq) AS n FROM outbox").get()?.n ?? 0);
    this.#exec.call(db, sql);
    this.modes.push({ adds: lines > this.#lines, mode });
    this.#lines = Math.max(this.#lines, lines);
  }

  [Symbol.dispose](): void {
    DatabaseSync.prototype.exec = this.#exec;
  }
}

Deno.test("Outbox syncs whatever adds an event, a dead letter or a refusal, and nothing that only lets go", () => {
  const [NORMAL, FULL] = [1, 2];
  using folder = new TemporaryFolder();
  using disk = new FullDisk({ syncs: true });
  using outbox = open(folder.file("outbox.sqlite"));
  using commits = new WatchedCommits();
  const settle = (n: number, problems: number) => {
    const rows = rowsOf(outbox.waiting.next.peek({ ...ALL, maxEvents: n }));
    const bad = rows.splice(rows.length - problems).map(({ seq }) => ({ seq, reason: "no" }));
    outbox.settle({ ...done(rows), problems: bad });
    return commits.modes.at(-1)?.mode;
  };
  outbox.append(["a", "b", "c", "d"]);
  assert.equal(settle(1, 0), NORMAL);
  const now = () => disk.query("PRAGMA synchronous")[0]?.synchronous;
  assert.equal(now(), FULL, "for what is written without a transaction of its own");
  outbox.append(["e"]);
  assert.equal(settle(2, 1), FULL, "a dead letter");
  assert.equal(settle(1, 0), NORMAL);
  // a settlement that fails leaves nothing behind either
  const wrong = { ...done([{ seq: 4 }]), leftOut: { filter: NaN } };
  assert.throws(() => outbox.settle(wrong), /NOT NULL/);
  assert.equal(now(), FULL);
  disk.fill();
  outbox.add({ line: "refused" });
  outbox.flush();
  disk.free();
  assert.equal(outbox.owed.refused, 1);
  assert.equal(settle(1, 0), FULL, "a refusal");
  assert.equal(outbox.owed.refused, 0);
  outbox.append(["last"]);
  const adding = commits.modes.filter(({ adds }) => adds);
  assert.deepEqual(adding.map(({ mode }) => mode), [FULL, FULL, FULL], "each append");
});

Deno.test("Outbox does not wait for the interval once much has come", () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder.file("outbox.sqlite"));
  for (let i = 0; i < 5; i++) outbox.add({ line: "x".repeat(500_000) });
  assert.equal(outbox.counters().received, 4);
});

Deno.test("Outbox gives as many rows as fit, and the first one always", () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder.file("outbox.sqlite"));
  outbox.append(["x".repeat(100), "é".repeat(100), "y".repeat(100)]);
  const lengths = (maxEvents: number, maxBytes: number) =>
    outbox.waiting.next.peek({ maxEvents, maxBytes }).seqs;
  assert.deepEqual(lengths(10, 10), [1]);
  assert.deepEqual(lengths(10, 299), [1]);
  assert.deepEqual(lengths(10, 300), [1, 2], "é takes two bytes");
  assert.deepEqual(lengths(2, 1e6), [1, 2]);
  assert.deepEqual(
    outbox.waiting.next.peek({ ...ALL, skip: 1 }).seqs,
    [2, 3],
  );
});

Deno.test("Outbox sets aside what has failed alone, and remembers how often over a restart", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  const first = open(path);
  assert.equal(first.waiting.aside(), undefined);
  first.append(["a", "b", "c", "d"]);
  assert.equal(first.waiting.failedAlone(2), 1);
  assert.equal(first.waiting.failedAlone(2), 2);
  assert.equal(first.waiting.failedAlone(3), 1);
  assert.deepEqual(rowsOf(first.waiting.next.peek(ALL)).map(({ line }) => line), ["a", "d"]);
  assert.deepEqual(rowsOf(first.waiting.next.peek({ ...ALL, skip: 1 })).map(({ line }) => line), [
    "d",
  ]);
  const asides = [0, 2, 3].flatMap((after) => first.waiting.aside(after) ?? []);
  assert.deepEqual(asides.flatMap(rowsOf).map(({ line }) => line), ["b", "c", "b"]);
  first[Symbol.dispose]();
  using again = open(path);
  assert.equal(again.waiting.failedAlone(2), 3);
  again.settle({ done: [3], delivered: 1, leftOut: {}, problems: [{ seq: 2, reason: "bad" }] });
  assert.equal(again.waiting.aside(), undefined);
  assert.equal(again.waiting.failedAlone(2), 0, "it waits no more");
});

Deno.test("Outbox that is full counts a failure of an event however large", () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder.file("outbox.sqlite"), 8_000_000);
  outbox.append(["x".repeat(1_000_000)]);
  while (!outbox.size.full) {
    outbox.add({ line: "y".repeat(1_000) });
    outbox.flush();
  }
  for (let n = 1; n <= 10; n++) assert.equal(outbox.waiting.failedAlone(1), n);
});

Deno.test("Outbox moves a problem to the dead letters with its reason", () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder.file("outbox.sqlite"));
  outbox.append(["good", "bad", "skipped"]);
  outbox.settle({
    done: [1, 3],
    delivered: 1,
    leftOut: { filter: 1 },
    problems: [{ seq: 2, reason: "data: must be an object" }],
  });
  const counters = outbox.counters();
  assert.equal(counters.deadLetters, 1);
  assert.deepEqual([...counters.leftOut], [["filter", 1]]);
  assert.deepEqual(outbox.deadLetters.reasons(), [{ reason: "data: must be an object", count: 1 }]);
  assertEquation(counters);
});

Deno.test("Outbox that is full refuses and counts, drains, and takes events again below four fifths", () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder.file("outbox.sqlite"), 8_000_000);
  const lines = Array.from({ length: 100 }, (_, i) => `${i}`.padEnd(1_000, "x"));
  const arrive = () => {
    for (const line of lines) outbox.add({ line });
    outbox.flush();
  };
  while (!outbox.size.full) arrive();
  const { received, waiting, dropped } = outbox.counters();
  assert.equal(dropped.get("outbox_full"), 100);
  assert.equal(received, waiting + 100);
  outbox.add({ line: "a short one, which would still fit" });
  outbox.flush();
  assert.equal(
    outbox.counters().dropped.get("outbox_full"),
    101,
    "it is full until it has drained",
  );
  assert.ok(Deno.statSync(folder.file("outbox.sqlite")).size <= 8_000_000);
  const rows = rowsOf(outbox.waiting.next.peek({ ...ALL, maxEvents: Math.ceil(waiting / 2) }));
  assert.equal(outbox.append(lines), false, "what can wait is not taken, and not counted");
  outbox.settle(done(rows));
  arrive();
  assert.equal(outbox.size.full, false);
  assert.equal(outbox.counters().dropped.get("outbox_full"), 101);
  assertEquation(outbox.counters());
});

Deno.test("Outbox that is full keeps a fifth for dead letters, however many of its events are problems", () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder.file("outbox.sqlite"), 8_000_000);
  while (!outbox.size.full) {
    outbox.add({ line: "x".repeat(1_000) });
    outbox.flush();
  }
  const { waiting } = outbox.counters();
  const problems = rowsOf(outbox.waiting.next.peek(ALL)).map(({ seq }) => ({ seq, reason: "no" }));
  const some = problems.slice(0, 300);
  assert.deepEqual(
    outbox.settle({ done: [], delivered: 0, leftOut: {}, problems: some }),
    some,
    "all of them have room",
  );
  assert.equal(outbox.counters().dropped.get("dead_letters_full"), undefined);
  assert.equal(outbox.counters().waiting, waiting - 300);
  assertEquation(outbox.counters());
});

Deno.test("Outbox drops the oldest dead letter where a new one needs its room, counts it, and names it in the log", async () => {
  await using log = await CollectedLog.begin();
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  const lineOf = (n: number) =>
    `{"event":{"event_type":"state_changed","data":{"entity_id":"sensor.n${
      String(n).padStart(4, "0")
    }"},` +
    `"time_fired":"2026-06-25T21:20:05.162552+00:00","x":"${"x".repeat(50_000)}"}}`;
  const bury = (outbox: Outbox, n: number) => {
    assert.ok(outbox.append([lineOf(n)]));
    const [row] = rowsOf(outbox.waiting.next.peek(ALL));
    assert.ok(row);
    const problems = [{ seq: row.seq, reason: "a field type conflict" }];
    outbox.settle({ done: [], delivered: 0, leftOut: {}, problems });
  };
  {
    using outbox = open(path, 10_000_000);
    const fits = Math.floor(outbox.size.deadLettersMaxBytes / (lineOf(10).length + 25));
    for (let n = 1; n <= fits; n++) bury(outbox, n);
    assert.equal(outbox.counters().deadLetters, fits);
    assert.equal(outbox.counters().dropped.get("dead_letters_full"), undefined, "none too early");
    assert.ok(outbox.size.deadLettersFullness > 0.9);
    bury(outbox, fits + 1);
    assert.equal(outbox.counters().deadLetters, fits);
    assert.equal(outbox.counters().dropped.get("dead_letters_full"), 1);
    assert.equal(outbox.deadLetters.get(1), undefined, "the oldest");
    assert.match(log.with("Dropped")[0] ?? "", /dead letter, 1,.*sensor\.n0001 of .*type conflict/);
    assertEquation(outbox.counters());
  }
  using smaller = open(path, 8_000_000);
  const { deadLetters } = smaller.counters();
  assert.equal(smaller.counters().dropped.get("dead_letters_full"), 1, "none goes at opening");
  assert.ok(smaller.size.deadLettersFullness > 1);
  bury(smaller, 1_000);
  assert.equal(
    smaller.counters().deadLetters,
    deadLetters,
    "one for one, though they are too many",
  );
  assertEquation(smaller.counters());
});

Deno.test("Outbox takes new events though dead letters, as 0.1.0 may have left them, take nearly all of it", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  open(path, 20_000_000)[Symbol.dispose]();
  const letters = 3_300;
  {
    using db = new DatabaseSync(path);
    db.exec(`
      WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < ${letters})
      INSERT INTO dead_letter SELECT seq, '{"event":{"x":"' || hex(zeroblob(500)) || '"}}',
        'no', '2026-06-25T21:20:05.162Z' FROM n;
      UPDATE counter SET value = ${letters} WHERE name = 'received';
      INSERT OR REPLACE INTO counter VALUES ('dead_lettered', ${letters});
      INSERT INTO sqlite_sequence VALUES ('outbox', ${letters});
    `);
  }
  using outbox = open(path, 8_000_000);
  assert.equal(outbox.counters().deadLetters, letters, "none goes at opening");
  let taken = 0;
  for (; taken < 1_500; taken++) {
    outbox.add({ line: `${taken}`.padEnd(1_000, "x") });
    outbox.flush();
    assert.equal(outbox.counters().dropped.get("outbox_full"), 0, `the ${taken}th is refused`);
  }
  const { deadLetters, dropped } = outbox.counters();
  assert.ok((dropped.get("dead_letters_full") ?? 0) > 0);
  assert.ok(deadLetters > 500, `${deadLetters} keep their part`);
  assertEquation(outbox.counters());
});

Deno.test("Outbox does not call the disk full where OUTBOX_MAX_MB was lowered below what it holds", () => {
  using folder = new TemporaryFolder();
  const options = {
    path: folder.file("outbox.sqlite"),
    maxBytes: 40_000_000,
    commitIntervalMs: 1e6,
    onFailure: assert.ifError,
  };
  const entities = Array.from({ length: 6_000 }, (_, i) => `sensor.of_a_large_house_${i}`);
  {
    using large = new Outbox(options);
    large.append(
      entities.map(() => "x".repeat(3_000)),
      () => large.chain.heard(spooled(...entities.map((entityId) => heardState(entityId, 1)))),
    );
  }
  using outbox = new Outbox({ ...options, maxBytes: 10_000_000 });
  outbox.openGap();
  assert.equal(openedUs(outbox), 1, "that takes no room");
  const gone = () => outbox.append([], () => outbox.chain.gone(entities));
  assert.equal(gone(), false);
  assert.ok(outbox.size.stuck, "there is no room for what is missing");
  assert.equal(outbox.size.reason, "the outbox has reached OUTBOX_MAX_MB");
  assert.equal(outbox.missing.extent().entities, 0, "half of it is not noted");
  const done = rowsOf(outbox.waiting.next.peek({ maxEvents: 3_000, maxBytes: 1e9 })).map((
    { seq },
  ) => seq);
  outbox.settle({ done, delivered: done.length, leftOut: {}, problems: [] });
  assert.ok(gone());
  assert.equal(outbox.missing.extent().entities, 6_000);
});

Deno.test("Outbox drops no dead letter for an event that has no room without it either", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  {
    using outbox = open(path, 20_000_000);
    outbox.append(Array.from({ length: 2_000 }, () => "x".repeat(1_000)));
    const problems = rowsOf(outbox.waiting.next.peek(ALL)).map(({ seq }) => ({
      seq,
      reason: "no",
    }));
    outbox.settle({ done: [], delivered: 0, leftOut: {}, problems });
  }
  using outbox = open(path, 8_000_000);
  assert.ok(outbox.size.deadLettersFullness > 1);
  outbox.add({ line: "y".repeat(5_000_000) });
  outbox.flush();
  const { deadLetters, dropped } = outbox.counters();
  assert.deepEqual([deadLetters, dropped.get("dead_letters_full")], [2_000, undefined]);
  assert.equal(dropped.get("outbox_full"), 1);
  assertEquation(outbox.counters());
});

/** An outbox of 8 MB that has heard sensor.a at 1,000 µs and is full since. */
function fullOutbox(path: string): Outbox {
  const outbox = open(path, 8_000_000);
  outbox.add(...withLine("a", heardState("sensor.a", 1_000)));
  outbox.flush();
  while (!outbox.size.full) {
    outbox.add({ line: "x".repeat(10_000) });
    outbox.flush();
  }
  return outbox;
}

function openedUs({ chain }: Outbox): number | undefined {
  return chain.opened?.fromUs;
}

function withLine(line: string, stamp: StateStamp): [Spooled] {
  return [{ line, stamp, firedUs: stamp.known.lastUpdatedUs }];
}

Deno.test("Outbox notes a gap that opens while it is full, and one that grows while events are refused", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  {
    using outbox = fullOutbox(path);
    outbox.openGap();
    assert.equal(openedUs(outbox), 1_000);
    // it proves to be none; but from now on events are refused again
    assert.ok(outbox.append([], () => outbox.chain.compared(1_500)));
    assert.equal(openedUs(outbox), undefined);
    outbox.add(...withLine("y".repeat(400_000), heardState("sensor.a", 2_000, 1_000)));
    outbox.flush();
    assert.equal(openedUs(outbox), undefined, "there was no room to note it");
    outbox.settle(done(rowsOf(outbox.waiting.next.peek(ALL))));
    outbox.add(...withLine("z", heardState("sensor.a", 3_000, 2_000)));
    outbox.flush();
    assert.equal(openedUs(outbox), 1_000, "up to there everything was heard");
    assert.deepEqual(boundsOf(outbox.missing), [["sensor.a", 1_000, 3_000]]);
  }
  using outbox = open(path);
  assert.equal(openedUs(outbox), 1_000, "and stays so");
  assert.deepEqual(allMissing(outbox.missing).map(({ proofUs }) => proofUs), [2_000]);
});

Deno.test("Outbox whose transaction is undone knows in memory what the file has", () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder.file("outbox.sqlite"));
  outbox.add(...withLine("a", heardState("sensor.a", 1_000)));
  outbox.openGap();
  const before = outbox.chain.opened;
  const fault = new Error("no fault of the file");
  const undone = (work: () => void) =>
    assert.throws(
      () =>
        outbox.append(["b"], () => {
          work();
          throw fault;
        }),
      fault,
    );
  undone(() => outbox.chain.compared(2_000));
  assert.deepEqual(outbox.chain.opened, before, "the gap is open still");
  undone(() => outbox.chain.openImport(5_000, 1));
  assert.deepEqual(outbox.chain.opened, before);
  undone(() => outbox.chain.heard(spooled(heardState("sensor.a", 2_000, 1_500))));
  assert.deepEqual(boundsOf(outbox.missing), []);
  assert.ok(outbox.chain.isUnseen("sensor.a", 2_000), "nobody has it");
  assert.ok(outbox.append([], () => outbox.chain.compared(2_000)));
  undone(() => outbox.chain.open());
  assert.equal(openedUs(outbox), undefined);
  assertEquation(outbox.counters());
});

Deno.test("Outbox writes down by itself what a full disk made it refuse, once there is room, and what is missing", async () => {
  using folder = new TemporaryFolder();
  using disk = new FullDisk();
  using outbox = open(folder.file("outbox.sqlite"));
  outbox.append(["a"], () => outbox.chain.heard(spooled(heardState("sensor.a", 1_000))));
  disk.fill();
  for (const line of ["b", "c"]) {
    outbox.add({ line });
    outbox.flush();
  }
  assert.equal(outbox.counters().received, 1, "not even that can be written");
  assert.equal(outbox.owed.refused, 2);
  assert.ok(outbox.size.full && outbox.size.diskIsFull && outbox.size.fullness === 1);
  assert.match(outbox.size.reason, /^the disk of DATA_DIR is full: \d+ bytes free$/);
  assertEquation(outbox.counters());
  disk.free();
  await until(() => outbox.counters().dropped.get("outbox_full") === 2, "they are counted");
  await until(() => openedUs(outbox) === 1_000, "the gap is noted");
  assert.equal(outbox.owed.refused, 0);
  assert.equal(outbox.size.full, false);
  assertEquation(outbox.counters());
});

Deno.test("Outbox that was full notes once it has drained that states are missing, though no event comes any more", async () => {
  using folder = new TemporaryFolder();
  using outbox = fullOutbox(folder.file("outbox.sqlite"));
  assert.equal(openedUs(outbox), undefined);
  outbox.settle(done(rowsOf(outbox.waiting.next.peek(ALL))));
  assert.ok(outbox.size.full, "what was refused a moment ago may be refused again");
  using _later = new LaterClock(() => 11_000);
  await until(() => openedUs(outbox) === 1_000, "the gap is noted");
  assert.equal(outbox.size.full, false);
  assertEquation(outbox.counters());
});

Deno.test("Outbox takes of what comes together as much as there is room for", () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder.file("outbox.sqlite"), 8_000_000);
  for (let n = 0; n < 5_000; n++) outbox.add({ line: `${n}`.padEnd(1_000, "x") });
  outbox.flush();
  const { waiting, dropped, received } = outbox.counters();
  assert.equal(received, 5_000);
  assert.equal(dropped.get("outbox_full"), 5_000 - waiting);
  assert.ok(outbox.size.full && outbox.size.fullness >= 0.8, `${outbox.size.fullness}`);
});

Deno.test("Outbox has room while it is not full and few events wait, and nobody waits for a stop", async () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder.file("outbox.sqlite"), 8_000_000);
  const stop = new AbortController();
  await outbox.room(stop.signal);
  let hasRoom = false;
  const waits = () => {
    hasRoom = false;
    return outbox.room(stop.signal).then(() => hasRoom = true);
  };
  const letGo = (n: number) =>
    outbox.settle(done(rowsOf(outbox.waiting.next.peek({ ...ALL, maxEvents: n }))));

  outbox.append(Array.from({ length: 2_000 }, (_, i) => `${i}`));
  const few = waits();
  outbox.append(["one more"]);
  letGo(1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(hasRoom, false, "2,000 wait");
  letGo(1);
  await few;

  letGo(2_000);
  while (!outbox.size.full) {
    outbox.add({ line: "x".repeat(100_000) });
    outbox.flush();
  }
  assert.ok(outbox.counters().waiting < 100, "few wait");
  const full = waits();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(hasRoom, false, "the file is full");
  letGo(50);
  await full;

  outbox.append(Array.from({ length: 2_000 }, (_, i) => `${i}`));
  const never = waits();
  stop.abort();
  await never;
});

Deno.test("Outbox has room though a limit of the store holds many events", async () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder.file("outbox.sqlite"));
  outbox.append(Array.from({ length: 5_000 }, (_, i) => `${i}`));
  assert.ok(outbox.waiting.limit(Array.from({ length: 3_100 }, (_, i) => i + 1)));
  const stop = new AbortController();
  let hasRoom = false;
  outbox.room(stop.signal).then(() => hasRoom = true);
  await until(() => hasRoom, "there is room", { limitMs: 10_000 });
  hasRoom = false;
  outbox.append(Array.from({ length: 100 }, (_, i) => `${i}`));
  const waits = outbox.room(stop.signal).then(() => hasRoom = true);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(hasRoom, false, "2,000 others wait");
  stop.abort();
  await waits;
});

Deno.test("Outbox takes what can wait once there is room for all of it, and lets others work meanwhile", async () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder.file("outbox.sqlite"), 8_000_000);
  const large = Array.from({ length: 1_500 }, () => "x".repeat(1_000));
  // 8 MB less the write-ahead log: there is room for some more, but not for as much again
  assert.ok(outbox.append(large));
  const stop = new AbortController();
  let made = 0;
  const taken = outbox.appendWithRoom(() => {
    made++;
    return { lines: large, also: () => outbox.setMeta("cursor", "1") };
  }, stop.signal);
  await until(() => made > 1, "it has tried again");
  assert.equal(outbox.counters().received, 1_500, "nothing of it is taken");
  assert.equal(outbox.meta("cursor"), undefined);
  outbox.settle(done(rowsOf(outbox.waiting.next.peek({ ...ALL, maxEvents: 1_500 }))));
  assert.equal(await taken, true);
  assert.equal(outbox.counters().received, 3_000);
  assert.equal(outbox.meta("cursor"), "1");

  const waits = outbox.appendWithRoom(() => ({ lines: ["one more"] }), stop.signal);
  stop.abort();
  assert.equal(await waits, false, "too many wait, and nobody delivers");
  assert.equal(outbox.counters().received, 3_000);
});

Deno.test("Outbox keeps meta with the lines it was committed with", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  {
    using outbox = open(path);
    assert.equal(outbox.meta("registry"), undefined);
    outbox.append(["a"], () => outbox.setMeta("registry", "1"));
    assert.throws(() =>
      outbox.append(["b"], () => {
        outbox.setMeta("registry", "3");
        throw new Error("something failed");
      })
    );
    outbox.setMeta("registry", "2");
  }
  using outbox = open(path);
  assert.equal(outbox.meta("registry"), "2");
  assert.equal(outbox.counters().waiting, 1);
});

Deno.test("Outbox refuses a second process, and a file that a newer release wrote", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  {
    using _ = open(path);
    assert.throws(() => open(path), /another process holds it/);
  }
  const db = new DatabaseSync(path);
  db.exec(
    "ALTER TABLE outbox ADD COLUMN later TEXT; CREATE TABLE later (x); PRAGMA user_version=1",
  );
  db.close();
  open(path)[Symbol.dispose]();
  const newer = new DatabaseSync(path);
  newer.exec("PRAGMA user_version=2");
  newer.close();
  assert.throws(() => open(path), /version 2, this program reads up to 1; run the newer release/);
});

Deno.test("openOutbox sets a damaged file aside and begins a new one", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  Deno.writeTextFileSync(path, "no database, ".repeat(1_000));
  const { outbox, setAside } = openOutbox({
    path,
    maxBytes: MAX_BYTES,
    onFailure: assert.ifError,
  });
  using _ = outbox;
  outbox.append(["a"]);
  assert.equal(outbox.counters().waiting, 1);
  assert.ok(setAside?.startsWith(`${path}.damaged-`));
  assert.match(Deno.readTextFileSync(setAside ?? ""), /^no database/);
});

Deno.test("Outbox tells when the event that waits longest was fired, of those that were heard", () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder.file("outbox.sqlite"));
  assert.equal(outbox.waiting.oldestTimeFired(), undefined);
  const old = JSON.stringify({ event_type: "x", time_fired: "2019-06-25T21:20:05.162552+00:00" });
  const registry = { name: "A name" };
  const ways = ["history", "snapshot", "registry", "statistics"] as const;
  outbox.append(ways.map((via) => envelopeLine(old, { registry, source: "house", via })));
  assert.equal(outbox.waiting.oldestTimeFired(), undefined, "it was old before it waited");
  outbox.append(['{"event":{"time_fired":"2026-06-25T21:20:05.162552+00:00"}}', "later"]);
  const [heard] = rowsOf(outbox.waiting.next.peek({ ...ALL, skip: ways.length }));
  const { time_fired: oldest } = JSON.parse(heard?.line ?? "").event;
  assert.equal(outbox.waiting.oldestTimeFired(), oldest);
  outbox.append(['{"event":{"time_fired":"2027"}}']);
  outbox.waiting.failedAlone(heard?.seq ?? 0);
  rowsOf(outbox.waiting.next.peek(ALL));
  assert.equal(outbox.waiting.oldestTimeFired(), oldest, "it is tried alone");
  outbox.waiting.limit([...ways.keys(), ways.length, ways.length + 1, ways.length + 2]);
  assert.equal(outbox.waiting.next.peek(ALL).seqs.length, 1);
  assert.equal(outbox.waiting.oldestTimeFired(), "2027", "a limit holds the older ones");
});
