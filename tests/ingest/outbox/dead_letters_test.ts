import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";
import { addDeadLetterRoutes } from "../../../lib/ingest/dead_letters/dead_letters_routes.ts";
import {
  deadLetterPageSchema,
  type DeadLetterQuery,
} from "../../../lib/ingest/outbox/dead_letter.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { createApp } from "../../../lib/serve/server.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { rowsOf } from "./rows.ts";

const ALL = { maxEvents: 1_000_000, maxBytes: 1e12 };
const never = new AbortController().signal;

function open(folder: TemporaryFolder, maxBytes = 50_000_000): Outbox {
  return new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes,
    commitIntervalMs: 1e6,
    onFailure: (error) => {
      throw error;
    },
  });
}

function lineOf(entityId: string, more = ""): string {
  return `{"event":{"event_type":"state_changed","data":{"entity_id":"${entityId}","n":1.0${more}},` +
    `"time_fired":"2026-06-25T21:20:05.162552+00:00"},"registry":{"name":"Küche"}}`;
}

/** Has all that waits refused. */
function buryAll(outbox: Outbox, reason: string | ((seq: number) => string) = "no"): void {
  const reasonOf = typeof reason === "string" ? () => reason : reason;
  const problems = rowsOf(outbox.waiting.next.peek(ALL)).map(({ seq }) => ({
    seq,
    reason: reasonOf(seq),
  }));
  outbox.settle({ done: [], delivered: 0, leftOut: {}, problems });
}

function bury(outbox: Outbox, lines: readonly string[], reason = "no"): void {
  assert.ok(outbox.append(lines));
  buryAll(outbox, reason);
}

/** The equation, and the counters against the rows. */
function assertCounted(outbox: Outbox, expected: Readonly<Record<string, number>>): void {
  const { received, delivered, dropped, deadLetters, waiting } = outbox.counters();
  const droppedCount = [...dropped.values()].reduce((a, b) => a + b, 0);
  assert.equal(received, delivered + deadLetters + droppedCount + waiting);
  assert.deepEqual({ waiting, dead: deadLetters, dropped: droppedCount }, expected);
  assert.equal(outbox.waiting.next.peek(ALL).seqs.length, waiting);
  assert.equal(
    outbox.deadLetters.reasons().reduce((sum, { count }) => sum + count, 0),
    expected.dead,
  );
}

async function found(outbox: Outbox, query: Partial<DeadLetterQuery>) {
  const page = await outbox.deadLetters.list({ limit: 100, ...query }, never);
  assert.ok(page);
  return page;
}

async function seqsOf(outbox: Outbox, query: Partial<DeadLetterQuery>): Promise<number[]> {
  return (await found(outbox, query)).letters.map(({ seq }) => seq);
}

type Ask = (
  path: string,
  body?: string,
  headers?: HeadersInit,
) => Promise<{ status: number; json: Readonly<Record<string, unknown>> }>;

/** Asks the routes as ingest serves them, without a socket. */
function routesOf(outbox: Outbox, stopping = new AbortController()): Ask {
  const app = createApp({
    name: "ingest",
    serviceToken: undefined,
    health: () => [],
    metrics: () => "",
    status: () => ({}),
  });
  addDeadLetterRoutes(app, outbox.deadLetters, stopping.signal);
  return async (path, body, headers = { "content-type": "application/json" }) => {
    const method = body === undefined ? "GET" : "POST";
    const url = `http://127.0.0.1:8001/dead-letters${path}`;
    const sent = new Headers(headers);
    sent.set("host", "127.0.0.1:8001");
    const response = await app.fetch(new Request(url, { method, body, headers: sent }));
    return { status: response.status, json: await response.json() };
  };
}

Deno.test("Dead letters are found by reason, entity and age, and all that is given must hold", async () => {
  using folder = new TemporaryFolder();
  {
    using outbox = open(folder);
    bury(outbox, [lineOf("sensor.a"), lineOf("light.a")], 'Field type conflict: "value", 100%');
    bury(outbox, [lineOf("sensor.b"), "no JSON", '{"event":{"data":[1]}}'], "too large");
  }
  const db = new DatabaseSync(folder.file("outbox.sqlite"));
  const refused = db.prepare("UPDATE dead_letter SET refused_at = ? WHERE seq = ?");
  refused.run(new Date(Date.now() - 3_600_000).toISOString(), 1);
  refused.run(new Date(Date.now() - 60_000).toISOString(), 2);
  db.close();
  using outbox = open(folder);
  assert.deepEqual(await seqsOf(outbox, {}), [1, 2, 3, 4, 5]);
  assert.deepEqual(await seqsOf(outbox, { reason: "TYPE conflict" }), [1, 2]);
  assert.deepEqual(await seqsOf(outbox, { reason: "%" }), [1, 2]);
  assert.deepEqual(await seqsOf(outbox, { reason: "_" }), []);
  assert.deepEqual(await seqsOf(outbox, { entity: "sensor.*" }), [1, 3]);
  assert.deepEqual(await seqsOf(outbox, { entity: "*.[ab]" }), [1, 2, 3]);
  assert.deepEqual(await seqsOf(outbox, { entity: "sensor" }), []);
  assert.deepEqual(await seqsOf(outbox, { older_than_s: 50 }), [1, 2]);
  assert.deepEqual(await seqsOf(outbox, { newer_than_s: 70 }), [2, 3, 4, 5]);
  assert.deepEqual(await seqsOf(outbox, { older_than_s: 50, newer_than_s: 70 }), [2]);
  assert.deepEqual(await seqsOf(outbox, { reason: "large", entity: "sensor.*" }), [3]);
  assert.equal(Math.round(outbox.deadLetters.oldestAgeS), 3_600);
  const [letter] = (await found(outbox, {})).letters;
  assert.deepEqual({ ...letter, refused_at: "" }, {
    seq: 1,
    event_type: "state_changed",
    entity_id: "sensor.a",
    time_fired: "2026-06-25T21:20:05.162552+00:00",
    reason: 'Field type conflict: "value", 100%',
    refused_at: "",
    bytes: new TextEncoder().encode(lineOf("sensor.a")).length,
  });
  assert.equal(outbox.deadLetters.get(1)?.line, lineOf("sensor.a"));
  assert.equal(outbox.deadLetters.get(4)?.event_type, undefined);
  assert.equal(outbox.deadLetters.get(6), undefined);
  const { moved } = await outbox.deadLetters.discard(
    { seqs: [2, 3, 9], entity: "sensor.*" },
    never,
  );
  assert.equal(moved, 1);
  assert.deepEqual(await seqsOf(outbox, {}), [1, 2, 4, 5]);
});

Deno.test("A list is a page of the newest, and counts all that match over many steps", async () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder);
  bury(outbox, Array.from({ length: 2_400 }, () => lineOf("light.a")), "rare");
  bury(outbox, Array.from({ length: 3 }, () => "x".repeat(1_500_000)), "large");
  assert.ok(outbox.append(Array.from({ length: 1_100 }, () => lineOf("light.b"))));
  buryAll(outbox, (seq) => `unlike any other: ${seq}`);
  const page = await found(outbox, { limit: 2 });
  assert.deepEqual(page.letters.map(({ seq }) => seq), [3_502, 3_503]);
  assert.equal(page.total, 3_503);
  assert.equal(page.older, 3_501);
  assert.deepEqual(page.by_reason.slice(0, 3), [
    { reason: "rare", count: 2_400 },
    { reason: "other reasons", count: 102 },
    { reason: "large", count: 3 },
  ]);
  assert.equal(page.by_reason.length, 10);
  const before = await found(outbox, { limit: 2, before: 3, entity: "light.*" });
  assert.deepEqual(before.letters.map(({ seq }) => seq), [1, 2]);
  assert.equal(before.older, 0);
  assert.equal(before.total, 3_500);
  const aborted = AbortSignal.abort();
  assert.equal(await outbox.deadLetters.list({ limit: 1 }, aborted), undefined);
});

Deno.test("Replay has the very lines delivered again, in their order and behind what waits", async () => {
  using folder = new TemporaryFolder();
  const lines = ["1.0", "9007199254740993", '"☃ 😀"'].map((n) => lineOf("sensor.a", `,"x":${n}`));
  {
    using outbox = open(folder);
    bury(outbox, lines);
  }
  // all that was ever in the outbox is a dead letter now: its numbers are not given again
  using outbox = open(folder);
  outbox.append(["waiting"]);
  let told = false;
  const changed = outbox.changed(AbortSignal.timeout(10_000)).then(() => told = true);
  assert.deepEqual(await outbox.deadLetters.replay({}, never), { moved: 3 });
  assert.ok(told, "delivery does not notice");
  await changed;
  assert.deepEqual(rowsOf(outbox.waiting.next.peek(ALL)).map(({ line }) => line), [
    "waiting",
    ...lines,
  ]);
  assert.deepEqual(outbox.waiting.next.peek(ALL).seqs, [4, 5, 6, 7]);
  assertCounted(outbox, { waiting: 4, dead: 0, dropped: 0 });
  buryAll(outbox, "again");
  assert.deepEqual(await seqsOf(outbox, { reason: "again" }), [4, 5, 6, 7]);
  assert.deepEqual(await outbox.deadLetters.discard({ entity: "sensor.*" }, never), { moved: 3 });
  assertCounted(outbox, { waiting: 0, dead: 1, dropped: 3 });
  assert.equal(outbox.counters().dropped.get("discarded"), 3);
});

Deno.test("A replay ends though all of it is refused again, and capture goes on meanwhile", async () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder);
  const n = 5_500;
  bury(outbox, Array.from({ length: n }, () => lineOf("sensor.a")));
  const replaying = outbox.deadLetters.replay({}, never);
  let running = true;
  let captured = 0;
  const capturing = (async () => {
    while (running) {
      buryAll(outbox, "again");
      assert.ok(outbox.append(["live"]));
      captured++;
      await nextTurn();
    }
  })();
  assert.deepEqual(await replaying, { moved: n });
  running = false;
  await capturing;
  assert.ok(captured >= 5, `only ${captured} turns in ${n / 1_000} steps`);
  const { total } = await found(outbox, { reason: "again", entity: "sensor.*" });
  assert.ok(total > 0, "nothing was refused again");
  buryAll(outbox);
  assertCounted(outbox, { waiting: 0, dead: n + captured, dropped: 0 });
});

Deno.test("A replay that is aborted has moved whole steps, by rows or by bytes, and the rest is as it was", async () => {
  for (
    const [line, n, moved] of [[lineOf("a.a"), 2_500, 1_000], ["x".repeat(900_000), 5, 2]] as const
  ) {
    using folder = new TemporaryFolder();
    using outbox = open(folder);
    bury(outbox, Array.from({ length: n }, () => line));
    const stopping = new AbortController();
    const replaying = outbox.deadLetters.replay({}, stopping.signal);
    stopping.abort();
    assert.deepEqual(await replaying, { moved, stopped: "aborted" });
    assertCounted(outbox, { waiting: moved, dead: n - moved, dropped: 0 });
  }
});

Deno.test("Dead letters of a full outbox can be replayed; where that takes room nothing is lost", async () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder, 12_000_000);
  // a few to a page, so that one alone frees none
  const lines = Array.from({ length: 100 }, (_, i) => lineOf(`sensor.${i % 4}`, "1".repeat(700)));
  while (outbox.size.deadLettersFullness < 0.9) bury(outbox, lines);
  const dead = outbox.counters().deadLetters;
  assert.ok(dead > 1_000, `only ${dead}`);
  while (outbox.append(lines));
  while (outbox.append([lineOf("sensor.small")]));
  const { waiting } = outbox.counters();
  const { status, json } = await routesOf(outbox)("/replay", '{"entity":"sensor.1"}');
  assert.equal(status, 507);
  assert.match(
    String(json.detail),
    /^The outbox, or its disk, is full: (\d+) dead letters are replayed so far.*OUTBOX_MAX_MB/,
  );
  const some = Number(/\d+/.exec(String(json.detail))?.[0]);
  assertCounted(outbox, { waiting: waiting + some, dead: dead - some, dropped: 0 });
  const rest = await outbox.deadLetters.replay({}, never);
  assert.deepEqual(rest, { moved: dead - some });
  assertCounted(outbox, { waiting: waiting + dead, dead: 0, dropped: 0 });
});

Deno.test("The routes list, show, replay and discard", async () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder);
  bury(outbox, [lineOf("sensor.a"), lineOf("light.a")]);
  const ask = routesOf(outbox);
  const { json } = await ask("?entity=light.*&limit=1&newer_than_s=60");
  const page = deadLetterPageSchema.parse(json);
  assert.deepEqual(page.letters.map(({ seq }) => seq), [2]);
  assert.deepEqual({ ...page, letters: [] }, {
    total: 1,
    older: 0,
    by_reason: [{ reason: "no", count: 1 }],
    letters: [],
  });
  assert.equal((await ask("/2")).json.line, lineOf("light.a"));
  assert.deepEqual(await ask("/3"), {
    status: 404,
    json: { detail: "There is no dead letter 3" },
  });
  assert.deepEqual(await ask("/replay", '{"seqs":[2]}'), { status: 200, json: { moved: 1 } });
  assert.deepEqual(await ask("/discard", '{"all":true}'), { status: 200, json: { moved: 1 } });
  assertCounted(outbox, { waiting: 1, dead: 0, dropped: 1 });
});

Deno.test("The routes refuse what is asked wrong, name it, and touch nothing", async () => {
  using folder = new TemporaryFolder();
  using outbox = open(folder);
  bury(outbox, [lineOf("sensor.a"), lineOf("light.a")]);
  const stopping = new AbortController();
  const ask = routesOf(outbox, stopping);
  const wrong = async (status: number, detail: RegExp, ...question: Parameters<Ask>) => {
    const answer = await ask(...question);
    assert.equal(answer.status, status, JSON.stringify(question));
    assert.match(String(answer.json.detail), detail);
  };
  await wrong(422, /^limit: must be a whole number from 1 to 1000$/, "?limit=0");
  await wrong(422, /^older_than_s: must be a whole number/, "?older_than_s=1e3");
  await wrong(422, /^before: must be a whole number/, "?before=");
  await wrong(422, /"reeson"/, "?reeson=x");
  await wrong(422, /^all: must be true where nothing else chooses/, "/discard", "{}");
  await wrong(422, /^all: must be true where nothing/, "/discard", '{"all":true,"reason":"no"}');
  await wrong(422, /^all: must be true$/, "/discard", '{"all":false}');
  await wrong(422, /^seqs.0: must be the number of a dead letter/, "/discard", '{"seqs":["1"]}');
  await wrong(422, /^seqs: must not be empty/, "/discard", '{"seqs":[]}');
  await wrong(422, /^reason: must not be empty/, "/discard", '{"reason":""}');
  await wrong(422, /^newer_than_s: must be a whole/, "/discard", '{"newer_than_s":-1}');
  await wrong(422, /"entitys"/, "/discard", '{"entitys":"*"}');
  await wrong(400, /no JSON/, "/discard", "{");
  await wrong(415, /must be application\/json, not text\/plain/, "/discard", '{"all":true}', {
    "content-type": "text/plain",
  });
  await wrong(403, /another site/, "/discard", '{"all":true}', {
    "content-type": "application/json",
    origin: "http://evil.example",
  });
  stopping.abort();
  await wrong(503, /stopping: 0 dead letters are discarded so far/, "/discard", '{"all":true}');
  await wrong(503, /stopping/, "");
  assertCounted(outbox, { waiting: 0, dead: 2, dropped: 0 });
});

Deno.test("Dead letters are counted by reason without reading them", () => {
  using folder = new TemporaryFolder();
  {
    using outbox = open(folder);
    outbox.append(["a", "b", "c"]);
    const problems = [1, 2, 3].map((seq) => ({ seq, reason: seq === 2 ? "rare" : "frequent" }));
    outbox.settle({ done: [], delivered: 0, leftOut: {}, problems });
    assert.deepEqual(outbox.deadLetters.reasons(), [
      { reason: "frequent", count: 2 },
      { reason: "rare", count: 1 },
    ]);
  }
  using db = new DatabaseSync(folder.file("outbox.sqlite"));
  const plan = db.prepare(
    "EXPLAIN QUERY PLAN SELECT reason, count(*) AS n FROM dead_letter GROUP BY reason",
  ).all().map(({ detail }) => detail).join();
  assert.match(plan, /COVERING INDEX/);
});
