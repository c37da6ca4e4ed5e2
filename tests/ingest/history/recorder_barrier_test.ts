/** What the recorder writes down late, in part, or never. */
import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Connection } from "../../../lib/ingest/hass/connection.ts";
import { HassClock } from "../../../lib/ingest/hass/hass_clock.ts";
import { webSocketUrl } from "../../../lib/ingest/hass/protocol.ts";
import { behindBarrier, NOTHING_HEARD } from "../../../lib/ingest/history/recorder_barrier.ts";
import type { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import type { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import { HOUSE } from "../../simulator/sample_house.ts";
import {
  ALL,
  assertComplete,
  captured,
  capturing,
  change,
  complete,
  connected,
  lacking,
  rowsAsked,
  simulated,
  spooled,
} from "./capturing_house.ts";
import { rowsOf } from "../outbox/rows.ts";

/** Commits only when something makes it. */
const NEVER_MS = 1e9;

const historyAsked = (hass: SimulatedHomeAssistant) => rowsAsked(hass).length;

/** While the work lasts all that waits is delivered. */
async function drained(outbox: Outbox, work: () => Promise<unknown>): Promise<void> {
  const drain = setInterval(() => {
    const done = rowsOf(outbox.waiting.next.peek({ ...ALL, maxEvents: 1_000 })).map(({ seq }) =>
      seq
    );
    outbox.settle({ done, delivered: done.length, leftOut: {}, problems: [] });
  }, 2);
  try {
    await work();
  } finally {
    clearInterval(drain);
  }
}

/** Ingest has captured seven sensors, and is off. */
async function heardBefore(hass: SimulatedHomeAssistant, folder: TemporaryFolder): Promise<void> {
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    await complete(capture);
    change(hass, 50);
    await spooled(hass, outbox);
  });
  // it has committed all that
  hass.recorder.hold();
  hass.recorder.release();
}

Deno.test("A barrier has the recorder commit what it would have kept to itself for long", async () => {
  await using hass = simulated({ commitIntervalMs: NEVER_MS });
  using folder = new TemporaryFolder();
  await heardBefore(hass, folder);
  change(hass, 100, 50);
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    await complete(capture);
    assertComplete(hass, outbox);
    assert.deepEqual(capture.filling.gaps.report()[0]?.unfilled, {});
  });
});

Deno.test("A gap waits for as long as the recorder writes nothing, over a restart too, and then is filled", async () => {
  await using hass = simulated({ commitIntervalMs: NEVER_MS });
  using folder = new TemporaryFolder();
  await heardBefore(hass, folder);
  hass.recorder.hold();
  change(hass, 100, 50);
  for (let start = 0; start < 2; start++) {
    await capturing(hass, folder, async (capture, outbox) => {
      await connected(capture);
      await until(() => capture.filling.status.waitingFor !== undefined, "it waits");
      const asked = historyAsked(hass);
      // one barrier without an answer, and another
      const said = hass.received.length;
      await until(() => hass.received.length > said + 6, "it asks again");
      assert.equal(historyAsked(hass), asked, "the barrier is repeated, not the reading");
      assert.equal(capture.filling.status.waitingEntities, 7);
      const gaps = capture.filling.gaps.report(outbox.missing.byGap());
      assert.ok(gaps.some(({ state, missing }) => state === "open" && missing === 7));
      assert.ok(gaps.every(({ unfilled }) => Object.keys(unfilled).length === 0));
      assert.equal(
        captured(outbox).filter(({ via }) => via === "snapshot").length,
        7,
        "present states are there, once",
      );
    });
  }
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    hass.recorder.release();
    await complete(capture);
    assertComplete(hass, outbox);
    assert.ok(capture.filling.gaps.report().every(({ state }) => state === "filled"));
  });
});

Deno.test("A second gap while the first one waits: both are filled, each from its own begin", async () => {
  await using hass = simulated({ commitIntervalMs: NEVER_MS });
  using folder = new TemporaryFolder();
  await heardBefore(hass, folder);
  hass.recorder.hold();
  change(hass, 100, 50);
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    await until(() => capture.filling.status.waitingFor !== undefined, "it waits");
    change(hass, 10, 200);
    await spooled(hass, outbox);
    hass.cutClients();
    change(hass, 50, 300);
    await connected(capture, 2);
    await until(() => outbox.chain.opened === undefined, "it has compared");
    const waiting = capture.filling.gaps.report(outbox.missing.byGap())
      .filter(({ state }) => state === "open");
    assert.deepEqual(waiting.map(({ missing }) => missing), [7, 7]);
    hass.recorder.release();
    await complete(capture);
    assertComplete(hass, outbox);
  });
});

Deno.test("What the recorder lost between rows that it has is said, and nothing else", async () => {
  await using hass = simulated({ commitIntervalMs: NEVER_MS });
  using folder = new TemporaryFolder();
  await heardBefore(hass, folder);
  hass.setState("sensor.s1", "lost");
  hass.recorder.loseQueued();
  hass.setState("sensor.s2", "kept");
  await until(() => hass.subscriberCount === 0, "nobody listens");
  await capturing(hass, folder, async (capture, outbox) => {
    // both are heard before the present states are asked for: their events say what came before
    while (hass.subscriberCount === 0) await nextTurn();
    hass.setState("sensor.s1", "after");
    hass.setState("sensor.s2", "after");
    await connected(capture);
    await complete(capture);
    await spooled(hass, outbox);
    assert.equal(lacking(hass, outbox).length, 1);
    assert.match(lacking(hass, outbox)[0] ?? "", /sensor\.s1/);
    const unfilled = capture.filling.gaps.unfilledByReason;
    assert.deepEqual([...unfilled], [["lost by the recorder", 1]]);
  });
});

Deno.test("A commit that fails answers no barrier: another one is sent, and what was lost is said", async () => {
  await using hass = simulated({ commitIntervalMs: NEVER_MS });
  using folder = new TemporaryFolder();
  await heardBefore(hass, folder);
  change(hass, 7, 50);
  hass.recorder.failNextCommit();
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    await complete(capture);
    const lost = capture.filling.gaps.unfilledByReason;
    assert.deepEqual([...lost], [["lost by the recorder", 7]]);
    assert.equal(captured(outbox).filter(({ via }) => via === "snapshot").length, 7);
  });
});

for (const version of ["2024.3.3", "2025.4.4"] as const) {
  Deno.test(`Core ${version} is not believed before it shows a state that was heard since`, async () => {
    await using hass = simulated({ version, commitIntervalMs: NEVER_MS });
    using folder = new TemporaryFolder();
    await heardBefore(hass, folder);
    hass.recorder.answersEarly = true;
    change(hass, 100, 50);
    await capturing(hass, folder, async (capture, outbox) => {
      await connected(capture);
      await until(() => capture.filling.status.waitingFor !== undefined, "it waits for a change");
      change(hass, 7, 300);
      const said = hass.received.length;
      await until(() => hass.received.length > said + 12, "it asks again");
      assert.equal(capture.filling.status.waitingEntities, 7, "an early answer proves nothing");
      hass.recorder.answersEarly = false;
      await complete(capture);
      await spooled(hass, outbox);
      assertComplete(hass, outbox);
    });
  });
}

Deno.test("What an older core is to show is asked for state by state, not with all that came between", async () => {
  await using hass = simulated({ version: "2025.4.4", commitIntervalMs: NEVER_MS });
  using folder = new TemporaryFolder();
  await heardBefore(hass, folder);
  hass.recorder.answersEarly = true;
  change(hass, 100, 50);
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    await until(() => capture.filling.status.waitingFor !== undefined, "it waits for a change");
    hass.setState("sensor.quiet", "1");
    hass.clock.offsetSeconds = 3_600;
    change(hass, 500, 300);
    await spooled(hass, outbox);
    const before = historyAsked(hass);
    const asked = () => rowsAsked(hass).slice(before);
    await until(() => asked().length > 3, "it asks");
    for (const { start_time, end_time } of asked()) {
      const spanMs = Date.parse(String(end_time)) - Date.parse(String(start_time));
      assert.ok(spanMs < 60_000, `${start_time} to ${end_time}`);
    }
    assert.equal(capture.filling.status.waitingEntities, 7);
    hass.recorder.answersEarly = false;
    await complete(capture);
  });
});

Deno.test("An older core is believed though its recorder leaves out most of what is heard", async () => {
  await using hass = simulated({ version: "2025.4.4", commitIntervalMs: NEVER_MS });
  using folder = new TemporaryFolder();
  await heardBefore(hass, folder);
  hass.recorder.hold();
  change(hass, 100, 50);
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    await until(() => capture.filling.status.waitingFor !== undefined, "it waits");
    hass.setState("sensor.recorded", "1");
    hass.recorder.enabled = false;
    for (let i = 0; i < 100; i++) hass.setState(`sensor.left_out_${i}`, "1");
    hass.recorder.enabled = true;
    await spooled(hass, outbox);
    hass.recorder.release();
    await complete(capture);
  });
});

Deno.test("A core that does not say its release is not believed at once", async () => {
  await using hass = simulated();
  const { connection } = await Connection.open({
    url: webSocketUrl(hass.url),
    token: hass.token,
    signal: new AbortController().signal,
    handlers: { onEvent: () => {}, onMalformed: () => {} },
  });
  const options = { deadlineMs: 1_000, witnesses: new Map(), clock: new HassClock() };
  const obstacle = (haVersion: string) => behindBarrier(connection, { haVersion, ...options });
  assert.equal(await obstacle("unknown"), NOTHING_HEARD);
  assert.equal(await obstacle("2026.11.0"), undefined);
  connection.close("tested");
});

Deno.test("An entity that was removed long ago is asked for once, and no alarm is raised", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    await complete(capture);
    change(hass, 50);
    await spooled(hass, outbox);
    // as release 0.1.0 knows it: only a stamp, of a year ago
    const state = { state: "1", lastUpdatedUs: 1_750_000_000_000_000, lastChangedUs: 1 };
    outbox.append([], () => outbox.chain.seen.see("sensor.removed", state));
  });
  for (const [start, requests] of [[0, 2], [1, 0]] as const) {
    const before = historyAsked(hass);
    await capturing(hass, folder, async (capture) => {
      await connected(capture);
      await complete(capture);
      const asked = historyAsked(hass) - before;
      assert.ok(asked <= requests, `${asked} requests at start ${start}`);
      assert.equal(capture.filling.gaps.unfilledByReason.size, 0);
    });
  }
});

Deno.test("Of 5,000 entities what they missed comes in at most ten requests", async () => {
  await using hass = simulated();
  using folder = new TemporaryFolder();
  const all = (value: string) => {
    for (let i = 0; i < 5_000; i++) hass.setState(`sensor.many_${i}`, value);
  };
  all("1");
  await capturing(
    hass,
    folder,
    (_, outbox) =>
      drained(outbox, () => until(() => outbox.counters().delivered >= 5_000, "all are there")),
  );
  all("2");
  const before = hass.received.filter(({ type }) => String(type).startsWith("history/")).length;
  await capturing(hass, folder, async (capture, outbox) => {
    await drained(outbox, () => complete(capture));
    assert.equal(capture.filling.rows, 5_000);
  });
  const asked = hass.received.filter(({ type }) => String(type).startsWith("history/")).length;
  assert.ok(asked - before <= 10, `${asked - before} requests`);
});

Deno.test("A rename while the recorder is waited for loses nothing: the rows are under the new id", async () => {
  for (const version of ["2025.4.4", "2026.11.0"] as const) {
    await using hass = simulated({
      version,
      commitIntervalMs: NEVER_MS,
      house: HOUSE,
    });
    using folder = new TemporaryFolder();
    hass.setState("sensor.living_room_temperature", "0");
    await heardBefore(hass, folder);
    hass.recorder.hold();
    hass.setState("sensor.living_room_temperature", "1");
    hass.setState("sensor.living_room_temperature", "2");
    await capturing(hass, folder, async (capture, outbox) => {
      await connected(capture);
      await until(() => capture.filling.status.waitingFor !== undefined, "it waits");
      hass.registry.updateEntity("sensor.living_room_temperature", { entity_id: "sensor.new" });
      await until(
        () => outbox.missing.next(99, 99).some(({ entityId }) => entityId === "sensor.new"),
        "the rename is known",
      );
      hass.recorder.release();
      change(hass, 7, 100);
      await complete(capture);
      assert.deepEqual([...capture.filling.gaps.unfilledByReason], [["renamed", 1]]);
      const filled = captured(outbox).filter(({ via }) => via === "history");
      assert.ok(filled.some(({ oldState }) => oldState === "0"));
    });
  }
});

Deno.test("A rename of an entity that was gone does not make the one that has its id now a gone one", async () => {
  await using hass = simulated({ house: HOUSE });
  using folder = new TemporaryFolder();
  hass.setState("sensor.living_room_temperature", "0");
  await heardBefore(hass, folder);
  hass.removeState("sensor.living_room_temperature");
  hass.recorder.hold();
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    await until(() => capture.filling.status.waitingFor !== undefined, "it waits");
    hass.registry.updateEntity("sensor.living_room_temperature", { entity_id: "sensor.new" });
    await until(
      () => outbox.missing.next(99, 99).some(({ entityId }) => entityId === "sensor.new"),
      "the rename is known",
    );
    hass.setState("sensor.new", "1");
    await spooled(hass, outbox);
    hass.recorder.release();
    await complete(capture);
    assert.equal(outbox.chain.seen.last("sensor.new")?.known?.state, "1");
  });
  hass.setState("sensor.new", "2");
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    await complete(capture);
    const filled = captured(outbox).findLast(({ via }) => via === "history");
    assert.deepEqual([filled?.entityId, filled?.oldState], ["sensor.new", "1"]);
  });
});
