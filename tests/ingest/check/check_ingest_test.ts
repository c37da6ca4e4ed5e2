import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { checkClock } from "../../../lib/program/check_clock.ts";
import { CheckReport } from "../../../lib/program/check_report.ts";
import { unknownName } from "../../../lib/ingest/check/check_address.ts";
import { diskSpace } from "../../../lib/disk.ts";
import { checkIngest } from "../../../lib/ingest/check/check_ingest.ts";
import { isInContainer } from "../../../lib/ingest/check/container.ts";
import { rememberSecret } from "../../../lib/log.ts";
import type { Environment } from "../../../lib/settings/settings_reader.ts";
import { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import { HOUSE } from "../../simulator/sample_house.ts";
import { CA_FILE, ELSEWHERE_FILE, TlsProxy } from "../../stand_ins/tls_proxy.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { startEnrich, startIngest } from "../../whole_programs.ts";

const ROOT = new URL("../../..", import.meta.url).pathname;
const TLS = `${ROOT}tests/fixtures/tls/`;
const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJzaW11bGF0ZWQifQ.c2ltdWxhdGVk";

interface Written {
  readonly lines: string[];
  complained: string;
}

function outputTo(written: Written, colours = false) {
  return {
    write: (text: string) => void written.lines.push(...text.split("\n").slice(0, -1)),
    complain: (text: string) => void (written.complained += `${text}\n`),
    columns: undefined,
    colours,
    intervalMs: 1,
    lineIntervalMs: 0,
  };
}

async function check(env: Environment, args: readonly string[] = [], colours = false) {
  using folder = new TemporaryFolder();
  const written: Written = { lines: [], complained: "" };
  const given = { DATA_DIR: folder.file("data"), INGEST_PORT: "0", HASS_TOKEN: JWT, ...env };
  // whether the tests run in a container is not the question
  const status = await checkIngest(args, () => given, outputTo(written, colours), {
    containerMarks: [],
    deadlineMs: 2_000,
  });
  return { status, folder: folder.path, ...written };
}

/** Runs the check, of which exactly one line must be no `ok`. Returns that line. */
async function oneFault(env: Environment): Promise<string> {
  const { lines, status } = await check(env);
  const faults = lines.filter((line) => !line.startsWith("ok ") && !isAboutEnrich(line));
  assert.equal(faults.length, 1, lines.join("\n"));
  const hasFailed = lines.some((line) => line.startsWith("FAIL"));
  assert.equal(status, hasFailed ? 1 : 0);
  return faults[0];
}

/** Tests of Home Assistant's side start no enrich. */
const NO_ENRICH = "http://127.0.0.1:18";
const isAboutEnrich = (line: string) => line.includes(NO_ENRICH);

function envOf({ url, token }: SimulatedHomeAssistant, more: Environment = {}): Environment {
  return { HASS_URL: url, HASS_TOKEN: token, ENRICHMENT_SERVICE_URL: NO_ENRICH, ...more };
}

/** A port of this machine on which nothing listens. */
function closedPort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return listener.addr.port;
}

/** Stands before a Home Assistant: writes down what is asked, and gives answers a Date. */
class Front implements AsyncDisposable {
  readonly requests: string[] = [];
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #accepting: Promise<void>;

  constructor(port: number, private readonly date?: string) {
    this.#accepting = this.#accept(port);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  async #accept(port: number): Promise<void> {
    const serving: Promise<unknown>[] = [];
    for await (const client of this.#listener) serving.push(this.#serve(client, port));
    await Promise.all(serving);
  }

  async #serve(client: Deno.Conn, port: number): Promise<void> {
    const server = await Deno.connect({ hostname: "127.0.0.1", port });
    const note = (text: string) => {
      this.requests.push(text.split(" HTTP/")[0] ?? "");
      return text;
    };
    const dated = (text: string) =>
      this.date ? text.replace("\r\n", `\r\nDate: ${this.date}\r\n`) : text;
    await Promise.all([pipe(client, server, note), pipe(server, client, dated)]);
    for (const conn of [client, server]) closeQuietly(conn);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
  }
}

/** Copies until either ends; the first words are changed. */
async function pipe(from: Deno.Conn, to: Deno.Conn, change: (text: string) => string) {
  const bytes = new Uint8Array(65_536);
  try {
    for (let first = true;; first = false) {
      const length = await from.read(bytes);
      if (length === null) break;
      const chunk = Buffer.from(bytes.slice(0, length));
      // frames may follow the head at once
      const changed = first ? Buffer.from(change(chunk.toString("latin1")), "latin1") : chunk;
      for (let at = 0; at < changed.length;) at += await to.write(changed.subarray(at));
    }
  } catch {
    // one of them has gone
  }
  for (const conn of [from, to]) closeQuietly(conn);
}

function closeQuietly(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // closed already
  }
}

/** A server that is no Home Assistant; `answer` is what it says. */
function otherServer(answer: () => Response, secure = false) {
  const keys = secure
    ? {
      cert: Deno.readTextFileSync(`${TLS}server.pem`),
      key: Deno.readTextFileSync(`${TLS}server.key`),
    }
    : {};
  const options = { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...keys };
  return Deno.serve(options, answer);
}

Deno.test("ingest check says what holds, line by line, and ends with 0 where all is well", async () => {
  using folder = new TemporaryFolder();
  await using enrich = await startEnrich({ DATA_DIR: folder.path, SERVICE_TOKEN: "s3cret" });
  await using hass = new SimulatedHomeAssistant({ house: HOUSE }).start();
  await using front = new Front(hass.port, new Date().toUTCString());
  const env = envOf(hass, {
    HASS_URL: front.url.replace("127.0.0.1", "localhost"),
    ENRICHMENT_SERVICE_URL: enrich.url,
    SERVICE_TOKEN: "s3cret",
    DATA_DIR: folder.file("ingest"),
  });
  const { status, lines, complained } = await check(env);
  const { areas, devices, entities } = hass.registries;
  assert.deepEqual([status, complained], [0, ""], lines.join("\n"));
  assert.deepEqual(lines, [
    "ok    The settings can be read",
    `ok    DATA_DIR ${folder.file("ingest")} can be written, with room for OUTBOX_MAX_MB (1,024)`,
    "ok    ingest can listen on 127.0.0.1:0",
    "ok    localhost is 127.0.0.1",
    `ok    ${env.HASS_URL} answers`,
    "ok    It is Home Assistant 2026.11.0",
    "ok    HASS_TOKEN is good",
    "ok    It has started",
    "ok    All events may be captured",
    `ok    Its registries can be read: ${areas.size} areas, ${devices.size} devices, ${entities.size} entities`,
    "ok    Its recorder can be asked for what was missed",
    "ok    Home Assistant's clock and this machine's agree",
    `ok    Enrich answers at ${enrich.url}`,
    "ok    It stores events",
  ]);
  assert.deepEqual([...Deno.readDirSync(folder.file("ingest"))], []);
  assert.deepEqual(front.requests, Array(2).fill("GET /api/websocket"));
});

Deno.test("ingest check for machines is one JSON object a line; a warning is no failure", async () => {
  using folder = new TemporaryFolder();
  await using enrich = await startEnrich({ DATA_DIR: folder.path });
  await using hass = new SimulatedHomeAssistant().start();
  hass.disableHistory();
  const env = envOf(hass, {
    ENRICHMENT_SERVICE_URL: enrich.url,
    HASS_TOKEN: hass.plainToken,
    HASS_TOKN: "x",
  });
  const { status, lines } = await check(env, ["--json"]);
  assert.equal(status, 0);
  const findings = lines.map((line) => JSON.parse(line));
  assert.deepEqual(findings.slice(0, 2), [
    {
      check: "settings",
      ok: true,
      warning: true,
      detail: "HASS_TOKN is no setting and is ignored",
      action: "did you mean HASS_TOKEN?",
    },
    { check: "settings", ok: true, detail: "The settings can be read" },
  ]);
  assert.deepEqual(findings.filter(({ warning }) => warning).slice(1), [
    {
      check: "events",
      ok: true,
      warning: true,
      detail:
        "HASS_TOKEN is no administrator's: only states and registry changes are captured, no other events",
      action: "make the token as an administrator to have all",
    },
    {
      check: "history",
      ok: true,
      warning: true,
      detail: "Its history is off: what is missed while ingest is away cannot be filled in",
      action: 'add "history:" or "default_config:" to its configuration.yaml',
    },
  ]);
  const failing = await check({ ...env, HASS_TOKEN: JWT }, ["--json"]);
  assert.equal(failing.status, 1);
  assert.deepEqual(failing.lines.map((line) => JSON.parse(line)).find(({ ok }) => !ok), {
    check: "token",
    ok: false,
    detail:
      "Home Assistant refuses HASS_TOKEN (Invalid access token or password), which counts as a failed login",
    action: "make a new long-lived access token under your profile, Security, and set it",
  });
});

Deno.test("ingest check names a wrong HASS_TOKEN, and tries it once only", async () => {
  await using hass = new SimulatedHomeAssistant().start();
  await using front = new Front(hass.port);
  const refused = "FAIL  Home Assistant refuses HASS_TOKEN (Invalid access token or password), " +
    "which counts as a failed login; ";
  assert.equal(
    await oneFault(envOf(hass, { HASS_URL: front.url, HASS_TOKEN: JWT })),
    `${refused}make a new long-lived access token under your profile, Security, and set it`,
  );
  // one to see whether it answers, one to authenticate; any other path would be a failed login
  assert.deepEqual(front.requests, Array(2).fill("GET /api/websocket"));
  assert.equal(
    await oneFault(envOf(hass, { HASS_TOKEN: JWT.replaceAll(".", "") })),
    `${refused}it does not look like a long-lived access token, which has three parts with dots ` +
      "between: copy all of it, and nothing else",
  );
});

Deno.test("ingest check names a token with a line break in it, and ends with 2", async () => {
  const { status, lines, complained } = await check({
    HASS_URL: "http://127.0.0.1:8123",
    HASS_TOKEN: "eyJhbGciOiJIUzI1NiJ9.\neyJpc3MiOiJ9.c2ln",
    INGEST_PORT: "many",
    HASS_TOKN: "x",
  });
  assert.deepEqual([status, complained], [2, ""]);
  assert.deepEqual(lines, [
    "warn  HASS_TOKN is no setting and is ignored; did you mean HASS_TOKEN?",
    'FAIL  INGEST_PORT is "many": it must be a whole number from 0 to 65535',
    "FAIL  HASS_TOKEN has a line break in it: it must be one line",
  ]);
});

Deno.test("ingest check says that http and https are mixed up, either way", async () => {
  const env = { ENRICHMENT_SERVICE_URL: NO_ENRICH };
  await using plain = otherServer(() => new Response());
  const host = `127.0.0.1:${plain.addr.port}`;
  assert.equal(
    await oneFault({ ...env, HASS_URL: `https://${host}` }),
    `FAIL  HASS_URL begins with https, but ${host} answers by http; set HASS_URL to http://${host}`,
  );
  await using secure = otherServer(() => new Response(), true);
  const secureHost = `127.0.0.1:${secure.addr.port}`;
  assert.equal(
    await oneFault({ ...env, HASS_URL: `http://${secureHost}` }),
    `FAIL  HASS_URL begins with http, but ${secureHost} answers by https; ` +
      `set HASS_URL to https://${secureHost}`,
  );
  assert.equal(
    await oneFault({ ...env, HASS_URL: `wss://${secureHost}` }),
    `FAIL  The certificate of ${secureHost} is not trusted (UnknownIssuer); ` +
      "set HASS_CA_FILE to the certificate of the authority that signed it",
  );
});

Deno.test("ingest check trusts HASS_CA_FILE and sends HASS_HEADERS, to Home Assistant's own address alone", async () => {
  await using hass = new SimulatedHomeAssistant({ house: HOUSE }).start();
  const wants = { "cf-access-client-id": "abc.access", "cf-access-client-secret": "s3cret-of-it" };
  await using proxy = new TlsProxy({ port: hass.port, wants });
  const HASS_HEADERS = Object.entries(wants).map(([name, value]) => `${name}: ${value}`).join("\n");
  const env = envOf(hass, { HASS_URL: proxy.url, HASS_CA_FILE: CA_FILE });
  const { lines, status } = await check({ ...env, HASS_HEADERS });
  const faults = lines.filter((line) => !line.startsWith("ok ") && !isAboutEnrich(line));
  assert.deepEqual(faults, []);
  assert.ok(lines.includes(`ok    ${proxy.url} answers`));
  assert.ok(lines.includes("ok    It is Home Assistant 2026.11.0"));
  assert.equal(status, 0, "enrich is not running yet");
  assert.match(
    await oneFault(env),
    /answers 403: .*, or set HASS_HEADERS to what the proxy asks for$/,
  );
  // what answers by http gets nothing
  const heard: string[] = [];
  await using plain = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      heard.push([...request.headers.keys()].join());
      return new Response();
    },
  );
  const host = `127.0.0.1:${plain.addr.port}`;
  assert.match(
    await oneFault({ ...env, HASS_HEADERS, HASS_URL: `https://${host}` }),
    /HASS_URL begins with https, but .* answers by http;/,
  );
  assert.deepEqual(heard, []);
});

Deno.test("ingest check says what a certificate is made for, and which setting to correct", async () => {
  await using proxy = new TlsProxy({ port: 1, certificate: "elsewhere.pem" });
  assert.equal(
    await oneFault({
      HASS_URL: proxy.url,
      HASS_CA_FILE: ELSEWHERE_FILE,
      ENRICHMENT_SERVICE_URL: NO_ENRICH,
    }),
    `FAIL  The certificate of ${proxy.host} is made for homeassistant.local or 192.0.2.7, not for ` +
      "127.0.0.1; set HASS_URL to a name that it is made for",
  );
});

Deno.test("ingest check says what to do where nothing answers", async () => {
  const port = closedPort();
  const env = { HASS_URL: `http://127.0.0.1:${port}`, ENRICHMENT_SERVICE_URL: NO_ENRICH };
  assert.equal(
    await oneFault(env),
    `FAIL  127.0.0.1:${port} refuses the connection; see that Home Assistant runs there, and HASS_URL`,
  );
  assert.equal(
    await oneFault({ ...env, container: "podman" }),
    `FAIL  127.0.0.1:${port} refuses the connection: inside a container 127.0.0.1 is the container ` +
      "itself; set HASS_URL to the address of Home Assistant's machine, for example http://192.168.1.10:8123",
  );
  // whatever this machine has on port 80
  assert.match(
    await oneFault({ ...env, HASS_URL: "http://127.0.0.1" }),
    /^FAIL .*, which names no port: Home Assistant's own is 8123, so try http:\/\/127\.0\.0\.1:8123$/,
  );
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const closing = (async () => {
    for await (const conn of silent) conn.close();
  })();
  const url = `http://127.0.0.1:${silent.addr.port}`;
  assert.match(
    await oneFault({ ...env, HASS_URL: url }),
    /^FAIL {2}Cannot reach 127\.0\.0\.1:\d+ \(the connection was closed before an answer\); see that Home Assistant runs there, and HASS_URL$/,
  );
  silent.close();
  await closing;
  await using hung = new SimulatedHomeAssistant().start();
  hung.hang();
  assert.equal(
    await oneFault({ ...env, HASS_URL: hung.url }),
    `FAIL  127.0.0.1:${hung.port} does not answer; see that Home Assistant runs there, and HASS_URL`,
  );
});

Deno.test("ingest check says what answers where that is no Home Assistant", async () => {
  let answer = () => new Response();
  await using server = otherServer(() => answer());
  const url = `http://127.0.0.1:${server.addr.port}`;
  const fault = async (next: () => Response) => {
    answer = next;
    return await oneFault({ HASS_URL: url, ENRICHMENT_SERVICE_URL: NO_ENRICH });
  };
  assert.equal(
    await fault(() => new Response("404: Not Found", { status: 404 })),
    `FAIL  ${url} answers 404 at /api/websocket, as Home Assistant does not; check HASS_URL`,
  );
  answer = () => new Response("404: Not Found", { status: 404 });
  assert.equal(
    await oneFault({ HASS_URL: `${url}/house`, ENRICHMENT_SERVICE_URL: NO_ENRICH }),
    `FAIL  ${url} answers 404 at /house/api/websocket, as Home Assistant does not; ` +
      `set HASS_URL to ${url}, unless Home Assistant itself is below that path`,
  );
  assert.equal(
    await fault(() =>
      new Response("400 The plain HTTP request was sent to HTTPS port", { status: 400 })
    ),
    `FAIL  HASS_URL begins with http, but ${url.slice(7)} answers by https; ` +
      `set HASS_URL to https://${url.slice(7)}`,
  );
  assert.equal(
    await fault(() => new Response("400: Bad Request", { status: 400 })),
    `FAIL  ${url} answers 400: Home Assistant does not trust the proxy before it; ` +
      "name the proxy in its configuration.yaml, under http:, trusted_proxies",
  );
  assert.equal(
    await fault(() => new Response("403: Forbidden", { status: 403 })),
    `FAIL  ${url} answers 403: Home Assistant has banned this machine after failed logins, or a ` +
      "proxy lets nobody in; delete its address from ip_bans.yaml in Home Assistant's " +
      "configuration folder and restart it, or set HASS_HEADERS to what the proxy asks for",
  );
  assert.equal(
    await fault(() => new Response("", { status: 401 })),
    `FAIL  ${url} answers 401: a proxy before Home Assistant asks for credentials; ` +
      "set HASS_HEADERS to what it asks for",
  );
  assert.equal(
    await fault(() => new Response("", { status: 502 })),
    `FAIL  ${url} answers 502; see that Home Assistant runs behind this proxy`,
  );
  assert.equal(
    await fault(() => Response.redirect("https://house.example/api/websocket")),
    `FAIL  ${url} redirects to https://house.example; set HASS_URL to that, or where that is a ` +
      "proxy's login page HASS_HEADERS to what the proxy asks for",
  );
  assert.match(
    await fault(() => new Response("No WebSocket UPGRADE hdr: None", { status: 400 })),
    /^FAIL {2}.* is Home Assistant, but opens no WebSocket \(.*400.*\); let the proxy before it pass/,
  );
});

Deno.test("ingest check says that .local names do not reach into containers", async () => {
  const example = "for example http://192.168.1.10:8123";
  assert.equal(
    unknownName("homeassistant.local", true, "ENOTFOUND"),
    "Cannot find homeassistant.local: names in .local are found by mDNS, which does not reach into " +
      `containers; set HASS_URL to Home Assistant's address, ${example}`,
  );
  assert.equal(
    unknownName("homeassistant.local", false, "ENOTFOUND"),
    "Cannot find homeassistant.local: names in .local are found by mDNS, which nothing has answered; " +
      `see that Home Assistant is on this network, or set HASS_URL to its address, ${example}`,
  );
  assert.equal(
    unknownName("house.example", true, "ENOTFOUND"),
    "Cannot find house.example (ENOTFOUND); correct the name in HASS_URL, or use Home Assistant's " +
      `address, ${example}`,
  );
  using folder = new TemporaryFolder();
  const mark = folder.file("mark");
  assert.equal(isInContainer({}, [mark]), false);
  assert.equal(isInContainer({ container: "podman" }, [mark]), true);
  assert.equal(isInContainer({ KUBERNETES_SERVICE_HOST: "10.0.0.1" }, [mark]), true);
  Deno.writeTextFileSync(mark, "");
  assert.equal(isInContainer({}, [folder.file("other"), mark]), true);
  // as it is typed: the task's runner, the program, its permissions
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-env",
      "--allow-net=127.0.0.1",
      "--allow-read",
      `--allow-run=${Deno.execPath()}`,
      ..."start.ts ingest check".split(" "),
    ],
    cwd: ROOT,
    env: {
      container: "oci",
      HASS_URL: "http://no-such-house.local:8123",
      HASS_TOKEN: JWT,
      DATA_DIR: folder.path,
      INGEST_PORT: "0",
      ENRICHMENT_SERVICE_URL: NO_ENRICH,
    },
  }).output();
  const written = new TextDecoder().decode(stdout);
  assert.equal(code, 1, written + new TextDecoder().decode(stderr));
  assert.ok(
    written.includes(`\nFAIL  ${unknownName("no-such-house.local", true, "")}\n`),
    written,
  );
  assert.match(written, /^ok {4}DATA_DIR .* with room for/m);
  assert.ok(!written.includes("\x1b"), "no colours but on a terminal");
});

Deno.test("ingest check warns of clocks that are more than 5 s apart, with both", async () => {
  await using hass = new SimulatedHomeAssistant().start();
  const seconds = Math.floor(Date.now() / 1_000);
  for (const apartS of [3_600, -60]) {
    const theirs = new Date((seconds + apartS) * 1_000);
    await using front = new Front(hass.port, theirs.toUTCString());
    const said = theirs.toISOString().slice(0, 19).replace("T", " ");
    const line = await oneFault(envOf(hass, { HASS_URL: front.url }));
    assert.ok(
      line.startsWith(`warn  Home Assistant's clock says ${said} UTC, this machine's 20`),
      line,
    );
    const [, n] = / UTC, (\d+) s apart; have both set by NTP$/.exec(line) ?? [];
    assert.ok(Math.abs(Number(n) - Math.abs(apartS)) <= 2, line);
  }
  const heardMs = Date.UTC(2026, 0, 1);
  const levelAt = (aheadMs: number) => {
    const written: Written = { lines: [], complained: "" };
    const date = new Date(heardMs + aheadMs).toUTCString();
    const report = new CheckReport(outputTo(written), false);
    checkClock("InfluxDB", { askedMs: heardMs - 500, date, heardMs }, report);
    return written.lines[0]?.slice(0, 4);
  };
  const levels = [-7_000, -6_000, 0, 5_000, 6_000].map(levelAt);
  assert.deepEqual(levels, ["warn", "ok  ", "ok  ", "ok  ", "warn"]);
});

Deno.test("ingest check says that Home Assistant has not started yet", async () => {
  await using hass = new SimulatedHomeAssistant().start();
  const restarting = hass.restart({ downMs: 0, startingMs: 3_600_000, historyMs: 0 });
  await until(() => !hass.life.aborted, "it is up, and the rest of the start an hour away");
  assert.equal(
    await oneFault(envOf(hass)),
    "warn  It is NOT_RUNNING, not RUNNING; check again once it has started",
  );
  await hass.stop();
  await restarting;
});

Deno.test("ingest check says what is wrong with enrich, and what enrich says of its store", async () => {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant().start();
  await using closed = await startEnrich({ DATA_DIR: folder.file("a"), SERVICE_TOKEN: "s3cret" });
  const faults = async (env: Environment) => {
    const { lines, status } = await check(envOf(hass, env));
    assert.equal(status, 1);
    return lines.filter((line) => !line.startsWith("ok "));
  };
  const at = closed.url;
  assert.deepEqual(await faults({ ENRICHMENT_SERVICE_URL: at }), [
    `FAIL  Enrich at ${at} asks for a SERVICE_TOKEN; set the same for both programs`,
  ]);
  assert.deepEqual(await faults({ ENRICHMENT_SERVICE_URL: at, SERVICE_TOKEN: "0ther" }), [
    `FAIL  Enrich at ${at} does not take this SERVICE_TOKEN; set the same for both programs`,
  ]);
  const nobody = `http://127.0.0.1:${closedPort()}`;
  const beforeTheFirstStart = await check(envOf(hass, { ENRICHMENT_SERVICE_URL: nobody }));
  assert.equal(beforeTheFirstStart.status, 0);
  assert.deepEqual(beforeTheFirstStart.lines.filter((line) => !line.startsWith("ok ")), [
    `warn  Enrich is not running yet at ${nobody}; start it, or set ENRICHMENT_SERVICE_URL to where it runs`,
  ]);
  assert.deepEqual(await faults({ ENRICHMENT_SERVICE_URL: hass.url }), [
    `FAIL  What answers at ${hass.url} is no enrich (it answered 404); correct ENRICHMENT_SERVICE_URL`,
  ]);
  await using unsound = await startEnrich({
    DATA_DIR: folder.file("b"),
    INFLUXDB_URL: nobody,
    INFLUXDB_DATABASE: "home",
  });
  const lines = await until(async () => {
    const told = await faults({ ENRICHMENT_SERVICE_URL: unsound.url });
    return /Cannot reach/.test(told[0] ?? "") && told;
  }, "enrich knows of its store");
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /^FAIL {2}Enrich is not ready: .*Cannot reach the database.*; .+/);
  await using ingest = await startIngest({
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    DATA_DIR: folder.file("c"),
    ENRICHMENT_SERVICE_URL: unsound.url,
  });
  assert.deepEqual(await faults({ ENRICHMENT_SERVICE_URL: ingest.url }), [
    `FAIL  What answers at ${ingest.url} is ingest itself; correct ENRICHMENT_SERVICE_URL`,
  ]);
  // the check beside the program that runs
  const INGEST_PORT = new URL(ingest.url).port;
  const running = await check(envOf(hass, { DATA_DIR: folder.file("c"), INGEST_PORT }));
  assert.ok(running.lines.includes(`ok    A running ingest listens on 127.0.0.1:${INGEST_PORT}`));
  // beside an ingest that runs, enrich should do so too
  assert.equal(running.status, 1);
  assert.deepEqual(running.lines.filter((line) => !line.startsWith("ok ")), [
    `FAIL  Cannot reach enrich at ${NO_ENRICH} (connection refused); see that it runs, and ENRICHMENT_SERVICE_URL`,
  ]);
  const taken = new URL(unsound.url).port;
  assert.deepEqual(
    (await check(envOf(hass, { INGEST_PORT: taken }))).lines.filter((line) => /taken/.test(line)),
    [
      `FAIL  Port ${taken} is taken, and not by an ingest that takes this SERVICE_TOKEN; ` +
      "end what listens there, or set INGEST_PORT",
    ],
  );
});

Deno.test("ingest check says what is wrong with DATA_DIR and with the address to listen on", async () => {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant().start();
  Deno.writeTextFileSync(folder.file("file"), "");
  assert.match(
    await oneFault(envOf(hass, { DATA_DIR: folder.file("file") })),
    /^FAIL {2}Cannot write to DATA_DIR \(\S+file: it is no folder\); set DATA_DIR to a folder, or move/,
  );
  assert.match(
    await oneFault(envOf(hass, { OUTBOX_MAX_MB: "1000000" })),
    /^warn {2}DATA_DIR \S+ has [\d,]+ MB of room, less than OUTBOX_MAX_MB \(1,000,000\): the outbox is full before; free some, or lower OUTBOX_MAX_MB$/,
  );
  // all that is free is not all that the outbox may take
  const freeMb = Math.floor(diskSpace(folder.path).freeBytes / 1e6);
  const almostAll = String(Math.min(1_000_000, freeMb - 5));
  assert.match(await oneFault(envOf(hass, { OUTBOX_MAX_MB: almostAll })), /^warn .* of room, less/);
  // what the outbox takes already is room for it
  Deno.mkdirSync(folder.file("large"), { mode: 0o700 });
  Deno.createSync(folder.file("large/outbox.sqlite")).close();
  Deno.truncateSync(folder.file("large/outbox.sqlite"), 1e12);
  const large = await check(
    envOf(hass, { OUTBOX_MAX_MB: "1000000", DATA_DIR: folder.file("large") }),
  );
  assert.match(large.lines[1] ?? "", /^ok .* with room for OUTBOX_MAX_MB \(1,000,000\)$/);
  // as a release has left it that made them for others too
  Deno.chmodSync(folder.file("large"), 0o755);
  Deno.chmodSync(folder.file("large/outbox.sqlite"), 0o644);
  const readable = await oneFault(envOf(hass, { DATA_DIR: folder.file("large") }));
  assert.match(readable, /^warn {2}Other users .* may read outbox\.sqlite .*; if .* chmod -R go= /);
  const damaged = "outbox.sqlite.damaged-2026-06-25T212005.162Z";
  Deno.mkdirSync(folder.file("damaged"), { mode: 0o700 });
  Deno.writeTextFileSync(folder.file(`damaged/${damaged}`), "");
  assert.match(
    await oneFault(envOf(hass, { DATA_DIR: folder.file("damaged") })),
    new RegExp(`^warn {2}DATA_DIR has a damaged outbox, ${damaged}, .*"ingest outbox recover`),
  );
  assert.match(
    await oneFault(envOf(hass, { INGEST_HOST: "127.0.0.1:1", SERVICE_TOKEN: "s3cret" })),
    /^FAIL {2}Cannot listen on .*; correct INGEST_HOST and INGEST_PORT$/,
  );
});

Deno.test("A check is coloured where the output says so; secrets and what a terminal obeys are left out", async () => {
  const written: Written = { lines: [], complained: "" };
  rememberSecret("S3cret-of-a-check");
  const report = new CheckReport(outputTo(written, true), false);
  report.ok("a", "All is well");
  report.warn("b", "Not quite: \x1b[2J S3cret-of-a-check; fix it");
  assert.equal(report.isWell, true);
  report.fail("c", "Not at all");
  assert.equal(report.isWell, false);
  assert.deepEqual(written.lines, [
    "\x1b[1;32mok\x1b[0m    All is well",
    "\x1b[1;33mwarn\x1b[0m  Not quite:  [2J ***; fix it",
    "\x1b[1;31mFAIL\x1b[0m  Not at all",
  ]);
  const help = await check({}, ["--help"]);
  assert.equal(help.status, 0);
  assert.ok(help.lines.includes("Usage: ingest check [--json]"));
  const wrong = await check({}, ["--jsn"]);
  assert.equal(wrong.status, 2);
  assert.match(wrong.complained, /--jsn.*see --help/);
});
