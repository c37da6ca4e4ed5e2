import assert from "node:assert/strict";
import { latencies, nowMs, untilReadable } from "../../bench/readable.ts";
import type { Numbers, Readable, ReadNumber } from "../../bench/store.ts";

/** A store that is told what it holds; `stored` may hold a number twice. */
function storeOf(stored: readonly ReadNumber[]): Readable {
  const read = ({ first, count, fromUs }: Numbers) =>
    stored.filter(({ number, timeUs }) =>
      number >= first && number < first + count && timeUs >= fromUs
    );
  return {
    read: (numbers) => Promise.resolve(read(numbers)),
    count: (numbers, distinct) => {
      const found = read(numbers).map(({ number }) => number);
      return Promise.resolve(distinct ? new Set(found).size : found.length);
    },
  };
}

const FIRST = 100;
const FROM_US = 1_000_000;
const NUMBERS = { first: FIRST, count: 4, fromUs: FROM_US };
const ALL = [0, 1, 2, 3].map((i) => ({ number: FIRST + i, timeUs: FROM_US + i }));
const NOTHING_SAID = () => {};

Deno.test("What is all there is not lost", async () => {
  const startMs = nowMs();
  const { lost, atMs } = await untilReadable(storeOf(ALL), NUMBERS, FROM_US + 3, NOTHING_SAID);
  assert.equal(lost, 0);
  assert.ok(atMs >= startMs && atMs <= nowMs());
});

Deno.test("What never comes is lost, though another came twice or was not asked for", async () => {
  const [first, second, , last] = ALL;
  const before = { number: FIRST - 1, timeUs: FROM_US };
  const behind = { number: FIRST + 4, timeUs: FROM_US + 9 };
  const stored = [before, first, first, second, last, behind];
  const { lost } = await untilReadable(storeOf(stored), NUMBERS, FROM_US + 3, NOTHING_SAID, 10);
  assert.equal(lost, 1);
});

Deno.test("That the last event is lost does not keep the others from being counted", async () => {
  const store = storeOf(ALL.slice(0, 3));
  const { lost } = await untilReadable(store, NUMBERS, FROM_US + 3, NOTHING_SAID, 10);
  assert.equal(lost, 1);
});

Deno.test("Each number's latency is from its own time until it was first read", async () => {
  const stored: ReadNumber[] = [];
  const startMs = nowMs();
  const numbers = { ...NUMBERS, fromUs: startMs * 1000 };
  const found = latencies(storeOf(stored), numbers);
  // out of order, the first long after the second
  stored.push({ number: FIRST + 1, timeUs: startMs * 1000 });
  stored.push({ number: FIRST, timeUs: startMs * 1000 });
  stored.push({ number: FIRST + 3, timeUs: startMs * 1000 - 0 });
  stored.push({ number: FIRST + 2, timeUs: (startMs + 1) * 1000 });
  const all = await found;
  assert.equal(all.length, 4);
  for (const ms of all) assert.ok(ms > -1 && ms <= nowMs() - startMs, `${ms} ms`);
});

Deno.test("A number that never comes has no latency", async () => {
  assert.equal((await latencies(storeOf(ALL.slice(1)), NUMBERS, 10)).length, 3);
});
