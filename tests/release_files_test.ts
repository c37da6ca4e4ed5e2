import assert from "node:assert/strict";
import * as z from "zod";
import { formatTimeUs } from "../lib/time.ts";
import { Relay } from "./stand_ins/relay.ts";
import {
  copyRelease,
  type OutboxContents,
  outboxContents,
  readLine,
  RELEASE,
  storedPoints,
} from "./release_files.ts";
import { SetClock, SilentHomeAssistant } from "./stand_ins/silent_home_assistant.ts";
import { HOUSE } from "./simulator/sample_house.ts";
import { TemporaryFolder } from "./temporary.ts";
import { until } from "./until.ts";
import { type Program, startEnrich, startIngest } from "./whole_programs.ts";

interface Opened {
  /** What was in the outbox before it was opened. */
  readonly before: OutboxContents;
  /** Away, until it is started; all its states are newer than those that the release heard. */
  readonly hass: SilentHomeAssistant;
  /** States that no ingest heard: entity, and when in microseconds since 1970. */
  readonly missed: readonly (readonly [entityId: string, us: number])[];
  readonly relay: Relay;
  readonly ingest: Program;
}

const HOUR_MS = 3_600_000;

/**
 * Runs the newest programs on a copy of the release's files, Home Assistant being away. Returns what
 * was stored before and after; what was there before must be there still.
 */
async function opened(test: (opened: Opened) => Promise<void>) {
  using folder = new TemporaryFolder();
  copyRelease(folder.path);
  const before = outboxContents(folder.file("outbox.sqlite"));
  const stored = storedPoints(folder.file("store.sqlite"));
  assert.ok(stored.size > 100, `only ${stored.size} points`);
  const clock = new SetClock(before.missingSinceUs / 1_000 + 1);
  await using hass = new SilentHomeAssistant({ house: HOUSE, now: clock.seconds }).start();
  const missed = missedStates(hass, clock, before);
  await hass.stop();
  {
    await using enrich = await startEnrich({
      DATA_DIR: folder.path,
      LOCAL_STORE_DAYS: "36500",
    });
    await using relay = new Relay(enrich.url);
    await using ingest = await startIngest({
      HASS_URL: hass.url,
      HASS_TOKEN: hass.token,
      DATA_DIR: folder.path,
      ENRICHMENT_SERVICE_URL: relay.url,
      SNAPSHOT_MINUTES: "0",
    });
    await test({ before, hass, missed, relay, ingest });
  }
  const after = storedPoints(folder.file("store.sqlite"));
  for (const [key, point] of stored) assert.deepEqual(after.get(key), point);
  return { stored, after };
}

/** What happened after the release was stopped, and what it had read of that without storing it. */
function missedStates(hass: SilentHomeAssistant, clock: SetClock, before: OutboxContents) {
  const states = hass.states.all();
  for (const { entityId, state, attributes, lastUpdatedUs } of before.held) {
    const write = { entityId, state, attributes, forceUpdate: true };
    clock.at(lastUpdatedUs, () => void hass.writeState(write));
  }
  clock.forward(90);
  for (const { entityId, attributes } of states) {
    if (!before.gaps.has(entityId) || before.gapsUnderWay.has(entityId)) continue;
    hass.writeState({ entityId, state: "missed", attributes, forceUpdate: true });
  }
  clock.forward(30);
  return [
    ...states.map(({ entityId, lastUpdated }) => [entityId, lastUpdated.us] as const),
    ...hass.fired.map(({ text, timeFiredUs }) =>
      [String(JSON.parse(text).data.entity_id), timeFiredUs] as const
    ),
  ];
}

async function settled(ingest: Program) {
  return await until(async () => {
    const metrics = await ingest.metrics();
    return metrics.get("ingest_events_queued") === 0 && metrics;
  }, "nothing waits");
}

const statusSchema = z.object({
  home_assistant: z.object({ kind: z.string(), named_entities: z.number() }),
  filling: z.object({ state: z.string() }),
  gaps: z.array(
    z.object({
      reason: z.string(),
      from: z.string(),
      rows: z.number(),
      entities: z.number(),
      state: z.string(),
    }),
  ),
});

async function statusOf(ingest: Program) {
  return statusSchema.parse(await (await ingest.get("/status")).json());
}

async function capturing({ hass, ingest }: Opened): Promise<void> {
  hass.start();
  await until(
    async () => (await statusOf(ingest)).home_assistant.kind === "capturing",
    "it captures",
  );
}

Deno.test(`Ingest delivers every line that ${RELEASE} left waiting, byte for byte, and its counters go on`, async () => {
  let n = 0;
  const { stored, after } = await opened(async ({ before, relay, ingest }) => {
    n = before.waiting.length;
    assert.ok(n > 20, `only ${n} lines wait`);
    const metrics = await settled(ingest);
    assert.deepEqual(relay.taken.toSorted(), before.waiting.toSorted());
    const counter = (name: string) => before.counters.get(name) ?? 0;
    assert.equal(metrics.get("ingest_events_received_total"), counter("received"));
    assert.equal(metrics.get("ingest_events_delivered_total"), counter("delivered") + n);
    assert.equal(metrics.get("ingest_events_dead_lettered"), counter("dead_lettered"));
  });
  assert.equal(after.size, stored.size + n, "every line is a point of its own");
});

const lettersSchema = z.object({
  letters: z.array(z.object({ seq: z.number(), reason: z.string() })),
});

Deno.test(`Ingest lists the dead letters of ${RELEASE}, and replays them`, async () => {
  await opened(async ({ before, relay, ingest }) => {
    const { deadLetters } = before;
    await settled(ingest);
    const { letters } = lettersSchema.parse(await (await ingest.get("/dead-letters")).json());
    assert.deepEqual(letters, deadLetters.map(({ seq, reason }) => ({ seq, reason })));
    const fromStore = deadLetters.filter(({ reason }) => !reason.startsWith("data."));
    assert.ok(fromStore.length > 0 && fromStore.length < deadLetters.length);

    const answer = await ingest.get("/dead-letters/replay", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"all":true}',
    });
    assert.deepEqual(await answer.json(), { moved: deadLetters.length });
    const metrics = await settled(ingest);
    // the local store takes what another one refused; what is no event can never be stored
    const hopeless = deadLetters.filter((letter) => !fromStore.includes(letter));
    assert.equal(metrics.get("ingest_events_dead_lettered"), hopeless.length);
    assert.deepEqual(relay.refused, hopeless.map(({ line }) => line));
    assert.deepEqual(relay.taken.slice(-fromStore.length), fromStore.map(({ line }) => line));
  });
});

Deno.test(`Ingest knows the gaps that ${RELEASE} left, and fills in what the recorder has`, async () => {
  let expected: Opened["missed"] = [];
  const { after } = await opened(async (setup) => {
    const { before, relay, ingest, missed } = setup;
    expected = missed;
    assert.ok(before.held.length > 0 && before.gapsUnderWay.size < before.gaps.size);
    const { gaps, filling } = await statusOf(ingest);
    const states = before.interruptions.map(({ state }) => state);
    assert.deepEqual(states, ["open", "filled"]);
    assert.deepEqual(
      gaps.map(({ entities: _, ...gap }) => gap),
      before.interruptions.map(({ fromUs, reason, rows, state }) => ({
        reason,
        from: formatTimeUs(fromUs),
        rows,
        state,
      })),
    );
    // of which entities is known once their present states are compared
    assert.equal(filling.state, "waiting");

    setup.hass.ignores = (type) => type.startsWith("config/");
    await capturing(setup);
    const taken = () =>
      new Set(
        relay.taken.map(readLine).map(({ event: { data, time_fired } }) =>
          `${data.entity_id} ${Date.parse(time_fired)}`
        ),
      );
    await until(
      () => missed.every(([entityId, us]) => taken().has(`${entityId} ${Math.floor(us / 1_000)}`)),
      "all that was missed is delivered",
    );
    await settled(ingest);
    const [gap] = (await statusOf(ingest)).gaps;
    assert.ok(gap && gap.entities >= before.gaps.size, `only ${gap?.entities} entities`);
  });
  const times = Map.groupBy(
    after.values(),
    ({ tags, timeNs }) => `${tags.entity_id} ${timeNs / 1_000n}`,
  );
  for (const [entityId, us] of expected) {
    assert.equal(times.get(`${entityId} ${us}`)?.length, 1, `${entityId} at ${formatTimeUs(us)}`);
  }
});

Deno.test(`Ingest gives events the names that ${RELEASE} learnt, before Home Assistant says them`, async () => {
  await opened(async (setup) => {
    const { before: { names }, hass, ingest, relay } = setup;
    hass.ignores = (type) => type.startsWith("config/");
    assert.equal((await statusOf(ingest)).home_assistant.named_entities, names.length);
    await capturing(setup);
    const known = names.filter(({ area, device }) => area && device);
    assert.ok(known.length > 10 && known.some(({ area }) => area === "Sitting room"));
    const mark = crypto.randomUUID();
    for (const { entity_id } of known) hass.setState(entity_id, mark);
    const given = await until(() => {
      const lines = relay.taken.filter((line) => line.includes(mark)).map(readLine);
      return lines.length >= known.length && lines;
    }, "the events are delivered");
    assert.deepEqual(
      given.map(({ event, registry }) => ({ entity_id: event.data.entity_id, ...registry })),
      known.map(({ entity_id, name, area, floor, device }) =>
        JSON.parse(JSON.stringify({ entity_id, name, area, floor, device }))
      ),
    );
  });
});

Deno.test(`An import of statistics goes on where ${RELEASE} was`, async () => {
  await opened(async (setup) => {
    const { before: { cursors }, hass, ingest, relay } = setup;
    assert.ok(cursors.size > 1);
    for (const [statistic_id, cursorMs] of cursors) {
      const hours = [-2, -1, 0, 1, 2].map((i) => [cursorMs + i * HOUR_MS, { mean: i }] as const);
      const unit = { unit_of_measurement: "°C", name: null, has_mean: true, has_sum: false };
      const source = statistic_id.includes(":") ? "energy" : "recorder";
      hass.statistics.import({ statistic_id, source, ...unit }, hours);
    }
    await capturing(setup);
    const answer = await ingest.get("/import-statistics", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(answer.status, 202);
    const progress = await until(async () => {
      const now = await (await ingest.get("/import-statistics")).json();
      return now.state !== "running" && now;
    }, "the import has ended");
    assert.equal(progress.state, "done");
    // the hours are in the outbox then, and are delivered as all else is
    await settled(ingest);
    const imported = relay.taken.map(readLine).filter(({ via }) => via === "statistics")
      .map(({ event: { data } }) => `${data.statistic_id} ${Date.parse(String(data.start))}`);
    assert.deepEqual(
      imported.toSorted(),
      [...cursors].flatMap(([id, cursorMs]) =>
        [0, 1, 2].map((i) => `${id} ${cursorMs + i * HOUR_MS}`)
      )
        .toSorted(),
    );
  });
});
