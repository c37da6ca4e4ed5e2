import assert from "node:assert/strict";
import { Gaps } from "../../../lib/ingest/history/gaps.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { TemporaryFolder } from "../../temporary.ts";

function withGaps(test: (gaps: Gaps, outbox: Outbox) => void): void {
  using folder = new TemporaryFolder();
  using outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes: 50_000_000,
    onFailure: assert.ifError,
  });
  test(new Gaps(outbox), outbox);
}

const SECOND_US = 1_000_000;
const NOTHING = new Map<number, number>();

Deno.test("Gaps tells since when, why, and what became of it, over a restart too", () => {
  withGaps((first, outbox) => {
    assert.equal(first.isOpen(SECOND_US), false);
    first.begin("the socket was lost", SECOND_US);
    first.begin("ingest was not running", 5 * SECOND_US);
    assert.equal(first.count, 2);
    assert.equal(first.report().length, 1, "one in which capture did not go on goes on");
    assert.ok(first.isOpen(SECOND_US));
    assert.ok(!first.isOpen(5 * SECOND_US));
    first.resumed(9 * SECOND_US, new Map([[SECOND_US, 3]]));
    const again = new Gaps(outbox);
    assert.deepEqual(again.report(new Map([[SECOND_US, 3]])), [{
      from: "1970-01-01T00:00:01.000000+00:00",
      to: "1970-01-01T00:00:09.000000+00:00",
      reason: "the socket was lost",
      entities: 3,
      rows: 0,
      unfilled: {},
      state: "open",
      missing: 3,
      not_recoverable: "events that are no states",
    }]);
    again.filled(40, SECOND_US);
    again.filled(7, 2 * SECOND_US);
    again.unfilled("not recorded", 1, SECOND_US);
    again.unfilled("not recorded", 1, SECOND_US);
    again.settle(NOTHING);
    const [{ state, rows, unfilled, missing } = assert.fail()] = new Gaps(outbox).report(
      new Map([[SECOND_US, 3]]),
    );
    assert.deepEqual({ state, rows, unfilled, missing }, {
      state: "filled",
      rows: 40,
      unfilled: { "not recorded": 2 },
      missing: 0,
    });
    assert.equal(again.unfilledByReason.get("not recorded"), 2);
    again.begin("another one", 9.5 * SECOND_US);
    assert.deepEqual(again.report().map(({ reason }) => reason), [
      "another one",
      "the socket was lost",
    ]);
  });
});

Deno.test("Gaps has several that are open, each with its own count, and settles only those of which nothing is missing", () => {
  withGaps((gaps) => {
    gaps.begin("first", SECOND_US);
    gaps.resumed(2 * SECOND_US, new Map([[SECOND_US, 2]]));
    gaps.begin("second", 3 * SECOND_US);
    const both = new Map([[SECOND_US, 1], [3 * SECOND_US, 5]]);
    // in between, the first one is read to its end, while capture has not gone on in the second
    gaps.settle(NOTHING);
    assert.deepEqual(gaps.report().map(({ reason, state }) => [reason, state]), [
      ["second", "open"],
      ["first", "filled"],
    ]);
    gaps.resumed(4 * SECOND_US, both);
    gaps.begin("third", 5 * SECOND_US);
    gaps.resumed(6 * SECOND_US, both);
    gaps.filled(3, 3 * SECOND_US);
    gaps.unfilled("not recorded", 1, 5 * SECOND_US);
    assert.deepEqual(
      gaps.report(both).map(({ reason, entities, rows, unfilled, state, missing }) => [
        reason,
        entities,
        rows,
        unfilled,
        state,
        missing,
      ]),
      [
        ["third", 0, 0, {}, "filled", 0],
        ["second", 5, 3, {}, "open", 5],
        ["first", 2, 0, {}, "filled", 0],
      ],
    );
  });
});

Deno.test("Gaps says when one ended that is shorter than its own begin is sure, and never before it", () => {
  withGaps((gaps) => {
    gaps.begin("a clock went back", 9 * SECOND_US);
    gaps.resumed(2 * SECOND_US, NOTHING);
    const [gap] = gaps.report();
    assert.equal(gap?.to, gap?.from);
  });
});

Deno.test("Gaps reads what release 0.1.0 wrote, and begins anew where it cannot be read", () => {
  withGaps((_, outbox) => {
    const theirs = { reason: "a", fromUs: 5, entities: 1, rows: 2, unfilled: {}, state: "open" };
    outbox.setMeta("interruptions", JSON.stringify([theirs]));
    assert.ok(new Gaps(outbox).isOpen(5));
    outbox.setMeta("interruptions", '[{"reason":5}]');
    assert.deepEqual(new Gaps(outbox).report(), []);
  });
});

Deno.test("Gaps keeps the last fifty, and all that are open", () => {
  withGaps((gaps) => {
    gaps.begin("never filled", 0);
    gaps.resumed(0, new Map([[0, 1]]));
    for (let i = 1; i <= 60; i++) {
      gaps.begin(`number ${i}`, i);
      gaps.resumed(i, new Map([[0, 1]]));
    }
    const reasons = gaps.report().map(({ reason }) => reason);
    assert.equal(reasons.length, 51);
    assert.equal(reasons[0], "number 60");
    assert.equal(reasons[49], "number 11");
    assert.equal(reasons[50], "never filled");
  });
});
