import assert from "node:assert/strict";
import { memberText } from "../../../lib/json_text.ts";
import type { Capture } from "../../../lib/ingest/capture/capture.ts";
import { CAPTURE_TIMES } from "../../../lib/ingest/capture/capture_times.ts";
import { Connection } from "../../../lib/ingest/hass/connection.ts";
import { HassClock } from "../../../lib/ingest/hass/hass_clock.ts";
import { webSocketUrl } from "../../../lib/ingest/hass/protocol.ts";
import { Filling } from "../../../lib/ingest/history/filling.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { FullDisk } from "../../outbox_model/full_disk.ts";
import type { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../../until.ts";
import {
  ALL,
  assertComplete,
  captured,
  capturing,
  change,
  complete,
  connected,
  FILLING_TIMES,
  rowsAsked,
  simulated,
  spooled,
} from "./capturing_house.ts";
import { rowsOf } from "../outbox/rows.ts";

/** As `complete`, in a house in which things go on: an older core is believed once it shows what was heard. */
async function completeMeanwhile(capture: Capture, hass: SimulatedHomeAssistant): Promise<void> {
  const living = setInterval(() => change(hass, 1, hass.fired.length), 20);
  try {
    await complete(capture);
  } finally {
    clearInterval(living);
  }
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
      await completeMeanwhile(capture, hass);
      await spooled(hass, outbox);
      assertComplete(hass, outbox);
      assert.ok(captured(outbox).some(({ via }) => via === "history"));
      const [gap] = capture.filling.gaps.report();
      assert.equal(gap?.reason, "ingest was stopped");
      assert.equal(gap?.state, "filled");
      assert.deepEqual(gap?.unfilled, {});
      assert.ok(capture.filling.rows >= 100);
      const asked = rowsAsked(hass);
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
    assert.deepEqual(gap?.unfilled, { "not recorded": 7 });
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
  });
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
    assert.equal(rowsAsked(hass).length, 0);
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
      !rowsOf(outbox.waiting.next.peek(ALL)).some(({ line }) =>
        line.includes(memberText(text, "time_fired") ?? "?")
      )
    );
    assert.deepEqual(lost, []);
  }, { drains: false });
});

Deno.test("The first start imports the recorder's history, and only the first", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  change(hass, 1_500);
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    change(hass, 20, 5_000);
    await complete(capture);
    await spooled(hass, outbox);
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

Deno.test("An import repeats nothing that was heard before Home Assistant had started", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  change(hass, 20);
  const restarted = hass.restart({ downMs: 1, startingMs: 600 });
  await until(() => !hass.life.aborted, "it is up");
  hass.setState("sensor.s0", "20");
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    change(hass, 7, 20);
    await until(() => captured(outbox).length >= 7, "all is spooled");
    hass.cutClients();
    change(hass, 14, 30);
    await connected(capture, 2);
    assert.ok(!hass.isRunning, "nothing is compared yet");
    await restarted;
    await until(
      () => !outbox.chain.opened && outbox.missing.lastId() === 0 && capture.filling.rows > 0,
      "all is filled",
    );
    const stamps = captured(outbox)
      .filter(({ type, via }) => type === "state_changed" && via !== "snapshot")
      .map(({ entityId, timeFired }) => `${entityId} ${timeFired}`);
    assert.deepEqual(
      stamps.filter((stamp, i) => stamps.indexOf(stamp) !== i),
      [],
      "nothing twice",
    );
    const fired = hass.fired.filter(({ eventType }) => eventType === "state_changed");
    assert.equal(stamps.length, fired.length);
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
    namesRead: () => Promise.resolve(),
    renamedTo: () => undefined,
    days: 10,
    times: FILLING_TIMES,
  });
  disk.fill();
  filling.prepare();
  const running = filling.run({ connection, haVersion: hass.version }, stop.signal);
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
    await until(() => outbox.counters().waiting >= 200, "as much waits as may");
    assert.ok(capture.filling.rows > 0);
    assert.ok(outbox.counters().waiting <= 4_000, `${outbox.counters().waiting} wait`);
  }, { importDays: 10, drains: false });
  await capturing(hass, folder, async (capture, outbox) => {
    // the filler waits while many events wait: deliver them
    const drain = setInterval(() => {
      const rows = rowsOf(outbox.waiting.next.peek({ ...ALL, maxEvents: 1_500 }));
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
    const filled = delivered.map((line) => JSON.parse(line)).filter(({ via }) => via === "history");
    const times = filled.map(({ event }) => event.time_fired);
    assert.equal(new Set(times).size, times.length, "a state came twice");
    assert.equal(times.length, 8_000);
  }, { importDays: 10, drains: false });
});

Deno.test("A clock that only goes slower than this machine's has not gone back: nothing comes twice", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    change(hass, 70);
    await until(() => outbox.counters().received >= 70, "all is spooled");
  });
  const stoppedMs = performance.now();
  await until(() => performance.now() > stoppedMs + 200, "time passes");
  hass.clock.offsetSeconds = -0.1;
  change(hass, 14, 200);
  await capturing(hass, folder, async (_, outbox) => {
    await until(() => !outbox.chain.opened && outbox.missing.lastId() === 0, "all is filled");
    assertComplete(hass, outbox);
  });
});

for (
  const [end, pauseMs] of [["before the gap's begin", 0], [
    "behind the gap's begin",
    1_000,
  ]] as const
) {
  Deno.test(`A clock that goes back by less than is noticed hides no state where the last one is ${end}`, async () => {
    await using hass = simulated();
    using folder = new TemporaryFolder();
    await capturing(hass, folder, async (capture, outbox) => {
      await connected(capture);
      change(hass, 7);
      await sleep(1_000);
      hass.setState("sensor.s1", "last");
      await spooled(hass, outbox);
    });
    hass.clock.offsetSeconds = -0.5;
    hass.setState("sensor.s0", "first");
    await sleep(pauseMs);
    hass.setState("sensor.s0", "second");
    await sleep(1_000);
    await capturing(hass, folder, async (capture, outbox) => {
      await connected(capture);
      await complete(capture);
      assertComplete(hass, outbox);
      assert.deepEqual([...capture.filling.gaps.unfilledByReason], []);
    });
  });
}

Deno.test("What was missed of an entity that a restart left out comes once, though it is back in a later gap", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    change(hass, 7);
    await spooled(hass, outbox);
  });
  hass.setState("sensor.s0", "missed");
  // as a restart without it, the recorder has no row of its removal
  hass.recorder.hold();
  hass.removeState("sensor.s0");
  hass.recorder.loseQueued();
  hass.recorder.release();
  await capturing(hass, folder, async (capture) => {
    await connected(capture);
    await complete(capture);
  });
  hass.setState("sensor.s0", "back");
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    await complete(capture);
    const filled = captured(outbox).filter(({ entityId, via }) =>
      entityId === "sensor.s0" && via === "history"
    );
    assert.equal(filled.length, 2, "missed, and back");
  });
});

Deno.test("A clock that goes back once all is compared keeps nothing from being read", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    change(hass, 7);
    await until(() => outbox.counters().received >= 7, "all is spooled");
    hass.recorder.hold();
    hass.cutClients();
    change(hass, 14, 30);
    await connected(capture, 2);
    await until(() => !outbox.chain.opened && outbox.missing.lastId() > 0, "all is compared");
    hass.clock.offsetSeconds = -3_600;
    await sleep(200);
    hass.recorder.release();
    await until(() => outbox.missing.lastId() === 0, "all is read");
    assertComplete(hass, outbox);
    assert.deepEqual(capture.filling.gaps.report()[0]?.unfilled, {});
  });
});

Deno.test("Rows of history that are large come in through an outbox that is small", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  const text = "x".repeat(15_000);
  for (let i = 0; i < 400; i++) hass.setState(`sensor.large${i % 7}`, String(i), { text });
  await capturing(hass, folder, async (capture, outbox) => {
    const drain = setInterval(() => {
      const done = outbox.waiting.next.peek(ALL).seqs;
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
    outbox.append(
      [],
      () =>
        outbox.chain.seen.see("no id at all", { state: "1", lastUpdatedUs: 5, lastChangedUs: 5 }),
    );
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
      const rows = rowsOf(outbox.waiting.next.peek(ALL));
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
  }, { maxBytes: 8_000_000, drains: false });
});

Deno.test("Without history the gap waits, present states are there, and with history it is filled in", async () => {
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
    const { filling } = capture;
    await until(() => filling.status.waitingFor !== undefined, "it waits");
    assert.match(filling.status.waitingFor ?? "", /history integration is off/);
    assert.equal(filling.status.waitingEntities, 7);
    assert.equal(filling.gaps.report()[0]?.state, "open");
    assert.equal(captured(outbox).filter(({ via }) => via === "snapshot").length, 7);
    hass.disableHistory(false);
    await complete(capture);
    assertComplete(hass, outbox);
    assert.equal(filling.gaps.report()[0]?.state, "filled");
  });
});

Deno.test("Every interval the present state of every entity is spooled, dated by Home Assistant's clock", async () => {
  // its clock is years away from this machine's, and two seconds before a full minute
  const startedMs = performance.now();
  const now = () => 1_500_000_058 + (performance.now() - startedMs) / 1000;
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
