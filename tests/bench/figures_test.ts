import assert from "node:assert/strict";
import {
  figureOf,
  median,
  quantile,
  ratioOf,
  type Round,
  voidReason,
} from "../../bench/figures.ts";

Deno.test("A quantile is a value that was measured, which that part of all does not exceed", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  assert.equal(quantile(hundred, 0.5), 50);
  assert.equal(quantile(hundred, 0.99), 99);
  assert.equal(quantile(hundred, 1), 100);
  assert.equal(quantile([7], 0.5), 7);
  assert.equal(quantile([1, 2, 3], 0.99), 3);
  // numbers, not texts
  assert.equal(quantile([9, 10, 100], 0), 9);
  assert.ok(Number.isNaN(quantile([], 0.5)));
});

Deno.test("The median of an even number of values lies between the two in the middle", () => {
  assert.equal(median([10, 9, 100]), 10);
  assert.equal(median([1, 2, 10, 100]), 6);
  assert.equal(median([3]), 3);
  assert.ok(Number.isNaN(median([])));
});

Deno.test("A round is void where the floor stays below 0.6 of reading and writing in turn", () => {
  // 10 µs and 15 µs an event are 40,000/s
  const limits = { reading: 100_000, store: 200_000 / 3 };
  assert.equal(voidReason(24_001, limits), undefined);
  assert.equal(
    voidReason(23_999, limits),
    "the floor reached 23,999 events/s, less than 0.6 × the 40,000 of its reading (100,000) " +
      "and the store's writing (66,667) in turn",
  );
});

Deno.test("Of several rounds the median counts, but of losses the most", () => {
  const rounds = [[10, 0], [30, 7], [20, 0]].map(([rate, lost]): Round => ({
    limits: { source: 1, reading: 1, store: 1 },
    runs: [
      { contestant: "ours", figures: new Map([["rate", rate], ["lost", lost]]) },
      { contestant: "floor", figures: new Map([["rate", 1_000], ["lost", 7]]) },
    ],
    void: undefined,
  }));
  const rate = { key: "rate", label: "", digits: 0 };
  const lost = { key: "lost", label: "", digits: 0, over: "most" } as const;
  assert.equal(figureOf(rounds, "ours", rate), 20);
  assert.equal(figureOf(rounds, "ours", lost), 7);
  assert.equal(figureOf(rounds, "ours", { ...rate, key: "unmeasured" }), undefined);
  assert.equal(ratioOf(rounds, "ours", "floor", rate), 0.02);
  assert.equal(ratioOf(rounds, "ours", "nobody", rate), undefined);
  assert.equal(ratioOf(rounds, "ours", "floor", lost), undefined);
});
