import assert from "node:assert/strict";
import { fileNotes, NO_FILE, readConfigFile } from "../../lib/settings/config_file.ts";
import { TemporaryFolder } from "../temporary.ts";

function read(yaml: string) {
  using folder = new TemporaryFolder();
  const path = folder.file("influxdb.yaml");
  Deno.writeTextFileSync(path, yaml);
  const problems: string[] = [];
  return { file: readConfigFile(path, problems), problems };
}

/** What is told of each of these lines, each in a file of its own. */
function problemsOf(...lines: string[]): string[] {
  return lines.flatMap((line) => read(line).problems);
}

Deno.test("readConfigFile takes every option of the integration, under its own name", () => {
  const { file, problems } = read(`
influxdb:
  api_version: 2
  host: influx.local
  port: "8087"
  ssl: on
  verify_ssl: yes
  ssl_ca_cert: ca.pem
  path: /influx
  database: db
  username: me
  password: 12345
  token: abc
  organization: home
  bucket: house
  precision: ms
  max_retries: 3
  measurement_attr: domain__device_class
  default_measurement: state
  override_measurement: all
  tags: {house: main, floor: 1, yes: true, version: 1.0}
  tags_attributes: friendly_name
  ignore_attributes: [icon, assumed_state]
  include:
    domains: sensor
    entities: Light.Kitchen, switch.fan
    entity_globs: ["sensor.*_power"]
  exclude:
    entities: [sensor.noise]
  component_config:
    sensor.Humidity: {override_measurement: humidity, ignore_attributes: x}
  component_config_glob:
    "binary_sensor.*motion": {override_measurement: motion}
  component_config_domain:
    climate: {override_measurement: hvac}
`);
  assert.deepEqual(problems, []);
  assert.deepEqual(file.options, {
    api_version: "2",
    host: "influx.local",
    port: 8087,
    ssl: true,
    verify_ssl: true,
    ssl_ca_cert: "ca.pem",
    path: "/influx",
    database: "db",
    username: "me",
    password: "12345",
    token: "abc",
    organization: "home",
    bucket: "house",
    precision: "ms",
    max_retries: 3,
    measurement_attr: "domain__device_class",
    default_measurement: "state",
    override_measurement: "all",
    tags: new Map([["house", "main"], ["floor", "1"], ["true", "True"], ["version", "1.0"]]),
    tags_attributes: ["friendly_name"],
    ignore_attributes: ["icon", "assumed_state"],
    include: {
      domains: ["sensor"],
      entities: ["light.kitchen", "switch.fan"],
      entity_globs: ["sensor.*_power"],
    },
    exclude: { domains: [], entities: ["sensor.noise"], entity_globs: [] },
    attributes: { include: [], exclude: [] },
    component_config: new Map([
      ["sensor.humidity", { override_measurement: "humidity", ignore_attributes: ["x"] }],
    ]),
    component_config_glob: new Map([["binary_sensor.*motion", { override_measurement: "motion" }]]),
    component_config_domain: new Map([["climate", { override_measurement: "hvac" }]]),
  });
});

Deno.test("readConfigFile takes a block that is empty, or has nothing but empty ones", () => {
  for (const yaml of ["", "influxdb:\n", "influxdb:\n  include:\n  tags:\n", "exclude:\n"]) {
    const { file, problems } = read(yaml);
    assert.deepEqual(problems, []);
    assert.deepEqual(file.options, NO_FILE);
  }
});

Deno.test("readConfigFile names what is no option, and the nearest that is", () => {
  assert.deepEqual(
    problemsOf(
      "hosts: a",
      "include: {entity_glob: a, domains: b}",
      "component_config: {sensor.a: {overide_measurement: b}}",
      "homeassistant:\nrecorder:\n",
    ),
    [
      "influxdb.yaml has no influxdb: in it, and none of that block's options",
      "influxdb.yaml: include: entity_glob is no option; did you mean entity_globs?",
      "influxdb.yaml: component_config: sensor.a: overide_measurement is no option; did you mean override_measurement?",
      "influxdb.yaml has no influxdb: in it, and none of that block's options",
    ],
  );
  assert.deepEqual(problemsOf("host: a\nmeasurment_attr: entity_id"), [
    "influxdb.yaml: measurment_attr is no option; did you mean measurement_attr?",
  ]);
});

Deno.test("readConfigFile says by name what an option must be, and shows no value", () => {
  const problems = problemsOf(
    "api_version: 3",
    "port: 808611",
    "ssl: perhaps",
    "precision: m",
    "max_retries: -1",
    "measurement_attr: unit",
    "password: [s3cret]",
    "include: {entities: [kitchen]}",
    "component_config: {kitchen: {}}",
    "influxdb: [a]",
  );
  assert.deepEqual(problems.map((text) => text.replace("influxdb.yaml: ", "")), [
    "api_version must be 1 or 2",
    "port must be a port",
    "ssl must be true or false",
    "precision must be one of ms, s, us, ns",
    "max_retries must not be negative",
    "measurement_attr must be one of unit_of_measurement, domain__device_class, entity_id",
    "password must be a text",
    "include: entities: 0 must be an entity id, for example sensor.kitchen",
    "component_config: kitchen must be an entity id, for example sensor.kitchen",
    "influxdb.yaml must be a block of options",
  ]);
});

Deno.test("fileNotes tells what an option does not do here", () => {
  const { file } = read(
    "precision: s\ntags: {a: b}\nmax_retries: 3\ndatabase: x\n" +
      "component_config_domain: {light: {override_measurement: l, attributes: {include: x}}}\n",
  );
  assert.deepEqual(fileNotes(file, "tidy", false), [
    "influxdb.yaml: with SCHEMA=tidy these options do nothing: precision, tags, " +
    "override_measurement in component_config_domain",
    "influxdb.yaml: max_retries is not needed: what InfluxDB does not take is kept, and tried without end",
    "influxdb.yaml names no host, nor does INFLUXDB_URL: with SCHEMA=tidy events go to the local store",
  ]);
  assert.deepEqual(fileNotes(file, "homeassistant", true).slice(0, 1), [
    "influxdb.yaml: with SCHEMA=homeassistant these options do nothing: attributes in component_config_domain",
  ]);
  assert.deepEqual(fileNotes(read("exclude: {domains: sun}").file, "tidy", false), []);
});
