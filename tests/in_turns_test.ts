import assert from "node:assert/strict";
import { areEqual, each, inTurns } from "../lib/in_turns.ts";
import { atOnce } from "./at_once.ts";
import { turnsDuring } from "./turns.ts";

const NUMBERS = Array.from({ length: 1_000 }, (_, i) => i);

function* sum(countInStep: number): Generator<void, number> {
  let total = 0;
  yield* each(NUMBERS, countInStep, (n) => total += n);
  return total;
}

Deno.test("Work in steps comes to the same in turns as at once, and others have theirs", async () => {
  assert.equal(atOnce(sum(100)), 499_500);
  assert.equal([...sum(100)].length, 10);
  const turns = await turnsDuring(async () => assert.equal(await inTurns(sum(100)), 499_500));
  assert.ok(turns >= 9, `${turns} turns`);
});

Deno.test("Maps are equal where their entries are, in whatever order", () => {
  const one = new Map(NUMBERS.map((n) => [String(n), { n, labels: [n] }]));
  const other = new Map(NUMBERS.toReversed().map((n) => [String(n), { n, labels: [n] }]));
  assert.equal(atOnce(areEqual(one, other, 100)), true);
  assert.equal([...areEqual(one, other, 100)].length, 10);
  other.set("7", { n: 7, labels: [8] });
  assert.equal(atOnce(areEqual(one, other, 100)), false);
  other.delete("7");
  assert.equal(atOnce(areEqual(one, other, 100)), false);
  other.set("1000", { n: 7, labels: [7] });
  assert.equal(atOnce(areEqual(one, other, 100)), false);
});
