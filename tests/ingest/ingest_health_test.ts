import assert from "node:assert/strict";
import { fillingAdvice } from "../../lib/ingest/ingest_health.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { CollectedLog } from "../collected_log.ts";
import { FakeEnrich } from "../stand_ins/fake_enrich.ts";
import { CA_FILE, ELSEWHERE_FILE, TlsProxy } from "../stand_ins/tls_proxy.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { startEnrich, startIngest } from "../whole_programs.ts";

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

Deno.test("Behind a proxy with TLS ingest captures as soon as its headers are right, and tells none of them", async () => {
  using folder = new TemporaryFolder();
  await using log = await CollectedLog.begin();
  await using enrich = new FakeEnrich();
  await using hass = new SimulatedHomeAssistant({ version: "2026.11.0" }).start();
  const wants = { "cf-access-client-id": "id-of-house", "cf-access-client-secret": "s3cret-of-it" };
  await using proxy = new TlsProxy({ port: hass.port, wants });
  const file = folder.file("headers");
  Deno.writeTextFileSync(
    file,
    "CF-Access-Client-Id: id-of-house\nCF-Access-Client-Secret: wr0ng\n",
  );
  await using ingest = await startIngest({
    HASS_URL: proxy.url,
    HASS_CA_FILE: CA_FILE,
    HASS_HEADERS_FILE: file,
    HASS_TOKEN: hass.token,
    DATA_DIR: folder.path,
    ENRICHMENT_SERVICE_URL: enrich.url,
  });
  const told: string[] = [];
  const look = async () => {
    for (const path of ["/health", "/status", "/metrics", "/", "/nowhere"]) {
      told.push(await (await ingest.get(path)).text());
    }
    return told.at(-5) ?? "";
  };
  await until(async () => /answers 403/.test(await look()), "the refusal is told");
  const [{ reason, action }] = JSON.parse(told.at(-5) ?? "").reasons;
  assert.match(
    reason,
    /^Home Assistant is not connected: https:\S+ answers 403: .* a proxy lets nobody in$/,
  );
  assert.match(action, /, or set HASS_HEADERS to what the proxy asks for$/);
  assert.match(told.at(-2) ?? "", /or set HASS_HEADERS to what the proxy asks for/);
  assert.equal(log.with(`a proxy lets nobody in; ${action}`).length, 1);
  // a line that is no header is told by its number, and by no more
  Deno.writeTextFileSync(file, "s3cret-of-it");
  await until(async () => /HASS_HEADERS, line 1 is no header/.test(await look()), "it is told");
  Deno.writeTextFileSync(
    file,
    "CF-Access-Client-Id: id-of-house\nCF-Access-Client-Secret: s3cret-of-it",
  );
  await until(
    async () => (await ingest.metrics()).get("ingest_capturing") === 1,
    "it captures",
    {
      limitMs: 60_000,
    },
  );
  hass.setState("sensor.a", "1");
  await until(() => enrich.stored.some((line) => /sensor\.a/.test(line)), "the event is delivered");
  await look();
  for (const text of [...told, ...log.lines]) {
    assert.doesNotMatch(text, /id-of-house|s3cret-of-it|wr0ng/);
  }
});

Deno.test("Where a name is not in the certificate, log, health, page and check say the same", async () => {
  using folder = new TemporaryFolder();
  await using log = await CollectedLog.begin();
  await using enrich = new FakeEnrich();
  await using proxy = new TlsProxy({ port: 1, certificate: "elsewhere.pem" });
  await using ingest = await startIngest({
    HASS_URL: proxy.url,
    HASS_CA_FILE: ELSEWHERE_FILE,
    HASS_TOKEN: "a",
    DATA_DIR: folder.path,
    ENRICHMENT_SERVICE_URL: enrich.url,
  });
  const state = `The certificate of ${proxy.host} is made for homeassistant.local or 192.0.2.7, ` +
    "not for 127.0.0.1";
  const wish = "set HASS_URL to a name that it is made for";
  await until(() => log.with(`Not capturing: ${state}; ${wish}`).length === 1, "the log says it");
  const { reasons } = await (await ingest.get("/health")).json();
  assert.deepEqual(reasons[0], {
    reason: `Home Assistant is not connected: ${state}`,
    action: wish,
  });
  const page = await (await ingest.get("/")).text();
  assert.ok(page.includes(state), page);
  assert.ok(page.includes(wish));
});

Deno.test("Where HASS_URL begins with https for http, log, health, page and check say the same", async () => {
  using folder = new TemporaryFolder();
  await using log = await CollectedLog.begin();
  await using enrich = new FakeEnrich();
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(),
  );
  const host = `127.0.0.1:${server.addr.port}`;
  await using ingest = await startIngest({
    HASS_URL: `https://${host}`,
    HASS_TOKEN: "a",
    DATA_DIR: folder.path,
    ENRICHMENT_SERVICE_URL: enrich.url,
  });
  const state = `HASS_URL begins with https, but ${host} answers by http`;
  const wish = `set HASS_URL to http://${host}`;
  await until(() => log.with(`Not capturing: ${state}; ${wish}`).length === 1, "the log says it");
  const { reasons } = await (await ingest.get("/health")).json();
  assert.deepEqual(reasons[0], {
    reason: `Home Assistant is not connected: ${state}`,
    action: wish,
  });
  const page = await (await ingest.get("/")).text();
  assert.ok(page.includes(state), page);
  assert.ok(page.includes(wish));
});

Deno.test("Health asks to start an enrich that is not there, and to correct a SERVICE_TOKEN", async () => {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant({ recorder: false }).start();
  const wishBeside = async (ENRICHMENT_SERVICE_URL: string, name: string) => {
    await using ingest = await startIngest({
      HASS_URL: hass.url,
      HASS_TOKEN: hass.token,
      DATA_DIR: folder.file(name),
      ENRICHMENT_SERVICE_URL,
    });
    return await until(async () => {
      hass.fire("mark", {});
      const { reasons = [] }: { reasons?: { reason: string; action: string }[] } =
        await (await ingest.get("/health")).json();
      return reasons.find(({ reason }) => reason.startsWith("Events wait"));
    }, "events wait");
  };
  const nobody = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  nobody.close();
  const url = `http://127.0.0.1:${nobody.addr.port}`;
  assert.deepEqual(await wishBeside(url, "a"), {
    reason: "Events wait in the outbox: enrich could not be reached: connection refused",
    action: `start enrich, or set ENRICHMENT_SERVICE_URL (${url}) to where it runs; ` +
      "nothing is lost meanwhile",
  });
  await using closed = await startEnrich({ DATA_DIR: folder.file("b"), SERVICE_TOKEN: "s3cret" });
  const { action } = await wishBeside(closed.url, "c");
  assert.equal(action, "set SERVICE_TOKEN, the same for both programs; nothing is lost meanwhile");
});
