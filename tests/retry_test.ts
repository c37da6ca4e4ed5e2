import assert from "node:assert/strict";
import fc from "fast-check";
import {
  answeringScheme,
  backoffMs,
  deadline,
  describeError,
  meaningOf,
  retryAfterMs,
  sleep,
  type StatusMeaning,
} from "../lib/retry.ts";
import { CA_FILE } from "./stand_ins/tls_proxy.ts";

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
  assert.equal(retryAfterMs("Thursday, 25-Jun-26 12:00:30 GMT", nowMs), 30_000);
  for (const none of ["-1", "0.5", "+5"]) {
    assert.equal(retryAfterMs(none, nowMs), undefined, none);
  }
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
    "connection refused",
  );
  // what another error says ends with what to do: the words of SQLite behind it help nobody
  const cause = new Error("database is locked");
  assert.equal(describeError(new Error("Disk full", { cause })), "Disk full");
  assert.equal(describeError("text"), "text");
});

/** What became of the request, in one sentence's words. */
async function described(ask: () => Promise<unknown>): Promise<string> {
  try {
    await ask();
    return "nothing";
  } catch (error) {
    return describeError(error);
  }
}

function deadlinePassed(): AbortSignal {
  return AbortSignal.abort(new DOMException("Signal timed out.", "TimeoutError"));
}

const openingOf = (url: string) =>
  new Promise((_, reject) => {
    new WebSocket(url).onerror = (event) =>
      reject(new Error(event instanceof ErrorEvent ? event.message : "?"));
  });

Deno.test("describeError says in plain words, and once, what became of a connection", async () => {
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  closed.close();
  const nobody = `127.0.0.1:${closed.addr.port}`;
  assert.equal(await described(() => fetch(`http://${nobody}`)), "connection refused");
  assert.equal(await described(() => openingOf(`ws://${nobody}`)), "no connection can be made");
  await using plain = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("x"),
  );
  await using secure = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
    cert: Deno.readTextFileSync(CA_FILE.replace("ca.pem", "server.pem")),
    key: Deno.readTextFileSync(CA_FILE.replace("ca.pem", "server.key")),
  }, () => new Response("x"));
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const closing = (async () => {
    for await (const conn of silent) conn.close();
  })();
  for (
    const [way, server, words, scheme] of [
      ["s", plain.addr, "it answers by http, not by https", "http"],
      ["", secure.addr, "it does not answer by http, perhaps by https", "https"],
      ["", silent.addr, "the connection was closed before an answer", undefined],
    ] as const
  ) {
    const address = `127.0.0.1:${server.port}`;
    assert.equal(await described(() => fetch(`http${way}://${address}`)), words);
    assert.equal(await described(() => openingOf(`ws${way}://${address}`)), words);
    assert.equal(answeringScheme(words), scheme);
  }
  silent.close();
  await closing;
  const late = () => fetch(`http://127.0.0.1:${plain.addr.port}`, { signal: deadlinePassed() });
  assert.equal(await described(late), "no answer in time");
  // as the resolver says it; where a machine has one that lies, no test can tell
  const unknown = new TypeError("fetch failed", {
    cause: new Error(
      "error sending request for url (http://a.example/): client error (Connect): dns error: " +
        "failed to lookup address information: Name or service not known",
    ),
  });
  assert.equal(describeError(unknown), "its name is not found");
});
