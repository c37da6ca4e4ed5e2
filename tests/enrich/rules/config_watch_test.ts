import assert from "node:assert/strict";
import { FakeInfluxDb } from "../../stand_ins/fake_influxdb.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { stateOf } from "../tidy/tidied.ts";
import { until } from "../../until.ts";
import { type Program, startEnrich } from "../../whole_programs.ts";

/** What enrich says of a state's event. */
async function answerTo(enrich: Program, entityId: string) {
  const time_fired = new Date().toISOString();
  const data = { entity_id: entityId, new_state: stateOf(entityId, "1", {}, time_fired) };
  const response = await enrich.get("/events", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ event_type: "state_changed", data, origin: "LOCAL", time_fired }),
  });
  const body = await response.json();
  return body.skipped ?? body.status ?? body.detail;
}

async function configOf(enrich: Program) {
  return (await (await enrich.get("/status")).json()).config;
}

async function storeOf(enrich: Program): Promise<string> {
  return (await (await enrich.get("/status")).json()).store.description;
}

Deno.test("Enrich applies its file again when it changes, and keeps the old rules while it is faulty", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("influxdb.yaml");
  Deno.writeTextFileSync(path, "exclude: {domains: light}");
  await using enrich = await startEnrich({ DATA_DIR: folder.path, CONFIG_FILE: path });
  assert.equal(await answerTo(enrich, "light.a"), "filter");
  assert.equal(await answerTo(enrich, "sensor.a"), "success");

  Deno.writeTextFileSync(path, "exclude: {domain: sensor}");
  await until(async () => (await configOf(enrich)).problem, "the fault is told");
  assert.match((await configOf(enrich)).problem, /exclude: domain is no option.*domains/);
  assert.equal(await answerTo(enrich, "light.a"), "filter");
  assert.equal((await enrich.metrics()).get("enrich_config_applied"), 0);

  // replaced, as an editor does, and by way of a file that was not there before
  Deno.writeTextFileSync(folder.file("new.yaml"), "exclude: !include rules.yaml");
  Deno.renameSync(folder.file("new.yaml"), path);
  await until(async () => /rules\.yaml/.test((await configOf(enrich)).problem), "it is missed");
  Deno.writeTextFileSync(folder.file("rules.yaml"), "{domains: [sensor]}");
  await until(async () => (await configOf(enrich)).problem === undefined, "it is applied");
  assert.equal(await answerTo(enrich, "light.a"), "success");
  assert.equal(await answerTo(enrich, "sensor.a"), "filter");
  const metrics = await enrich.metrics();
  assert.equal(metrics.get("enrich_config_applied"), 1);
  assert.equal(metrics.get('enrich_events_skipped_total{reason="filter"}'), 3);
});

Deno.test("Enrich writes elsewhere, with another password, as soon as its file says so", async () => {
  using folder = new TemporaryFolder();
  await using influx = await FakeInfluxDb.start({ version: 1, username: "me", password: "right" });
  const path = folder.file("influxdb.yaml");
  const { hostname, port } = new URL(influx.url);
  Deno.writeTextFileSync(folder.file("secrets.yaml"), "influx: wrong");
  Deno.writeTextFileSync(
    path,
    `influxdb:\n  host: ${hostname}\n  port: ${port}\n  database: home\n  username: me\n` +
      "  password: !secret influx\n",
  );
  await using enrich = await startEnrich({
    DATA_DIR: folder.path,
    CONFIG_FILE: path,
    SCHEMA: "homeassistant",
  });
  assert.equal(await answerTo(enrich, "sensor.a"), "Event processing failed");
  Deno.writeTextFileSync(folder.file("secrets.yaml"), "influx: right");
  await until(async () => await answerTo(enrich, "sensor.a") === "success", "it may write");
  assert.equal(influx.points.at(-1)?.measurement, "sensor.a");
  assert.equal((await enrich.get("/health")).status, 200);
});

Deno.test("Enrich keeps its kind of store until it is started again", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("influxdb.yaml");
  Deno.writeTextFileSync(path, "exclude: {domains: light}");
  await using enrich = await startEnrich({ DATA_DIR: folder.path, CONFIG_FILE: path });
  Deno.writeTextFileSync(path, "host: 127.0.0.1\nport: 1");
  await until(async () => /restart enrich/.test((await configOf(enrich)).problem), "it is told");
  assert.equal(await answerTo(enrich, "light.a"), "filter");
});

/** The block of Home Assistant's integration for that server. */
function blockOf(server: FakeInfluxDb): string {
  const { hostname, port } = new URL(server.url);
  return `{host: ${hostname}, port: ${port}, database: home}`;
}

Deno.test("Enrich goes to the InfluxDB that its changed file names, and knows nothing of the one before", async () => {
  using folder = new TemporaryFolder();
  await using before = await FakeInfluxDb.start({ version: 1, database: "home" });
  await using after = await FakeInfluxDb.start({ version: 1, database: "home" });
  const path = folder.file("influxdb.yaml");
  Deno.writeTextFileSync(path, blockOf(before));
  await using enrich = await startEnrich({ DATA_DIR: folder.path, CONFIG_FILE: path });
  assert.equal(await answerTo(enrich, "sensor.a"), "success");
  before.trouble = () => ({ status: 503, body: `{"error":"away"}` });
  assert.equal(await answerTo(enrich, "sensor.b"), "Event processing failed");
  assert.equal((await enrich.get("/health")).status, 503);

  Deno.writeTextFileSync(path, blockOf(after));
  await until(async () => (await storeOf(enrich)).includes(after.url), "the other one is named");
  assert.equal((await enrich.get("/health")).status, 200, "the fault was the other one's");
  assert.equal(await answerTo(enrich, "sensor.b"), "success");
  assert.deepEqual([before.points.length, after.points.length], [1, 1]);

  Deno.writeTextFileSync(path, "{}");
  await until(async () => (await configOf(enrich)).problem, "the fault is told");
  assert.match((await configOf(enrich)).problem, /local store: restart enrich for that/);
  assert.equal(await answerTo(enrich, "sensor.c"), "success");
  assert.equal(after.points.length, 2);
});
