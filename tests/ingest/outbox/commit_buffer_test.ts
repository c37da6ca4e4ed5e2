import assert from "node:assert/strict";
import { CommitBuffer } from "../../../lib/ingest/outbox/commit_buffer.ts";

const INTERVAL_MS = 40;

/** Whether events are committed before so many milliseconds are over; timers fire in the order in which they are due. */
async function isCommittedWithin(ms: number, n: number, buffer: CommitBuffer, commits: number[]) {
  const before = commits.length;
  for (let i = 0; i < n; i++) buffer.add({ line: String(i) });
  await new Promise((resolve) => setTimeout(resolve, ms));
  const isCommitted = commits.length > before;
  buffer.flush();
  assert.equal(commits.at(-1), n);
  return isCommitted;
}

Deno.test("CommitBuffer waits twice as long behind eight events that were committed together", async () => {
  const commits: number[] = [];
  const buffer = new CommitBuffer((events) => commits.push(events.length), INTERVAL_MS);
  const isCommitted = (intervals: number, n: number) =>
    isCommittedWithin(intervals * INTERVAL_MS, n, buffer, commits);
  // the first, and behind few
  assert.equal(await isCommitted(1.5, 7), true);
  assert.equal(await isCommitted(1.5, 8), true);
  // behind eight
  assert.equal(await isCommitted(1.5, 1), false);
  assert.equal(await isCommitted(1.5, 8), true);
  assert.equal(await isCommitted(2.5, 7), true);
  assert.equal(await isCommitted(1.5, 1), true);
});

/** The buffer, the number of events of each of its commits, and how long one takes. */
function bufferOf(commitMs: { value: number }) {
  const commits: number[] = [];
  const buffer = new CommitBuffer((events) => {
    commits.push(events.length);
    const untilMs = performance.now() + commitMs.value;
    while (performance.now() < untilMs);
  }, INTERVAL_MS);
  /** Whether it is committed before anything else that waits. */
  const isCommittedSoon = async (chars: number) => {
    const before = commits.length;
    buffer.add({ line: "x".repeat(chars) });
    assert.equal(commits.length, before, "not within what is read");
    await new Promise((resolve) => setTimeout(resolve, 0));
    return commits.length > before;
  };
  return { buffer, commits, isCommittedSoon };
}

Deno.test("CommitBuffer begins with few characters: at first everything takes long", async () => {
  const { buffer, isCommittedSoon } = bufferOf({ value: 0 });
  assert.equal(await isCommittedSoon(290_000), false);
  buffer.flush();
  assert.equal(await isCommittedSoon(310_000), true);
});

Deno.test("CommitBuffer commits a million characters in the next turn, and two millions at once", async () => {
  const { buffer, commits, isCommittedSoon } = bufferOf({ value: 0 });
  // each of these is fast, so that the next may be larger
  for (let n = 0; n < 20; n++) assert.equal(await isCommittedSoon(1_000_000), true);
  commits.length = 0;
  assert.equal(await isCommittedSoon(500_000), false);
  assert.equal(await isCommittedSoon(500_000), true);
  assert.deepEqual(commits, [2]);
  // nothing has changed for those that come behind it
  assert.equal(await isCommittedSoon(1_000), false);
  buffer.add({ line: "x".repeat(1_500_000) });
  assert.deepEqual(commits, [2]);
  buffer.add({ line: "x".repeat(499_000) });
  assert.deepEqual(commits, [2, 3]);
});

Deno.test("CommitBuffer commits fewer characters where that takes long, and slowly more again", async () => {
  const commitMs = { value: 200 };
  const { buffer, isCommittedSoon } = bufferOf(commitMs);
  assert.equal(await isCommittedSoon(1_000_000), true);
  commitMs.value = 0;
  assert.equal(await isCommittedSoon(310_000), true, "a fifth took as long as is wanted");
  // a small one says nothing
  assert.equal(await isCommittedSoon(290_000), false);
  buffer.flush();
  let times = 0;
  do {
    times++;
    assert.ok(times < 100, "a machine this slow tells nothing");
    assert.equal(await isCommittedSoon(1_000_000), true);
  } while (await isCommittedSoon(900_000));
  // 300,000 and a tenth more each time
  assert.ok(times >= 6, `${times} times`);
  buffer.flush();
});
