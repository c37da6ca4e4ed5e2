import assert from "node:assert/strict";
import { redact, rememberSecret } from "../../lib/log.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { HOUSE } from "../simulator/sample_house.ts";
import { FakeInfluxDb, type ReceivedRequest } from "../stand_ins/fake_influxdb.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { Evidence, Secrets } from "./planted.ts";
import { ProgramProcess } from "./program_process.ts";
import { type ProgramName, ROUTES } from "./routes.ts";
import { TellingHomeAssistant } from "./telling_home_assistant.ts";
import { routesOf } from "./walked_programs.ts";

type Environment = Readonly<Record<string, string>>;

/** A program that runs, with its token, and what it has said of itself. */
class Watched implements AsyncDisposable {
  readonly #process: ProgramProcess;

  private constructor(
    readonly name: ProgramName,
    readonly place: string,
    readonly folder: TemporaryFolder,
    readonly port: number,
    readonly env: Environment,
    private readonly evidence: Evidence,
    process: ProgramProcess,
  ) {
    this.#process = process;
  }

  static async start(
    name: ProgramName,
    place: string,
    env: Environment,
    evidence: Evidence,
    folder: TemporaryFolder,
  ): Promise<Watched> {
    const all = { LOG_LEVEL: "debug", DATA_DIR: folder.file("data"), ...env };
    const process = ProgramProcess.start(name, all, folder.path);
    return new Watched(name, place, folder, await process.port(), all, evidence, process);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get log(): string {
    return this.#process.output;
  }

  async get(path: string): Promise<string> {
    const { SERVICE_TOKEN: token = "" } = this.env;
    const response = await fetch(this.url + path, {
      headers: { authorization: `Bearer ${token}` },
    });
    return await response.text();
  }

  /** Has enrich store an event now, and not when ingest tries again. */
  async post(): Promise<void> {
    const { SERVICE_TOKEN: token = "" } = this.env;
    const response = await fetch(`${this.url}/events`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({
        event_type: "posted",
        data: {},
        origin: "LOCAL",
        time_fired: new Date().toISOString(),
      }),
    });
    this.evidence.add("answer of POST /events", await response.text());
  }

  /** Everything that it tells those who may ask. */
  async look(): Promise<void> {
    for (const { method, path, example = path } of routesOf(ROUTES, this.name)) {
      if (method !== "GET") continue;
      const text = path === "/live" ? await this.#stream() : await this.get(example);
      this.evidence.add(`${this.place} ${example}`, text);
    }
  }

  /** Everything that its commands say. */
  async ask(): Promise<void> {
    const port = { [`${this.name.toUpperCase()}_PORT`]: String(this.port) };
    const commands = [["health"], ["check"], ["check", "--json"]];
    if (this.name === "ingest") {
      commands.push(["dead-letters", "list"], ["dead-letters", "show", "1"]);
    }
    await Promise.all(commands.map(async (args) => {
      const { folder, env } = this;
      await using command = ProgramProcess.start(this.name, { ...env, ...port }, folder.path, args);
      await command.ended();
      this.evidence.add(`${this.name} ${args.join(" ")}`, command.output);
    }));
  }

  /** The first of what the page's stream tells. */
  async #stream(): Promise<string> {
    const { SERVICE_TOKEN: token = "" } = this.env;
    const response = await fetch(`${this.url}/live`, {
      headers: { authorization: `Bearer ${token}` },
    });
    let text = "";
    for await (const chunk of response.body ?? []) {
      text += new TextDecoder().decode(chunk);
      if (/event: now[^]*\n\n[^]*event: past[^]*\n\n/.test(text)) break;
    }
    return text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
    this.evidence.add(`log of ${this.place}`, this.#process.output);
    // with InfluxDB enrich has no files
    if (this.name === "ingest" || this.env.INFLUXDB_URL === undefined) {
      this.evidence.addFolder(this.place, this.folder.file("data"));
    }
  }
}

/** What the server was sent, in the words in which that server refuses. */
function toldBy(version: 1 | 2, { headers }: ReceivedRequest, said: string): string {
  const all = Object.entries(headers).map(([name, value]) => `${name}: ${value}`).join(" ");
  const text = `${said}: ${all} ${JSON.stringify(headers)} ${encodeURIComponent(all)}`;
  return JSON.stringify(version === 1 ? { error: text } : { code: "invalid", message: text });
}

/** A whole run in which everything fails that can, while all that refuses tells what it was sent. */
async function faultRun(version: 1 | 2, format: "text" | "json"): Promise<[Secrets, Evidence]> {
  const secrets = new Secrets();
  const evidence = new Evidence();
  // what an HTTP header carries as it is: no space at its ends
  const hassToken = secrets.plant("HASS_TOKEN");
  const serviceToken = secrets.plant("SERVICE_TOKEN");
  const influxToken = secrets.plant("INFLUXDB_TOKEN");
  const password = secrets.plant("INFLUXDB_PASSWORD");
  const hassHeader = secrets.plant("HASS_HEADERS");
  const influxHeader = secrets.plant("INFLUXDB_HEADERS");
  const inFile = secrets.plant("CONFIG_FILE");
  await using resources = new AsyncDisposableStack();
  const folders = [0, 1, 2].map(() => resources.use(new TemporaryFolder()));
  const [ofEnrich, ofIngest, ofRefused] = folders;
  assert.ok(ofEnrich && ofIngest && ofRefused);
  Deno.writeTextFileSync(ofIngest.file("hass_token"), `${hassToken}\n`);
  Deno.writeTextFileSync(ofEnrich.file("influxdb_token"), `${influxToken}\n`);
  Deno.writeTextFileSync(ofEnrich.file("influxdb.yaml"), "influxdb:\n  include:\n");
  const influx = resources.use(
    await FakeInfluxDb.start({
      version,
      token: influxToken,
      ...(version === 1 && { username: "house", password }),
    }),
  );
  const hass = resources.use(
    new SimulatedHomeAssistant({ house: HOUSE, recorder: false, token: hassToken }).start(),
  );
  const refuse = (status: number) =>
    influx.trouble = (request) => ({
      status,
      body: toldBy(version, request, "refused"),
      headers: { location: `http://127.0.0.1:1/?token=${encodeURIComponent(influxToken)}` },
    });
  // what is wrong at the start is in the log at once
  refuse(401);
  const shared = { SERVICE_TOKEN: serviceToken, LOG_FORMAT: format };
  const database: Environment = version === 1
    ? { INFLUXDB_DATABASE: "home", INFLUXDB_USERNAME: "house", INFLUXDB_PASSWORD: password }
    : {
      INFLUXDB_ORG: "home",
      INFLUXDB_BUCKET: "home",
      INFLUXDB_TOKEN_FILE: ofEnrich.file("influxdb_token"),
    };
  {
    await using enrich = await Watched.start(
      "enrich",
      "enrich",
      {
        ...shared,
        ...database,
        INFLUXDB_URL: influx.url,
        INFLUXDB_HEADERS: `X-Proxy: ${influxHeader}`,
        CONFIG_FILE: ofEnrich.file("influxdb.yaml"),
      },
      evidence,
      ofEnrich,
    );
    await using ingest = await Watched.start(
      "ingest",
      "ingest",
      {
        ...shared,
        HASS_URL: hass.url,
        HASS_TOKEN_FILE: ofIngest.file("hass_token"),
        HASS_HEADERS: `X-Proxy: ${hassHeader}`,
        ENRICHMENT_SERVICE_URL: enrich.url,
      },
      evidence,
      ofIngest,
    );
    await until(() => enrich.log.includes("Cannot store"), "the log says so");
    influx.trouble = () => undefined;
    const look = async () => {
      await enrich.look();
      await ingest.look();
    };
    const ask = () => Promise.all([enrich.ask(), ingest.ask()]);
    const says = (path: string, text: RegExp, of = ingest) =>
      until(async () => text.test(await of.get(path)), `${of.name}${path} says ${text}`);
    await until(() => influx.points.length > 10, "the house is stored");
    await look();

    // one point is refused for good: its reason is kept
    influx.trouble = (request) =>
      request.body.includes("poison")
        ? { status: 400, body: toldBy(version, request, "unable to parse") }
        : undefined;
    hass.fire("poison", { poison: 1 });
    await says("/metrics", /^ingest_events_dead_lettered 1$/m);
    await look();

    refuse(401);
    hass.fire("held");
    await says("/health", /enrich answered 500/);
    await look();
    await ask();
    for (const status of [403, 500, 302, 429]) {
      refuse(status);
      await enrich.post();
      await says(
        "/health",
        status === 302 ? /redirects/ : new RegExp(`answered ${status}`),
        enrich,
      );
      await look();
    }
    await influx.stop();
    await enrich.post();
    await says("/health", /Cannot reach/, enrich);
    await look();
    // with secrets in it, where they do not belong, and faulty
    Deno.writeTextFileSync(
      ofEnrich.file("influxdb.yaml"),
      `influxdb:\n  password: '${inFile}\n  token: [${inFile}]\n  host: user:${inFile}@host\n`,
    );
    await says("/status", /"problem":"influxdb.yaml/, enrich);
    await look();
    if (version === 2) Deno.removeSync(ofEnrich.file("influxdb_token"));
    await influx.restart();
    influx.trouble = () => undefined;
    if (version === 2) {
      await enrich.post();
      await look();
      Deno.writeTextFileSync(ofEnrich.file("influxdb_token"), influxToken);
    }
    await hass.refuseToken(true);
    await says("/health", /HASS_TOKEN|refused/);
    await look();
    await ask();
  }
  evidence.add(
    "points",
    influx.points.map((point) => Deno.inspect(point, { depth: 9 })).join("\n"),
  );
  evidence.add("what was written", influx.requests.map(({ body }) => body).join("\n"));

  {
    await using telling = new TellingHomeAssistant();
    await using ingest = await Watched.start(
      "ingest",
      "refused ingest",
      {
        ...shared,
        HASS_URL: telling.url,
        HASS_TOKEN: hassToken,
        HASS_HEADERS: `X-Proxy: ${hassHeader}`,
        ENRICHMENT_SERVICE_URL: telling.url,
      },
      evidence,
      ofRefused,
    );
    await until(() => telling.logins >= 1, "the token was refused");
    await until(async () => /refused/.test(await ingest.get("/health")), "health says so");
    await ingest.look();
    await ingest.ask();
  }
  return [secrets, evidence];
}

for (const [version, format] of [[1, "json"], [2, "text"]] as const) {
  Deno.test(`No log, page, answer, file or point of a run of faults has a secret in it: InfluxDB ${version}, log as ${format}`, async () => {
    const [secrets, evidence] = await faultRun(version, format);
    assert.deepEqual(evidence.leaks(secrets), []);
    // it has looked where something stands
    for (
      const [place, text] of [
        ["log of ingest", /Listening/],
        ["log of enrich", /Cannot store/],
        ["log of refused ingest", /Not capturing/],
        ["ingest /metrics", /dead_lettered 1/],
        ["ingest /dead-letters", /unable to parse/],
        ["ingest/outbox.sqlite", /unable to parse/],
        ["enrich /health", /answered 401/],
        ["enrich /status", /answered 403/],
        ["enrich /", /answered 500/],
        ["enrich /live", /event: past/],
        ["enrich check", /InfluxDB/],
        ["ingest health", /enrich/],
        ["points", /poison|state/],
      ] as const
    ) {
      assert.match(evidence.textOf(place), text, `${place} of ${evidence.places}`);
    }
  });
}

/** How the program ends that is started with these variables, and all that it says. */
async function refusedBy(name: ProgramName, env: Environment, args: readonly string[] = []) {
  using folder = new TemporaryFolder();
  const files = Object.entries(env).map(([variable, value]): [string, string] => {
    if (!value.startsWith("file:")) return [variable, value];
    Deno.writeTextFileSync(folder.file(variable), value.slice("file:".length));
    return [variable, folder.file(variable)];
  });
  const all = { LOG_LEVEL: "debug", ...Object.fromEntries(files) };
  await using program = ProgramProcess.start(name, all, folder.path, args);
  // one that is not refused would run on
  const runs = until(() => program.output.includes("Listening"), "it listens").then(() =>
    undefined
  );
  const code = await Promise.race([program.ended(), runs]);
  return { code, output: program.output };
}

/** Starts the program with each of these, and its commands; each must end with status 2 and say what is wrong. */
async function refuse(
  secrets: Secrets,
  cases: readonly [name: ProgramName, env: Environment, said: RegExp][],
): Promise<void> {
  const runs = cases.flatMap(([name, env, said]) =>
    // health reads only where the program is, and its token
    [[], ["check"], ...(env.SERVICE_TOKEN ? [["health"]] : [])]
      .map((args) => ({ name, env, said, args }))
  );
  const evidence = new Evidence();
  const wrong: string[] = [];
  for (let at = 0; at < runs.length; at += 4) {
    await Promise.all(
      runs.slice(at, at + 4).map(async ({ name, env, said, args }) => {
        const { code, output } = await refusedBy(name, env, args);
        const place = `${name} ${args.join(" ")} ${said.source}`;
        evidence.add(place, output);
        if (args.length === 0 && (code !== 2 || !said.test(output))) {
          wrong.push(`${place}: ${output}`);
        }
      }),
    );
  }
  assert.deepEqual(evidence.leaks(secrets), []);
  assert.deepEqual(wrong, []);
}

Deno.test("A URL that is refused is named, and nothing of what it holds is shown", async () => {
  const secrets = new Secrets();
  const plant = (name: string) => secrets.plant(name, { before: "x", after: "y" });
  const url = (variable: string, program: ProgramName, rest: Environment) =>
    [
      `http://user:${plant("password")}@127.0.0.1:1`,
      `http://${plant("user")}@127.0.0.1:1`,
      `http://admin:pa/${plant("password with a slash")}@127.0.0.1:1`,
      `http://admin:pa#${plant("password with a hash")}@127.0.0.1:1`,
      `http://127.0.0.1:1?p=${plant("query")}`,
      `http://127.0.0.1:1/#${plant("fragment")}`,
      `user:${plant("password without a scheme")}@127.0.0.1`,
      `ftp://user:${plant("password of ftp")}@127.0.0.1`,
      `http://user:${plant("password before a bad port")}@127.0.0.1:99999`,
    ].map((value): [ProgramName, Environment, RegExp] => [
      program,
      { ...rest, [variable]: value },
      new RegExp(variable),
    ]);
  const token = { HASS_URL: "http://127.0.0.1:1", HASS_TOKEN: "token" };
  await refuse(secrets, [
    ...url("HASS_URL", "ingest", token),
    ...url("ENRICHMENT_SERVICE_URL", "ingest", token),
    ...url("INFLUXDB_URL", "enrich", { INFLUXDB_DATABASE: "home" }),
  ]);
});

Deno.test("A secret that is refused, or stands in the wrong place, is named by its setting alone", async () => {
  const secrets = new Secrets();
  const plant = (name: string) => secrets.plant(name, { before: "x", after: "y" });
  const ingest = { HASS_URL: "http://127.0.0.1:1", HASS_TOKEN: plant("HASS_TOKEN") };
  const influx = {
    INFLUXDB_URL: "http://127.0.0.1:1",
    INFLUXDB_ORG: "home",
    INFLUXDB_BUCKET: "home",
  };
  const yaml = (
    name: string,
    text: (secret: string) => string,
  ): [ProgramName, Environment, RegExp] => [
    "enrich",
    { CONFIG_FILE: `file:${text(plant(name))}` },
    /CONFIG_FILE/,
  ];
  await refuse(secrets, [
    [
      "ingest",
      { ...ingest, HASS_TOKEN: `${plant("two lines")}\n${plant("line 2")}` },
      /HASS_TOKEN/,
    ],
    ["ingest", { ...ingest, HASS_TOKEN_FILE: `file:${plant("both")}` }, /HASS_TOKEN_FILE/],
    [
      "ingest",
      { HASS_URL: ingest.HASS_URL, HASS_TOKN: plant("slip of the pen") },
      /HASS_TOKN .*HASS_TOKEN/,
    ],
    ["ingest", { ...ingest, SERVICE_TOKEN: `${plant("with a space")} x` }, /SERVICE_TOKEN/],
    ["ingest", { ...ingest, HASS_HEADERS: plant("no header") }, /HASS_HEADERS/],
    ["ingest", { ...ingest, HASS_HEADERS: `Host: ${plant("header")}` }, /HASS_HEADERS/],
    ["enrich", { ...influx, INFLUXDB_TOKEN: `${plant("two lines")}\nx` }, /INFLUXDB_TOKEN/],
    [
      "enrich",
      {
        INFLUXDB_URL: "http://127.0.0.1:1",
        INFLUXDB_DATABASE: "home",
        INFLUXDB_PASSWORD: plant("password without a user"),
      },
      /INFLUXDB_PASSWORD/,
    ],
    ["enrich", { ...influx, INFLUXDB_TOKEN: "t", SERVICE_TOKEN_FILE: "file:" }, /SERVICE_TOKEN/],
    yaml("unquoted", (word) => `influxdb:\n  host: h\n  password: [${word}]\n`),
    yaml("open quote", (word) => `influxdb:\n  host: h\n  password: "${word}\n`),
    yaml("as a key", (word) => `influxdb:\n  host: h\n  ${word}: 1\n  password:${word}\n`),
    yaml("in host", (word) => `influxdb:\n  host: http://u:${word}@h\n`),
    yaml("alias", (word) => `influxdb:\n  host: h\n  password: *${word}\n`),
    yaml("token of two lines", (word) => `influxdb:\n  host: h\n  token: |\n    a\n    ${word}\n`),
  ]);
});

Deno.test("What an event names as secret is in the outbox alone, and in no file, page or log of enrich", async () => {
  const secrets = new Secrets();
  const evidence = new Evidence();
  const kept = new Evidence();
  using ofEnrich = new TemporaryFolder();
  using ofIngest = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant({ house: HOUSE, recorder: false }).start();
  const serviceToken = secrets.plant("SERVICE_TOKEN");
  const word = secrets.plant("the camera's token", { before: "", after: "" });
  Deno.writeTextFileSync(
    ofEnrich.file("influxdb.yaml"),
    `influxdb:\n  password: "${secrets.plant("password in CONFIG_FILE", { before: "" })}"\n`,
  );
  {
    await using enrich = await Watched.start(
      "enrich",
      "enrich",
      {
        SERVICE_TOKEN: serviceToken,
        CONFIG_FILE: ofEnrich.file("influxdb.yaml"),
        ATTRIBUTES: "all",
      },
      evidence,
      ofEnrich,
    );
    await using ingest = await Watched.start(
      "ingest",
      "ingest",
      {
        SERVICE_TOKEN: serviceToken,
        HASS_URL: hass.url,
        HASS_TOKEN: hass.token,
        ENRICHMENT_SERVICE_URL: enrich.url,
      },
      kept,
      ofIngest,
    );
    await until(
      async () => /^ingest_capturing 1$/m.test(await ingest.get("/metrics")),
      "it captures",
    );
    hass.setState("camera.door", "idle", {
      access_token: word,
      entity_picture: `/api/camera_proxy/camera.door?token=${word}`,
    });
    hass.setState("text.door_code", word, { mode: "password" });
    hass.fire("call_service", {
      domain: "input_text",
      service: "set_value",
      service_data: { entity_id: "input_text.wifi", value: word },
    });
    hass.fire("door_opened", { password: word, user: { token: word, pin_code: word } });
    hass.fire("all_are_fired");
    await until(() => {
      const files = new Evidence();
      files.addFolder("data", ofEnrich.file("data"));
      return files.places.some((place) => files.textOf(place).includes("all_are_fired"));
    }, "all is stored");
    await enrich.look();
    await enrich.ask();
  }
  assert.deepEqual(evidence.leaks(secrets), []);
  assert.ok(evidence.places.some((place) => place.startsWith("enrich/store.sqlite")));
  const stored = evidence.places.filter((place) => place.startsWith("enrich/store.sqlite"))
    .map((place) => evidence.textOf(place)).join("");
  for (const text of ["camera.door", "text.door_code", "door_opened", "input_text.wifi"]) {
    assert.ok(stored.includes(text), text);
  }
  // the search would have found it
  const outbox = kept.leaks(secrets).filter((leak) => leak.includes(" in ingest/outbox.sqlite"));
  assert.ok(outbox.some((leak) => leak.startsWith("the camera's token")), outbox.join("\n"));
});

Deno.test("The Supervisor's token is in no log, page or file", async () => {
  const secrets = new Secrets();
  const evidence = new Evidence();
  using folder = new TemporaryFolder();
  {
    const env = { SUPERVISOR_TOKEN: secrets.plant("SUPERVISOR_TOKEN"), SERVICE_TOKEN: "token" };
    await using ingest = await Watched.start("ingest", "ingest", env, evidence, folder);
    await until(() => /Cannot|not connected|Requires net/.test(ingest.log), "it cannot connect");
    await ingest.look();
    await ingest.ask();
  }
  assert.deepEqual(evidence.leaks(secrets), []);
  assert.match(evidence.textOf("ingest /health"), /Home Assistant/);
});

Deno.test("The search finds a secret in each form, and in part", () => {
  const secrets = new Secrets();
  const secret = secrets.plant("PLANTED");
  for (
    const text of [
      secret,
      `2026-06-25T21:20:05Z INFO    ingest: token is ${secret}`,
      JSON.stringify({ message: secret }),
      JSON.stringify(JSON.stringify([secret])),
      encodeURIComponent(secret),
      new URLSearchParams({ token: secret }).toString(),
      `Basic ${btoa(`user:${secret}`)}`,
      `Basic ${btoa(`me:${secret}`)}`,
      `Basic ${btoa(`a:${secret}`)}`,
      secret.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`),
      secret.slice(0, -12),
      secret.slice(15),
    ]
  ) {
    const evidence = new Evidence();
    evidence.add("log", `before\n${text}\nbehind`);
    assert.equal(evidence.leaks(secrets).length, 1, text);
  }
  const evidence = new Evidence();
  evidence.add("log", "PLANTED is not set");
  assert.deepEqual(evidence.leaks(secrets), []);
});

Deno.test("redact hides a secret in each form in which it can be written", () => {
  const secrets = new Secrets();
  const secret = secrets.plant("PLANTED");
  rememberSecret(secret);
  for (
    const text of [
      secret,
      JSON.stringify({ message: secret }),
      encodeURIComponent(secret),
      new URLSearchParams({ p: secret }).toString(),
      btoa(secret),
      JSON.stringify({ message: JSON.stringify([secret]) }),
    ]
  ) {
    assert.deepEqual(secrets.in(redact(text)), [], text);
  }
});

Deno.test("redact hides a secret whole that begins with another, and escapes in lower case", () => {
  rememberSecret("half-a-token");
  rememberSecret("half-a-token-and/the rest");
  assert.equal(redact("it was half-a-token-and/the rest."), "it was ***.");
  assert.equal(redact("?p=half-a-token-and%2fthe%20rest"), "?p=***");
});
