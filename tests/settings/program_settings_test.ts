import assert from "node:assert/strict";
import { enrichSettings } from "../../lib/settings/enrich_settings.ts";
import { ingestSettings } from "../../lib/settings/ingest_settings.ts";
import { ConfigError, type Environment, isLoopback } from "../../lib/settings/settings_reader.ts";
import { CA_FILE } from "../stand_ins/tls_proxy.ts";
import { fileFaults } from "../../lib/settings/last_known.ts";
import { TemporaryFolder } from "../temporary.ts";
import { settingsHelp } from "../../lib/settings/settings_help.ts";

const INGEST = { HASS_URL: "http://192.168.1.10:8123", HASS_TOKEN: "abc.def" };

function problemsOf(read: (env: Environment) => unknown, env: Environment): readonly string[] {
  try {
    read(env);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
  return [];
}

Deno.test("ingestSettings has a default for everything but Home Assistant's address and token", () => {
  const { settings, warnings } = ingestSettings({ ...INGEST, HASS_URL: "https://house/ha/" });
  const { hassToken, ...plain } = settings;
  assert.equal(hassToken(), "abc.def");
  assert.deepEqual(plain, {
    dataDir: "./data",
    logLevel: "info",
    logFormat: "text",
    hassUrl: "https://house/ha",
    hassTokenOrigin: "variable",
    hassCaCert: undefined,
    hassHeaders: undefined,
    serviceToken: undefined,
    source: undefined,
    host: "127.0.0.1",
    port: 8001,
    importDays: 10,
    snapshotMinutes: 60,
    outboxMaxBytes: 1_024_000_000,
    enrichmentServiceUrl: "http://127.0.0.1:8002",
  });
  assert.deepEqual(warnings, []);
});

Deno.test("ingestSettings tells every problem at once, one sentence each", () => {
  const problems = problemsOf(ingestSettings, {
    HASS_URL: "homeassistant.local:8123",
    HASS_TOKEN_FILE: "/nowhere/token",
    INGEST_PORT: "80o1",
    OUTBOX_MAX_MB: "0",
    LOG_LEVEL: "loud",
    ENRICHMENT_SERVICE_URL: "http://user:secret@enrich",
  });
  assert.equal(problems.length, 6, problems.join("\n"));
  assert.ok(
    problems.some((p) => p.startsWith("HASS_URL must begin with http://")),
  );
  assert.ok(
    problems.some((p) =>
      p.startsWith("HASS_TOKEN_FILE must name a file that can be read (there is none)")
    ),
  );
  assert.ok(
    problems.some((p) => p === 'INGEST_PORT is "80o1": it must be a whole number from 0 to 65535'),
  );
  assert.ok(problems.some((p) => /^LOG_LEVEL.*debug, info, warning, error/.test(p)));
  assert.ok(
    problems.some((p) => p === "ENRICHMENT_SERVICE_URL must not carry a user name or password"),
  );
});

Deno.test("No error shows a URL, nor what stands where a file's name belongs: a secret may be anywhere in it", () => {
  const urls = [
    "http://admin:pa/ss-hunter2@host",
    "http://admin:hunter2@host:8086",
    "http://host/?p=hunter2",
    "http://host/#hunter2",
    "admin:pa ss-hunter2@host",
    "hunter2",
    "http://hunter2@ho st",
    "http://[hunter2",
    "ftp://host/hunter2",
    "//admin:hunter2@host",
  ];
  for (const url of urls) {
    const said = [
      ...problemsOf(ingestSettings, { ...INGEST, HASS_URL: url, ENRICHMENT_SERVICE_URL: url }),
      ...problemsOf(enrichSettings, { INFLUXDB_URL: url, INFLUXDB_DATABASE: "home" }),
      ...problemsOf(ingestSettings, { ...INGEST, INGEST_HOST: `http://${url}/` }),
      ...problemsOf(enrichSettings, { ENRICH_HOST: `http://${url}/` }),
    ];
    assert.equal(said.length, 5, said.join("\n"));
    assert.ok(!said.join().includes("hunter2"), said.join("\n"));
    for (const name of ["HASS", "ENRICHMENT_SERVICE", "INFLUXDB"]) {
      assert.ok(said.some((problem) => problem.startsWith(`${name}_URL must `)), said.join("\n"));
    }
  }
  const { HASS_TOKEN: _, ...rest } = INGEST;
  const token = problemsOf(ingestSettings, { ...rest, HASS_TOKEN_FILE: "hunter2" });
  assert.deepEqual(token, ["HASS_TOKEN_FILE must name a file that can be read (there is none)"]);
  using folder = new TemporaryFolder();
  const file = folder.file("influxdb.yaml");
  for (const url of urls.slice(0, 5)) {
    Deno.writeTextFileSync(
      file,
      `host: "${url}"\npath: "${url}"\nport: "${url}"\ndatabase: home\n`,
    );
    const said = problemsOf(enrichSettings, { CONFIG_FILE: file });
    assert.ok(said.length >= 3 && !said.join().includes("hunter2"), said.join("\n"));
  }
});

Deno.test("ingestSettings says where a token is made", () => {
  const [problem = ""] = problemsOf(ingestSettings, { HASS_URL: "http://a" });
  assert.match(problem, /^HASS_TOKEN is not set: make a long-lived access token/);
});

Deno.test("A setting that is empty, as in an .env that was only copied, is not set", () => {
  assert.equal(ingestSettings({ ...INGEST, INGEST_PORT: " ", SOURCE: "" }).settings.port, 8001);
});

Deno.test("A misspelt setting gets a warning with the nearest name, others' variables none", () => {
  const { warnings } = ingestSettings({
    ...INGEST,
    HASS_TOKN: "x",
    INFLUXDB_BUCKETS: "x",
    OUTBOX_SIZE: "1",
    PATH: "/bin",
    LANG: "C",
    HOME: "/",
    TERM: "x",
    INFLUXDB_ORG: "enrich's own",
  });
  assert.deepEqual(warnings.map((text) => text.replace(/ is no setting.*mean/, " →")), [
    "HASS_TOKN → HASS_TOKEN?",
    "INFLUXDB_BUCKETS → INFLUXDB_BUCKET?",
    "OUTBOX_SIZE → OUTBOX_MAX_MB?",
  ]);
});

Deno.test("A warning comes with the problems too: a misspelt token is why there is none", () => {
  try {
    ingestSettings({ HASS_URL: "http://a", HASS_TOKN: "x" });
    assert.fail("it must throw");
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.warnings.length, 1);
  }
});

Deno.test("A secret comes from the variable, a file or a credential, and is read again at each use", () => {
  const folder = Deno.makeTempDirSync();
  const file = `${folder}/HASS_TOKEN`;
  try {
    Deno.writeTextFileSync(file, "first\n");
    const byFile = ingestSettings({ HASS_URL: "http://a", HASS_TOKEN_FILE: file }).settings;
    const byCredential =
      ingestSettings({ HASS_URL: "http://a", CREDENTIALS_DIRECTORY: folder }).settings;
    assert.equal(byFile.hassToken(), "first");
    assert.equal(byFile.hassTokenOrigin, "file");
    assert.equal(byCredential.hassTokenOrigin, "credential");
    Deno.writeTextFileSync(file, "second");
    assert.equal(byFile.hassToken(), "second");
    assert.equal(byCredential.hassToken(), "second");
    assert.equal(byCredential.serviceToken, undefined, "another credential is not there");
    Deno.writeTextFileSync(file, "");
    assert.equal(byFile.hassToken(), "second", "what it held last is used");
    assert.deepEqual(fileFaults().toSorted(), [
      "HASS_TOKEN_FILE must name a file that is not empty",
    ]);
    Deno.removeSync(file);
    assert.equal(byFile.hassToken(), "second");
    assert.equal(byCredential.hassToken(), "second");
    assert.deepEqual(fileFaults().toSorted(), [
      "HASS_TOKEN_FILE must name a file that can be read (there is none)",
      "The credential HASS_TOKEN must name a file that can be read (there is none)",
    ]);
    Deno.writeTextFileSync(file, "third");
    assert.deepEqual([byFile.hassToken(), byCredential.hassToken()], ["third", "third"]);
    assert.deepEqual(fileFaults(), []);
    assert.match(
      problemsOf(ingestSettings, { ...INGEST, HASS_TOKEN_FILE: file }).join(),
      /HASS_TOKEN and HASS_TOKEN_FILE are both set/,
    );
    assert.match(
      problemsOf(ingestSettings, { HASS_URL: "http://a", HASS_TOKEN: "a\nb" }).join(),
      /HASS_TOKEN has a line break in it/,
    );
    for (const SERVICE_TOKEN of ["two words", "schlüssel", "🔑"]) {
      for (const [read, env] of [[ingestSettings, INGEST], [enrichSettings, {}]] as const) {
        const said = problemsOf(read, { ...env, SERVICE_TOKEN }).join();
        assert.match(said, /^SERVICE_TOKEN has a space, or a character beyond ASCII/);
        assert.ok(!said.includes(SERVICE_TOKEN));
      }
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("Headers come as secrets do, on several lines, and are read again at each use", () => {
  using folder = new TemporaryFolder();
  const file = folder.file("HASS_HEADERS");
  Deno.writeTextFileSync(file, "A: first-value\nB: second-value\n");
  const pairs = (env: Environment) => [...ingestSettings(env).settings.hassHeaders?.() ?? []];
  const both = [["a", "first-value"], ["b", "second-value"]];
  assert.deepEqual(pairs({ ...INGEST, HASS_HEADERS: "A: first-value\nB: second-value" }), both);
  assert.deepEqual(pairs({ ...INGEST, HASS_HEADERS_FILE: file }), both);
  assert.deepEqual(pairs({ ...INGEST, CREDENTIALS_DIRECTORY: folder.path }), both);
  const { hassHeaders } = ingestSettings({ ...INGEST, HASS_HEADERS_FILE: file }).settings;
  Deno.writeTextFileSync(file, "A: third-value");
  assert.deepEqual([...hassHeaders?.() ?? []], [["a", "third-value"]]);
  Deno.writeTextFileSync(file, "hunter2");
  assert.deepEqual([...hassHeaders?.() ?? []], [["a", "third-value"]]);
  assert.match(fileFaults().join(), /^HASS_HEADERS, line 1 is no header/);
  Deno.writeTextFileSync(file, "A: third-value");
  hassHeaders?.();
  assert.deepEqual(problemsOf(ingestSettings, { ...INGEST, HASS_HEADERS: "A: b\nHost: hunter2" }), [
    "HASS_HEADERS, line 2: Host is no header to be given: leave it out",
  ]);
  assert.match(
    problemsOf(ingestSettings, { ...INGEST, HASS_HEADERS: "A: b", HASS_HEADERS_FILE: file }).join(),
    /^HASS_HEADERS and HASS_HEADERS_FILE are both set/,
  );
});

Deno.test("INFLUXDB_HEADERS may hold Authorization where enrich sends none of its own", () => {
  const INFLUXDB_HEADERS = "Authorization: Basic aHVudGVyMg==";
  const v1 = { INFLUXDB_URL: "http://a", INFLUXDB_DATABASE: "home", INFLUXDB_HEADERS };
  assert.equal(enrichSettings(v1).settings.influxdb?.headers?.().size, 1);
  const sentence = (setting: string) => [
    `INFLUXDB_HEADERS holds Authorization, in which ${setting} is sent: leave one of them out`,
  ];
  assert.deepEqual(
    problemsOf(enrichSettings, { ...v1, INFLUXDB_USERNAME: "me", INFLUXDB_PASSWORD: "x" }),
    sentence("INFLUXDB_USERNAME"),
  );
  const v2 = {
    INFLUXDB_URL: "http://a",
    INFLUXDB_ORG: "o",
    INFLUXDB_BUCKET: "b",
    INFLUXDB_TOKEN: "t",
  };
  assert.deepEqual(
    problemsOf(enrichSettings, { ...v2, INFLUXDB_HEADERS }),
    sentence("INFLUXDB_TOKEN"),
  );
  // of a file that changes later it is said when it is used
  using folder = new TemporaryFolder();
  const file = folder.file("headers");
  Deno.writeTextFileSync(file, "A: b");
  const { influxdb } = enrichSettings({ ...v2, INFLUXDB_HEADERS_FILE: file }).settings;
  assert.equal(influxdb?.headers?.().size, 1);
  Deno.writeTextFileSync(file, INFLUXDB_HEADERS);
  assert.throws(() => influxdb?.headers?.(), { message: sentence("INFLUXDB_TOKEN")[0] });
});

Deno.test("HASS_CA_FILE must be a file with a certificate, at the start and later", () => {
  using folder = new TemporaryFolder();
  const file = folder.file("ca.pem");
  const problems = () => problemsOf(ingestSettings, { ...INGEST, HASS_CA_FILE: file });
  const wish =
    `HASS_CA_FILE is "${file}": it must be a PEM file with the certificate of an authority`;
  assert.deepEqual(problems(), [`${wish} (there is none)`]);
  Deno.writeTextFileSync(file, "-----BEGIN PRIVATE KEY-----\n");
  assert.deepEqual(problems(), [`${wish} (it holds no certificate)`]);
  Deno.writeTextFileSync(file, "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n");
  assert.match(problems().join(), /of an authority \(.+\)$/);
  Deno.copyFileSync(CA_FILE, file);
  const { hassCaCert } = ingestSettings({ ...INGEST, HASS_CA_FILE: file }).settings;
  assert.equal(hassCaCert?.(), Deno.readTextFileSync(CA_FILE));
  Deno.removeSync(file);
  assert.equal(hassCaCert?.(), Deno.readTextFileSync(CA_FILE), "what it held last is trusted");
  assert.deepEqual(fileFaults(), [`${wish} (there is none)`]);
  Deno.copyFileSync(CA_FILE, file);
  hassCaCert?.();
  assert.deepEqual(fileFaults(), []);
});

Deno.test("In an app the Supervisor is Home Assistant", () => {
  const { settings } = ingestSettings({ SUPERVISOR_TOKEN: "from-supervisor" });
  assert.equal(settings.hassUrl, "http://supervisor/core");
  assert.equal(settings.hassToken(), "from-supervisor");
  assert.equal(settings.hassTokenOrigin, "supervisor");
});

Deno.test("A program that others can reach needs SERVICE_TOKEN", () => {
  assert.match(
    problemsOf(ingestSettings, { ...INGEST, INGEST_HOST: "0.0.0.0" }).join(),
    /set SERVICE_TOKEN/,
  );
  assert.match(
    problemsOf(enrichSettings, { ENRICH_HOST: "192.168.1.5" }).join(),
    /set SERVICE_TOKEN/,
  );
  assert.deepEqual(
    problemsOf(enrichSettings, { ENRICH_HOST: "0.0.0.0", SERVICE_TOKEN: "long" }),
    [],
  );
  assert.ok(isLoopback("127.0.0.1") && isLoopback("::1") && isLoopback("localhost"));
  assert.ok(!isLoopback("127.0.0.1.example.org") && !isLoopback("0.0.0.0"));
});

Deno.test("enrichSettings knows InfluxDB's version by what is set", () => {
  const url = { INFLUXDB_URL: "http://influx:8086" };
  const two = { INFLUXDB_BUCKET: "home", INFLUXDB_ORG: "me", INFLUXDB_TOKEN: "ttt" };
  const versionOf = (env: Environment) =>
    enrichSettings({ ...url, ...env }).settings.influxdb?.version;
  assert.equal(enrichSettings({}).settings.influxdb, undefined);
  assert.equal(versionOf({ INFLUXDB_DATABASE: "home" }), 1);
  assert.equal(versionOf(two), 2);
  assert.equal(
    versionOf({ INFLUXDB_VERSION: "3", INFLUXDB_DATABASE: "home", INFLUXDB_TOKEN: "ttt" }),
    3,
  );
  assert.equal(versionOf({ INFLUXDB_VERSION: "3", INFLUXDB_DATABASE: "home" }), 3);
  const wrong: [Environment, RegExp][] = [
    [url, /set one of them/],
    [{ ...url, INFLUXDB_VERSION: "3" }, /INFLUXDB_DATABASE is not set: InfluxDB 3 needs it/],
    [{ ...url, ...two, INFLUXDB_DATABASE: "x" }, /are both set: leave one out/],
    [{ ...url, INFLUXDB_BUCKET: "home" }, /INFLUXDB_ORG is not set.*INFLUXDB_TOKEN is not set/s],
    [{ INFLUXDB_DATABASE: "home" }, /INFLUXDB_URL is not set although INFLUXDB_DATABASE is/],
    [{ ...url, INFLUXDB_DATABASE: "home", INFLUXDB_USERNAME: "u" }, /go together/],
    [{ ...url, INFLUXDB_VERSION: "4", INFLUXDB_DATABASE: "home" }, /must be 1, 2 or 3/],
    [{ ...url, INFLUXDB_URL: "influx:8086", INFLUXDB_DATABASE: "x" }, /must begin with http/],
    [{ INFLUXDB_URL: "http://192.168.1.300:8086", INFLUXDB_DATABASE: "x" }, /must name a host/],
    [
      { INFLUXDB_URL: "http://influx:80860", INFLUXDB_DATABASE: "x" },
      /must name a host and a port/,
    ],
  ];
  for (const [env, message] of wrong) {
    assert.match(problemsOf(enrichSettings, env).join("\n"), message);
  }
});

Deno.test("settingsHelp names every setting with its default", () => {
  const help = settingsHelp("enrich");
  assert.match(help, /ENRICH_PORT +Port that enrich listens on \(8002\)/);
  assert.match(help, /INFLUXDB_TOKEN +.*INFLUXDB_TOKEN_FILE/);
  assert.match(settingsHelp("ingest"), /HASS_URL/);
});

Deno.test("A token that was copied with more than itself is refused by name, and never shown", () => {
  for (
    const [HASS_TOKEN, said] of [
      ['"abc.s3cret.ghi"', "has quotes around it: leave them out"],
      ["\u201cabc.s3cret.ghi\u201d", "has quotes around it: leave them out"],
      ["Bearer abc.s3cret.ghi", 'begins with "Bearer": set it to what is behind that'],
      ["abc.s3cret. ghi", "has a space, or a character beyond ASCII, in it: copy the token, .*"],
      [
        "abc.s3cret.gh\u00ed",
        "has a space, or a character beyond ASCII, in it: copy the token, .*",
      ],
    ]
  ) {
    const problems = problemsOf(ingestSettings, { ...INGEST, HASS_TOKEN });
    assert.match(problems.join("\n"), new RegExp(`^HASS_TOKEN ${said}$`));
    assert.doesNotMatch(problems.join(), /s3cret/);
  }
  const INFLUXDB = { INFLUXDB_URL: "http://a", INFLUXDB_ORG: "o", INFLUXDB_BUCKET: "b" };
  assert.match(
    problemsOf(enrichSettings, { ...INFLUXDB, INFLUXDB_TOKEN: "Token abc==" }).join(),
    /^INFLUXDB_TOKEN begins with "Token": set it to what is behind that(,|$)/,
  );
  // a person who sets up an InfluxDB chooses its token
  assert.deepEqual(problemsOf(enrichSettings, { ...INFLUXDB, INFLUXDB_TOKEN: '"abc=="' }), []);
});

Deno.test("HASS_URL is the address alone: a page's or the API's path is refused, a prefix kept", () => {
  const HASS = "http://192.168.1.10:8123";
  const pages = ["/api", "/api/", "/api/states", "/lovelace", "/lovelace/0", "/dashboard-home/0"];
  for (
    const path of [...pages, "/house/lovelace/0", "/profile/security", "/developer-tools/state"]
  ) {
    assert.match(
      problemsOf(ingestSettings, { ...INGEST, HASS_URL: HASS + path }).join("\n"),
      /^HASS_URL must be the address alone, without the path of a page or of the API, for example/,
      path,
    );
  }
  for (
    const path of [
      "",
      "/",
      "/house",
      "/home/assistant",
      "/api/websocket",
      "/my-lovelace",
      "/my/auth/home",
    ]
  ) {
    assert.deepEqual(problemsOf(ingestSettings, { ...INGEST, HASS_URL: HASS + path }), [], path);
  }
});
