import assert from "node:assert/strict";
import fc from "fast-check";
import {
  backoffMs,
  deadline,
  describeError,
  meaningOf,
  retryAfterMs,
  sleep,
  type StatusMeaning,
} from "../lib/retry.ts";

Deno.test("meaningOf knows one success only, and never drops for a setting that is wrong", () => {
  const table: Readonly<Record<number, StatusMeaning>> = {
    200: "again",
    201: "refused",
    202: "again",
    204: "done",
    302: "again",
    400: "refused",
    401: "misconfigured",
    403: "misconfigured",
    404: "misconfigured",
    408: "again",
    413: "too large",
    415: "again",
    422: "refused",
    429: "again",
    500: "again",
    502: "again",
    503: "again",
    504: "again",
  };
  for (const [status, meaning] of Object.entries(table)) {
    assert.equal(meaningOf(Number(status), 204), meaning, status);
  }
  assert.equal(meaningOf(200, 200), "done");
  assert.equal(meaningOf(204, 200), "again");
});

Deno.test("backoffMs stays between 0 and min(maxMs, baseMs·2^attempt), and reaches both", () => {
  fc.assert(fc.property(
    fc.nat(10_000),
    fc.integer({ min: 1, max: 5_000 }),
    fc.integer({ min: 1, max: 60_000 }),
    fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    (attempt, baseMs, maxMs, random) => {
      const ms = backoffMs(attempt, { baseMs, maxMs, random: () => random });
      assert.ok(ms >= 0 && ms <= maxMs && ms <= baseMs * 2 ** attempt);
    },
  ));
  const most = (attempt: number) =>
    backoffMs(attempt, { baseMs: 1_000, maxMs: 30_000, random: () => 1 });
  assert.deepEqual([0, 1, 2, 4, 5, 5_000].map(most), [1_000, 2_000, 4_000, 16_000, 30_000, 30_000]);
  assert.equal(backoffMs(3, { baseMs: 1_000, maxMs: 30_000, random: () => 0 }), 0);
});

Deno.test("retryAfterMs reads seconds and HTTP dates", () => {
  const nowMs = Date.UTC(2026, 5, 25, 12, 0, 0);
  assert.equal(retryAfterMs("120", nowMs), 120_000);
  assert.equal(retryAfterMs(" 0 ", nowMs), 0);
  assert.equal(retryAfterMs("Thu, 25 Jun 2026 12:00:30 GMT", nowMs), 30_000);
  assert.equal(retryAfterMs("Thu, 25 Jun 2026 11:00:00 GMT", nowMs), 0);
  assert.equal(retryAfterMs("86400", nowMs), 600_000, "ten minutes at the most");
  assert.equal(retryAfterMs("Fri, 26 Jun 2026 12:00:00 GMT", nowMs), 600_000);
  assert.equal(retryAfterMs("soon", nowMs), undefined);
  assert.equal(retryAfterMs("", nowMs), undefined);
  assert.equal(retryAfterMs(null, nowMs), undefined);
});

Deno.test("sleep waits for its time", async () => {
  const before = performance.now();
  await sleep(20, new AbortController().signal);
  // timers count whole milliseconds
  assert.ok(performance.now() - before >= 19);
});

Deno.test("sleep ends with its signal, without an error", async () => {
  const controller = new AbortController();
  const slept = sleep(60_000, controller.signal);
  controller.abort();
  await slept;
  await sleep(60_000, controller.signal);
});

Deno.test("deadline is aborted with the caller's signal, for the caller's reason", () => {
  const controller = new AbortController();
  const signal = deadline(60_000, controller.signal);
  assert.equal(signal.aborted, false);
  controller.abort(new Error("Stopping"));
  assert.equal(signal.reason.message, "Stopping");
});

Deno.test("deadline is aborted when time is up, with a TimeoutError", async () => {
  for (const signal of [deadline(1), deadline(1, new AbortController().signal)]) {
    const { promise, resolve } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => resolve());
    if (!signal.aborted) await promise;
    assert.equal(signal.reason.name, "TimeoutError");
  }
});

Deno.test("describeError shows the cause that fetch hides", () => {
  assert.equal(
    describeError(new TypeError("fetch failed", { cause: new Error("Connection refused") })),
    "fetch failed: Connection refused",
  );
  assert.equal(describeError(new Error("Disk full")), "Disk full");
  assert.equal(describeError("text"), "text");
});
