import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { rowsOf } from "./rows.ts";

const ALL = { maxEvents: 1_000_000, maxBytes: 1e12 };
const { signal } = new AbortController();

function open(path: string, maxBytes = 500_000_000): Outbox {
  return new Outbox({ path, maxBytes, commitIntervalMs: 1e6, onFailure: assert.ifError });
}

function letGo(outbox: Outbox, seqs: readonly number[]): void {
  outbox.settle({ done: seqs, delivered: seqs.length, leftOut: {}, problems: [] });
}

const seqsOf = (rows: readonly { seq: number }[]) => rows.map(({ seq }) => seq);

Deno.test("Batches go without what a limit holds, until it is released, ahead of the others", () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder.file("outbox.sqlite"));
  const { waiting } = outbox;
  outbox.append(["a", "b", "c", "d", "e", "f"]);
  assert.ok(waiting.limit([1, 2, 4, 5]));
  assert.equal(waiting.limited, 4);
  assert.deepEqual(seqsOf(rowsOf(waiting.next.peek(ALL))), [3, 6]);
  assert.deepEqual(outbox.release(0, 2), { seqs: [1, 2], last: 2 });
  assert.equal(waiting.limited, 2);
  assert.deepEqual(seqsOf(rowsOf(waiting.next.peek(ALL))), [1, 2]);
  assert.deepEqual(seqsOf(rowsOf(waiting.next.peek({ ...ALL, skip: 1 }))), [2, 3, 6]);
  assert.deepEqual(
    seqsOf(rowsOf(waiting.next.peek({ ...ALL, skip: 2 }))),
    [3, 6],
    "each one is reached",
  );
  assert.deepEqual(seqsOf(rowsOf(waiting.next.peek({ ...ALL, skip: 4 }))), []);
  letGo(outbox, [1]);
  assert.deepEqual(outbox.release(2, 9), { seqs: [4, 5], last: 5 });
  assert.deepEqual(seqsOf(rowsOf(waiting.next.peek(ALL))), [4, 5]);
  letGo(outbox, [4, 5]);
  assert.deepEqual(
    seqsOf(rowsOf(waiting.next.peek(ALL))),
    [2, 3, 6],
    "what was left of those before is there",
  );
  assert.equal(outbox.release(5, 9), undefined);
});

Deno.test("What is in flight is left out, and not counted among those that are skipped", () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder.file("outbox.sqlite"));
  outbox.append(Array.from({ length: 10 }, (_, i) => `${i + 1}`));
  const { next } = outbox.waiting;
  const inFlight = { from: 4, to: 6 };
  const first = (skip: number) =>
    seqsOf(rowsOf(next.peek({ ...ALL, maxEvents: 1, skip, inFlight })));
  assert.deepEqual([0, 1, 2, 3, 4, 6].map(first), [[1], [2], [3], [7], [8], [10]]);
  assert.deepEqual(first(7), []);
  assert.deepEqual(
    seqsOf(rowsOf(next.peek({ ...ALL, inFlight }))),
    [1, 2, 3],
    "those behind come next",
  );
  letGo(outbox, [1, 2, 3]);
  assert.deepEqual(seqsOf(rowsOf(next.peek({ ...ALL, inFlight }))), [7, 8, 9, 10]);
  assert.deepEqual(seqsOf(rowsOf(next.peek(ALL))), [4, 5, 6, 7, 8, 9, 10], "it may come back");
  assert.deepEqual(seqsOf(rowsOf(next.peekBehind(8, ALL))), [9, 10]);
});

Deno.test("Every event is delivered once, whatever is set aside, released, or killed", async () => {
  const few: fc.Arbitrary<readonly number[]> = fc.oneof(
    fc.array(fc.nat(9), { maxLength: 8 }),
    fc.constant([...Array(10).keys()]),
  );
  const action = fc.oneof(
    fc.record({ kind: fc.constant("append" as const), some: few }),
    fc.record({ kind: fc.constant("settle" as const), some: few }),
    fc.record({ kind: fc.constant("limit" as const), some: few }),
    fc.record({ kind: fc.constant("suspect" as const), some: few }),
    fc.record({ kind: fc.constant("fail" as const), some: few }),
    fc.record({ kind: fc.constant("release" as const), some: few }),
    fc.record({ kind: fc.constant("restart" as const), some: few }),
    fc.record({ kind: fc.constant("send beside" as const), some: few }),
    fc.record({ kind: fc.constant("answer beside" as const), some: few }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
      using folder = new TemporaryFolder();
      const path = folder.file("outbox.sqlite");
      let outbox = open(path);
      let n = 0;
      const delivered: string[] = [];
      let beside: readonly { seq: number; line: string }[] = [];
      const next = (maxEvents: number, skip = 0) => {
        const [from, to] = [beside[0]?.seq, beside.at(-1)?.seq];
        const inFlight = from === undefined || to === undefined ? undefined : { from, to };
        const rows = rowsOf(outbox.waiting.next.peek({ ...ALL, maxEvents, skip, inFlight }));
        assert.ok(!rows.some(({ seq }) => seqsOf(beside).includes(seq)), "none is sent twice");
        return rows;
      };
      /** Some of the next batch: only what is in one is answered. */
      const chosen = (some: readonly number[]) => next(10).filter((_, i) => some.includes(i));
      const settle = (rows: readonly { seq: number; line: string }[]) => {
        letGo(outbox, seqsOf(rows));
        delivered.push(...rows.map(({ line }) => line));
      };
      for (const { kind, some } of actions) {
        if (kind === "append") outbox.append(some.map(() => `${n++}`));
        else if (kind === "settle") settle(chosen(some));
        else if (kind === "limit") outbox.waiting.limit(seqsOf(chosen(some)));
        else if (kind === "suspect") outbox.waiting.suspect(seqsOf(chosen(some)));
        else if (kind === "fail") {
          chosen(some).forEach(({ seq }) => outbox.waiting.failedAlone(seq));
        } else if (kind === "release") outbox.release(some[0] ?? 0, 3);
        else if (kind === "send beside") {
          const behind = next(some.length + 1).at(-1)?.seq;
          if (behind === undefined || beside.length > 0) continue;
          beside = rowsOf(outbox.waiting.next.peekBehind(behind, { ...ALL, maxEvents: 10 }));
          assert.ok(beside.every(({ seq }) => seq > behind));
        } else if (kind === "answer beside") {
          const answered = beside.filter((_, i) => some.includes(i));
          beside = [];
          settle(answered);
        } else {
          outbox[Symbol.dispose]();
          beside = [];
          outbox = open(path);
          await outbox.waiting.next.findFirst(signal);
        }
        assert.equal(outbox.counters().waiting, n - delivered.length);
      }
      beside = [];
      do {
        for (let rows = next(1e6); rows.length > 0; rows = next(1e6)) settle(rows);
        for (let one = outbox.waiting.aside(); one; one = outbox.waiting.aside()) {
          settle(rowsOf(one));
        }
      } while (outbox.release(0, 4));
      assert.deepEqual(
        delivered.map(Number).sort((a, b) => a - b),
        Array.from({ length: n }, (_, i) => i),
      );
      assert.equal(outbox.counters().waiting, 0);
      outbox[Symbol.dispose]();
    }),
    { numRuns: 100 },
  );
});

Deno.test("No batch looks through hundreds of thousands of events that a limit holds", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  const held = 200_000;
  {
    using outbox = open(path);
    const registry = `{"event":{"x":"${"x".repeat(200)}"},"via":"registry"}`;
    for (let i = 0; i < held; i += 10_000) outbox.append(Array(10_000).fill(registry));
  }
  const scanMs = scan(path);
  using outbox = open(path);
  const { waiting } = outbox;
  let turns = 0;
  const counting = setInterval(() => turns++, 0);
  assert.ok(waiting.limit(Array.from({ length: held }, (_, i) => i + 1)));
  await waiting.next.findFirst(signal);
  clearInterval(counting);
  assert.ok(turns > 0, "capture has had its turn meanwhile");
  const startedMs = performance.now();
  for (let n = 0; n < 50; n++) {
    outbox.append([`{"event":{"time_fired":"${n}"}}`]);
    assert.equal(waiting.oldestTimeFired(), `${n}`);
    const rows = rowsOf(waiting.next.peek({ maxEvents: 1_000, maxBytes: 4_000_000 }));
    assert.equal(rows.length, 1);
    letGo(outbox, seqsOf(rows));
    const released = outbox.release(n * 1_000, 1_000);
    assert.equal(
      waiting.next.peek({ maxEvents: 1_000, maxBytes: 4_000_000 }).seqs.length,
      1_000,
    );
    assert.ok(released && waiting.limit(released.seqs));
    assert.equal(waiting.next.peek({ maxEvents: 1_000, maxBytes: 4_000_000 }).seqs.length, 0);
  }
  const eachMs = (performance.now() - startedMs) / 50;
  assert.ok(eachMs < scanMs / 2, `${eachMs} ms each, a look at all of them ${scanMs} ms`);
});

/** How long it takes to look at each event of the file, in milliseconds. */
function scan(path: string): number {
  using db = new DatabaseSync(path);
  const startedMs = performance.now();
  db.prepare("SELECT count(*) FROM outbox WHERE substr(line, -1) = 'x'").get();
  return performance.now() - startedMs;
}

Deno.test("What comes after a start at which all is set aside is in the next batch", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  {
    using outbox = open(path);
    outbox.append(["a", "b"]);
    outbox.waiting.limit([1, 2]);
  }
  using outbox = open(path);
  await outbox.waiting.next.findFirst(signal);
  outbox.append(["c"]);
  assert.deepEqual(seqsOf(rowsOf(outbox.waiting.next.peek(ALL))), [3]);
});

Deno.test("An event whose bytes the disk has damaged is sent as UTF-8, or those around it were refused with it", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  {
    using outbox = open(path);
    outbox.append(["before", "bytes", "after"]);
  }
  const file = Deno.readFileSync(path);
  const at = new TextDecoder("latin1").decode(file).indexOf("bytes");
  file.set([0xff], at + 1);
  Deno.writeFileSync(path, file);
  using outbox = open(path);
  const { body, seqs } = outbox.waiting.next.peek(ALL);
  assert.deepEqual(seqs, [1, 2, 3]);
  const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
  assert.deepEqual(text.split("\n"), ["before", "b\uFFFDtes", "after"]);
  outbox.waiting.suspect([2]);
  const aside = outbox.waiting.aside();
  assert.deepEqual(aside && rowsOf(aside), [{ seq: 2, line: "b\uFFFDtes" }]);
});
