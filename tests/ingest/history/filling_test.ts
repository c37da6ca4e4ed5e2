import assert from "node:assert/strict";
import { memberText } from "../../../lib/json_text.ts";
import { Capture } from "../../../lib/ingest/capture/capture.ts";
import { CAPTURE_TIMES } from "../../../lib/ingest/capture/capture_times.ts";
import { Connection } from "../../../lib/ingest/hass/connection.ts";
import { HassClock } from "../../../lib/ingest/hass/hass_clock.ts";
import { webSocketUrl } from "../../../lib/ingest/hass/protocol.ts";
import { Filling } from "../../../lib/ingest/history/filling.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { FullDisk } from "../../outbox_model/full_disk.ts";
import { SimulatedHomeAssistant, type SimulationOptions } from "../../simulator/home_assistant.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";

const ALL = { maxEvents: 1_000_000, maxBytes: 1e12 };

interface CaptureChange {
  readonly importDays?: number;
  readonly snapshotMinutes?: number;
  readonly looksMs?: readonly number[];
  readonly maxBytes?: number;
}

/** Captures for as long as the test takes, into the outbox of that folder. */
async function capturing<T>(
  hass: SimulatedHomeAssistant,
  folder: TemporaryFolder,
  test: (capture: Capture, outbox: Outbox) => Promise<T>,
  { importDays = 0, snapshotMinutes = 0, looksMs = [0, 20, 40], maxBytes = 200_000_000 }:
    CaptureChange = {},
): Promise<T> {
  using outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes,
    onFailure: assert.ifError,
  });
  const capture = new Capture({
    hassUrl: hass.url,
    hassToken: () => hass.token,
    outbox,
    importDays,
    snapshotMinutes,
    looksMs,
    times: { ...CAPTURE_TIMES, backoffBaseMs: 5 },
  });
  const stop = new AbortController();
  const running = capture.run(stop.signal);
  try {
    return await test(capture, outbox);
  } finally {
    stop.abort();
    await running;
  }
}

function simulated(options: SimulationOptions = {}): SimulatedHomeAssistant {
  return new SimulatedHomeAssistant(options).start();
}

const connected = (capture: Capture, times = 1) =>
  until(() => capture.state.kind === "capturing" && capture.connections >= times, "it captures");

/** All that could be filled is. */
const complete = (capture: Capture) =>
  until(
    () => capture.filling.status.state === "idle" && capture.filling.status.entities === 0,
    "all is filled",
  );

interface Captured {
  readonly entityId: string;
  readonly timeFired: string;
  readonly oldState: string | undefined;
  readonly via: string | undefined;
  readonly type: string;
}

function captured(outbox: Outbox): Captured[] {
  return outbox.waiting.peek(ALL).map(({ line }) => {
    const { event, via } = JSON.parse(line);
    return {
      type: event.event_type,
      entityId: event.data.entity_id,
      timeFired: event.time_fired,
      oldState: event.data.old_state?.state,
      via,
    };
  });
}

/** Every state that Home Assistant fired must be there, once; what it replaced too. */
function assertComplete(hass: SimulatedHomeAssistant, outbox: Outbox): void {
  const states = captured(outbox).filter(({ type }) => type === "state_changed")
    .map(({ entityId, timeFired, oldState }) => `${entityId} ${timeFired} ${oldState}`).sort();
  const fired = hass.fired.filter(({ eventType }) => eventType === "state_changed").map(
    ({ text }) => {
      const { data, time_fired } = JSON.parse(text);
      return `${data.entity_id} ${time_fired} ${data.old_state?.state}`;
    },
  ).sort();
  assert.deepEqual(states, fired);
}

function change(hass: SimulatedHomeAssistant, n: number, from = 0): void {
  for (let i = from; i < from + n; i++) hass.setState(`sensor.s${i % 7}`, String(i), { i });
}

Deno.test("Filling fills in what happened while ingest was off, each state once and with what it replaced", async () => {
  for (const version of ["2024.3.3", "2025.4.4", "2026.11.0"] as const) {
    await using hass = simulated({ version });
    using folder = new TemporaryFolder();
    await capturing(hass, folder, async (capture, outbox) => {
      await connected(capture);
      change(hass, 50);
      await until(() => outbox.counters().received >= 50, "all is spooled");
    });
    change(hass, 100, 50);
    hass.removeState("sensor.s3");
    hass.setState("sensor.new", "1");
    hass.setState("sensor.new", "2");
    await capturing(hass, folder, async (capture, outbox) => {
      await connected(capture);
      change(hass, 10, 200);
      await complete(capture);
      assertComplete(hass, outbox);
      assert.ok(captured(outbox).some(({ via }) => via === "history"));
      const [gap] = capture.filling.gaps.report();
      assert.equal(gap?.reason, "ingest was stopped");
      assert.equal(gap?.state, "filled");
      assert.deepEqual(gap?.unfilled, {});
      assert.ok(capture.filling.rows >= 100);
      const asked = hass.received.filter(({ type }) => type === "history/history_during_period");
      assert.ok(asked.length > 0);
      for (const message of asked) {
        assert.equal(message.include_start_time_state, false);
        assert.equal(message.significant_changes_only, false);
        assert.equal(message.minimal_response, false);
        assert.equal(message.no_attributes, false);
        assert.ok(message.end_time);
      }
    });
  }
});

Deno.test("Nothing is filled where the recorder keeps nothing: the check of these tests can fail", async () => {
  await using hass = simulated({ recorder: false });
  using folder = new TemporaryFolder();
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    change(hass, 50);
    await until(() => outbox.counters().received >= 50, "all is spooled");
  });
  change(hass, 100, 50);
  await capturing(hass, folder, async (capture, outbox) => {
    await complete(capture);
    assert.throws(() => assertComplete(hass, outbox));
    const states = captured(outbox).filter(({ via }) => via === "snapshot");
    assert.equal(states.length, 7, "the present state of each entity is there all the same");
    const [gap] = capture.filling.gaps.report();
    assert.deepEqual(gap?.unfilled, { "not in the recorder": 7 });
  });
});

Deno.test("Filling fills in what happened while the socket was lost, and what the recorder commits late", async () => {
  await using hass = simulated({ commitIntervalMs: 60 });
  using folder = new TemporaryFolder();
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    change(hass, 50);
    await until(() => outbox.counters().received >= 50, "all is spooled");
    hass.cutClients();
    change(hass, 100, 50);
    await connected(capture, 2);
    await complete(capture);
    assertComplete(hass, outbox);
  }, { looksMs: [0, 150, 300] });
});

Deno.test("Filling asks for nothing where nothing changed", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    change(hass, 50);
    await until(() => outbox.counters().received >= 50, "all is spooled");
    hass.cutClients();
    await connected(capture, 2);
    await complete(capture);
    assert.ok(!hass.received.some((message) => JSON.stringify(message).includes("history/")));
  });
});

Deno.test("A removal is filled in though the house is quiet and its clock is not known", async () => {
  let aheadSeconds = 0;
  const startedMs = performance.now();
  const now = () => 1_700_000_000 + aheadSeconds + (performance.now() - startedMs) / 1000;
  await using hass = simulated({ now });
  using folder = new TemporaryFolder();
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    change(hass, 7);
    await until(() => outbox.counters().received >= 7, "all is spooled");
  });
  aheadSeconds = 3_600;
  hass.removeState("sensor.s3");
  aheadSeconds = 7_200;
  await capturing(hass, folder, async (capture, outbox) => {
    await complete(capture);
    assertComplete(hass, outbox);
    const [gap] = capture.filling.gaps.report();
    assert.ok(gap?.to && gap.from <= gap.to);
  });
});

Deno.test("A restart of Home Assistant is filled in like any other gap", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    change(hass, 50);
    await hass.restart({ downMs: 20, startingMs: 50 });
    change(hass, 50, 50);
    await connected(capture, 2);
    await complete(capture);
    const lost = hass.fired.filter(({ eventType, text }) =>
      eventType === "state_changed" &&
      !outbox.waiting.peek(ALL).some(({ line }) =>
        line.includes(memberText(text, "time_fired") ?? "?")
      )
    );
    assert.deepEqual(lost, []);
  });
});

Deno.test("The first start imports the recorder's history, newest first, and only the first", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  change(hass, 1_500);
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    change(hass, 20, 5_000);
    await complete(capture);
    assertComplete(hass, outbox);
    const filled = captured(outbox).filter(({ via }) => via === "history");
    assert.ok(filled.length >= 1_490, `${filled.length}`);
  }, { importDays: 10 });
  await capturing(hass, folder, async (capture) => {
    await connected(capture);
    await complete(capture);
    assert.equal(capture.filling.rows, 0);
  }, { importDays: 10 });
});

Deno.test("An import that a full disk keeps from beginning begins once there is room, on the same connection", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  using disk = new FullDisk();
  using outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes: 200_000_000,
    onFailure: assert.ifError,
  });
  change(hass, 100);
  const stop = new AbortController();
  const { connection } = await Connection.open({
    url: webSocketUrl(hass.url),
    token: hass.token,
    signal: stop.signal,
    times: CAPTURE_TIMES,
    handlers: { onEvent: () => {}, onMalformed: () => {} },
  });
  const filling = new Filling({
    outbox,
    clock: new HassClock(),
    line: (text) => `{"event":${text}}`,
    registered: () => [],
    days: 10,
    looksMs: [0],
    pollMs: 5,
  });
  disk.fill();
  await filling.prepare(connection);
  const running = filling.run(connection, stop.signal);
  try {
    await until(() => outbox.size.full, "the disk is told to be full");
    disk.free();
    await until(() => filling.rows >= 90, "history is imported", { limitMs: 20_000 });
  } finally {
    stop.abort();
    await running;
  }
});

Deno.test("An import that is killed goes on where it was, and repeats nothing", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  change(hass, 8_000);
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    await until(() => outbox.counters().waiting >= 2_000, "as much waits as may");
    assert.ok(capture.filling.rows > 0);
    assert.ok(outbox.counters().waiting <= 4_000, `${outbox.counters().waiting} wait`);
  }, { importDays: 10 });
  await capturing(hass, folder, async (capture, outbox) => {
    // the filler waits while many events wait: deliver them
    const drain = setInterval(() => {
      const rows = outbox.waiting.peek({ ...ALL, maxEvents: 1_500 });
      delivered.push(...rows.map(({ line }) => line));
      outbox.settle({
        done: rows.map(({ seq }) => seq),
        delivered: rows.length,
        leftOut: {},
        problems: [],
      });
    }, 5);
    const delivered: string[] = [];
    try {
      await complete(capture);
      await until(() => outbox.counters().waiting === 0, "all is delivered");
    } finally {
      clearInterval(drain);
    }
    const times = delivered.map((line) => JSON.parse(line).event.time_fired);
    assert.equal(new Set(times).size, times.length, "a state came twice");
    assert.equal(times.length, 8_000);
  }, { importDays: 10 });
});

Deno.test("Rows of history that are large come in through an outbox that is small", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  const text = "x".repeat(15_000);
  for (let i = 0; i < 400; i++) hass.setState(`sensor.large${i % 7}`, String(i), { text });
  await capturing(hass, folder, async (capture, outbox) => {
    const drain = setInterval(() => {
      const done = outbox.waiting.peek(ALL).map(({ seq }) => seq);
      outbox.settle({ done, delivered: done.length, leftOut: {}, problems: [] });
    }, 5);
    try {
      await until(() => capture.filling.rows >= 393, "all is imported", { limitMs: 30_000 });
    } finally {
      clearInterval(drain);
    }
    assert.equal(outbox.counters().dropped.get("outbox_full"), 0);
  }, { importDays: 10, maxBytes: 8_000_000 });
});

Deno.test("One malformed entity id does not keep others from being filled", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    change(hass, 50);
    await until(() => outbox.counters().received >= 50, "all is spooled");
    outbox.append([], () => outbox.missing.heard({ entityId: "no id at all", lastUpdatedUs: 5 }));
  });
  change(hass, 100, 50);
  await capturing(hass, folder, async (capture, outbox) => {
    await complete(capture);
    assertComplete(hass, outbox);
    const [gap] = capture.filling.gaps.report();
    assert.equal(Object.values(gap?.unfilled ?? {}).reduce((a, b) => a + b, 0), 1);
  });
});

Deno.test("What was refused while the outbox was full is filled in when it has drained", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    const text = "x".repeat(20_000);
    let i = 0;
    const delivered: string[] = [];
    while (!outbox.size.full) {
      hass.setState("sensor.large", String(i++), { text });
      if (i % 20 === 0) {
        await until(() => outbox.size.full || outbox.counters().received >= i - 20, "it arrives");
      }
    }
    await until(
      () => (outbox.counters().dropped.get("outbox_full") ?? 0) > 0,
      "events are refused",
    );
    const settle = () => {
      const rows = outbox.waiting.peek(ALL);
      delivered.push(...rows.map(({ line }) => line));
      outbox.settle({
        done: rows.map(({ seq }) => seq),
        delivered: rows.length,
        leftOut: {},
        problems: [],
      });
    };
    settle();
    hass.setState("sensor.large", "last", { text });
    await until(() => capture.filling.rows > 0, "refused ones are filled in");
    await complete(capture);
    settle();
    const stored = new Set(delivered.map((line) => JSON.parse(line).event.time_fired));
    const lost = hass.fired.filter(({ eventType, timeFired }) =>
      eventType === "state_changed" && !stored.has(timeFired)
    );
    assert.deepEqual(lost.map(({ timeFired }) => timeFired), []);
    assert.match(capture.filling.gaps.report()[0]?.reason ?? "", /outbox was full/);
  }, { maxBytes: 8_000_000 });
});

Deno.test("Without history the gap is reported as exactly that, and present states are there", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    change(hass, 50);
    await until(() => outbox.counters().received >= 50, "all is spooled");
  });
  change(hass, 100, 50);
  hass.disableHistory();
  await capturing(hass, folder, async (capture, outbox) => {
    await complete(capture);
    assert.deepEqual(capture.filling.gaps.report()[0]?.unfilled, { "history is off": 7 });
    assert.equal(captured(outbox).filter(({ via }) => via === "snapshot").length, 7);
  });
});

Deno.test("Every interval the present state of every entity is spooled, dated by Home Assistant's clock", async () => {
  // its clock is years away from this machine's, and half a second before a full minute
  const startedMs = performance.now();
  const now = () => 1_500_000_059.5 + (performance.now() - startedMs) / 1000;
  await using hass = simulated({ now });
  using folder = new TemporaryFolder();
  change(hass, 7);
  await capturing(hass, folder, async (_, outbox) => {
    const snapshots = () => captured(outbox).filter(({ type }) => type === "state_snapshot");
    await until(() => snapshots().length === 7, "the snapshot is there");
    for (const { timeFired, via } of snapshots()) {
      assert.equal(timeFired, "2017-07-14T02:41:00.000000+00:00");
      assert.equal(via, "snapshot");
    }
  }, { snapshotMinutes: 1 });
});
