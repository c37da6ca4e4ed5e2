import assert from "node:assert/strict";
import fc from "fast-check";
import type { BatchAnswer } from "../../../lib/contract.ts";
import { answeredRows } from "../../../lib/ingest/delivery/answered_rows.ts";

/** What enrich makes of a line, where it gets to it: the first three do not ask the store. */
const KINDS = ["left out", "problem", "limited", "stored", "failing"] as const;
type Kind = typeof KINDS[number];

/**
 * The answer to lines of these kinds of an enrich that asks the store for one after the other, and
 * gets as far as `reached`. One at which the store fails is pending, as is what is not reached.
 */
function answerTo(kinds: readonly Kind[], reached: number): BatchAnswer {
  const answer: BatchAnswer = {
    status: "partial",
    stored: 0,
    skipped: {},
    problems: [],
    pending: [],
    limited: [],
  };
  for (const [index, kind] of kinds.entries()) {
    if (kind === "left out") answer.skipped.filter = (answer.skipped.filter ?? 0) + 1;
    else if (kind === "problem") answer.problems.push({ index, reason: "no" });
    else if (index >= reached || kind === "failing") answer.pending.push(index);
    else if (kind === "stored") answer.stored++;
    else {
      answer.pending.push(index);
      answer.limited.push({ index, reason: "limit" });
    }
  }
  return answer;
}

const batchOf = (kinds: readonly Kind[]) => ({
  seqs: kinds.map((_, i) => 100 + i),
  body: new Uint8Array(),
});
const suspectsOf = (kinds: readonly Kind[], reached = kinds.length) =>
  answeredRows(batchOf(kinds), answerTo(kinds, reached)).suspects.map((seq) => seq - 100);

Deno.test("A row is a suspect that is pending although one behind it was stored", () => {
  assert.deepEqual(suspectsOf(["stored", "failing", "stored", "failing", "stored"]), [1, 3]);
  assert.deepEqual(suspectsOf(["failing", "left out", "stored"]), [0]);
  assert.deepEqual(suspectsOf(["limited", "stored", "stored"]), [], "a limit holds it");
});

Deno.test("No row is a suspect for lack of time, whatever is left out or a problem behind it", () => {
  assert.deepEqual(suspectsOf(["stored", "stored", "stored"], 1), []);
  assert.deepEqual(suspectsOf(["stored", "stored", "left out", "problem"], 1), []);
  assert.deepEqual(suspectsOf(["stored", "failing", "left out"]), [], "it may have been time");
});

Deno.test("answeredRows accounts for every row once, and accuses none that was not reached", () => {
  fc.assert(fc.property(
    fc.array(fc.constantFrom(...KINDS), { maxLength: 40 }),
    fc.nat(40),
    (kinds, reached) => {
      const answer = answerTo(kinds, reached);
      const { settlement, limited, suspects } = answeredRows(batchOf(kinds), answer);
      const { done, delivered, leftOut, problems } = settlement;
      const pending = answer.pending.map((index) => 100 + index);
      assert.deepEqual(
        [...done, ...problems.map(({ seq }) => seq), ...pending].sort(),
        batchOf(kinds).seqs,
      );
      assert.equal(done.length, delivered + (leftOut.filter ?? 0));
      for (const { seq } of limited) assert.equal(kinds[seq - 100], "limited");
      for (const seq of suspects) {
        assert.equal(kinds[seq - 100], "failing");
        assert.ok(seq - 100 < reached);
      }
      // at the front of a batch it is always found
      if (kinds[0] === "failing" && answer.stored > 0) assert.equal(suspects[0], 100);
    },
  ));
});
