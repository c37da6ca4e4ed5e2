import assert from "node:assert/strict";
import { Connection } from "../../../lib/ingest/hass/connection.ts";
import { CONNECTION_TIMES } from "../../../lib/ingest/hass/connection_times.ts";
import { webSocketUrl } from "../../../lib/ingest/hass/protocol.ts";
import { Gaps } from "../../../lib/ingest/history/gaps.ts";
import { HistoryReader } from "../../../lib/ingest/history/history_reader.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import {
  ALL,
  capturing,
  change,
  complete,
  connected,
  rowsAsked,
  simulated,
  spooled,
} from "./capturing_house.ts";
import { rowsOf } from "../outbox/rows.ts";

/** Deno's WebSocket takes no larger message. */
const MAX_MESSAGE_BYTES = 64 * 2 ** 20;
const ROW_BYTES = 15_000;
const ROWS = 5_000;
const HOUR_US = 3_600_000_000;

Deno.test("An answer too large for a message is not asked for again: the next one asks for less", async () => {
  assert.ok(ROWS * ROW_BYTES > MAX_MESSAGE_BYTES);
  await using hass = simulated({ keepFired: 10 });
  using folder = new TemporaryFolder();
  const text = "x".repeat(ROW_BYTES);
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    await complete(capture);
    hass.setState("sensor.large", "before", { text });
    await spooled(hass, outbox);
  });
  for (let i = 0; i < ROWS; i++) hass.setState("sensor.large", String(i), { text });
  await capturing(hass, folder, async (capture, outbox) => {
    const drain = setInterval(() => {
      const done = rowsOf(outbox.waiting.next.peek({ ...ALL, maxBytes: 1e8 })).map(({ seq }) =>
        seq
      );
      outbox.settle({ done, delivered: done.length, leftOut: {}, problems: [] });
    }, 5);
    try {
      await until(() => capture.connections > 1, "the first answer has ended the connection");
      await until(() => capture.filling.rows === ROWS, "all is filled", { limitMs: 120_000 });
      assert.ok(capture.connections <= 6, `${capture.connections} connections`);
    } finally {
      clearInterval(drain);
    }
  });
});

Deno.test("An id that Home Assistant does not take keeps nothing from being read, and is given up once", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    await complete(capture);
    // Home Assistant takes it for as long as it has a state
    hass.setState("sensor.odd__id", "1");
    change(hass, 7);
    await spooled(hass, outbox);
  });
  hass.removeState("sensor.odd__id");
  hass.recorder.enabled = false;
  change(hass, 7, 50);
  hass.recorder.enabled = true;
  await capturing(hass, folder, async (capture) => {
    await connected(capture);
    await complete(capture);
    const unfilled = Object.fromEntries(capture.filling.gaps.unfilledByReason);
    assert.deepEqual(unfilled, {
      "lost by the recorder": 7,
      "Home Assistant answered invalid_entity_ids: Invalid entity_ids": 1,
    });
  });
  await capturing(hass, folder, async (capture) => {
    await connected(capture);
    await complete(capture);
    assert.equal(capture.filling.gaps.unfilledByReason.size, 0, "nor is it asked for again");
  });
});

Deno.test("However many small pages came before, what is too much is asked for in smaller parts at once", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  using outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes: 200_000_000,
    onFailure: assert.ifError,
  });
  const stop = new AbortController();
  const { connection } = await Connection.open({
    url: webSocketUrl(hass.url),
    token: hass.token,
    signal: stop.signal,
    times: { ...CONNECTION_TIMES, commandDeadlineMs: 100 },
    handlers: { onEvent: () => {}, onMalformed: () => {} },
  });
  const nowUs = () => Date.now() * 1000;
  const reader = new HistoryReader({
    outbox,
    gaps: new Gaps(outbox),
    nowUs,
    line: (text) => `{"event":${text}}`,
    renamedTo: () => undefined,
  });
  const miss = (fromUs: number, toUs: number) =>
    outbox.append([], () =>
      outbox.missing.add({
        entityId: "sensor.a",
        fromUs,
        toUs,
        beginUs: fromUs,
        lastState: undefined,
        proofUs: undefined,
        startsLater: false,
      }));
  const read = () => reader.readPage(connection, Infinity, stop.signal);
  const beginUs = nowUs() - HOUR_US;
  for (let i = 0; i < 50; i++) {
    miss(beginUs + i, beginUs + i + 1);
    await read();
  }
  assert.equal(outbox.missing.lastId(), 0);
  miss(beginUs, nowUs());
  hass.hang();
  assert.equal(await read(), true, "no answer");
  hass.resume();
  await read();
  const [before = NaN, after = NaN] = rowsAsked(hass).slice(-2)
    .map(({ start_time, end_time }) =>
      Date.parse(String(end_time)) - Date.parse(String(start_time))
    );
  assert.ok(after <= before / 2 + 1, `${before} ms, then ${after} ms`);
  stop.abort();
  connection.close("tested");
});

Deno.test("How long the recorder keeps is not told by entities that it leaves out, however many", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  const leftOut = (n: number, state: string) => {
    hass.recorder.enabled = false;
    for (let i = 0; i < n; i++) hass.setState(`automation.a_${i}`, state);
    hass.recorder.enabled = true;
  };
  leftOut(1_000, "on");
  change(hass, 7);
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    await complete(capture);
    change(hass, 7, 20);
    await spooled(hass, outbox);
  });
  leftOut(7, "off");
  change(hass, 7, 50);
  await capturing(hass, folder, async (capture) => {
    await connected(capture);
    await complete(capture);
    assert.deepEqual([...capture.filling.gaps.unfilledByReason], [["not recorded", 7]]);
  });
});
