import assert from "node:assert/strict";
import type { Round } from "../../bench/figures.ts";
import { tableOf } from "../../bench/table.ts";

const ROWS = [
  { key: "per_second", label: "events/s", digits: 0 },
  { key: "cpu", label: "CPU", digits: 3 },
  { key: "drain", label: "drained", digits: 1 },
];

function round(ours: number, floor: number, reason?: string): Round {
  return {
    limits: { source: 200_000, reading: 90_000, store: 70_000 },
    runs: [
      {
        contestant: "ours",
        figures: new Map([["per_second", ours], ["cpu", 0.14], ["drain", 12.34]]),
      },
      { contestant: "floor", figures: new Map([["per_second", floor], ["cpu", 0.02]]) },
    ],
    void: reason,
  };
}

Deno.test("The table has a column for each contestant, and ratios to the floor", () => {
  assert.equal(
    tableOf([round(8_000, 50_000)], ["ours", "floor"], ROWS),
    `           ours   floor  ours ÷ floor
events/s  8,000  50,000          0.16
CPU       0.140   0.020          7.00
drained    12.3       –

Events/s alone: the source 200,000, the floor where nothing is stored 90,000, ` +
      `the store from a plain writer 70,000, of which the floor reached 0.71.`,
  );
});

Deno.test("A ratio is the median of those within a round", () => {
  const rounds = [round(8_000, 50_000), round(1_000, 10_000), round(9_000, 10_000)];
  const text = tableOf(rounds, ["ours", "floor"], ROWS);
  assert.match(text, /^events\/s +8,000 +10,000 +0\.16$/m);
});

Deno.test("Another commit has a column, and the ratio to it", () => {
  const [one] = [round(8_000, 50_000)];
  const other = { contestant: "v0.1.0", figures: new Map([["per_second", 4_000]]) };
  const text = tableOf([{ ...one, runs: [...one.runs, other] }], ["ours", "v0.1.0", "floor"], ROWS);
  assert.match(text, /^ +ours +v0\.1\.0 +floor +ours ÷ v0\.1\.0 +ours ÷ floor$/m);
  assert.match(text, /^events\/s +8,000 +4,000 +50,000 +2\.00 +0\.16$/m);
});

Deno.test("A void round is said, and does not count beside one that is sound", () => {
  const text = tableOf([round(1, 1, "busy"), round(8_000, 50_000)], ["ours", "floor"], ROWS);
  assert.match(text, /^events\/s +8,000 +50,000 +0\.16$/m);
  assert.match(text, /^VOID, round 1: busy$/m);
  assert.doesNotMatch(text, /Every round is void/);
});

Deno.test("Where every round is void the table says that nothing counts", () => {
  const text = tableOf([round(8_000, 50_000, "busy")], ["ours", "floor"], ROWS);
  assert.match(text, /^VOID, round 1: busy$/m);
  assert.match(text, /^Every round is void/m);
});
