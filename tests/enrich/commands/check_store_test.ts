import assert from "node:assert/strict";
import { checkStore } from "../../../lib/enrich/commands/check_store.ts";
import { LocalStore } from "../../../lib/enrich/local/local_store.ts";
import type { Environment } from "../../../lib/settings/settings_reader.ts";
import { FakeQuestDb } from "../../stand_ins/fake_questdb.ts";
import { FakeInfluxDb, type FakeInfluxDbOptions } from "../../stand_ins/fake_influxdb.ts";
import { ORG_ID } from "../../stand_ins/fake_influxdb_admin.ts";
import { FakeVictoriaMetrics } from "../../stand_ins/fake_victoriametrics.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { startEnrich } from "../../whole_programs.ts";

async function check(env: Environment, ...args: readonly string[]) {
  let written = "";
  let complained = "";
  const status = await checkStore(args, () => ({ ENRICH_PORT: "0", ...env }), {
    write: (text) => void (written += text),
    complain: (text) => void (complained += `${text}\n`),
    columns: undefined,
    intervalMs: 1,
    lineIntervalMs: 0,
  });
  const all = written.split("\n").slice(0, -1);
  // settings and port come first, the clock last, and have tests of their own
  const lines = all.filter((line) => !/settings can be read|can listen|clock/.test(line));
  return { status, complained, all, lines };
}

function envOf(fake: FakeInfluxDb, version: 1 | 2): Environment {
  return version === 1
    ? {
      INFLUXDB_URL: fake.url,
      INFLUXDB_DATABASE: "home",
      INFLUXDB_USERNAME: "joe",
      INFLUXDB_PASSWORD: "right",
    }
    : {
      INFLUXDB_URL: fake.url,
      INFLUXDB_ORG: "home",
      INFLUXDB_BUCKET: "home",
      INFLUXDB_TOKEN: "right",
    };
}

function optionsOf(version: 1 | 2): FakeInfluxDbOptions {
  return version === 1
    ? { version, username: "joe", password: "right" }
    : { version, token: "right" };
}

const WORDS = {
  1: {
    place: "Database home",
    known: "User joe is accepted",
    missing: /404 \(database not found: "home"\); create it by "enrich check --create", or correct/,
    denied:
      /^FAIL {2}Cannot create database home: it answered 403 \(.*requires admin privilege\); let INFLUXDB_USERNAME be an administrator .* or have one run CREATE DATABASE "home"$/,
    wrong: /401 \(authorization failed\); check INFLUXDB_USERNAME and INFLUXDB_PASSWORD$/,
    forbidden: /403 .*; allow INFLUXDB_USERNAME to write to INFLUXDB_DATABASE$/,
  },
  2: {
    place: "Bucket home",
    known: "INFLUXDB_TOKEN is accepted",
    missing: /404 \(bucket "home" not found\); create it by "enrich check --create", or correct/,
    denied:
      /^FAIL {2}Cannot create bucket home in organization home: INFLUXDB_TOKEN may not see it; let INFLUXDB_TOKEN be an all-access token/,
    wrong: /401 \(unauthorized access\); check INFLUXDB_TOKEN$/,
    forbidden: /403 .*; let INFLUXDB_TOKEN be one that may write to INFLUXDB_BUCKET$/,
  },
} as const;

for (const version of [1, 2] as const) {
  const words = WORDS[version];

  Deno.test(`The check of InfluxDB ${version} says what holds, line by line, up to what does not`, async () => {
    await using fake = await FakeInfluxDb.start(optionsOf(version));
    const env = envOf(fake, version);
    const well = await check(env);
    assert.equal(well.status, 0);
    assert.equal(well.lines[0], `ok    InfluxDB ${version} answers at ${fake.url}`);
    assert.deepEqual(well.lines.slice(1), [
      `ok    ${words.known}`,
      `ok    ${words.place} exists`,
      "ok    It takes points",
    ]);

    const failing = async (holding: number, message: RegExp, changed: Environment = {}) => {
      const { status, lines } = await check({ ...env, ...changed });
      assert.equal(status, 1);
      assert.deepEqual(lines.slice(0, -1), well.lines.slice(0, holding));
      assert.match(lines.at(-1) ?? "", /^FAIL {2}Cannot /);
      assert.match(lines.at(-1) ?? "", message);
    };
    fake.forbids = true;
    await failing(3, words.forbidden);
    fake.places.clear();
    await failing(2, words.missing);
    if (version === 2) {
      await failing(2, /organization name "nope" not found/, { INFLUXDB_ORG: "nope" });
    }
    const secret = version === 1 ? "INFLUXDB_PASSWORD" : "INFLUXDB_TOKEN";
    await failing(1, words.wrong, { [secret]: "wr0ng" });
    fake.trouble = () => "login page";
    await failing(
      0,
      /200 \(Sign in\) where 204 was expected: is INFLUXDB_URL a proxy or login page/,
    );
    await fake.stop();
    await failing(0, /connection refused; check that it runs, and INFLUXDB_URL$/);
    assert.equal(fake.points.length, 0);
  });

  Deno.test(`The check of InfluxDB ${version} makes what is missing where it is told to, and nothing else`, async () => {
    await using fake = await FakeInfluxDb.start(optionsOf(version));
    const env = envOf(fake, version);
    const creations = () => fake.questions.filter(({ body }) => body !== "" && !/SHOW/.test(body));
    fake.places.clear();
    assert.equal((await check(env)).status, 1);
    assert.equal(fake.places.size, 0);
    const { status, lines } = await check(env, "--create");
    assert.equal(status, 0, lines.join("\n"));
    assert.deepEqual(lines.slice(1), [
      `ok    ${words.known}`,
      `ok    ${words.place} is made, and keeps points forever`,
      "ok    It takes points",
    ]);
    assert.deepEqual([...fake.places], ["home"]);
    assert.equal(creations().length, 1);
    const again = await check(env, "--create");
    assert.equal(again.status, 0);
    assert.equal(again.lines[2], `ok    ${words.place} exists`);
    assert.equal(creations().length, 1, "what exists is left alone");
    fake.forbids = true;
    fake.places.clear();
    const made = await check(env, "--create");
    assert.equal(made.status, 1);
    assert.match(made.lines[2] ?? "", /is made/);
    assert.match(made.lines[3] ?? "", words.forbidden);
  });

  Deno.test(`The check of InfluxDB ${version} says who could make what is missing, where it may not`, async () => {
    await using fake = await FakeInfluxDb.start(optionsOf(version));
    const env = envOf(fake, version);
    fake.places.clear();
    fake.hides = true;
    const { status, lines } = await check(env, "--create");
    assert.equal(status, 1);
    assert.equal(lines.length, 3);
    assert.match(lines[2] ?? "", words.denied);
    fake.questionTrouble = () => "login page";
    const { lines: page } = await check(env, "--create");
    assert.match(
      page[2] ?? "",
      /it answered 200, but not as InfluxDB does: is INFLUXDB_URL a proxy/,
    );
    fake.questionTrouble = () => "reset";
    const { lines: reset } = await check(env, "--create");
    assert.match(reset[2] ?? "", /^FAIL {2}Cannot create .*: Cannot reach the database/);
    assert.equal(fake.places.size, 0);
  });
}

Deno.test("The check of InfluxDB 2 says that the token may not make a bucket in an organization that it sees", async () => {
  await using fake = await FakeInfluxDb.start(optionsOf(2));
  fake.places.clear();
  fake.questionTrouble = ({ method }) =>
    method === "GET" ? undefined : {
      status: 401,
      body:
        '{"code":"unauthorized","message":"write:orgs/0a1b2c3d4e5f6071/buckets is unauthorized"}',
    };
  const { lines } = await check(envOf(fake, 2), "--create");
  assert.match(
    lines[2] ?? "",
    /buckets is unauthorized\); let INFLUXDB_TOKEN be an all-access token/,
  );
});

Deno.test("The check of InfluxDB 2 takes the organization by its id, and says what an unknown one is", async () => {
  await using fake = await FakeInfluxDb.start(optionsOf(2));
  const env = { ...envOf(fake, 2), INFLUXDB_ORG: ORG_ID };
  assert.equal((await check(env)).status, 0);
  fake.places.clear();
  const made = await check(env, "--create");
  assert.equal(made.status, 0, made.lines.join("\n"));
  assert.equal(made.lines[2], "ok    Bucket home is made, and keeps points forever");
  const unknown = await check({ ...env, INFLUXDB_ORG: "00c0ffee00c0ffee" }, "--create");
  assert.equal(unknown.status, 1);
  assert.deepEqual(unknown.lines.slice(1), [
    "ok    INFLUXDB_TOKEN is accepted",
    "FAIL  Cannot write to InfluxDB: it answered 404 (organization not found); correct INFLUXDB_ORG: " +
    "16 hexadecimal digits are an organization's id, even where one is called so",
  ]);
});

Deno.test("The check of InfluxDB 2 says that the token was deactivated", async () => {
  await using fake = await FakeInfluxDb.start(optionsOf(2));
  fake.inactive = true;
  const { status, lines } = await check(envOf(fake, 2));
  assert.equal(status, 1);
  assert.deepEqual(lines, [
    `ok    InfluxDB 2 answers at ${fake.url}`,
    "FAIL  Cannot write to InfluxDB: it answered 403 (insufficient permissions for write: token is " +
    "inactive); activate that token on InfluxDB's own pages, or set INFLUXDB_TOKEN to another one",
  ]);
});

Deno.test("The check of InfluxDB 2 takes a bucket that somebody else makes meanwhile for one that exists", async () => {
  await using fake = await FakeInfluxDb.start(optionsOf(2));
  fake.places.clear();
  fake.questionTrouble = () => void fake.places.add("home");
  const { status, lines } = await check(envOf(fake, 2), "--create");
  assert.equal(fake.questions.at(-3)?.method, "POST");
  assert.equal(status, 0, lines.join("\n"));
  assert.deepEqual(lines.slice(1), [
    "ok    INFLUXDB_TOKEN is accepted",
    "ok    Bucket home exists",
    "ok    It takes points",
  ]);
});

Deno.test("The check of version 1 says where it is an InfluxDB 2, whose tokens are its passwords", async () => {
  await using fake = await FakeInfluxDb.start(optionsOf(2));
  const env = envOf(fake, 1);
  const well = await check(env);
  assert.equal(well.status, 0);
  assert.deepEqual(well.lines, [
    `ok    InfluxDB 2 (1.x API) answers at ${fake.url}`,
    "ok    User joe is accepted",
    "ok    Database home exists",
    "ok    It takes points",
  ]);
  const failing = async (holding: number, message: RegExp, changed: Environment = {}) => {
    const { status, lines } = await check({ ...env, ...changed }, "--create");
    assert.equal(status, 1);
    assert.deepEqual(lines.slice(0, -1), well.lines.slice(0, holding));
    assert.match(lines.at(-1) ?? "", message);
  };
  await failing(
    1,
    /^FAIL .*401 \(Unauthorized\); this is an InfluxDB 2, which knows tokens only: set/,
    {
      INFLUXDB_PASSWORD: "password",
    },
  );
  fake.forbids = true;
  await failing(3, /403 \(insufficient permissions for write\); this is an InfluxDB 2, .*PASSWORD/);
  fake.places.clear();
  await failing(2, /404 \(no dbrp mapping found\); this is .*: make that bucket, or correct INFL/);
  assert.equal(fake.points.length, 0);
  assert.ok(!fake.questions.some(({ body }) => /CREATE/.test(body)), "it cannot make one");
});

Deno.test("The check of InfluxDB 1 says what a database cannot be called", async () => {
  await using fake = await FakeInfluxDb.start({ version: 1 });
  const env = { INFLUXDB_URL: fake.url, INFLUXDB_DATABASE: 'a"b' };
  const { status, lines } = await check(env, "--create");
  assert.equal(status, 1);
  assert.match(lines[0] ?? "", /answers at/);
  assert.equal(lines[1], "ok    No user is needed");
  assert.equal(lines[2], 'FAIL  Cannot create database a"b: invalid name');
});

Deno.test("The check of InfluxDB 3 says that its first write makes the database", async () => {
  await using fake = await FakeInfluxDb.start({ version: 2 });
  fake.trouble = () => ({ status: 400, body: '{"error":"incoming write was empty"}' });
  const env = {
    INFLUXDB_URL: fake.url,
    INFLUXDB_DATABASE: "home",
    INFLUXDB_VERSION: "3",
  };
  const { status, lines } = await check(env, "--create");
  assert.equal(status, 0);
  assert.equal(lines[1], "ok    No token is needed");
  assert.equal(lines[2], "ok    Database home is there, or is made by the first write");
  assert.equal(fake.questions.length, 0);
});

Deno.test("The check says of QuestDB that it is no InfluxDB, and what that costs", async () => {
  await using fake = await FakeInfluxDb.start({ version: 1 });
  fake.trouble = new FakeQuestDb().answer;
  const env = { INFLUXDB_URL: fake.url, INFLUXDB_DATABASE: "home" };
  const { status, lines } = await check(env, "--create");
  assert.equal(status, 0);
  assert.deepEqual(lines.slice(0, 2), [
    `ok    QuestDB answers at ${fake.url}`,
    "ok    It takes points",
  ]);
  assert.match(
    lines[2] ?? "",
    /^warn {2}QuestDB answers .* is no InfluxDB: .*; write to InfluxDB or/,
  );
  fake.trouble = () => ({ status: 401, headers: { server: "questDB/1.0" } });
  const refused = await check(env);
  assert.equal(refused.status, 1);
  assert.match(refused.lines[1] ?? "", /^FAIL {2}Cannot write to InfluxDB: it answered 401/);
});

Deno.test("The check of the local store opens its file, or says who holds it", async () => {
  using folder = new TemporaryFolder();
  const DATA_DIR = folder.file("data");
  const path = folder.file("data/store.sqlite");
  const none = await check({ DATA_DIR }, "--create");
  assert.equal(none.status, 0);
  assert.deepEqual(none.lines, [
    `ok    INFLUXDB_URL is not set: enrich will make the local store ${path}`,
  ]);
  assert.deepEqual([...Deno.readDirSync(DATA_DIR)], []);
  const store = new LocalStore(path, { days: 30, maxBytes: 100_000_000 });
  const held = await check({ DATA_DIR });
  assert.equal(held.status, 0);
  assert.match(held.lines[0] ?? "", /^ok .* a running enrich holds the local store .*sqlite$/);
  store.close();
  const opened = await check({ DATA_DIR });
  assert.equal(opened.status, 0);
  assert.match(opened.lines[0] ?? "", /^ok .* can be opened \(0 points of 0 series, 0\.0 MB\)$/);
  Deno.writeTextFileSync(
    path,
    "no database, but a text that is long enough to be looked at ".repeat(9),
  );
  const broken = await check({ DATA_DIR });
  assert.equal(broken.status, 1);
  assert.match(broken.lines[0] ?? "", /^FAIL .*not a database; move the file away/);
  Deno.writeTextFileSync(folder.file("file"), "");
  const noFolder = await check({ DATA_DIR: folder.file("file") });
  assert.equal(noFolder.status, 1);
  assert.match(
    noFolder.lines[0] ?? "",
    /^FAIL {2}Cannot write to DATA_DIR \(\S+: it is no folder\); /,
  );
});

Deno.test("The check ends with 2 where it is asked or configured wrong, and warns of slips of the pen", async () => {
  const wrong = async (env: Environment, args: readonly string[], message: RegExp) => {
    const { status, complained, lines } = await check(env, ...args);
    assert.equal(status, 2);
    assert.match(`${complained}${lines.join("\n")}`, message);
  };
  await wrong({}, ["--creat"], /--creat.*see --help/);
  await wrong({}, ["home"], /see --help/);
  await wrong({ INFLUXDB_DATABASE: "home" }, [], /^FAIL {2}INFLUXDB_URL is not set although/);
  const help = await check({}, "--help");
  assert.equal(help.status, 0);
  assert.match(help.lines.join("\n"), /^Usage: enrich check \[--create\] \[--json\]$/m);
  using folder = new TemporaryFolder();
  const warned = await check({ DATA_DIR: folder.path, INFLUXDB_URI: "http://x" });
  assert.equal(warned.status, 0);
  assert.equal(
    warned.lines[0],
    "warn  INFLUXDB_URI is no setting and is ignored; did you mean INFLUXDB_URL?",
  );
});

Deno.test("The check of enrich tells its settings, CONFIG_FILE's notes, and who has its port", async () => {
  using folder = new TemporaryFolder();
  const DATA_DIR = folder.path;
  const CONFIG_FILE = folder.file("influxdb.yaml");
  Deno.writeTextFileSync(CONFIG_FILE, "influxdb:\n  max_retries: 3\n");
  const { all, status } = await check({ DATA_DIR, CONFIG_FILE });
  assert.equal(status, 0);
  assert.deepEqual(all.slice(0, 3), [
    "warn  influxdb.yaml: max_retries is not needed: what InfluxDB does not take is kept, and tried without end",
    `ok    The settings can be read: SCHEMA=tidy, ATTRIBUTES=standard, CONFIG_FILE ${CONFIG_FILE}`,
    "ok    enrich can listen on 127.0.0.1:0",
  ]);
  Deno.writeTextFileSync(CONFIG_FILE, "influxdb:\n  hots: x\n  port: 1\n");
  const wrong = await check({ DATA_DIR, CONFIG_FILE });
  assert.equal(wrong.status, 2);
  assert.deepEqual(wrong.all, [
    "FAIL  influxdb.yaml, line 2: hots is no option; did you mean host?",
  ]);
  Deno.writeTextFileSync(CONFIG_FILE, "include:\n  entity_globs: [*_power]\n");
  const unquoted = await check({ DATA_DIR, CONFIG_FILE });
  assert.equal(unquoted.status, 2);
  assert.match(
    unquoted.all[0] ?? "",
    /^FAIL {2}influxdb\.yaml, line 2: .*quote a text that begins/,
  );

  await using enrich = await startEnrich({ DATA_DIR, SERVICE_TOKEN: "s3cret" });
  const ENRICH_PORT = new URL(enrich.url).port;
  const running = await check({ DATA_DIR, ENRICH_PORT, SERVICE_TOKEN: "s3cret" });
  assert.equal(running.status, 0);
  assert.equal(running.all[1], `ok    A running enrich listens on 127.0.0.1:${ENRICH_PORT}`);
  assert.match(running.all[2] ?? "", /a running enrich holds the local store/);
  const taken = await check({ DATA_DIR, ENRICH_PORT, SERVICE_TOKEN: "0ther" });
  assert.equal(taken.status, 1);
  assert.equal(
    taken.all[1],
    `FAIL  Port ${ENRICH_PORT} is taken, and not by an enrich that takes this SERVICE_TOKEN; ` +
      "end what listens there, or set ENRICH_PORT",
  );
});

Deno.test("The check of InfluxDB warns of a clock that is off, and is told to machines by object", async () => {
  await using fake = await FakeInfluxDb.start(optionsOf(1));
  const env = { ...envOf(fake, 1), SCHEMA: "homeassistant" };
  const well = await check(env);
  assert.equal(
    well.all[0],
    "ok    The settings can be read: SCHEMA=homeassistant, INFLUXDB_DATABASE=home",
  );
  assert.equal(well.all.at(-1), "ok    InfluxDB's clock and this machine's agree");
  fake.clockAheadMs = -3_600_000;
  const { all, status } = await check(env);
  assert.equal(status, 0);
  assert.match(
    all.at(-1) ?? "",
    /^warn {2}InfluxDB's clock says 20\S+ \S+ UTC, this machine's 20\S+ \S+ UTC, 3(600|599|598) s apart; have both set by NTP$/,
  );
  fake.places.clear();
  const json = await check(env, "--json");
  const findings = json.all.map((line) => JSON.parse(line));
  assert.deepEqual(findings.find(({ ok }) => !ok), {
    check: "place",
    ok: false,
    detail: 'Cannot write to InfluxDB: it answered 404 (database not found: "home")',
    action: 'create it by "enrich check --create", or correct INFLUXDB_DATABASE',
  });
  assert.deepEqual(findings.map(({ check }) => check), [
    "settings",
    "port",
    "address",
    "credentials",
    "place",
    "clock",
  ]);
});

Deno.test("check tells VictoriaMetrics as what it is, with nothing to create, and what it had better be set to", async () => {
  await using fake = await FakeVictoriaMetrics.start();
  const env = { INFLUXDB_URL: fake.url, INFLUXDB_DATABASE: "home" };
  for (const args of [[], ["--create"]]) {
    const { status, lines, all } = await check(env, ...args);
    assert.deepEqual(lines, [
      `ok    VictoriaMetrics answers at ${fake.url}`,
      "ok    It needs no database: home is a label of each series",
      "ok    It takes points, and keeps their numbers",
      "warn  VictoriaMetrics deletes each event after a month, for nobody has said how long it keeps them; start it with -retentionPeriod=100y, or with 1M if a month is what you want",
      "warn  VictoriaMetrics keeps events that are sent again, after a fault for example, as second samples; start it with -dedup.minScrapeInterval=1ms",
    ]);
    assert.equal(status, 0);
    assert.equal(all.at(-1), "ok    VictoriaMetrics' clock and this machine's agree");
  }
  assert.ok(fake.writes.every(({ body }) => body === ""));
});

Deno.test("enrich check says what -httpAuth of VictoriaMetrics asks for, by every version's settings", async () => {
  // what 1.151.0 answers, with whatever path
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () =>
      new Response("\n", {
        status: 401,
        headers: {
          "www-authenticate": 'Basic realm="VictoriaMetrics"',
          "x-server-hostname": "vm",
        },
      }),
  );
  const INFLUXDB_URL = `http://127.0.0.1:${server.addr.port}`;
  const said = "FAIL  Cannot write to InfluxDB: it answered 401 (VictoriaMetrics' -httpAuth); ";
  const as1 = { INFLUXDB_DATABASE: "home", INFLUXDB_USERNAME: "joe", INFLUXDB_PASSWORD: "wr0ng" };
  const as2 = { INFLUXDB_BUCKET: "home", INFLUXDB_ORG: "home", INFLUXDB_TOKEN: "wr0ng" };
  const as3 = { INFLUXDB_VERSION: "3", INFLUXDB_DATABASE: "home", INFLUXDB_TOKEN: "wr0ng" };
  const wish2 = "set INFLUXDB_DATABASE, INFLUXDB_USERNAME and INFLUXDB_PASSWORD, as for InfluxDB 1";
  for (
    const [env, wish] of [
      [as1, "check INFLUXDB_USERNAME and INFLUXDB_PASSWORD"],
      [as2, wish2],
      [as3, wish2],
    ] as const
  ) {
    const { lines, status } = await check({ INFLUXDB_URL, ...env });
    assert.equal(status, 1);
    assert.deepEqual(lines, [`ok    VictoriaMetrics answers at ${INFLUXDB_URL}`, said + wish]);
  }
});

Deno.test("enrich check warns where it may write, and not read how long points are kept", async () => {
  for (const version of [1, 2] as const) {
    await using fake = await FakeInfluxDb.start(optionsOf(version));
    assert.equal((await check(envOf(fake, version))).lines.length, 4);
    fake.hides = true;
    const { lines, status } = await check(envOf(fake, version));
    assert.equal(status, 0);
    const [place, who] = version === 1
      ? ["Database home", "INFLUXDB_USERNAME"]
      : ["Bucket home", "INFLUXDB_TOKEN"];
    assert.deepEqual(lines.slice(4), [
      `warn  How long ${place} keeps points cannot be read: events older than that are sent, and ` +
      `left out once they are refused; let ${who} read it too, or leave it so`,
    ]);
  }
});

Deno.test("enrich check says that http and https are mixed up, either way", async () => {
  await using plain = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    // what a server in Go says where it listens for https
    () => new Response("Client sent an HTTP request to an HTTPS server.\n", { status: 400 }),
  );
  const host = `127.0.0.1:${plain.addr.port}`;
  const faultOf = async (url: string) =>
    (await check({ INFLUXDB_URL: url, INFLUXDB_DATABASE: "home" })).lines.find((line) =>
      line.startsWith("FAIL")
    );
  assert.equal(
    await faultOf(`https://${host}`),
    `FAIL  Cannot reach the database at https://${host}: it answers by http, not by https; ` +
      "begin INFLUXDB_URL with http://",
  );
  assert.match(
    await faultOf(`http://${host}`) ?? "",
    /answered 400 \(Client sent an HTTP request to an HTTPS server\.\); begin INFLUXDB_URL with https:\/\/$/,
  );
});

Deno.test("A file of filters alone is not named beside INFLUXDB_URL", async () => {
  using folder = new TemporaryFolder();
  const CONFIG_FILE = folder.file("influxdb.yaml");
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  closed.close();
  const env = {
    INFLUXDB_URL: `http://127.0.0.1:${closed.addr.port}`,
    INFLUXDB_DATABASE: "home",
    CONFIG_FILE,
  };
  Deno.writeTextFileSync(CONFIG_FILE, "influxdb:\n  include:\n    domains: light\n");
  assert.match((await check(env)).lines.join(), /check that it runs, and INFLUXDB_URL$/);
  Deno.writeTextFileSync(CONFIG_FILE, "influxdb:\n  host: a\n");
  assert.match((await check(env)).lines.join(), /and INFLUXDB_URL \(host in influxdb\.yaml\)$/);
});
