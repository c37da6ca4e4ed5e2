import assert from "node:assert/strict";
import { outboxCommand } from "../../../lib/ingest/recovery/outbox_command.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { allStored, FakeEnrich } from "../../stand_ins/fake_enrich.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { type Program, startIngest } from "../../whole_programs.ts";

const ROOT = new URL("../../..", import.meta.url).pathname;
const TOKEN = "s3cret-token";
const AUTHORIZED = { headers: { authorization: `Bearer ${TOKEN}` } };
const FILE = "outbox.sqlite.damaged-2026-06-25T212005.162Z";

function lineOf(n: number): string {
  return `{"event":{"event_type":"state_changed","data":{"entity_id":"sensor.n${n}",` +
    `"text":"${"y".repeat(500)}"},"time_fired":"2026-06-25T21:20:05.162552+00:00"}}`;
}

/** An outbox of so many events and some dead letters, set aside since the way to its rows is damaged. */
function damagedIn(folder: TemporaryFolder, events: number, letters = 0, file = FILE): string[] {
  const path = folder.file(file);
  const lines = Array.from({ length: events + letters }, (_, n) => lineOf(n));
  {
    using outbox = new Outbox({ path, maxBytes: 100_000_000, onFailure: assert.ifError });
    assert.ok(outbox.append(lines));
    const problems = lines.slice(events).map((_, i) => ({
      seq: events + i + 1,
      reason: `type conflict ${i}`,
    }));
    outbox.settle({ done: [], delivered: 0, leftOut: {}, problems });
  }
  const bytes = Deno.readFileSync(path);
  Deno.writeFileSync(path, bytes.fill(0xff, 0, 4_096));
  return lines;
}

function environment(folder: TemporaryFolder, enrich: FakeEnrich) {
  return {
    // nobody is there: what is to be delivered stands in the outbox
    HASS_URL: "http://127.0.0.1:1",
    HASS_TOKEN: "no-token-of-a-house",
    DATA_DIR: folder.path,
    ENRICHMENT_SERVICE_URL: enrich.url,
    SERVICE_TOKEN: TOKEN,
  };
}

/** Runs the command, its arguments parted by spaces. */
async function command(args: string, url: string) {
  let written = "";
  let complained = "";
  const env = { INGEST_PORT: new URL(url).port, SERVICE_TOKEN: TOKEN };
  const status = await outboxCommand(args.split(" "), () => env, {
    write: (text) => void (written += text),
    complain: (text) => void (complained += `${text}\n`),
    columns: undefined,
    intervalMs: 2,
    lineIntervalMs: 0,
  });
  return { status, written, complained };
}

async function jsonOf(ingest: Program, path: string) {
  return await (await ingest.get(path, AUTHORIZED)).json();
}

async function metricOf(ingest: Program, name: string): Promise<number> {
  const text = await (await ingest.get("/metrics", AUTHORIZED)).text();
  return Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]);
}

function namesIn(folder: TemporaryFolder): string[] {
  return [...Deno.readDirSync(folder.path)].map(({ name }) => name)
    .filter((name) => name.includes("damaged")).sort();
}

Deno.test("Health, page and metric tell of a damaged outbox until it is recovered, and its events are delivered", async () => {
  using folder = new TemporaryFolder();
  const lines = damagedIn(folder, 3_000, 3);
  await using enrich = new FakeEnrich();
  await using ingest = await startIngest(environment(folder, enrich));
  const health = await jsonOf(ingest, "/health");
  assert.equal(health.damaged_outbox_files, 1);
  assert.match(health.advice[0].reason, new RegExp(`${FILE} are not delivered`));
  assert.match(health.advice[0].action, new RegExp(`"ingest outbox recover ${FILE}"`));
  assert.equal(await metricOf(ingest, "ingest_outbox_damaged_files"), 1);
  assert.deepEqual((await jsonOf(ingest, "/status")).outbox.damaged_files, [FILE]);
  assert.match(
    await (await ingest.get("/", AUTHORIZED)).text(),
    /<p>damaged outbox files: 1<\/p>/,
  );

  const { status, written, complained } = await command(`recover ${FILE}`, ingest.url);
  assert.deepEqual([status, complained], [0, ""]);
  assert.match(
    written,
    /Recovered 3,000 events, 3 dead letters; ingest delivers what waits, and the file is now .*\.recovered\n$/,
  );
  await until(() => enrich.stored.length >= 3_000, "all is delivered");
  assert.deepEqual([...enrich.stored].sort(), lines.slice(0, 3_000).sort());
  await until(async () => (await jsonOf(ingest, "/status")).events.queued === 0, "it is counted");
  const { events } = await jsonOf(ingest, "/status");
  assert.deepEqual([events.received, events.delivered, events.dead_lettered], [3_003, 3_000, 3]);
  const letters = await jsonOf(ingest, "/dead-letters");
  assert.deepEqual(
    letters.letters.map(({ reason }: { reason: string }) => reason),
    ["type conflict 0", "type conflict 1", "type conflict 2"],
  );

  assert.deepEqual(namesIn(folder), [`${FILE}.recovered`]);
  const after = await jsonOf(ingest, "/health");
  assert.equal(after.damaged_outbox_files, 0);
  assert.equal(after.advice.length, 1, "dead letters are left");
  assert.equal(await metricOf(ingest, "ingest_outbox_damaged_files"), 0);
  const again = await command(`recover ${FILE}`, ingest.url);
  assert.equal(again.status, 1);
  assert.match(again.complained, /answered 404: DATA_DIR has no damaged outbox .*: none is there/);
});

Deno.test("A recovery that is killed loses nothing: run again, it delivers everything", async () => {
  using folder = new TemporaryFolder();
  const lines = damagedIn(folder, 5_000);
  const evidence = Deno.readFileSync(folder.file(FILE));
  await using enrich = new FakeEnrich(() => new Response(null, { status: 503 }));
  const env = environment(folder, enrich);
  const port = String(freePort());
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-net=127.0.0.1",
      "--allow-env",
      "--allow-sys=statfs",
      `--allow-read=${folder.path}`,
      `--allow-write=${folder.path}`,
      `${ROOT}ingest.ts`,
    ],
    cwd: folder.path,
    env: { ...env, INGEST_PORT: port, LOG_LEVEL: "error" },
    stdin: "null",
  }).spawn();
  const url = `http://127.0.0.1:${port}`;
  const post = () =>
    fetch(`${url}/outbox/recover`, {
      method: "POST",
      headers: { ...AUTHORIZED.headers, "content-type": "application/json" },
      body: JSON.stringify({ file: FILE }),
    });
  try {
    await until(async () => {
      const answer = await post();
      await answer.body?.cancel();
      return answer.status === 202;
    }, "it has begun");
    await until(async () => {
      const progress = await (await fetch(`${url}/outbox/recover`, AUTHORIZED)).json();
      return progress.events >= 2_000 && /enrich/.test(progress.reason);
    }, "it waits, since much waits");
    const second = await post();
    assert.equal(second.status, 409);
    await second.body?.cancel();
  } finally {
    process.kill("SIGKILL");
    await process.status;
  }
  assert.deepEqual(namesIn(folder), [FILE]);
  assert.deepEqual(Deno.readFileSync(folder.file(FILE)), evidence, "the file is as it was");

  enrich.answering = (sent) => allStored(sent);
  await using ingest = await startIngest(env);
  assert.equal((await jsonOf(ingest, "/health")).damaged_outbox_files, 1);
  const { status } = await command(`recover ${FILE}`, ingest.url);
  assert.equal(status, 0);
  await until(async () => (await jsonOf(ingest, "/status")).events.queued === 0, "it is delivered");
  assert.deepEqual([...new Set(enrich.stored)].sort(), [...lines].sort());
  const { events } = await jsonOf(ingest, "/status");
  assert.ok(events.received >= 7_000, "what was taken before the kill is counted too");
  assert.equal(events.received, events.delivered);
});

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("A command whose ingest is stopped has the next one begin anew", async () => {
  using folder = new TemporaryFolder();
  damagedIn(folder, 5_000);
  await using enrich = new FakeEnrich(() => new Response(null, { status: 503 }));
  const ingest = await startIngest(environment(folder, enrich));
  const running = command(`recover ${FILE}`, ingest.url);
  await until(
    async () => (await jsonOf(ingest, "/outbox/recover")).events >= 2_000,
    "it waits, since much waits",
  );
  const other = await command("recover outbox.sqlite.damaged-2026-01-01T000000.000Z", ingest.url);
  assert.equal(other.status, 1);
  assert.match(other.complained, /answered 409: .*is being recovered already/);
  const stopping = ingest.stop();
  enrich.answering = (sent) => allStored(sent);
  await stopping;
  assert.deepEqual(namesIn(folder), [FILE]);
  await using again = await startIngest({
    ...environment(folder, enrich),
    INGEST_PORT: new URL(ingest.url).port,
  });
  const { status } = await running;
  assert.equal(status, 0, "the command has waited for it");
  assert.equal((await jsonOf(again, "/health")).damaged_outbox_files, 0);
});

Deno.test("What cannot be read is told, and a file out of which nothing can be read stays", async () => {
  using folder = new TemporaryFolder();
  damagedIn(folder, 1_000);
  const path = folder.file(FILE);
  const bytes = Deno.readFileSync(path);
  Deno.writeFileSync(path, bytes.fill(0, 100 * 4_096, 150 * 4_096));
  const hopeless = "outbox.sqlite.damaged-2026-07-25T212005.162Z";
  Deno.writeTextFileSync(folder.file(hopeless), "no database".repeat(1_000));
  await using enrich = new FakeEnrich();
  await using ingest = await startIngest(environment(folder, enrich));
  assert.equal((await jsonOf(ingest, "/health")).damaged_outbox_files, 2);

  const some = await command(`recover ${FILE}`, ingest.url);
  assert.equal(some.status, 0);
  const lost = Number(/held (\d+) more: they cannot be read/.exec(some.complained)?.[1]);
  await until(() => enrich.stored.length === 1_000 - lost, "the others are delivered");
  assert.ok(lost >= 200 && lost <= 400, `${lost} are lost`);

  const none = await command(`recover ${hopeless}`, ingest.url);
  assert.equal(none.status, 1);
  assert.match(none.complained, /Nothing can be read out of .*stays as it is; put a copy/);
  assert.deepEqual(namesIn(folder), [`${FILE}.recovered`, hopeless]);
  assert.equal((await jsonOf(ingest, "/health")).damaged_outbox_files, 1);
});

Deno.test("Dead letters that are recovered never fill the outbox, which would end capture", async () => {
  using folder = new TemporaryFolder();
  damagedIn(folder, 0, 8_000);
  await using enrich = new FakeEnrich();
  await using ingest = await startIngest({ ...environment(folder, enrich), OUTBOX_MAX_MB: "8" });
  const running = command(`recover ${FILE}`, ingest.url);
  await until(
    async () => /half full/.test((await jsonOf(ingest, "/outbox/recover")).reason),
    "it waits, since the outbox is half full",
  );
  const { outbox } = await jsonOf(ingest, "/status");
  assert.ok(!outbox.full && outbox.fullness < 0.75, `${outbox.fullness}`);
  await until(async () => {
    const discarded = await ingest.get("/dead-letters/discard", {
      method: "POST",
      headers: { ...AUTHORIZED.headers, "content-type": "application/json" },
      body: JSON.stringify({ all: true }),
    });
    assert.equal(discarded.status, 200);
    await discarded.body?.cancel();
    return (await jsonOf(ingest, "/outbox/recover")).state === "done";
  }, "it goes on");
  const { status, written } = await running;
  assert.equal(status, 0);
  assert.match(written, /0 events, 8,000 dead letters/);
});

Deno.test("Only a damaged outbox in DATA_DIR is recovered, and what there is is told", async () => {
  using folder = new TemporaryFolder();
  damagedIn(folder, 1);
  using other = new TemporaryFolder();
  damagedIn(other, 1);
  await using enrich = new FakeEnrich();
  await using ingest = await startIngest(environment(folder, enrich));
  for (
    const file of [
      "outbox.sqlite",
      `${other.path}/${FILE}`,
      `./${FILE}`,
      `../${FILE}`,
      `${FILE}-wal`,
    ]
  ) {
    const { status, complained } = await command(`recover ${file}`, ingest.url);
    assert.equal(status, 1, file);
    assert.match(
      complained,
      new RegExp(`^Ingest answered 404: DATA_DIR has no .*: there is ${FILE}\n$`),
    );
  }
  const init = { method: "POST", body: JSON.stringify({ file: FILE }) };
  const form = await ingest.get("/outbox/recover", { ...AUTHORIZED, ...init });
  assert.equal(form.status, 415);
  await form.body?.cancel();
  assert.equal((await jsonOf(ingest, "/outbox/recover")).state, "none");
});

Deno.test("The command says what is wrong with how it is asked, and when ingest is away", async () => {
  const url = "http://127.0.0.1:1";
  assert.match((await command("--help", url)).written, /Usage: ingest outbox recover FILE/);
  for (const args of ["", "repair", "recover", "recover a b", "recover --all"]) {
    const { status, complained } = await command(args, url);
    assert.equal(status, 2, args);
    assert.match(complained, /Say recover|one FILE|--all/);
  }
  const away = await command(`recover ${FILE}`, url);
  assert.equal(away.status, 1);
  assert.match(away.complained, /^Cannot reach ingest at .*INGEST_PORT/);
});
