import assert from "node:assert/strict";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { FakeEnrich } from "../stand_ins/fake_enrich.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { startIngest } from "../whole_programs.ts";

Deno.test("Metrics and status say of how many entities states wait for the recorder, why, and for how long", async () => {
  for (const isOff of [true, false]) {
    using folder = new TemporaryFolder();
    await using enrich = new FakeEnrich();
    await using hass = new SimulatedHomeAssistant().start();
    const entities = 3;
    for (let i = 0; i < entities; i++) hass.setState(`sensor.s${i}`, String(i));
    hass.disableHistory(isOff);
    await using ingest = await startIngest({
      HASS_URL: hass.url,
      HASS_TOKEN: hass.token,
      DATA_DIR: folder.path,
      ENRICHMENT_SERVICE_URL: enrich.url,
    });
    const fillingOf = async () => (await (await ingest.get("/status")).json()).filling;
    if (!isOff) {
      await until(async () => (await fillingOf()).rows >= entities, "all is filled in");
      const metrics = await ingest.metrics();
      assert.equal(metrics.get("ingest_gap_waiting_entities"), 0);
      assert.equal(metrics.get("ingest_gap_entities"), 0);
      const { waiting_for, waiting_ms } = await fillingOf();
      assert.deepEqual([waiting_for, waiting_ms], [undefined, undefined]);
      continue;
    }
    const { waiting_for: why, waiting_ms: firstMs } = await until(async () => {
      const filling = await fillingOf();
      return filling.waiting_for !== undefined && filling;
    }, "it waits");
    assert.equal(why, "Home Assistant's history integration is off");
    const metrics = await ingest.metrics();
    assert.equal(metrics.get("ingest_gap_waiting_entities"), entities);
    assert.equal(metrics.get("ingest_gap_entities"), entities);
    const html = await (await ingest.get("/")).text();
    assert.match(html, /delivered, and what was missed waits for Home Assistant&#39;s recorder</);
    // a lost connection does not begin the wait anew
    const before = hass.received.length;
    hass.cutClients();
    await until(
      () => hass.received.slice(before).some(({ type }) => type === "history/stream"),
      "it is asked again over a new connection",
    );
    const after = await fillingOf();
    assert.equal(after.waiting_for, why);
    assert.ok(after.waiting_ms > firstMs, `${after.waiting_ms} after ${firstMs}`);
  }
});
