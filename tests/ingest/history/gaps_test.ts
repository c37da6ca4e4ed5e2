import assert from "node:assert/strict";
import { Gaps } from "../../../lib/ingest/history/gaps.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { TemporaryFolder } from "../../temporary.ts";

Deno.test("Gaps tells since when, why, and what became of it, over a restart too", () => {
  using folder = new TemporaryFolder();
  using outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes: 50_000_000,
    onFailure: assert.ifError,
  });
  const first = new Gaps(outbox);
  assert.equal(first.open, undefined);
  first.begin("the socket was lost", 1_000_000);
  first.begin("ingest was not running", 5_000_000);
  assert.equal(first.count, 2);
  assert.equal(first.report().length, 1, "one that is not filled yet goes on");
  first.resumed(9_000_000, 3);
  first.unfilled("not in the recorder", 2);
  first.unfilled("not in the recorder", 0);
  const again = new Gaps(outbox);
  again.filled(40);
  again.end();
  assert.deepEqual(again.report(), [{
    from: "1970-01-01T00:00:01.000000+00:00",
    to: "1970-01-01T00:00:09.000000+00:00",
    reason: "the socket was lost",
    entities: 3,
    rows: 40,
    unfilled: { "not in the recorder": 2 },
    state: "filled",
    not_recoverable: "events that are no states",
  }]);
  again.begin("another one", 9_500_000);
  assert.deepEqual(again.report().map(({ reason }) => reason), [
    "another one",
    "the socket was lost",
  ]);
  assert.equal(first.unfilledByReason.get("not in the recorder"), 2);
});

Deno.test("Gaps keeps the last fifty", () => {
  using folder = new TemporaryFolder();
  using outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes: 50_000_000,
    onFailure: assert.ifError,
  });
  const gaps = new Gaps(outbox);
  for (let i = 0; i < 60; i++) {
    gaps.begin(`number ${i}`, i);
    gaps.end();
  }
  assert.equal(gaps.report().length, 50);
  assert.equal(gaps.report()[0]?.reason, "number 59");
});
