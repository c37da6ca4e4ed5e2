import assert from "node:assert/strict";
import { stampOf } from "../../../lib/ingest/capture/state_stamp.ts";
import { Connection } from "../../../lib/ingest/hass/connection.ts";
import { HassClock } from "../../../lib/ingest/hass/hass_clock.ts";
import { webSocketUrl } from "../../../lib/ingest/hass/protocol.ts";
import { Comparison } from "../../../lib/ingest/history/comparison.ts";
import { Gaps } from "../../../lib/ingest/history/gaps.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { mostInOneTurn, turnsDuring } from "../../turns.ts";
import { until } from "../../until.ts";
import { allMissing } from "../outbox/stretches.ts";
import { rowsOf } from "../outbox/rows.ts";

const ALL = { maxEvents: 1_000_000, maxBytes: 1e12 };

interface Compared {
  readonly hass: SimulatedHomeAssistant;
  readonly outbox: Outbox;
  readonly compare: () => Promise<void>;
  /** Hears, or refuses, all that Home Assistant has fired since the last time. */
  readonly hear: () => void;
}

/** An outbox of 8 MB, beside a Home Assistant that it hears of only when told to. */
async function comparing(test: (setup: Compared) => Promise<void>): Promise<void> {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant().start();
  using outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes: 8_000_000,
    onFailure: assert.ifError,
  });
  const stop = new AbortController();
  const { connection } = await Connection.open({
    url: webSocketUrl(hass.url),
    token: hass.token,
    signal: stop.signal,
    handlers: { onEvent: () => {}, onMalformed: assert.fail },
  });
  const clock = new HassClock();
  const comparison = new Comparison({
    outbox,
    gaps: new Gaps(outbox),
    clock,
    namesRead: () => Promise.resolve(),
    days: 0,
    line: (text, _, via) => `{"event":${text},"via":"${via}"}`,
  });
  let heard = 0;
  const hear = () => {
    for (const { text, timeFiredUs } of hass.fired.slice(heard)) {
      const stamp = stampOf(JSON.parse(text), timeFiredUs);
      outbox.add({ line: `{"event":${text}}`, stamp, firedUs: timeFiredUs });
      clock.hear(timeFiredUs);
    }
    heard = hass.fired.length;
    outbox.flush();
  };
  try {
    const compare = () => comparison.run(connection, stop.signal);
    await test({ hass, outbox, compare, hear });
  } finally {
    stop.abort();
    connection.close("tested");
  }
}

/** Whatever waits is delivered. */
function deliverAll(outbox: Outbox): void {
  const done = outbox.waiting.next.peek(ALL).seqs;
  outbox.settle({ done, delivered: done.length, leftOut: {}, problems: [] });
}

function shownStates(outbox: Outbox): unknown[] {
  return rowsOf(outbox.waiting.next.peek(ALL)).map(({ line }) => JSON.parse(line))
    .filter(({ via }) => via === "snapshot").map(({ event: { data } }) => [
      data.entity_id,
      data.new_state.state,
    ]).sort();
}

Deno.test("A comparison spools the states that nobody heard, and closes the gap", async () => {
  await comparing(async ({ hass, outbox, compare, hear }) => {
    for (const id of ["sensor.same", "sensor.changed", "sensor.gone"]) hass.setState(id, "1");
    hear();
    outbox.openGap();
    hass.setState("sensor.changed", "2", { unit_of_measurement: "W" });
    hass.setState("sensor.new", "1");
    hass.removeState("sensor.gone");
    await compare();
    assert.deepEqual(shownStates(outbox), [["sensor.changed", "2"], ["sensor.new", "1"]]);
    assert.equal(outbox.chain.opened, undefined);
    assert.deepEqual(allMissing(outbox.missing).map(({ entityId }) => entityId).sort(), [
      "sensor.changed",
      "sensor.gone",
      "sensor.new",
    ]);
    const { known } = outbox.chain.seen.last("sensor.changed") ?? {};
    assert.deepEqual([known?.state, known?.unit], ["2", "W"]);
    outbox.openGap();
    await compare();
    assert.equal(shownStates(outbox).length, 2, "none is spooled a second time");
  });
});

Deno.test("States that were asked for before events were refused close no gap", async () => {
  await comparing(async ({ hass, outbox, compare, hear }) => {
    hass.setState("sensor.a", "1");
    hear();
    outbox.openGap();
    hass.setState("sensor.b", "1");
    for (let i = 0; !outbox.size.full; i++) {
      outbox.add({ line: "x".repeat(Math.max(1_000, 100_000 - 1_000 * i)) });
      outbox.flush();
    }
    const compared = compare().then(() => "compared", (error: Error) => error.message);
    const asked = () => hass.received.some(({ type }) => type === "get_states");
    await until(asked, "the states are asked for");
    // time for the answer: the comparison waits for room
    const clock = performance.now();
    await until(() => performance.now() - clock > 300, "they are there");
    hass.setState("sensor.a", "2", { text: "x".repeat(200_000) });
    hear();
    assert.ok((outbox.counters().dropped.get("outbox_full") ?? 0) > 0, "it is refused");
    deliverAll(outbox);
    assert.equal(await compared, "events were refused meanwhile");
    assert.ok(outbox.chain.opened, "somebody looks for the state that was refused");
    await compare();
    assert.deepEqual(shownStates(outbox), [["sensor.a", "2"], ["sensor.b", "1"]]);
    assert.equal(outbox.chain.opened, undefined);
  });
});

Deno.test("However many states there are, others have their turn behind every 200 that are compared", async () => {
  await comparing(async ({ hass, outbox, compare, hear }) => {
    for (let i = 0; i < 1_500; i++) hass.setState(`sensor.s${i}`, "1");
    hear();
    // there is room for what nobody heard
    deliverAll(outbox);
    outbox.openGap();
    const append = outbox.append.bind(outbox);
    const commits: [turn: number, count: number][] = [];
    await turnsDuring(async (turn) => {
      outbox.append = (lines, also) => {
        commits.push([turn(), 1]);
        return append(lines, also);
      };
      await compare();
    });
    assert.ok(commits.length > 8, `${commits.length} commits`);
    assert.ok(mostInOneTurn(commits) <= 2, `${mostInOneTurn(commits)} in one turn`);
  });
});

Deno.test("However many entities miss something, each step notes of at most 2,000 where reading begins", async () => {
  await comparing(async ({ hass, outbox, compare, hear }) => {
    const setAll = (state: string) => {
      for (let i = 0; i < 4_500; i++) hass.setState(`sensor.s${i}`, state);
    };
    setAll("1");
    hear();
    deliverAll(outbox);
    outbox.openGap();
    setAll("2");
    const append = outbox.append.bind(outbox);
    const started: [turn: number, count: number][] = [];
    const countStarted = () =>
      allMissing(outbox.missing).filter(({ startUs }) => startUs !== 0).length;
    await turnsDuring(async (turn) => {
      outbox.append = (lines, also) => {
        const isDone = append(lines, also);
        if (lines.length > 0) {
          deliverAll(outbox);
          return isDone;
        }
        const before = started.reduce((sum, [, count]) => sum + count, 0);
        started.push([turn(), countStarted() - before]);
        return isDone;
      };
      await compare();
    });
    assert.equal(countStarted(), 4_500);
    assert.equal(mostInOneTurn(started), 2_000);
    assert.equal(outbox.chain.opened, undefined);
  });
});
