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

Deno.test("CommitBuffer commits at once what has a million characters", () => {
  const commits: number[] = [];
  const buffer = new CommitBuffer((events) => commits.push(events.length), INTERVAL_MS);
  buffer.add({ line: "x".repeat(500_000) });
  assert.deepEqual(commits, []);
  buffer.add({ line: "x".repeat(500_000) });
  assert.deepEqual(commits, [2]);
});
