import assert from "node:assert/strict";
import { fillingAdvice } from "../../lib/ingest/ingest_health.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { FakeEnrich } from "../stand_ins/fake_enrich.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { startIngest } from "../whole_programs.ts";

const MINUTE_MS = 60_000;
const WAITING = { entities: 7, waitingMs: 11 * MINUTE_MS, isRecording: true };

Deno.test("Health says what missing states wait for, for how long, and what to do about each", () => {
  const cases: ReadonlyArray<readonly [string, RegExp]> = [
    ["Home Assistant's history integration is off", /add “history:” or “default_config:”/],
    ["no state has changed since capture went on", /^nothing: as soon as a state changes/],
    ["the recorder has not written down yet what was heard since", /backup.*migrates.*see its log/],
    ["no answer to history/stream within 30 s", /backup.*migrates.*see its log/],
  ];
  for (const [waitingFor, action] of cases) {
    const [advice, ...more] = fillingAdvice({ ...WAITING, waitingFor });
    assert.equal(
      advice?.reason,
      `What 7 entities have missed has waited for 11 min: ${waitingFor}`,
    );
    assert.match(advice?.action ?? "", action);
    assert.deepEqual(more, []);
  }
  const [long] = fillingAdvice({
    entities: 1,
    waitingFor: "x",
    waitingMs: 721 * MINUTE_MS,
    isRecording: true,
  });
  assert.equal(long?.reason, "What 1 entity has missed has waited for 12 h: x");
});

Deno.test("Health says nothing of states that wait for less than ten minutes, nor where none are missing", () => {
  const waitingFor = "Home Assistant's history integration is off";
  for (
    const change of [
      { waitingFor, waitingMs: 10 * MINUTE_MS - 1 },
      { waitingFor, entities: 0 },
      { waitingFor: undefined },
    ]
  ) {
    assert.deepEqual(fillingAdvice({ ...WAITING, ...change }), []);
  }
});

Deno.test("Health, the page and a metric say that Home Assistant's recorder records nothing, and ingest stays ready", async () => {
  for (const recording of [true, false]) {
    using folder = new TemporaryFolder();
    await using enrich = new FakeEnrich();
    await using hass = new SimulatedHomeAssistant().start();
    hass.setState("sensor.a", "1");
    hass.recorder.recording = recording;
    await using ingest = await startIngest({
      HASS_URL: hass.url,
      HASS_TOKEN: hass.token,
      DATA_DIR: folder.path,
      ENRICHMENT_SERVICE_URL: enrich.url,
    });
    await until(
      () => hass.received.some(({ type }) => type === "recorder/info"),
      "the recorder is asked",
    );
    const wanted = recording ? 1 : 0;
    await until(
      async () => (await ingest.metrics()).get("ingest_recorder_recording") === wanted,
      "the metric says it",
    );
    const health = await ingest.get("/health");
    const { advice = [] } = await health.json();
    assert.equal(health.status, 200);
    const html = await (await ingest.get("/")).text();
    const { filling } = await (await ingest.get("/status")).json();
    assert.equal(filling.recorder_recording, recording);
    if (recording) {
      assert.deepEqual(advice, []);
      assert.match(html, /All is well: events are captured and delivered/);
    } else {
      assert.equal(advice.length, 1);
      assert.match(advice[0].reason, /recorder records nothing/);
      assert.match(advice[0].action, /restart Home Assistant$/);
      assert.match(
        html,
        /<title>ingest: Events are captured and delivered, but Home Assistant&#39;s recorder records nothing<\/title>/,
      );
    }
  }
});

/** Asks the program as if the monotonic clock had gone on by so much. */
async function askedLater<T>(ms: number, ask: () => Promise<T>): Promise<T> {
  const { now } = performance;
  performance.now = () => now.call(performance) + ms;
  try {
    return await ask();
  } finally {
    performance.now = now;
  }
}

Deno.test("Ingest's health and page say after ten minutes that what was missed cannot be filled in yet, and why", async () => {
  using folder = new TemporaryFolder();
  await using enrich = new FakeEnrich();
  await using hass = new SimulatedHomeAssistant().start();
  hass.setState("sensor.a", "1");
  hass.disableHistory();
  await using ingest = await startIngest({
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    DATA_DIR: folder.path,
    ENRICHMENT_SERVICE_URL: enrich.url,
  });
  await until(
    async () => (await ingest.metrics()).get("ingest_gap_waiting_entities") === 1,
    "it waits",
  );
  const asked = async () => {
    const health = await ingest.get("/health");
    const { advice = [] } = await health.json();
    const [, title] = /<title>(.*)<\/title>/.exec(await (await ingest.get("/")).text()) ?? [];
    return { status: health.status, advice, title };
  };
  const early = await asked();
  assert.deepEqual([early.status, early.advice], [200, []]);
  const { status, advice, title } = await askedLater(11 * MINUTE_MS, asked);
  assert.equal(status, 200);
  assert.equal(advice.length, 1);
  assert.equal(
    advice[0].reason,
    "What 1 entity has missed has waited for 11 min: Home Assistant's history integration is off",
  );
  assert.match(advice[0].action, /^add “history:”/);
  assert.equal(
    title,
    "ingest: Events are captured and delivered, but what was missed cannot be filled in yet",
  );
});
