import assert from "node:assert/strict";
import { type BatchAnswer, batchAnswerSchema } from "../../lib/contract.ts";
import { Influxd, type InfluxdLimits } from "./parts/influxd.ts";
import { Influxd2 } from "./parts/influxd2.ts";
import { INFLUXD_1 } from "./parts/influxdbs.ts";
import { equationOf, total } from "./parts/metrics_text.ts";
import { type Program, startEnrich } from "./parts/programs.ts";
import { Proxy } from "./parts/proxy.ts";
import { measured, realTest, realTestsAtOnce } from "./parts/real_test_case.ts";
import { SimulatedPipeline } from "./parts/simulated_pipeline.ts";
import { until } from "../until.ts";

const BATCH = 1_000;
const KNOWN = 100;
let states = 0;

/** A state of its own time. */
function line(entityId: string): string {
  const time = new Date(Date.now() + states++).toISOString().replace("Z", "+00:00");
  const state = { entity_id: entityId, state: "21.5", attributes: {} };
  const times = { last_changed: time, last_updated: time };
  const data = { entity_id: entityId, old_state: null, new_state: { ...state, ...times } };
  const event = { event_type: "state_changed", data, origin: "LOCAL", time_fired: time };
  return JSON.stringify({ event });
}

function lines(count: number, entityId: (n: number) => string): readonly string[] {
  return Array.from({ length: count }, (_, n) => line(entityId(n)));
}

function known(n: number): string {
  return `sensor.known_${n % KNOWN}`;
}

/** Of five every fifth is of an entity of its own. */
function knownOrNew(kind: string): (n: number) => string {
  return (n) => n % 5 === 3 ? `sensor.${kind}_${n}` : known(n);
}

async function post(enrich: Program, events: readonly string[]): Promise<BatchAnswer> {
  const response = await fetch(`${enrich.url}/events`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body: events.join("\n"),
  });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return batchAnswerSchema.parse(JSON.parse(text));
}

/** As 1.6 says it, and as 1.13 does. */
function exceeded(limit: keyof InfluxdLimits): RegExp {
  return new RegExp(`${limit} (limit )?exceeded`);
}

async function meet(limit: keyof InfluxdLimits, program: string): Promise<void> {
  await using influxd = await Influxd.start(undefined, program);
  await influxd.createDatabase("home");
  await using proxy = new Proxy(influxd.url);
  let writes = 0;
  const decoder = new TextDecoder();
  proxy.onRequest = (piece) => {
    if (decoder.decode(piece.subarray(0, 20)).startsWith("POST /write?")) writes++;
  };
  await using enrich = await startEnrich({ INFLUXDB_URL: proxy.url, INFLUXDB_DATABASE: "home" });
  const stored = async () => (await influxd.allPoints("home")).length;

  /** Posts a batch and says what it took. */
  const take = async (what: string, events: readonly string[], limited: number) => {
    writes = 0;
    const answer = await post(enrich, events);
    measured(
      `${limit}, ${what}: ${writes} requests, ${answer.stored} stored, ${answer.limited.length} limited`,
    );
    assert.deepEqual(answer.problems, []);
    assert.deepEqual(answer.limited.map(({ index }) => index), answer.pending);
    assert.deepEqual([answer.stored, answer.limited.length], [events.length - limited, limited]);
    return answer.pending.map((index) => events[index] ?? "");
  };

  await influxd.limit({ [limit]: KNOWN });
  await take("1,000 events of 100 series", lines(BATCH, known), 0);
  const first = lines(BATCH, knownOrNew("new"));
  const waiting = await take("1,000 events, 200 of new series", first, 200);
  assert.ok(writes <= 12, `${writes} requests`);
  await take("the same again", first, 200);
  assert.ok(writes <= 12, `${writes} requests`);
  waiting.push(
    ...await take("200 events of other new series", lines(200, (n) => `sensor.x_${n}`), 200),
  );
  assert.ok(writes <= 12, `${writes} requests`);
  assert.equal(await stored(), BATCH + 800);

  const { ready, text } = await enrich.health();
  assert.ok(!ready && exceeded(limit).test(text), text);
  assert.ok(text.includes(`raise ${limit} in the section [data] of influxdb.conf`), text);
  assert.equal(total(await enrich.metrics(), "enrich_store_limit"), 1);
  assert.equal(total(await enrich.metrics(), "enrich_events_problem_total"), 0);
  assert.equal(enrich.output.match(/A limit of the store keeps events waiting/g)?.length, 1);

  await enrich.stop();
  await enrich.startAgain();
  await take("after a restart of enrich: 1,000 events, 200 of new series", first, 200);
  waiting.push(
    ...await take(
      "then 1,000 events, 200 of other new series",
      lines(BATCH, knownOrNew("y")),
      200,
    ),
  );
  assert.ok(writes <= 12, `${writes} requests`);

  await influxd.limit({ [limit]: 0 });
  await until(
    async () => (await post(enrich, waiting)).stored === waiting.length,
    "all is stored once the limit is raised",
    { everyMs: 1_000 },
  );
  assert.equal(await stored(), BATCH + 800 + 800 + 600);
  assert.ok((await enrich.health()).ready);
  assert.equal(total(await enrich.metrics(), "enrich_store_limit"), 0);
  assert.ok(enrich.output.includes(`limit is no longer in the way: ${limit}`));
}

async function holdAndRaise(program: string): Promise<void> {
  await using influxd = await Influxd.start(undefined, program);
  await influxd.createDatabase("home");
  await using pipeline = await SimulatedPipeline.start({
    store: { INFLUXDB_URL: influxd.url, INFLUXDB_DATABASE: "home" },
  });
  const { hass, ingest, enrich } = pipeline;
  for (let n = 0; n < 200; n++) hass.setState(known(n), String(n));
  const before = await pipeline.untilDrained();
  await influxd.limit({ "max-series-per-database": 1 });
  await enrich.untilReady();

  const fired = pipeline.fired.length;
  for (let n = 0; n < BATCH; n++) hass.setState(knownOrNew("new")(n), `${n}.5`);
  const [held, flowing] = [200, 800];
  const limited = async () => total(await ingest.metrics(), "ingest_events_limited");
  await until(async () => await limited() === held, "they are set aside");
  const metrics = await pipeline.untilCaptured();
  assert.equal(pipeline.fired.length, fired + held + flowing);
  assert.equal(total(metrics, "ingest_events_queued"), held, "they count as waiting");
  assert.equal(
    total(metrics, "ingest_events_delivered_total"),
    total(before, "ingest_events_delivered_total") + flowing,
    "the others flow",
  );
  assert.equal(total(metrics, "ingest_events_dead_lettered"), 0);
  const said = [(await ingest.health()).text, (await enrich.health()).text];
  for (const text of said) assert.match(text, exceeded("max-series-per-database"));
  measured(`ingest says: ${said[0]}`);

  await ingest.stop();
  await ingest.startAgain();
  await until(async () => await limited() === held, "they are set aside after a restart too");

  await influxd.limit({ "max-series-per-database": 0 });
  const pressedMs = performance.now();
  const response = await fetch(`${ingest.url}/limited/try`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  assert.equal(response.status, 202);
  await response.body?.cancel();
  await until(
    async () => total(await ingest.metrics(), "ingest_events_queued") === 0,
    "nothing waits",
    { limitMs: 120_000 },
  );
  await ingest.untilReady();
  await enrich.untilReady();
  const seconds = ((performance.now() - pressedMs) / 1_000).toFixed(1);
  const text = equationOf(await ingest.metrics()).text;
  measured(`${seconds} s after "Try now" all ${held} are stored: ${text}`);
  assert.equal(total(await ingest.metrics(), "ingest_events_dead_lettered"), 0);
  assert.equal((await influxd.allPoints("home")).length, 200 + held + flowing);
}

for (const [name, program] of Object.entries(INFLUXD_1)) {
  realTestsAtOnce(
    `A limit holds new series and no others, and all is stored once it is raised: ${name}`,
    {
      "max-series-per-database": () => meet("max-series-per-database", program),
      "max-values-per-tag": () => meet("max-values-per-tag", program),
    },
  );
  realTest(
    `Ingest keeps what a limit holds, over a restart, delivers the others, and all of it once the limit is raised: ${name}`,
    () => holdAndRaise(program),
  );
}

/** Of InfluxDB 2.7; its log and index take some. */
const DISK_MB = 48;
const IMPORTED = 12_000;

realTest(
  "After a full disk InfluxDB 2.7 has to be restarted, health says so, and nothing is lost",
  async () => {
    await using influxd = await Influxd2.start(DISK_MB);
    await using proxy = new Proxy(influxd.url);
    let probes = 0;
    let writes = 0;
    const decoder = new TextDecoder();
    proxy.onRequest = (piece) => {
      const head = decoder.decode(piece.subarray(0, 1_000));
      if (!head.startsWith("POST /api/v2/write?")) return;
      if (/^content-length: 0\r$/im.test(head)) probes++;
      else writes++;
    };
    const store = { ...influxd.env, INFLUXDB_URL: proxy.url };
    await using pipeline = await SimulatedPipeline.start({ store });
    const { hass, enrich, ingest } = pipeline;
    let n = 0;
    const change = (count: number) => {
      const end = n + count;
      for (; n < end; n++) hass.setState(`sensor.numbered_${n % 50}`, String(n), { n });
    };
    const said = new Set<string>();
    const health = async () => {
      const { ready, text } = await enrich.health();
      if (!ready && !said.has(text)) measured(`health says: ${text}`);
      said.add(text);
      return !ready && text;
    };
    change(500);
    await pipeline.untilDrained();

    await influxd.fillDisk();
    // no more at once than Home Assistant lets a client be behind
    for (let sent = 0; sent < IMPORTED; sent += BATCH) {
      change(BATCH);
      await pipeline.untilCaptured();
    }
    await until(
      async () => /no space left.*restart InfluxDB/.test(await health() || ""),
      "it is full",
    );
    await influxd.freeDisk();
    const [probedBefore, triedBefore] = [probes, writes];
    await until(
      () => probes >= probedBefore + 2 && writes >= triedBefore + 2,
      "enrich has asked twice by a write of nothing, which passes, and ingest has tried again",
      { limitMs: 120_000 },
    );
    assert.ok(await health(), "it stores again without a restart");
    await influxd.restart();
    const metrics = await pipeline.untilDrained(240_000);
    measured(equationOf(metrics).text);
    assert.equal(total(metrics, "ingest_events_dead_lettered"), 0);
    assert.equal(total(metrics, "ingest_events_dropped_total"), 0);
    assert.ok((await enrich.health()).ready && (await ingest.health()).ready);
    const numbers = new Set((await influxd.allPoints()).map(({ fields }) => fields.n));
    assert.equal(Array.from({ length: n }, (_, i) => i).filter((i) => !numbers.has(i)).length, 0);
  },
);
