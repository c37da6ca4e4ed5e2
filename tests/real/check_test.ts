/** `ingest check` and `enrich check`, as they are typed, against a real Home Assistant and a real influxd. */
import assert from "node:assert/strict";
import * as z from "zod";
import { check, faultsOf, root, run } from "./parts/checks.ts";
import { freePort } from "./parts/free_port.ts";
import { HomeAssistant, newestVersion } from "./parts/home_assistant.ts";
import { Influxd } from "./parts/influxd.ts";
import { startEnrich, startIngest } from "./parts/programs.ts";
import { realTest } from "./parts/real_test_case.ts";
import { underWrongClock } from "./parts/wrong_clock.ts";
import { CA_FILE, TlsProxy } from "../stand_ins/tls_proxy.ts";
import { until } from "../until.ts";

const stringOf = z.string();

/** A token of a new user of group system-users, by Home Assistant's own login. */
async function plainToken(hass: HomeAssistant): Promise<string> {
  using socket = await hass.connect();
  const { user } = z.looseObject({ user: z.looseObject({ id: z.string() }) }).parse(
    await socket.command({
      type: "config/auth/create",
      name: "Plain",
      group_ids: ["system-users"],
    }),
  );
  const credentials = { username: "plain", password: "plain-password" };
  await socket.command({
    type: "config/auth_provider/homeassistant/create",
    user_id: user.id,
    ...credentials,
  });
  const post = async (path: string, init: RequestInit) =>
    z.looseObject({}).parse(
      await (await fetch(`${hass.url}${path}`, { method: "POST", ...init })).json(),
    );
  const client_id = `${hass.url}/`;
  const flow = await post("/auth/login_flow", {
    body: JSON.stringify({ client_id, handler: ["homeassistant", null], redirect_uri: client_id }),
  });
  const { result } = await post(`/auth/login_flow/${flow.flow_id}`, {
    body: JSON.stringify({ client_id, ...credentials }),
  });
  const { access_token } = await post("/auth/token", {
    body: new URLSearchParams({
      client_id,
      grant_type: "authorization_code",
      code: stringOf.parse(result),
    }),
  });
  return stringOf.parse(access_token);
}

realTest("ingest check says of a real Home Assistant what holds and what does not", async () => {
  const version = await newestVersion();
  await using hass = await HomeAssistant.start({ version });
  await using enrich = await startEnrich({});
  await enrich.untilReady();
  const env = {
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    ENRICHMENT_SERVICE_URL: enrich.url,
  };
  const well = await check("ingest check", env);
  assert.deepEqual([well.status, faultsOf(well)], [0, []], well.lines.join("\n"));
  assert.equal(well.lines.length, 13, well.lines.join("\n"));
  assert.ok(well.lines.includes(`ok    It is Home Assistant ${version}`));
  assert.ok(well.lines.includes("ok    Home Assistant's clock and this machine's agree"));
  assert.match(well.lines[8] ?? "", /can be read: \d+ areas, \d{2,} devices, \d{2,} entities$/);

  const plain = await check("ingest check", { ...env, HASS_TOKEN: await plainToken(hass) });
  assert.equal(plain.status, 0);
  assert.deepEqual(faultsOf(plain), [
    "warn  HASS_TOKEN is no administrator's: only states and registry changes are captured, " +
    "no other events; make the token as an administrator to have all",
  ]);

  const host = new URL(hass.url).host;
  const secure = await check("ingest check", { ...env, HASS_URL: `https://${host}` });
  assert.equal(secure.status, 1);
  assert.deepEqual(faultsOf(secure), [
    `FAIL  HASS_URL begins with https, but ${host} answers by http; set HASS_URL to http://${host}`,
  ]);
  const prefix = await check("ingest check", { ...env, HASS_URL: `${hass.url}/hass` });
  assert.deepEqual(faultsOf(prefix), [
    `FAIL  ${hass.url} answers 404 at /hass/api/websocket, as Home Assistant does not; ` +
    `set HASS_URL to ${hass.url}, unless Home Assistant itself is below that path`,
  ]);

  const offset = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(offset, "+3600");
    const permissions = ["--allow-net", "--allow-sys=statfs", "--allow-read", "--allow-write"];
    const late = await run(
      [...permissions, `${root}ingest.ts`, "check"],
      env,
      await underWrongClock(offset),
    );
    assert.equal(late.status, 0, late.lines.join("\n"));
    const [line = "", ...others] = faultsOf(late);
    assert.equal(others.length, 0, late.lines.join("\n"));
    assert.match(
      line,
      /^warn {2}Home Assistant's clock says .*, 3(599|600) s apart; have both set/,
    );
  } finally {
    await Deno.remove(offset);
  }

  const failedLogins = async () =>
    (await Deno.readTextFile(`${hass.dir}/home-assistant.log`)).split("\n")
      .filter((line) => /invalid authentication/i.test(line)).length;
  assert.equal(await failedLogins(), 0);
  const wrong = await check("ingest check", { ...env, HASS_TOKEN: `${hass.token.slice(0, -2)}AA` });
  assert.equal(wrong.status, 1);
  assert.deepEqual(faultsOf(wrong), [
    "FAIL  Home Assistant refuses HASS_TOKEN (Invalid access token or password), which counts as a " +
    "failed login; make a new long-lived access token under your profile, Security, and set it",
  ]);
  // Home Assistant writes its log a little later
  await until(async () => await failedLogins() > 0, "the failed login is in its log");
  assert.equal(await failedLogins(), 1);
});

realTest(
  "A real Home Assistant is checked and captured behind a proxy with TLS that asks for headers",
  async () => {
    const version = await newestVersion();
    await using hass = await HomeAssistant.start({ version, minimal: true });
    await using enrich = await startEnrich({});
    await enrich.untilReady();
    const wants = {
      "cf-access-client-id": "id-of-house",
      "cf-access-client-secret": "s3cret-of-it",
    };
    const port = Number(new URL(hass.url).port);
    await using proxy = new TlsProxy({ port, wants, alpnProtocols: ["http/1.1"] });
    const HASS_HEADERS = "CF-Access-Client-Id: id-of-house\nCF-Access-Client-Secret: s3cret-of-it";
    const env = {
      HASS_URL: proxy.url,
      HASS_TOKEN: hass.token,
      HASS_CA_FILE: CA_FILE,
      ENRICHMENT_SERVICE_URL: enrich.url,
    };
    const refused = await check("ingest check", env);
    assert.match(
      faultsOf(refused).join(),
      /answers 403: .*, or set HASS_HEADERS to what the proxy/,
    );
    const well = await check("ingest check", { ...env, HASS_HEADERS });
    assert.deepEqual([well.status, faultsOf(well)], [0, []], well.lines.join("\n"));
    assert.ok(well.lines.includes(`ok    It is Home Assistant ${version}`));
    await using ingest = await startIngest({ ...env, HASS_HEADERS }, { readable: [CA_FILE] });
    await ingest.untilReady();
    await until(
      async () => (await ingest.metrics()).get("ingest_events_delivered_total"),
      "it delivers",
    );
    const log = `${hass.dir}/home-assistant.log`;
    assert.doesNotMatch(await Deno.readTextFile(log), /invalid authentication/i);
  },
);

realTest("ingest check says that a real Home Assistant's history is off", async () => {
  await using hass = await HomeAssistant.start({
    version: await newestVersion(),
    minimal: true,
    withoutHistory: true,
  });
  const env = {
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    ENRICHMENT_SERVICE_URL: `http://127.0.0.1:${freePort()}`,
  };
  const checked = await check("ingest check", env);
  assert.equal(checked.status, 0);
  const [history, enrich = "", ...others] = faultsOf(checked);
  assert.equal(others.length, 0, checked.lines.join("\n"));
  assert.equal(
    history,
    "warn  Its history is off: what is missed while ingest is away cannot be filled in; " +
      'add "history:" or "default_config:" to its configuration.yaml',
  );
  assert.match(enrich, /^warn {2}Enrich is not running yet at /);
});

realTest("enrich check says that a real InfluxDB misses the database, and makes it", async () => {
  await using influxd = await Influxd.start({ username: "joe", password: "right" });
  const env = {
    INFLUXDB_URL: influxd.url,
    INFLUXDB_DATABASE: "home",
    INFLUXDB_USERNAME: "joe",
    INFLUXDB_PASSWORD: "right",
  };
  const missing = await check("enrich check", env);
  assert.equal(missing.status, 1);
  assert.deepEqual(faultsOf(missing), [
    'FAIL  Cannot write to InfluxDB: it answered 404 (database not found: "home"); ' +
    'create it by "enrich check --create", or correct INFLUXDB_DATABASE',
  ]);
  assert.deepEqual(await check("enrich check --create", env), {
    status: 0,
    lines: [
      "ok    The settings can be read: SCHEMA=tidy, ATTRIBUTES=standard, INFLUXDB_DATABASE=home",
      "ok    enrich can listen on 127.0.0.1:0",
      `ok    InfluxDB 1 answers at ${influxd.url}`,
      "ok    User joe is accepted",
      "ok    Database home is made, and keeps points forever",
      "ok    It takes points",
      "ok    InfluxDB's clock and this machine's agree",
    ],
  });
  const wrong = await check("enrich check", { ...env, INFLUXDB_PASSWORD: "wr0ng" });
  assert.equal(wrong.status, 1);
  assert.deepEqual(faultsOf(wrong), [
    "FAIL  Cannot write to InfluxDB: it answered 401 (authorization failed); " +
    "check INFLUXDB_USERNAME and INFLUXDB_PASSWORD",
  ]);
});
