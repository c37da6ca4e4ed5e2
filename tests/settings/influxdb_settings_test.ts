import assert from "node:assert/strict";
import { readConfigFile } from "../../lib/settings/config_file.ts";
import { enrichSettings } from "../../lib/settings/enrich_settings.ts";
import { caCertOf } from "../../lib/settings/influxdb_transport.ts";
import { fileFaults } from "../../lib/settings/last_known.ts";
import { ConfigError, type Environment } from "../../lib/settings/settings_reader.ts";
import { TemporaryFolder } from "../temporary.ts";

/** The connection that the environment and the file make together, secrets shown. */
function connection(env: Environment, yaml?: string, files: Readonly<Record<string, string>> = {}) {
  using folder = new TemporaryFolder();
  const path = folder.file("influxdb.yaml");
  if (yaml !== undefined) Deno.writeTextFileSync(path, yaml);
  for (const [name, text] of Object.entries(files)) {
    Deno.writeTextFileSync(folder.file(name), text);
  }
  const { settings } = enrichSettings({ ...env, CONFIG_FILE: yaml === undefined ? "" : path });
  if (!settings.influxdb) return undefined;
  const { token, password, caCert, ...plain } = settings.influxdb;
  return { ...plain, token: token?.(), password: password?.(), caCert: caCert?.() };
}

function problemsOf(env: Environment, yaml?: string): readonly string[] {
  try {
    connection(env, yaml);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
  return [];
}

const HOMEASSISTANT = { SCHEMA: "homeassistant" };

Deno.test("With SCHEMA=homeassistant the integration's own defaults hold for what is left out, but for the host", () => {
  const env = { ...HOMEASSISTANT, INFLUXDB_URL: "http://env:8086" };
  for (const yaml of [undefined, "influxdb:\n", "include: {domains: sensor}"]) {
    const { url, version, database, username, token } = connection(env, yaml) ?? {};
    assert.deepEqual([url, version, database, username, token], [
      "http://env:8086",
      1,
      "home_assistant",
      undefined,
      undefined,
    ]);
  }
  const { url, version, bucket, org, token } = connection(
    env,
    "api_version: 2\ntoken: abcdef\norganization: home",
  ) ?? {};
  assert.deepEqual([url, version, bucket, org, token], [
    "http://env:8086",
    2,
    "Home Assistant",
    "home",
    "abcdef",
  ]);
});

Deno.test("With SCHEMA=homeassistant a host that nobody names is an error, never this machine or a cloud", () => {
  const wish = "INFLUXDB_URL is not set: since 2026.3 Home Assistant keeps the connection in its " +
    "own settings. Run enrich from-home-assistant, which finds it there, or set INFLUXDB_URL";
  assert.deepEqual(problemsOf(HOMEASSISTANT), [wish]);
  const yamls = [
    "influxdb:",
    "influxdb:\n  database: home\n  username: a\n  password: b\n",
    "influxdb:\n  api_version: 2\n  token: abcdef\n  organization: home\n",
    "influxdb:\n  include: {domains: sensor}\n",
  ];
  for (const yaml of yamls) {
    const line = `influxdb.yaml, line 1 names no host, and ${wish}`;
    assert.deepEqual(problemsOf(HOMEASSISTANT, yaml), [line], yaml);
  }
});

Deno.test("With SCHEMA=tidy only a named host counts", () => {
  assert.equal(connection({}, "database: home\nusername: a\npassword: b"), undefined);
  const { url, database } = connection({}, "host: influx") ?? {};
  assert.deepEqual([url, database], ["http://influx:8086", "home_assistant"]);
});

Deno.test("The file's address is put together as the integration's clients do", () => {
  const urlOf = (yaml: string) => connection({}, yaml)?.url;
  assert.equal(urlOf("host: a\nssl: true"), "https://a:8086");
  assert.equal(urlOf("host: a\nport: 80\npath: influx/"), "http://a:80/influx");
  assert.equal(urlOf("host: a\npath: /"), "http://a:8086");
  const v2 = "api_version: 2\ntoken: abcd\norganization: o\nhost: a\n";
  assert.equal(urlOf(v2), "https://a");
  assert.equal(urlOf(`${v2}ssl: false\nport: 8086\npath: /x`), "http://a:8086/x");
});

Deno.test("The environment wins where both speak, and the file speaks where it is silent", () => {
  const yaml = "host: file\ndatabase: filedb\nusername: fileuser\npassword: filepass";
  const merged = connection({
    INFLUXDB_URL: "http://env:1",
    INFLUXDB_PASSWORD: "envpass",
    INFLUXDB_USERNAME: "envuser",
  }, yaml);
  assert.equal(merged?.url, "http://env:1");
  assert.equal(merged?.database, "filedb");
  assert.deepEqual([merged?.username, merged?.password], ["envuser", "envpass"]);
  assert.equal(connection({ INFLUXDB_DATABASE: "envdb" }, yaml)?.database, "envdb");
  const second = connection(
    { INFLUXDB_BUCKET: "b", INFLUXDB_ORG: "o", INFLUXDB_TOKEN: "abcd" },
    "host: file",
  );
  assert.deepEqual([second?.version, second?.bucket, second?.token], [2, "b", "abcd"]);
  const third = connection({ INFLUXDB_VERSION: "3", INFLUXDB_TOKEN: "abcd" }, yaml);
  assert.deepEqual([third?.version, third?.database], [3, "filedb"]);
  const both = connection(
    { INFLUXDB_URL: "http://env:1" },
    "api_version: 2\nbucket: b\norganization: o\ntoken: abcd",
  );
  assert.deepEqual([both?.version, both?.bucket, both?.org], [2, "b", "o"]);
});

Deno.test("A database that came with enrich counts only where no other is named, and is one piece", () => {
  const spare = "influxdb:\n  api_version: 2\n  host: influxdb\n  port: 8086\n  ssl: false\n" +
    "  organization: home\n  bucket: home\n  token: made-up\n";
  using folder = new TemporaryFolder();
  Deno.mkdirSync(folder.file("secrets"));
  Deno.writeTextFileSync(folder.file("secrets/influxdb.yaml"), spare);
  const with_ = (env: Environment, yaml?: string) => {
    const found = connection({ ...env, CREDENTIALS_DIRECTORY: folder.file("secrets") }, yaml);
    return [found?.url, found?.version, found?.org, found?.bucket, found?.database, found?.token];
  };
  const came = ["http://influxdb:8086", 2, "home", "home", "home_assistant", "made-up"];
  assert.deepEqual(with_({}), came);
  assert.deepEqual(with_({}, "include: {domains: sensor}\nssl: true"), came);
  assert.deepEqual(with_(HOMEASSISTANT), came);
  assert.deepEqual(
    with_({ INFLUXDB_URL: "http://own:1", INFLUXDB_DATABASE: "house" }),
    ["http://own:1", 1, undefined, undefined, "house", undefined],
  );
  assert.deepEqual(
    with_({}, "host: own\ndatabase: house"),
    ["http://own:8086", 1, undefined, "Home Assistant", "house", undefined],
  );
  assert.deepEqual(
    with_({}, "host: own\napi_version: 2\ntoken: mine\norganization: o\nbucket: b"),
    ["https://own", 2, "o", "b", "home_assistant", "mine"],
  );
  assert.deepEqual(with_({ INFLUXDB_TOKEN: "mine" }), [...came.slice(0, 5), "mine"]);
  assert.deepEqual(with_({}, "bucket: other\ntoken: mine"), [
    "http://influxdb:8086",
    2,
    "home",
    "other",
    "home_assistant",
    "mine",
  ]);
});

Deno.test("A token beside a database, where nothing says which InfluxDB it is, is never 1.x without credentials", () => {
  using folder = new TemporaryFolder();
  Deno.writeTextFileSync(folder.file("token"), "tttt");
  Deno.writeTextFileSync(folder.file("INFLUXDB_TOKEN"), "tttt");
  const tokens: Environment[] = [
    { INFLUXDB_TOKEN: "tttt" },
    { INFLUXDB_TOKEN_FILE: folder.file("token") },
    { CREDENTIALS_DIRECTORY: folder.path },
  ];
  const url = { INFLUXDB_URL: "http://env:8086" };
  const house = { ...url, INFLUXDB_DATABASE: "house" };
  const told = (place: string) => [
    `INFLUXDB_TOKEN is set beside ${place}: for InfluxDB 3 set INFLUXDB_VERSION=3; for InfluxDB 2 ` +
    "set INFLUXDB_BUCKET and INFLUXDB_ORG instead of the database; InfluxDB 1 takes no token",
  ];
  for (const token of tokens) {
    assert.deepEqual(problemsOf({ ...house, ...token }), told("INFLUXDB_DATABASE"));
    assert.deepEqual(
      problemsOf({ ...house, ...token }, "include: {domains: sensor}"),
      told("INFLUXDB_DATABASE"),
    );
    const inFile = told("database in CONFIG_FILE");
    assert.deepEqual(problemsOf(token, "host: own\ndatabase: house"), inFile);
    assert.deepEqual(problemsOf({ ...url, ...token }, "database: house"), inFile);
    const byDefault = told("the database home_assistant");
    assert.deepEqual(problemsOf(token, "host: own"), byDefault);
    assert.deepEqual(problemsOf({ ...url, ...token, ...HOMEASSISTANT }), byDefault);
    // where something says so, and with a user of 1.x, all is as it was
    const versionOf = (env: Environment, yaml?: string) =>
      connection({ ...env, ...token }, yaml)?.version;
    for (const version of [1, 3]) {
      assert.equal(versionOf({ ...house, INFLUXDB_VERSION: String(version) }), version);
    }
    assert.equal(versionOf({ ...house, INFLUXDB_USERNAME: "u", INFLUXDB_PASSWORD: "p" }), 1);
    assert.equal(versionOf(house, "username: u\npassword: p"), 1);
    assert.equal(versionOf({}, "api_version: 1\nhost: own\ndatabase: house"), 1);
    assert.equal(versionOf({}, "api_version: 2\nhost: own\norganization: o\nbucket: b"), 2);
    assert.equal(versionOf({ ...url, INFLUXDB_BUCKET: "b", INFLUXDB_ORG: "o" }), 2);
  }
  assert.equal(connection(house)?.version, 1);
});

Deno.test("InfluxDB 3 needs no token", () => {
  const env = { INFLUXDB_URL: "http://env:8181", INFLUXDB_VERSION: "3" };
  const { version, database, token } = connection({ ...env, INFLUXDB_DATABASE: "house" }) ?? {};
  assert.deepEqual([version, database, token], [3, "house", undefined]);
  assert.deepEqual(problemsOf(env), ["INFLUXDB_DATABASE is not set: InfluxDB 3 needs it"]);
});

Deno.test("Passwords come out of secrets.yaml too", () => {
  const yaml = "influxdb:\n  host: a\n  username: u\n  password: !secret influx";
  const merged = connection({}, yaml, { "secrets.yaml": "influx: s3cret\n" });
  assert.equal(merged?.password, "s3cret");
});

Deno.test("A certificate authority is read beside the file", () => {
  const yaml = "host: a\nssl: true\nssl_ca_cert: ca.pem";
  assert.equal(connection({}, yaml, { "ca.pem": "PEM" })?.caCert, "PEM");
  assert.match(
    problemsOf({}, yaml)[0] ?? "",
    /ssl_ca_cert must be a file that can be read \(there is none\)/,
  );
});

Deno.test("A certificate's file that cannot be read any more is named until the option is gone", () => {
  using folder = new TemporaryFolder();
  const url = "https://a:8086";
  const fileOf = (yaml: string) => {
    Deno.writeTextFileSync(folder.file("influxdb.yaml"), yaml);
    return readConfigFile(folder.file("influxdb.yaml"), []);
  };
  Deno.writeTextFileSync(folder.file("ca.pem"), "PEM");
  const caCert = caCertOf(url, fileOf("host: a\nssl: true\nssl_ca_cert: ca.pem"), []);
  Deno.removeSync(folder.file("ca.pem"));
  assert.equal(caCert?.(), "PEM");
  assert.match(fileFaults().join(), /ssl_ca_cert must be a file that can be read/);
  assert.equal(caCertOf(url, fileOf("host: a\nssl: true"), []), undefined);
  assert.deepEqual(fileFaults(), []);
});

Deno.test("What stands where a certificate's file is to be named is not shown", () => {
  for (const value of ["hunter2", "hunter2".repeat(60), "a/hunter2\\0"]) {
    const [problem = ""] = problemsOf({}, `host: a\nssl: true\nssl_ca_cert: "${value}"`);
    assert.match(problem, /line 3: ssl_ca_cert must be a file that can be read/);
    assert.doesNotMatch(problem, /hunter2/);
  }
});

Deno.test("verify_ssl: false means nothing where nothing is encrypted", () => {
  assert.equal(connection({}, "host: a\nverify_ssl: false")?.url, "http://a:8086");
  const yaml = "host: a\nssl: true\nverify_ssl: false";
  assert.equal(connection({ INFLUXDB_URL: "http://env" }, yaml)?.url, "http://env");
  assert.equal(connection({}, "verify_ssl: false"), undefined);
});

Deno.test("What cannot connect is told by name", () => {
  const [unverified = ""] = problemsOf({}, "host: a\nssl: true\nverify_ssl: false");
  assert.match(
    unverified,
    /^influxdb\.yaml, line 3: verify_ssl: false is refused.*ssl_ca_cert: \/path\/to\/ca\.pem/,
  );
  const elsewhere = problemsOf({ INFLUXDB_URL: "https://env" }, "host: a\nverify_ssl: false");
  assert.match(elsewhere[0] ?? "", /line 2: verify_ssl: false is refused/);
  const v2 = "api_version: 2\nhost: a\n";
  assert.deepEqual(problemsOf({}, v2), [
    "INFLUXDB_ORG is not set, nor organization in influxdb.yaml: InfluxDB 2 needs it",
    "INFLUXDB_TOKEN is not set, nor token in influxdb.yaml: InfluxDB 2 needs it",
  ]);
  assert.match(
    problemsOf({}, "host: a\ntoken: b\norganization: c")[0] ?? "",
    /^influxdb\.yaml, line 2: token is for api_version: 2/,
  );
  assert.match(
    problemsOf({}, `${v2}token: b\norganization: c\nusername: d\npassword: e`)[0] ?? "",
    /username and password are for api_version: 1/,
  );
  assert.match(
    problemsOf({}, "host: a\nusername: b")[0] ?? "",
    /^influxdb\.yaml, line 2: .*go together: set both or neither/,
  );
  assert.match(
    problemsOf({}, "host: http://a")[0] ?? "",
    /host must be a host name or an address alone/,
  );
  assert.match(problemsOf({}, "host: user:pass@a")[0] ?? "", /host must be a host name/);
  assert.deepEqual(problemsOf({ SCHEMA: "tidier" }), [
    'SCHEMA is "tidier": it must be tidy or homeassistant',
  ]);
});
