import assert from "node:assert/strict";
import { ConfigWatch } from "../../../lib/enrich/rules/config_watch.ts";
import { enrichSettings } from "../../../lib/settings/enrich_settings.ts";
import { FakeInfluxDb } from "../../stand_ins/fake_influxdb.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { stateOf } from "../tidy/tidied.ts";
import { until } from "../../until.ts";
import { type Program, startEnrich } from "../../whole_programs.ts";

/** What enrich says of a state's event. */
function answerTo(enrich: Program, entityId: string) {
  const time_fired = new Date().toISOString();
  const data = { entity_id: entityId, new_state: stateOf(entityId, "1", {}, time_fired) };
  return answerToEvent(enrich, "state_changed", data, time_fired);
}

async function answerToEvent(
  enrich: Program,
  event_type: string,
  data: object,
  time_fired = new Date().toISOString(),
) {
  const response = await enrich.get("/events", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ event_type, data, origin: "LOCAL", time_fired }),
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
  const { status, advice } = await (await enrich.get("/health")).json();
  assert.equal(status, "ready");
  assert.match(advice[0].reason, /not applied: .*exclude: domain is no option/);
  assert.equal(
    advice[0].action,
    `do what that says, or correct ${path}, which is applied when it changes`,
  );
  assert.match(await (await enrich.get("/")).text(), /something needs your attention/);

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
  assert.deepEqual(await (await enrich.get("/health")).json(), { status: "ready" });
  assert.equal(metrics.get('enrich_events_skipped_total{reason="filter"}'), 3);
});

Deno.test("Enrich applies event_types again when the file changes, and counts what they leave out", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("influxdb.yaml");
  Deno.writeTextFileSync(path, "exclude: {event_types: ['telegram_*']}");
  await using enrich = await startEnrich({ DATA_DIR: folder.path, CONFIG_FILE: path });
  const chat = () => answerToEvent(enrich, "telegram_text", { text: "hello" });
  const tag = () => answerToEvent(enrich, "tag_scanned", { tag_id: "key" });
  assert.deepEqual([await chat(), await tag()], ["filter", "success"]);
  Deno.writeTextFileSync(path, "exclude: {event_types: tag_scanned}");
  await until(async () => await chat() === "success", "the new list is applied");
  assert.equal(await tag(), "filter");
  const metrics = await enrich.metrics();
  assert.ok((metrics.get('enrich_events_skipped_total{reason="filter"}') ?? 0) >= 2);
  assert.equal(await answerTo(enrich, "sensor.a"), "success");
});

/** Changes the file, and waits until its new rules leave that entity out. */
async function applies(enrich: Program, path: string, rules: string, entityId: string) {
  Deno.writeTextFileSync(path, rules);
  await until(async () => await answerTo(enrich, entityId) === "filter", `${rules} is applied`);
}

Deno.test("No fault of its files ends an enrich that runs, or changes what it does", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("influxdb.yaml");
  const rules = "exclude: {domains: light}";
  Deno.writeTextFileSync(path, rules);
  await using enrich = await startEnrich({ DATA_DIR: folder.path, CONFIG_FILE: path });
  const replace = (text: string) => () => Deno.writeTextFileSync(path, text);
  const faults: readonly (readonly [() => void, RegExp])[] = [
    [
      replace("include:\n  entity_globs:\n    - *_temperature\n"),
      /^influxdb\.yaml, line 3: .*quote/,
    ],
    [replace("exclude: {}\n<<: 5\n"), /^influxdb\.yaml, line 2: << must be a block/],
    [replace("password: !secret *a"), /^influxdb\.yaml, line 1 is no YAML: quote/],
    [replace("host: 192.168.1.300"), /^influxdb\.yaml, line 1: host /],
    [replace("[".repeat(50_000)), /^influxdb\.yaml, line 1 is no YAML: .*close .* brackets/],
    [() => Deno.removeSync(path), /must be a file that can be read \(there is none\)/],
    [() => Deno.mkdirSync(path), /must be a file that can be read \(it is a folder\)/],
  ];
  for (const [fault, problem] of faults) {
    fault();
    const told = await until(async () => {
      const { problem: said } = await configOf(enrich);
      return problem.test(said) && said;
    }, `${problem} is told`);
    assert.equal(await answerTo(enrich, "light.a"), "filter", told);
    assert.equal(await answerTo(enrich, "sensor.a"), "success", told);
    assert.equal((await enrich.get("/health")).status, 200);
    assert.equal((await enrich.metrics()).get("enrich_config_applied"), 0);
  }
  Deno.removeSync(path);
  await applies(enrich, path, "exclude: {domains: sensor}", "sensor.a");
  assert.equal((await configOf(enrich)).problem, undefined);
});

Deno.test("Enrich applies no file that is still being written", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("influxdb.yaml");
  const rules = "exclude:\n  domains: [light]\n  entities:\n";
  Deno.writeTextFileSync(path, rules);
  await using enrich = await startEnrich({ DATA_DIR: folder.path, CONFIG_FILE: path });
  // each part is YAML by itself, and excludes nothing
  Deno.writeTextFileSync(path, "exclude:\n");
  const writing = setInterval(() => Deno.writeTextFileSync(path, "#\n", { append: true }), 50);
  try {
    const begun = performance.now();
    // longer than several looks take
    await until(
      async () => {
        assert.equal(await answerTo(enrich, "light.a"), "filter");
        return performance.now() - begun > 4_000;
      },
      "it has been written for a while",
      { limitMs: 10_000 },
    );
  } finally {
    clearInterval(writing);
  }
  await until(
    async () => await answerTo(enrich, "light.a") === "success",
    "it is whole, and holds",
  );
});

Deno.test("Whatever a change brings about, the watch goes on and tells it", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("influxdb.yaml");
  Deno.writeTextFileSync(path, "exclude: {domains: light}");
  const { settings } = enrichSettings({ CONFIG_FILE: path });
  const stop = new AbortController();
  let fails = true;
  const watch = new ConfigWatch(settings, () => {
    if (fails) throw new TypeError("nobody foresaw this");
  });
  const running = watch.run(stop.signal);
  Deno.writeTextFileSync(path, "exclude: {domains: sensor}");
  await until(
    () => /nobody foresaw this.*undo its last change/.test(watch.problem ?? ""),
    "it is told",
  );
  fails = false;
  await until(() => watch.problem === undefined, "it is applied");
  stop.abort();
  await running;
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
  const isReady = async () => (await enrich.get("/health")).status === 200;
  await until(isReady, "the fault was the other one's");
  assert.equal(await answerTo(enrich, "sensor.b"), "success");
  assert.deepEqual([before.points.length, after.points.length], [1, 1]);

  Deno.writeTextFileSync(path, "{}");
  await until(async () => (await configOf(enrich)).problem, "the fault is told");
  assert.match((await configOf(enrich)).problem, /local store: restart enrich for that/);
  assert.equal(await answerTo(enrich, "sensor.c"), "success");
  assert.equal(after.points.length, 2);
});

/** Enrich with that server in its file. */
async function startOn(server: FakeInfluxDb, folder: TemporaryFolder) {
  const path = folder.file("influxdb.yaml");
  const { hostname, port } = new URL(server.url);
  const connection = `host: ${hostname}\nport: ${port}\ndatabase: home\n`;
  Deno.writeTextFileSync(path, connection);
  const enrich = await startEnrich({ DATA_DIR: folder.path, CONFIG_FILE: path });
  return { enrich, path, connection };
}

Deno.test("A change of filters forgets neither how long InfluxDB is to be left alone, nor its problem", async () => {
  using folder = new TemporaryFolder();
  await using before = await FakeInfluxDb.start({ version: 1, database: "home" });
  await using after = await FakeInfluxDb.start({ version: 1, database: "home" });
  const { enrich: started, path, connection } = await startOn(before, folder);
  await using enrich = started;
  const busy = { status: 503, body: `{"error":"busy"}`, headers: { "retry-after": "600" } };
  before.trouble = () => busy;
  assert.equal(await answerTo(enrich, "sensor.a"), "Event processing failed");
  const asked = before.requests.length;

  await applies(enrich, path, `${connection}exclude: {domains: light}`, "light.a");
  const health = await enrich.get("/health");
  assert.equal(health.status, 503);
  assert.match(await health.text(), /it answered 503 \(busy\)/);
  assert.equal(await answerTo(enrich, "sensor.a"), "Event processing failed");
  assert.equal(before.requests.length, asked, "InfluxDB was left alone");

  // the control: another connection has another server, which asked for nothing
  Deno.writeTextFileSync(path, `${blockOf(after).slice(0, -1)}, exclude: {domains: light}}`);
  await until(async () => await answerTo(enrich, "sensor.a") === "success", "it goes elsewhere");
  assert.equal((await enrich.get("/health")).status, 200);
});

Deno.test("A limit that a change of filters leaves nothing to be in the way of is no longer named", async () => {
  using folder = new TemporaryFolder();
  await using server = await FakeInfluxDb.start({ version: 1, database: "home" });
  const { enrich: started, path, connection } = await startOn(server, folder);
  await using enrich = started;
  assert.equal(await answerTo(enrich, "sensor.a"), "success");
  server.maxSeries = 1;
  const limitsIn = async () =>
    [...(await enrich.metrics()).keys()].filter((key) => /limit=/.test(key));
  assert.equal(await answerTo(enrich, "sensor.b"), "Event processing failed");
  assert.equal((await enrich.get("/health")).status, 503);
  assert.equal((await limitsIn()).length, 1);

  await applies(enrich, path, `${connection}exclude: {entities: sensor.b}`, "sensor.b");
  assert.equal((await enrich.get("/health")).status, 200);
  assert.deepEqual(await limitsIn(), []);
  // the control: what is not left out meets it again
  assert.equal(await answerTo(enrich, "sensor.c"), "Event processing failed");
  assert.equal((await enrich.get("/health")).status, 503);
});

Deno.test("Points that are on their way while the connection changes are answered for", async () => {
  using folder = new TemporaryFolder();
  await using before = await FakeInfluxDb.start({ version: 1, database: "home" });
  await using after = await FakeInfluxDb.start({ version: 1, database: "home" });
  const { enrich: started, path } = await startOn(before, folder);
  await using enrich = started;
  await before.requested(1);
  before.delayMs = 8_000;
  const asked = before.requests.length;
  const answer = answerTo(enrich, "sensor.a");
  await before.requested(asked + 1);
  Deno.writeTextFileSync(path, blockOf(after));
  await until(async () => (await storeOf(enrich)).includes(after.url), "the other one is named");
  assert.equal(before.points.length, 0, "the point is still on its way");
  assert.equal(await answerTo(enrich, "sensor.b"), "success");
  assert.equal(await answer, "success");
  assert.deepEqual([before.points.length, after.points.length], [1, 1]);
});
