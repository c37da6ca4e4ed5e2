import assert from "node:assert/strict";
import { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import { FakeEnrich } from "../../stand_ins/fake_enrich.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { startIngest } from "../../whole_programs.ts";
import { allButLimited } from "./delivering.ts";

const JSON_TYPE = { "content-type": "application/json" };

Deno.test("Ingest says which limit holds events, and a person has them tried at once", async () => {
  using folder = new TemporaryFolder();
  let isRaised = false;
  await using enrich = new FakeEnrich((lines) =>
    allButLimited(lines, (line) => !isRaised && line.includes('"sensor.odd"'), "too many <series>")
  );
  await using hass = new SimulatedHomeAssistant({ recorder: false }).start();
  await using ingest = await startIngest({
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    DATA_DIR: folder.path,
    ENRICHMENT_SERVICE_URL: enrich.url,
    SNAPSHOT_MINUTES: "0",
  });
  const status = async () => await (await ingest.get("/status")).json();
  await until(async () => (await status()).home_assistant.kind === "capturing", "it captures");
  assert.equal((await ingest.get("/health")).status, 200);
  assert.equal((await ingest.metrics()).get("ingest_events_limited"), 0);
  hass.setState("sensor.odd", "1");
  await until(async () => (await status()).delivery.limited.events > 0, "a limit holds it");
  await until(async () => {
    const { events, delivery } = await status();
    return events.queued === delivery.limited.events;
  }, "all else is delivered");
  const { delivery: { limited, problem }, outbox } = await status();
  assert.equal(limited.reason, "too many <series>");
  assert.ok(limited.next_try_in_ms > 30_000 && limited.next_try_in_ms <= 60_000);
  assert.equal(problem, undefined);
  assert.equal(outbox.oldest_event, undefined, "it does not wait for its turn");
  const metrics = await ingest.metrics();
  assert.equal(metrics.get("ingest_events_limited"), limited.events);
  assert.equal(metrics.get("ingest_delivering"), 1);
  const health = await ingest.get("/health");
  assert.equal(health.status, 503);
  const { reasons } = await health.json();
  assert.equal(reasons.length, 1);
  assert.match(
    reasons[0].reason,
    /^(1 event waits|\d+ events wait) because of a limit of the store: too many <series>$/,
  );
  assert.match(
    reasons[0].action,
    /raise the limit, or store less \(see http.*\/health\); then press “Try now”/,
  );
  const html = await (await ingest.get("/")).text();
  assert.match(html, /a limit of the store holds events, the others are stored/);

  const ask = async (headers: Record<string, string>) => {
    const response = await ingest.get("/limited/try", { method: "POST", headers, body: "{}" });
    return { status: response.status, text: await response.text() };
  };
  isRaised = true;
  const plain = await ask({ "content-type": "text/plain" });
  assert.equal(plain.status, 415);
  assert.match(plain.text, /must be application\/json, not text\/plain/);
  const foreign = await ask({ ...JSON_TYPE, origin: "http://evil.example" });
  assert.equal(foreign.status, 403);
  assert.equal((await status()).delivery.limited.events, limited.events, "nothing was tried");
  const asked = await ask(JSON_TYPE);
  assert.equal(asked.status, 202);
  assert.deepEqual(JSON.parse(asked.text), { events: limited.events });
  // by itself it would be tried after a minute
  await until(async () => (await status()).events.queued === 0, "all is delivered", {
    limitMs: 20_000,
  });
  assert.equal((await ingest.get("/health")).status, 200);
  assert.equal((await status()).delivery.limited.events, 0);
});
