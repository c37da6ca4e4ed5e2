import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Hono } from "hono";
import { batchAnswerSchema, MAX_REQUEST_LINES } from "../../lib/contract.ts";
import { LocalStore } from "../../lib/enrich/local/local_store.ts";
import { Receiver } from "../../lib/enrich/receiver.ts";
import { schemaOf } from "../../lib/enrich/schema.ts";
import { FakeInfluxDb } from "../stand_ins/fake_influxdb.ts";
import { TemporaryFolder } from "../temporary.ts";
import { mostInOneTurn, turnsDuring } from "../turns.ts";
import { until } from "../until.ts";
import { type Program, startEnrich } from "../whole_programs.ts";

const EVENT = {
  event_type: "state_changed",
  data: {
    entity_id: "sensor.kitchen",
    old_state: null,
    new_state: {
      entity_id: "sensor.kitchen",
      state: "21.5",
      attributes: { unit_of_measurement: "°C" },
      last_changed: "2026-06-25T21:20:05.162552+00:00",
      last_updated: "2026-06-25T21:20:05.162552+00:00",
    },
  },
  origin: "LOCAL",
  time_fired: "2026-06-25T21:20:05.162552+00:00",
  context: { id: "01KW", parent_id: null, user_id: null },
};

function custom(n: number): string {
  const second = String(n % 60).padStart(2, "0");
  const minute = String(Math.floor(n / 60)).padStart(2, "0");
  return JSON.stringify({
    event: {
      event_type: "my_event",
      data: { n },
      origin: "LOCAL",
      time_fired: `2026-06-25T21:${minute}:${second}+00:00`,
    },
  });
}

function post(
  enrich: Program,
  body: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  return enrich.get("/events", {
    method: "POST",
    body,
    headers: { "content-type": "application/json", ...headers },
  });
}

const NDJSON = { "content-type": "application/x-ndjson" };

/** An enrich into a local store of its own. */
async function storing(
  test: (enrich: Program, folder: TemporaryFolder) => Promise<void>,
  env: Record<string, string> = {},
): Promise<void> {
  using folder = new TemporaryFolder();
  await using enrich = await startEnrich({ DATA_DIR: folder.path, ...env });
  await test(enrich, folder);
}

Deno.test("Enrich answers one event with its id, and stores the same event once", async () => {
  using folder = new TemporaryFolder();
  {
    await using enrich = await startEnrich({ DATA_DIR: folder.path });
    const answers = [];
    for (let i = 0; i < 2; i++) {
      const response = await post(enrich, JSON.stringify(EVENT));
      assert.equal(response.status, 200);
      answers.push(await response.json());
    }
    assert.equal(answers[0].status, "success");
    assert.match(answers[0].event_id, /^[0-9a-f]{32}$/);
    assert.deepEqual(answers[1], answers[0]);
    const metrics = await enrich.metrics();
    assert.equal(metrics.get("enrich_events_stored_total"), 2);
  }
  const store = new LocalStore(folder.file("store.sqlite"), { days: 30, maxBytes: 100_000_000 });
  const points = [...store.read()];
  store.close();
  assert.equal(points.length, 1);
  assert.equal(points[0]?.timeNs, 1782422405162552000n);
  assert.equal(points[0]?.fields.get("value"), 21.5);
});

Deno.test("Enrich says what is wrong with a request as a whole", async () => {
  await storing(async (enrich) => {
    const { time_fired: _, ...timeless } = EVENT;
    const wrong: [Promise<Response>, number, RegExp][] = [
      [post(enrich, "no json"), 400, /no JSON/],
      [post(enrich, JSON.stringify(timeless)), 422, /^time_fired: /],
      [post(enrich, "[]"), 422, /^event: /],
      [post(enrich, JSON.stringify({ ...EVENT, data: {} })), 422, /^data\.entity_id: /],
      [
        post(enrich, "a=b", { "content-type": "application/x-www-form-urlencoded" }),
        415,
        /Content-Type/,
      ],
      [post(enrich, "{}", { "content-encoding": "gzip" }), 415, /Content-Encoding/],
      [post(enrich, `"${"x".repeat(20_000_000)}"`), 413, /16000000 bytes/],
    ];
    for (const [response, status, detail] of wrong) {
      const answer = await response;
      const body = await answer.json();
      assert.equal(answer.status, status, JSON.stringify(body));
      assert.match(body.detail, detail);
    }
  });
});

Deno.test("Enrich wants the token before it reads the body", async () => {
  await storing(async (enrich) => {
    const authorized = (token: string) =>
      post(enrich, "x".repeat(20_000_000), { authorization: token });
    assert.equal((await authorized("Bearer wrong")).status, 401);
    assert.equal((await authorized("Bearer s3cret-token")).status, 413);
  }, { SERVICE_TOKEN: "s3cret-token" });
});

Deno.test("Enrich answers for every line, and no bad one costs another", async () => {
  await using influx = await FakeInfluxDb.start({ version: 1 });
  using folder = new TemporaryFolder();
  await using enrich = await startEnrich({
    DATA_DIR: folder.path,
    INFLUXDB_URL: influx.url,
    INFLUXDB_DATABASE: "home",
  });
  // another writer has made a text of a field that is ours
  const conflict = await fetch(`${influx.url}/write?db=home`, {
    method: "POST",
    body: 'events,event_type=my_event odd="text" 1782421205000000000',
  });
  assert.equal(conflict.status, 204);
  const lines = Array.from({ length: 1_000 }, (_, n) => custom(n));
  lines[17] = "{no json";
  lines[500] = JSON.stringify({
    event: { event_type: "x", data: 5, origin: "", time_fired: "now" },
  });
  lines[900] = custom(900).replace('"n":900', '"odd":900');
  const response = await post(enrich, lines.join("\n"), NDJSON);
  assert.equal(response.status, 200);
  const answer = batchAnswerSchema.parse(await response.json());
  assert.equal(answer.stored, 997);
  assert.deepEqual(answer.problems.map(({ index }) => index), [17, 500, 900]);
  assert.match(answer.problems[0]?.reason ?? "", /no JSON/);
  assert.match(answer.problems[1]?.reason ?? "", /event\.data: must be an object/);
  assert.match(answer.problems[2]?.reason ?? "", /field type conflict/);
  assert.ok(answer.problems[2]?.event_id);
  assert.equal(answer.status, "partial");
  assert.deepEqual(answer.pending, []);
});

Deno.test("Enrich takes lines with and without a line break at the end", async () => {
  await storing(async (enrich) => {
    for (const body of [`${custom(1)}\n${custom(2)}`, `${custom(1)}\n${custom(2)}\n`]) {
      const answer = batchAnswerSchema.parse(await (await post(enrich, body, NDJSON)).json());
      assert.equal(answer.stored, 2);
      assert.deepEqual(answer.problems, []);
    }
  });
});

Deno.test("Enrich lets others have their turn behind every 100 lines, and a batch keeps its schema and store", async () => {
  using folder = new TemporaryFolder();
  const open = (name: string) =>
    new LocalStore(folder.file(name), { days: 30, maxBytes: 100_000_000 });
  const [store, next] = [open("store.sqlite"), open("next.sqlite")];
  try {
    const tidy = schemaOf({ schema: "tidy", attributes: "standard", file: undefined });
    const enriched: [turn: number, count: number][] = [];
    await turnsDuring(async (turn) => {
      const receiver = new Receiver({
        store,
        schema: (envelope, text) => (enriched.push([turn(), 1]), tidy(envelope, text)),
      });
      const app = new Hono();
      receiver.addTo(app);
      const body = Array.from({ length: 1_000 }, (_, n) => custom(n)).join("\n");
      const answer = app.request("/events", { method: "POST", body, headers: NDJSON });
      while (enriched.length === 0) await nextTurn();
      // as a change of CONFIG_FILE does, behind the first lines
      receiver.schema = () => ({ kind: "skipped", reason: "filter" });
      receiver.store = next;
      const { stored } = batchAnswerSchema.parse(await (await answer).json());
      assert.equal(stored, 1_000);
    });
    assert.equal(mostInOneTurn(enriched), 100);
    assert.deepEqual([[...store.read()].length, [...next.read()].length], [1_000, 0]);
  } finally {
    store.close();
    next.close();
  }
});

Deno.test("Enrich counts the lines of a request before it reads them", async () => {
  await storing(async (enrich) => {
    const many = async (body: string) => {
      const response = await post(enrich, body, NDJSON);
      return { status: response.status, body: await response.json() };
    };
    const most = Array.from({ length: MAX_REQUEST_LINES }, () => "{");
    for (const end of ["", "\n", "\r\n"]) {
      const { status, body } = await many(most.join("\n") + end);
      assert.equal(status, 200);
      assert.equal(body.problems.length, MAX_REQUEST_LINES);
    }
    const received = "enrich_events_received_total";
    const before = (await enrich.metrics()).get(received);
    const tooMany = [
      `${most.join("\n")}\n${custom(1)}`,
      `${most.join("\n")}\n\n\n`,
      "\n".repeat(15_000_000),
    ];
    for (const body of tooMany) {
      const answer = await many(body);
      assert.deepEqual(answer, {
        status: 413,
        body: { detail: "The body must not have more than 5000 lines" },
      });
    }
    assert.equal((await enrich.metrics()).get(received), before, "none of them counts");
  });
});

Deno.test("Enrich answers 500 with the cause while the store is away, and stores all afterwards", async () => {
  await using influx = await FakeInfluxDb.start({
    version: 2,
    token: "ttt",
    org: "o",
    bucket: "b",
  });
  using folder = new TemporaryFolder();
  await using enrich = await startEnrich({
    DATA_DIR: folder.path,
    INFLUXDB_URL: influx.url,
    INFLUXDB_ORG: "o",
    INFLUXDB_BUCKET: "b",
    INFLUXDB_TOKEN: "ttt",
  });
  await influx.stop();
  const away = await post(enrich, JSON.stringify(EVENT));
  assert.equal(away.status, 500);
  const { detail, cause } = await away.json();
  assert.equal(detail, "Event processing failed");
  assert.match(cause, /Cannot reach the database/);
  assert.equal((await post(enrich, [custom(1), custom(2)].join("\n"), NDJSON)).status, 500);
  const health = await enrich.get("/health");
  assert.equal(health.status, 503);
  assert.match(await health.text(), /Cannot reach the database/);
  assert.equal((await enrich.get("/health/live")).status, 200);
  await influx.restart();
  const seen = influx.requests.length;
  influx.trouble = (_, index) =>
    index === seen ? { status: 503, headers: { "retry-after": "1" } } : undefined;
  const busy = await post(enrich, JSON.stringify(EVENT));
  assert.equal(busy.status, 500);
  assert.equal(busy.headers.get("retry-after"), "1");
  await busy.body?.cancel();
  const asked = influx.requests.length;
  const again = await post(enrich, JSON.stringify(EVENT));
  assert.equal(again.status, 500);
  assert.match((await again.json()).cause, /asked to be left alone/);
  assert.equal(influx.requests.length, asked, "it is left alone");
  await until(
    async () => (await post(enrich, JSON.stringify(EVENT))).status === 200,
    "it is stored when the time is over",
  );
  assert.equal((await enrich.get("/health")).status, 200);
  assert.equal(influx.points.length, 1);
});

Deno.test("Enrich counts the attributes that it leaves out, by reason", async () => {
  await storing(async (enrich) => {
    const event = structuredClone(EVENT);
    Object.assign(event.data.new_state.attributes, { long: "x".repeat(1_000_000), list: [1] });
    assert.equal((await post(enrich, JSON.stringify(event))).status, 200);
    const leftOut = [...await enrich.metrics()]
      .filter(([name]) => name.startsWith("enrich_attributes_left_out_total{"));
    assert.deepEqual(Object.fromEntries(leftOut), {
      'enrich_attributes_left_out_total{reason="constant"}': 1,
      'enrich_attributes_left_out_total{reason="list"}': 1,
      'enrich_attributes_left_out_total{reason="long_text"}': 1,
    });
  });
});

Deno.test("Enrich answers before its client gives up, with what is known by then", async () => {
  await using influx = await FakeInfluxDb.start({ version: 1 });
  using folder = new TemporaryFolder();
  await using enrich = await startEnrich({
    DATA_DIR: folder.path,
    INFLUXDB_URL: influx.url,
    INFLUXDB_DATABASE: "home",
  });
  // some ten requests find the first point that is stored, where it is asked what it is before; all of it takes eighty
  influx.delayMs = 100;
  influx.refuses = ({ fields }) => Number(fields.get("n")) % 2 === 1;
  const batch = Array.from({ length: 40 }, (_, n) => custom(n)).join("\n");
  const asked = async (headers: Record<string, string>) => {
    const response = await post(enrich, batch, { ...NDJSON, ...headers });
    return batchAnswerSchema.parse(await response.json());
  };
  const early = await asked({ prefer: "respond-async, wait=3" });
  assert.ok(early.stored > 0 && early.pending.length > 0, JSON.stringify(early));
  influx.delayMs = 0;
  const whole = await asked({});
  assert.deepEqual([whole.stored, whole.problems.length, whole.pending], [20, 20, []]);
});

Deno.test("Enrich names the events that a limit of the store is in the way of, and says everywhere what raises it", async () => {
  await using influx = await FakeInfluxDb.start({ version: 1 });
  using folder = new TemporaryFolder();
  await using enrich = await startEnrich({
    DATA_DIR: folder.path,
    INFLUXDB_URL: influx.url,
    INFLUXDB_DATABASE: "home",
  });
  const limits = async () =>
    [...await enrich.metrics()].filter(([name]) => name.startsWith("enrich_store_limit"));
  assert.equal((await post(enrich, custom(1), NDJSON)).status, 200);
  assert.deepEqual(await limits(), []);
  influx.maxSeries = 1;
  const state = JSON.stringify({ event: EVENT });
  const body = ["{no json", state, custom(2), custom(3)].join("\n");
  const answer = batchAnswerSchema.parse(await (await post(enrich, body, NDJSON)).json());
  assert.deepEqual([answer.status, answer.stored], ["partial", 2]);
  assert.deepEqual(answer.problems.map(({ index }) => index), [0]);
  assert.deepEqual(answer.pending, [1]);
  assert.deepEqual(answer.limited.map(({ index }) => index), [1]);
  const said = /max-series-per-database limit exceeded: \(1\).*raise max-series-per-database in/;
  assert.match(answer.limited[0]?.reason ?? "", said);
  // no 422, which would be for good
  const alone = await post(enrich, JSON.stringify(EVENT));
  assert.equal(alone.status, 500);
  const { detail, cause } = await alone.json();
  assert.equal(detail, "Event processing failed");
  assert.match(cause, said);

  const health = await enrich.get("/health");
  assert.equal(health.status, 503);
  assert.match(await health.text(), said);
  assert.deepEqual(await limits(), [['enrich_store_limit{limit="max-series-per-database"}', 1]]);
  assert.equal((await enrich.metrics()).get("enrich_store_ready"), 1);
  const { store, events } = await (await enrich.get("/status")).json();
  assert.equal(store.limits[0].name, "max-series-per-database");
  assert.deepEqual([events.stored, events.problems], [3, 1]);
  const page = await (await enrich.get("/")).text();
  assert.match(page, /Not well: a limit of the store keeps some events waiting/);
});

Deno.test("Enrich says of an event with many faults what the first ones are, and how many there are", async () => {
  await storing(async (enrich) => {
    const names = ["name", "area", "floor", "device", "model", "platform", "unit"];
    const faulty = Object.fromEntries(names.map((name) => [name, 1]));
    const data = { entity_id: "sensor.kitchen", ...faulty };
    const event = { ...EVENT, event_type: "entity_info", data };
    const response = await post(enrich, JSON.stringify({ event }), NDJSON);
    const { problems: [problem] } = batchAnswerSchema.parse(await response.json());
    assert.match(problem?.reason ?? "", /^data\.name: .+; data\.model: [^;]+; and 2 more$/);
    const single = await post(enrich, JSON.stringify(event));
    assert.equal(single.status, 422);
    assert.ok((await single.text()).length < 600);
    const metrics = await (await enrich.get("/metrics")).text();
    assert.ok(metrics.length < 20_000, `${metrics.length}`);
  });
});

Deno.test("Enrich counts what came in though the store took nothing, and requests with another token", async () => {
  await using influx = await FakeInfluxDb.start({ version: 1, database: "home" });
  using folder = new TemporaryFolder();
  const file = folder.file("token");
  Deno.writeTextFileSync(file, "one-token");
  await using enrich = await startEnrich({
    DATA_DIR: folder.path,
    INFLUXDB_URL: influx.url,
    INFLUXDB_DATABASE: "home",
    SERVICE_TOKEN_FILE: file,
  });
  const authorized = { authorization: "Bearer one-token" };
  influx.trouble = () => ({ status: 503 });
  const lines = `${JSON.stringify({ event: EVENT })}\n`.repeat(3);
  const answer = await post(enrich, lines, { ...NDJSON, ...authorized });
  await answer.body?.cancel();
  assert.equal(answer.status, 500);
  const refused = await post(enrich, lines, { ...NDJSON, authorization: "Bearer another-token" });
  await refused.body?.cancel();
  assert.equal(refused.status, 401);
  // a file that is gone leaves who may come in as it was
  Deno.removeSync(file);
  influx.trouble = () => undefined;
  const metrics = await (await enrich.get("/metrics", { headers: authorized })).text();
  assert.match(metrics, /^enrich_events_received_total 3$/m);
  assert.match(metrics, /^enrich_requests_total\{status="500"\} 1$/m);
  assert.match(metrics, /^enrich_requests_refused_total\{reason="token_wrong"\} 1$/m);
  const health = await until(async () => {
    const response = await enrich.get("/health", { headers: authorized });
    const text = await response.text();
    return response.ok && text;
  }, "the store takes points again");
  assert.match(health, /wrong or missing SERVICE_TOKEN: 1 so far/);
  assert.match(health, /SERVICE_TOKEN_FILE must name a file that can be read \(there is none\)/);
  assert.ok(!health.includes(folder.path));
  const stranger = await enrich.get("/health");
  assert.equal(stranger.status, 401);
  assert.ok(!(await stranger.text()).includes(folder.path));
  // what the file of another test says is no business of theirs
  Deno.writeTextFileSync(file, "one-token");
  await (await enrich.get("/health", { headers: authorized })).body?.cancel();
});

Deno.test("Enrich answers for 16 MB of whatever may be sent in seconds, and with little memory", async () => {
  const SIZE = 15_900_000;
  const line = (type: string, data: string) =>
    `{"event":${JSON.stringify({ ...EVENT, event_type: type, data: 0 })}}`
      .replace('"data":0', () => `"data":${data}`);
  const deep = "[".repeat(7_500_000) + "]".repeat(7_500_000);
  const bodies: Readonly<Record<string, string>> = {
    "line breaks": "\n".repeat(SIZE),
    "a list of numbers where texts belong": line(
      "entity_info",
      `{"entity_id":"sensor.a","labels":[${"1,".repeat(7_800_000)}1]}`,
    ),
    "many lists of numbers": `${
      line("entity_info", `{"entity_id":"sensor.a","labels":[${"1,".repeat(1_400)}1]}`)
    }\n`.repeat(5_000),
    "deep lists": line("custom", `{"a":${deep}}`),
    "deep lists that do not end": "[".repeat(SIZE),
    "lists of 9,000 levels": `${line("custom", `{"a":${"[".repeat(9_000)}${"]".repeat(9_000)}}`)}\n`
      .repeat(870),
  };
  await storing(async (enrich) => {
    for (const [name, body] of Object.entries(bodies)) {
      assert.ok(body.length < 16_000_000, name);
      const begunMs = performance.now();
      const { rss } = Deno.memoryUsage();
      const response = await post(enrich, body, NDJSON);
      await response.body?.cancel();
      const seconds = (performance.now() - begunMs) / 1_000;
      const mb = (Deno.memoryUsage().rss - rss) / 1e6;
      assert.ok([200, 413].includes(response.status), `${name}: ${response.status}`);
      assert.ok(seconds < 8, `${name} take ${seconds} s`);
      assert.ok(mb < 500, `${name} take ${mb} MB`);
    }
    const sent = await post(enrich, bodies["deep lists"] ?? "");
    assert.equal(sent.status, 400);
    assert.match(await sent.text(), /nested deeper than 10000 levels/);
  });
});

Deno.test("Enrich cuts a reason that holds a text of the event", async () => {
  await using influx = await FakeInfluxDb.start({ version: 1 });
  using folder = new TemporaryFolder();
  await using enrich = await startEnrich({
    DATA_DIR: folder.path,
    INFLUXDB_URL: influx.url,
    INFLUXDB_DATABASE: "home",
  });
  const name = "n".repeat(600);
  // another writer has made a text of a field that is ours
  const conflict = await fetch(`${influx.url}/write?db=home`, {
    method: "POST",
    body: `events,event_type=my_event ${name}="text" 1782421205000000000`,
  });
  assert.equal(conflict.status, 204);
  const { event } = JSON.parse(custom(1));
  const line = JSON.stringify({ event: { ...event, data: { [name]: 1 } } });
  const response = await post(enrich, line, NDJSON);
  const { problems: [problem] } = batchAnswerSchema.parse(await response.json());
  assert.equal(problem?.reason.length, 500);
  assert.match(problem?.reason ?? "", /field type conflict.*…$/);
});
