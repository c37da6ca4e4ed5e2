import assert from "node:assert/strict";
import fc from "fast-check";
import { bisect, type SliceOutcome } from "../../../lib/enrich/influxdb/bisect.ts";
import { type PointOutcome, StoreUnavailable } from "../../../lib/enrich/store.ts";

const items = fc.array(fc.boolean(), { maxLength: 300 });

interface Item {
  readonly bad: boolean;
  readonly index: number;
}

function mixed<T>(reason: string): SliceOutcome<T> {
  return { kind: "mixed", alone: { kind: "refused", reason } };
}

function outcomeOf(slice: readonly Item[]): SliceOutcome<Item> {
  const first = slice.find(({ bad }) => bad);
  return first ? mixed(`bad ${first.index}`) : { kind: "stored" };
}

function itemOutcome({ bad, index }: Item): PointOutcome {
  return bad ? { kind: "refused", reason: `bad ${index}` } : { kind: "stored" };
}

Deno.test("Bisect refuses exactly the bad items, each with its own reason, within 1 + 2·b·⌈log₂ n⌉ writes", async () => {
  await fc.assert(fc.asyncProperty(items, async (bads) => {
    const numbered = bads.map((bad, index) => ({ bad, index }));
    let writes = 0;
    const outcomes = await bisect(numbered, (slice) => {
      writes++;
      return Promise.resolve(outcomeOf(slice));
    });
    assert.deepEqual(outcomes, numbered.map(itemOutcome));
    const b = bads.filter(Boolean).length;
    const bound = bads.length === 0 ? 0 : 1 + 2 * b * Math.ceil(Math.log2(bads.length));
    assert.ok(writes <= bound, `${writes} writes, ${bound} allowed`);
  }));
});

Deno.test("Bisect writes every item that it calls stored in a slice that was stored", async () => {
  await fc.assert(fc.asyncProperty(items, async (bads) => {
    const numbered = bads.map((bad, index) => ({ bad, index }));
    const acknowledged = new Set<number>();
    const outcomes = await bisect(numbered, (slice) => {
      const outcome = outcomeOf(slice);
      if (outcome.kind === "stored") { for (const { index } of slice) acknowledged.add(index); }
      return Promise.resolve(outcome);
    });
    outcomes.forEach(({ kind }, index) => {
      assert.equal(kind === "stored", acknowledged.has(index));
    });
  }));
});

Deno.test("Bisect calls pending what it did not reach before the store was gone, and keeps what it knows", async () => {
  await fc.assert(fc.asyncProperty(items, fc.nat(40), async (bads, lastWrite) => {
    const numbered = bads.map((bad, index) => ({ bad, index }));
    const known = new Map<number, PointOutcome>();
    let writes = 0;
    const run = bisect(numbered, (slice) => {
      if (writes++ === lastWrite) throw new StoreUnavailable("Gone");
      const outcome = outcomeOf(slice);
      if (outcome.kind === "stored" || slice.length === 1) {
        for (const item of slice) known.set(item.index, itemOutcome(item));
      }
      return Promise.resolve(outcome);
    });
    const outcomes = await run.catch((error) => error);
    if (known.size === 0 && numbered.length > 0) {
      assert.ok(outcomes instanceof StoreUnavailable);
    } else {
      const expected = numbered.map(({ index }) => known.get(index) ?? { kind: "pending" });
      assert.deepEqual(outcomes, expected);
    }
  }));
});

Deno.test("Bisect asks no further where there is one outcome of a whole slice", async () => {
  let writes = 0;
  const outcomes = await bisect([1, 2, 3], () => {
    writes++;
    return Promise.resolve({ kind: "skipped", reason: "retention" });
  });
  assert.equal(writes, 1);
  assert.deepEqual(outcomes, Array(3).fill({ kind: "skipped", reason: "retention" }));
});

Deno.test("Bisect does not write an item of which an outcome is known, be that from the start or learnt", async () => {
  await fc.assert(fc.asyncProperty(items, items, async (bads, olds) => {
    const numbered = bads.map((bad, index) => ({ bad, index, old: olds[index] ?? false }));
    const skipped = { kind: "skipped", reason: "retention" } as const;
    let learnt = false;
    let writes = 0;
    const outcomes = await bisect(numbered, (slice) => {
      assert.ok(!learnt || slice.every(({ old }) => !old));
      writes++;
      learnt = true;
      // as InfluxDB does, which names the conflict only where there is one
      const first = slice.find(({ bad, old }) => bad && !old);
      const reason = first ? `bad ${first.index}` : "too old";
      if (!first && slice.every(({ old }) => old)) return Promise.resolve(skipped);
      const isMixed = first || slice.some(({ old }) => old);
      return Promise.resolve(isMixed ? mixed(reason) : { kind: "stored" });
    }, ({ old }) => learnt && old ? skipped : undefined);
    assert.deepEqual(outcomes, numbered.map((item) => item.old ? skipped : itemOutcome(item)));
    const b = numbered.filter(({ bad, old }) => bad && !old).length;
    const bound = bads.length === 0 ? 0 : 3 + 2 * b * Math.ceil(Math.log2(bads.length));
    assert.ok(writes <= bound, `${writes} writes, ${bound} allowed`);
  }));
});

Deno.test("Bisect passes on an error that is not the store's, even with something known", async () => {
  let writes = 0;
  const run = bisect([1, 2], (slice) => {
    if (++writes === 3) throw new TypeError("A mistake in the program");
    return Promise.resolve(slice.length === 2 ? mixed("bad") : { kind: "stored" });
  });
  await assert.rejects(run, TypeError);
});

Deno.test("Bisect cuts where it is told to, and in the middle where that leaves a half empty", async () => {
  const slices: number[][] = [];
  const outcomes = await bisect([1, 20, 2, 30, 3], (slice) => {
    slices.push([...slice]);
    const isBad = slice.some((item) => item >= 20);
    return Promise.resolve(
      isBad
        ? { kind: "mixed", alone: { kind: "pending" }, apart: (item) => item < 20 }
        : { kind: "stored" },
    );
  });
  assert.deepEqual(slices, [[1, 20, 2, 30, 3], [1, 2, 3], [20, 30], [20], [30]]);
  assert.deepEqual(outcomes.map(({ kind }) => kind), [
    "stored",
    "pending",
    "stored",
    "pending",
    "stored",
  ]);
});
