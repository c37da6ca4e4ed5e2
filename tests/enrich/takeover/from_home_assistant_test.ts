import assert from "node:assert/strict";
import util from "node:util";
import { enrichSettings } from "../../../lib/settings/enrich_settings.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { entries, TakeoverFolder } from "./takeover_folder.ts";

/** A password or token, wherever it stands: nothing that is said may hold it. */
const SECRET = "s3cret Value$1";

const V1 = {
  api_version: "1",
  host: "192.168.1.5",
  port: 8087,
  username: "ha",
  password: SECRET,
  database: "home of mine",
  ssl: false,
  path: "/",
  verify_ssl: false,
  ssl_ca_cert: null,
};
const V2 = {
  api_version: "2",
  url: "https://influx.example:8086/",
  token: "t0ken==",
  organization: "0123456789abcdef",
  bucket: "Home Assistant",
  verify_ssl: true,
};
const FILTERS = "default_config:\ninfluxdb:\n  include:\n    domains: [sensor]\n";

/** The lines for `.env`, as they are read. */
function linesOf(folder: TakeoverFolder): NodeJS.Dict<string> {
  return util.parseEnv(folder.file("influxdb.env") ?? "");
}

/** The settings that enrich has with what was written. */
function settingsOf(folder: TakeoverFolder) {
  const CONFIG_FILE = `${folder.into}/influxdb.yaml`;
  return enrichSettings({ ...linesOf(folder), CONFIG_FILE }).settings;
}

Deno.test("from-home-assistant makes settings of an entry and of the block's filters", async () => {
  using folder = new TakeoverFolder({ "configuration.yaml": FILTERS, ...entries(V1) });
  const { status, written, complained } = await folder.run();
  assert.deepEqual([status, complained], [0, ""]);
  assert.ok(!written.includes("s3cret"), written);
  assert.match(
    written,
    /^Found\n {2}\.storage\/core\.config_entries: the connection, InfluxDB 1 at http:\/\/192\.168\.1\.5:8087, database home of mine, user ha\n {2}configuration\.yaml, line 2: include\n\nWritten\n {2}\S+\/config\/influxdb\.yaml\n {2}\S+\/config\/influxdb\.env\n\nTo do\n/,
  );
  assert.match(written, /cat \S+influxdb\.env >> \.env\n.*enrich check.*\n.*deleted under Devices/);
  const { schema, influxdb, file } = settingsOf(folder);
  assert.deepEqual(
    [schema, influxdb?.url, influxdb?.version, influxdb?.database, influxdb?.username],
    ["homeassistant", "http://192.168.1.5:8087", 1, "home of mine", "ha"],
  );
  assert.deepEqual(file?.options.include.domains, ["sensor"]);
});

Deno.test("from-home-assistant takes a password over where an .env can hold it, and says where none can", async () => {
  for (const [password, readable] of [["it's s3cret", true], ["s3cret $'", false]] as const) {
    using folder = new TakeoverFolder({
      "configuration.yaml": "",
      ...entries({ ...V1, password }),
    });
    const { written } = await folder.run();
    assert.equal(linesOf(folder).INFLUXDB_PASSWORD, readable ? password : undefined);
    assert.equal(/INFLUXDB_PASSWORD has signs .* INFLUXDB_PASSWORD_FILE/.test(written), !readable);
    assert.ok(!written.includes("s3cret"));
  }
});

Deno.test("from-home-assistant takes over the entry of InfluxDB 2, with no block at all", async () => {
  using folder = new TakeoverFolder({ "configuration.yaml": "default_config:\n", ...entries(V2) });
  assert.equal((await folder.run()).status, 0);
  const { influxdb, file } = settingsOf(folder);
  assert.deepEqual([influxdb?.url, influxdb?.version, influxdb?.org, influxdb?.bucket], [
    "https://influx.example:8086",
    2,
    V2.organization,
    V2.bucket,
  ]);
  assert.equal(influxdb?.token?.(), V2.token);
  assert.deepEqual(file?.options.include.domains, []);
});

Deno.test("from-home-assistant lets only the user read what is secret, and writes nothing over", async () => {
  using folder = new TakeoverFolder({ "configuration.yaml": FILTERS, ...entries(V1) });
  await folder.run();
  const modeOf = (name: string) => (Deno.statSync(`${folder.into}/${name}`).mode ?? 0) & 0o777;
  assert.equal(modeOf("influxdb.env"), 0o600);
  assert.ok(!folder.file("influxdb.yaml")?.includes("192.168.1.5"));
  Deno.writeTextFileSync(`${folder.into}/influxdb.yaml`, "mine\n");
  Deno.removeSync(`${folder.into}/influxdb.env`);
  const again = await folder.run();
  assert.equal(again.status, 2);
  assert.match(again.complained, /There already, and not written over: .*config\/influxdb\.yaml/);
  assert.equal(folder.file("influxdb.yaml"), "mine\n");
  assert.equal(folder.file("influxdb.env"), undefined, "all or nothing");
});

Deno.test("from-home-assistant writes nothing where a link that leads nowhere is in the way", async () => {
  using folder = new TakeoverFolder({ "configuration.yaml": FILTERS, ...entries(V1) });
  Deno.mkdirSync(folder.into);
  folder.link(`${folder.into}/elsewhere`, `${folder.into}/influxdb.env`);
  const { status, complained } = await folder.run();
  assert.equal(status, 2);
  assert.match(complained, /There already, and not written over: .*config\/influxdb\.env/);
  assert.equal(folder.file("influxdb.yaml"), undefined, "all or nothing");
});

Deno.test("The lines of from-home-assistant are whole behind an .env without a line break at its end", async () => {
  using folder = new TakeoverFolder({ "configuration.yaml": FILTERS, ...entries(V1) });
  await folder.run();
  const { HASS_TOKEN, SCHEMA } = util.parseEnv(`HASS_TOKEN=abc${folder.file("influxdb.env")}`);
  assert.deepEqual([HASS_TOKEN, SCHEMA], ["abc", "homeassistant"]);
});

Deno.test("from-home-assistant takes the entry's connection before the block's, which Home Assistant ignores too", async () => {
  const yaml = `${FILTERS}  host: old.example\n  password: 0123\n  username: a\n`;
  using folder = new TakeoverFolder({ "configuration.yaml": yaml, ...entries(V1, "user") });
  const { written } = await folder.run();
  assert.match(written, /line 5: host, username, password: the entry's counts, since 2026\.3/);
  assert.match(written, /the entry is disabled: Home Assistant writes nothing by it/);
  assert.equal(linesOf(folder).INFLUXDB_URL, "http://192.168.1.5:8087");
});

Deno.test("from-home-assistant takes the block's connection where there is no entry, and asks for a host that it lacks", async () => {
  const yaml = "influxdb:\n  host: a0d7b954-influxdb\n  ssl: true\n  verify_ssl: false\n" +
    "  username: ha\n  password: !secret db\n  max_retries: 3\n";
  using folder = new TakeoverFolder({
    "configuration.yaml": yaml,
    "secrets.yaml": `db: "${SECRET}"\n`,
  });
  const { written } = await folder.run();
  assert.equal(linesOf(folder).INFLUXDB_URL, "https://a0d7b954-influxdb:8086");
  assert.equal(linesOf(folder).INFLUXDB_DATABASE, "home_assistant");
  assert.match(written, /names a0d7b954-influxdb, as Home Assistant calls it/);
  assert.match(written, /verify_ssl is off.* ssl_ca_cert: influxdb-ca\.pem under influxdb: in/);
  assert.match(written, /max_retries: what InfluxDB does not take is kept/);
  assert.ok(!written.includes("s3cret"), written);
  for (const text of ["influxdb:\n", "influxdb:\n  database: home\n"]) {
    using folder = new TakeoverFolder({ "configuration.yaml": text });
    const { status, written } = await folder.run({ SCHEMA: "tidy" });
    assert.equal(status, 0);
    assert.equal(linesOf(folder).INFLUXDB_URL, undefined);
    assert.match(
      written,
      /1\. Take these out of your \.env, or wherever they are set now: SCHEMA\..*\n {2}2\. .*set INFLUXDB_URL/,
    );
    assert.throws(() => settingsOf(folder), /names no host, and INFLUXDB_URL is not set/);
  }
});

Deno.test("What from-home-assistant writes means what the files meant", async () => {
  const rules =
    '  precision: ms\n  tags:\n    5: "on"\n    on: x\n    number: 0777\n    text: "0777"\n' +
    '    "a: b": "c # d"\n    long: 123456789012345678901234567890\n  default_measurement: 1.50\n' +
    '  ignore_attributes: noise\n  exclude: {entity_globs: ["*_temp", "!x", "[ab]?"]}\n' +
    "  component_config_glob:\n    sensor.*: &x {override_measurement: yes}\n    '*.b': *x\n";
  using folder = new TakeoverFolder({
    "configuration.yaml": `influxdb:\n${rules}`,
    ...entries(V1),
  });
  assert.equal((await folder.run()).status, 0);
  const { file } = settingsOf(folder);
  const before = enrichSettings({
    ...linesOf(folder),
    CONFIG_FILE: `${folder.house}/configuration.yaml`,
  }).settings.file;
  assert.deepEqual(file?.options, before?.options);
  assert.equal(file?.options.tags.get("number"), "511");
});

Deno.test("from-home-assistant copies the certificate, and nothing that stands beside it", async () => {
  const certificate = "-----BEGIN CERTIFICATE-----\nMIIB+/=\n-----END CERTIFICATE-----\n";
  const key = "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n";
  const named = ["/config/.storage/influxdb/influxdb.pem", "/config/ca.pem", "ca.pem"];
  for (const ssl_ca_cert of named) {
    using folder = new TakeoverFolder({
      "configuration.yaml": "",
      ".storage/influxdb/influxdb.pem": key + certificate,
      "ca.pem": certificate,
      ...entries({ ...V2, ssl_ca_cert }),
    });
    await folder.run();
    assert.equal(folder.file("influxdb-ca.pem"), certificate, ssl_ca_cert);
    assert.equal(settingsOf(folder).influxdb?.caCert?.(), certificate);
  }
  using lacking = new TakeoverFolder({
    "configuration.yaml": "",
    "der.crt": "0\x82",
    ...entries({ ...V2, ssl_ca_cert: "/config/der.crt" }),
  });
  assert.match((await lacking.run()).written, /ssl_ca_cert cannot be taken over \(it is no PEM:/);
});

Deno.test("from-home-assistant says what is wrong with the files, and writes nothing then", async () => {
  const faults: readonly (readonly [Readonly<Record<string, string>>, number, RegExp])[] = [
    [{}, 2, /house\/configuration\.yaml must be a file that can be read \(there is none\)/],
    [{ "configuration.yaml": "default_config:\n" }, 1, /neither a block .* nor an entry/],
    [
      { "configuration.yaml": "\ninfluxdb: !include none.yaml\n" },
      2,
      /^configuration\.yaml, line 2: !include none\.yaml: it must be a file/,
    ],
    [
      { "configuration.yaml": "influxdb:\n  include: !include configuration.yaml\n" },
      2,
      /^configuration\.yaml, line 2: files must not include each other without end\n$/,
    ],
    [
      { "configuration.yaml": "influxdb:\n  hots: a\n  include: {}\n" },
      2,
      /^configuration\.yaml, line 2: hots is no option; did you mean host\?/,
    ],
    [
      { "configuration.yaml": "", ".storage/core.config_entries": `{"data": "${SECRET}"` },
      2,
      /core\.config_entries is not what Home Assistant 2026 writes/,
    ],
    [{ "configuration.yaml": "", ...entries({ api_version: "4" }) }, 2, /none that is known here/],
  ];
  for (const [files, wanted, sentence] of faults) {
    using folder = new TakeoverFolder(files);
    const { status, written, complained } = await folder.run();
    assert.match(complained, sentence);
    assert.deepEqual([status, written], [wanted, ""], complained);
    assert.ok(!complained.includes("s3cret"), complained);
    assert.equal(folder.file("influxdb.yaml"), undefined);
  }
  using folder = new TakeoverFolder({});
  assert.equal((await folder.run({}, [])).status, 2);
  assert.equal((await folder.run({}, ["a", "b"])).status, 2);
  assert.match((await folder.run({}, ["--help"])).written, /^enrich from-home-assistant: /);
});

Deno.test("The task's runner lets from-home-assistant read the folder that is named, and write beside it", async () => {
  const root = new URL("../../../", import.meta.url).pathname;
  using folder = new TakeoverFolder({ "configuration.yaml": FILTERS });
  using outside = new TakeoverFolder({ "x.yaml": "include: {}\n" });
  using here = new TemporaryFolder();
  const copy = (path: string): void => {
    if (!Deno.statSync(root + path).isDirectory) {
      return Deno.copyFileSync(root + path, here.file(path));
    }
    Deno.mkdirSync(here.file(path));
    for (const { name } of Deno.readDirSync(root + path)) copy(`${path}/${name}`);
  };
  ["start.ts", "enrich.ts", "lib", "deno.json", "deno.lock"].forEach(copy);
  const run = async (path: string) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ..."run --quiet --no-prompt --allow-env --allow-net=127.0.0.1 --allow-read".split(" "),
        `--allow-run=${Deno.execPath()}`,
        ..."start.ts enrich from-home-assistant".split(" "),
        path,
      ],
      cwd: here.path,
    }).output();
    return { code, said: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
  };
  const { code, said } = await run(folder.house);
  assert.equal(code, 0, said);
  assert.match(Deno.readTextFileSync(here.file("config/influxdb.yaml")), /domains:/);
  Deno.removeSync(here.file("config"), { recursive: true });
  const other = `influxdb: !include ${outside.house}/x.yaml\n`;
  Deno.writeTextFileSync(`${folder.house}/configuration.yaml`, other);
  const refused = await run(folder.house);
  assert.equal(refused.code, 2);
  assert.match(refused.said, /x\.yaml: it must be .* \(--allow-read does not name it\)/);
});

Deno.test("An address with a password in it is left out, and not shown", async () => {
  using folder = new TakeoverFolder({
    "configuration.yaml": "",
    ...entries({ ...V2, url: "http://u:s3cret@influx.example" }),
  });
  const { written } = await folder.run();
  assert.match(written, /the address is left out: it must not carry a user name or password/);
  assert.ok(!written.includes("s3cret"), written);
  assert.equal(linesOf(folder).INFLUXDB_URL, undefined);
});

Deno.test("Of all modules only that of the command knows of .storage", () => {
  const root = new URL("../../../", import.meta.url).pathname;
  const knowing = (folder: string): string[] =>
    [...Deno.readDirSync(root + folder)].flatMap(({ name, isDirectory }) => {
      const path = `${folder}/${name}`;
      if (isDirectory) return knowing(path);
      return Deno.readTextFileSync(root + path).includes(".storage") ? [path] : [];
    });
  assert.deepEqual(knowing("lib").sort(), [
    "lib/enrich/takeover/connection_found.ts",
    "lib/enrich/takeover/from_home_assistant.ts",
  ]);
});
