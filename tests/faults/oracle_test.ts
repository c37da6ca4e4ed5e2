import assert from "node:assert/strict";
import { mustBalance, scrape } from "../real/parts/metrics_text.ts";
import { until } from "../until.ts";
import { type Evidence, judge } from "./oracle.ts";
import { Scrapes } from "./scrapes.ts";

/** A run in which nothing was fired. */
const NOTHING: Evidence = {
  injected: "",
  fired: [],
  committed: new Set(),
  stored: [],
  waiting: [],
  deadLetters: [],
  hopeless: new Set(),
  scrapeProblems: [],
  scrapes: 0,
  broken: [],
  metrics: new Map(),
  recoverySeconds: 0,
};

function metricsText(received: number, { lost = 0 } = {}): string {
  return `ingest_events_received_total ${received}
ingest_events_delivered_total ${received - 2 - lost}
ingest_events_dead_lettered 1
ingest_events_queued 1
`;
}

const whole = (text: string, status = "200 OK") =>
  `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: ${text.length}\r\n\r\n${text}`;

/** What the oracle finds where ingest answers its scrapes with these bytes, and then hangs up. */
async function foundIn(answers: readonly string[], { beginsAnew = false } = {}) {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let answered = 0;
  const serving = (async () => {
    for await (const socket of listener) {
      using _ = socket;
      await socket.read(new Uint8Array(10_000));
      await socket.write(new TextEncoder().encode(answers[answered] ?? ""));
      answered++;
    }
  })();
  const url = `http://127.0.0.1:${listener.addr.port}`;
  const scrapes = new Scrapes(async () => {
    const metrics = await scrape(url);
    mustBalance(metrics);
    return metrics;
  });
  scrapes.mayBeginAnew = beginsAnew;
  // the one behind the last shows that the last was judged
  await until(() => answered > answers.length, "all scrapes are answered");
  await scrapes[Symbol.asyncDispose]();
  listener.close();
  await serving;
  const found = judge({ ...NOTHING, scrapeProblems: scrapes.problems });
  return found.map(({ kind, text }) => `${kind}: ${text}`);
}

Deno.test("The oracle sees a scrape whose equation is broken, and a counter that goes back", async () => {
  assert.deepEqual(await foundIn([whole(metricsText(10)), whole(metricsText(12))]), []);
  assert.deepEqual(await foundIn([whole(metricsText(10)), whole(metricsText(12, { lost: 3 }))]), [
    "equation: 1 scrapes contradict themselves, The equation is broken: " +
    "received 12 = delivered 7 + left out 0 + dead letters 1 + dropped 0 + waiting 1",
  ]);
  const back = [whole(metricsText(12)), whole(metricsText(10))];
  assert.deepEqual(await foundIn(back), [
    "equation: 1 scrapes contradict themselves, 12 were received, then 10",
  ]);
  assert.deepEqual(await foundIn(back, { beginsAnew: true }), []);
});

Deno.test("The oracle sees a scrape that says nothing, and none in one that breaks off", async () => {
  assert.deepEqual(await foundIn([whole("ingest_up 1\n")]), [
    "equation: 1 scrapes contradict themselves, Cannot find the metric ingest_events_received_total",
  ]);
  assert.deepEqual(await foundIn([whole("<html>\n")]), [
    "equation: 1 scrapes contradict themselves, Cannot read <html>",
  ]);
  assert.deepEqual(await foundIn([whole("", "500 Internal Server Error")]), [
    "equation: 1 scrapes contradict themselves, GET /metrics: 500",
  ]);
  const text = whole(metricsText(10, { lost: 3 }));
  const head = text.indexOf("\r\n\r\n") + 4;
  assert.deepEqual(await foundIn([text.slice(0, head), text.slice(0, -5), ""]), []);
});
