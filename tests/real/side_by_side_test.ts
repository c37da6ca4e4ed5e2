/**
 * Home Assistant's own `influxdb` integration and SCHEMA=homeassistant, at the same Home Assistant,
 * into the same InfluxDB, configured by the very same configuration.yaml: what they store must be
 * alike, row by row and field type by field type, but for the differences that the documentation
 * lists, each of which is seen. All on 2026.11; older versions where these differ from it.
 */
import assert from "node:assert/strict";
import {
  availableVersions,
  HomeAssistant,
  type HomeAssistantVersion,
} from "./parts/home_assistant.ts";
import { Influxd, type Series, type StoredPoint } from "./parts/influxd.ts";
import { Influxd2 } from "./parts/influxd2.ts";
import { type Connection, InfluxdbIntegration } from "./parts/influxdb_integration.ts";
import {
  LISTED_BEFORE,
  LISTED_OPTIONS,
  LISTED_STATES,
  type ListedState,
  NATIVE_STATES,
} from "./parts/listed_states.ts";
import { total } from "./parts/metrics_text.ts";
import { type Environment, startEnrich, startIngest } from "./parts/programs.ts";
import { measured, note, realTestsAtOnce } from "./parts/real_test_case.ts";
import { restStates } from "./parts/rest_states.ts";
import { until } from "../until.ts";

/** Options of the integration beside its connection. */
const CONFIGURATIONS: Readonly<Record<string, string>> = {
  "measurement by entity, tags, milliseconds": `
  precision: ms
  measurement_attr: entity_id
  tags:
    house: main
    "a b": "c, d=e"
    "yes": on
    version: 1.0
  tags_attributes: [friendly_name, level, k, every]
  ignore_attributes: noise
`,
  "measurement by device class, components": `
  measurement_attr: domain__device_class
  default_measurement: state
  ignore_attributes: [noise]
  component_config:
    sensor.odd_0:
      override_measurement: exact
      ignore_attributes: [k]
  component_config_glob:
    "binary_sensor.*1*":
      override_measurement: globbed
    "*.odd_2?":
      ignore_attributes: [every, foo]
  component_config_domain:
    climate:
      override_measurement: hvac
    binary_sensor:
      override_measurement: domained
      ignore_attributes: temperature
`,
  "one measurement, tags that win, seconds": `
  precision: s
  override_measurement: everything
  tags:
    domain: all
`,
  "includes and excludes": `
  default_measurement: units
  include:
    domains: [sensor, light]
    entities: [lock.odd_3, sensor.odd_7, climate.odd_5]
    entity_globs: ["cover.*_1?", "other.[!x]*"]
  exclude:
    entities: sensor.odd_7, light.odd_2
    entity_globs: ["sensor.*_1[0-4]", "other.odd_?"]
`,
};

const NEWEST = "2026.11.0";
/** The default options. */
const DEFAULT = "default options";
/** Those of LISTED_OPTIONS. */
const LISTED = "default options, some tags";

/** Where both write: an InfluxDB 1, or a 2 by way of the same queries. */
interface Store {
  readonly version: "in1" | "in2";
  create(database: string): Promise<void>;
  query(influxql: string, database: string): Promise<Series[]>;
  allPoints(database: string): Promise<StoredPoint[]>;
  /** Of the integration, for its form, and for configuration.yaml. */
  connection(database: string): Connection;
  yaml(database: string): string;
  /** Of enrich. */
  env(database: string): Environment;
}

function storeOf1(influxd: Influxd): Store {
  const { url } = influxd;
  const { hostname, port } = new URL(url);
  return {
    version: "in1",
    create: (database) => influxd.createDatabase(database),
    query: (influxql, database) => influxd.query(influxql, database),
    allPoints: (database) => influxd.allPoints(database),
    connection: (database) => ({ url, database }),
    yaml: (database) => `  host: ${hostname}\n  port: ${port}\n  database: "${database}"\n`,
    env: (database) => ({ INFLUXDB_URL: url, INFLUXDB_DATABASE: database }),
  };
}

function storeOf2(influxd: Influxd2): Store {
  const { url, env } = influxd;
  const { hostname, port } = new URL(url);
  return {
    version: "in2",
    create: (bucket) => influxd.createBucket(bucket),
    query: (influxql, bucket) => influxd.query(influxql, bucket),
    allPoints: (bucket) => influxd.allPoints("", bucket),
    connection: (bucket) => ({
      url,
      organization: env.INFLUXDB_ORG,
      bucket,
      token: env.INFLUXDB_TOKEN,
    }),
    yaml: (bucket) =>
      `  api_version: 2\n  ssl: false\n  host: ${hostname}\n  port: ${port}\n  bucket: "${bucket}"\n` +
      `  organization: ${env.INFLUXDB_ORG}\n  token: ${env.INFLUXDB_TOKEN}\n`,
    env: (bucket) => ({ ...env, INFLUXDB_BUCKET: bucket }),
  };
}

interface StateText {
  readonly entityId: string;
  readonly body: string;
}

interface Run {
  readonly version: HomeAssistantVersion;
  readonly hass: HomeAssistant;
  readonly store: Store;
  readonly name: string;
  /** Whether the integration's connection stands in configuration.yaml: enrich gets it from there, too. */
  readonly inYaml?: boolean;
  readonly states: readonly StateText[];
  readonly listed?: readonly ListedState[];
  readonly native?: boolean;
}

const DIFFERING = /^(?:listed_|native_|mark$)/;

/** What both must have in common: points after the first mark, as texts, and the types of their fields. */
async function contents(
  store: Store,
  database: string,
  sinceNs: bigint,
  written: (text: string) => string,
) {
  const all = (await store.allPoints(database)).filter(({ timeNs }) => timeNs >= sinceNs);
  const isDiffering = ({ tags }: StoredPoint) => DIFFERING.test(tags.entity_id ?? "");
  const points = all.filter((point) => !isDiffering(point));
  const compared = new Set(
    points.flatMap(({ measurement, fields }) =>
      Object.keys(fields).map((field) => `${measurement} ${field}`)
    ),
  );
  const types = (await store.query("SHOW FIELD KEYS", database)).flatMap(({ name, values }) =>
    values.filter(([field]) => compared.has(`${name} ${field}`))
      .map(([field, type]) => `${written(name)} ${field} ${type}`)
  );
  return {
    points: points.map((point) => textOf(point, written)),
    types,
    differing: all.filter(isDiffering),
  };
}

type Contents = Awaited<ReturnType<typeof contents>>;

/** The point as text, so that two can be compared as they are shown. */
function textOf(
  { measurement, tags, fields, timeNs }: StoredPoint,
  written: (text: string) => string,
): string {
  const sorted = (one: object) => Object.entries(one).sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify(
    [measurement, sorted(tags), String(timeNs), sorted(fields)],
    (_, value) => typeof value === "string" ? written(value) : value,
  );
}

/** Without line breaks, which versions before 2026.10 write: in names, and where Python shows a list, as \\n. */
function spaced(text: string): string {
  const lines = text.replaceAll("\\n", "\n").split(/\r\n|[\n\r\v\f\u0085\u2028\u2029]/);
  if (lines.at(-1) === "") lines.pop();
  return lines.join(" ");
}

/** What stands in one list and not in the other. */
function difference(a: readonly string[], b: readonly string[]): string[] {
  const other = new Set(b);
  return a.filter((one) => !other.has(one)).map((one) => one.slice(0, 600));
}

let marks = 0;

async function mark(hass: HomeAssistant): Promise<number> {
  const attributes = { mark: ++marks };
  await hass.setState("other.mark", { state: "1", force_update: true, attributes });
  return marks;
}

/** The mark's own attribute is looked for: its tags and measurement follow the configuration. */
async function isStored(store: Store, database: string, made: number): Promise<boolean> {
  return (await newestStored(store, database)) === made;
}

async function newestStored(store: Store, database: string): Promise<number> {
  const found = await store.query(`SELECT "mark" FROM /.*/`, database);
  return Math.max(...found.flatMap(({ values }) => values.map(([, mark]) => Number(mark ?? 0))));
}

/** Makes marks until the integration has stored one: what came before has left it. */
async function untilWritten(hass: HomeAssistant, store: Store, database: string): Promise<void> {
  const first = marks + 1;
  await until(
    async () => {
      // further apart than its batches
      await mark(hass);
      const patience = { limitMs: 1_600 };
      await until(
        async () => (await newestStored(store, database)) >= first,
        "one is stored",
        patience,
      );
      return true;
    },
    `the integration writes into ${database}`,
  );
}

/** How the integration says that it has lost what should be compared: the store was slow, or it was itself. */
const LOSS = /.*components\.influxdb\] (?:Catching up|Resumed, lost|Cannot connect to InfluxDB).*/;

class IntegrationLost extends Error {
  override readonly name = "IntegrationLost";
}

/** Once more, from the start, where the integration says that it has lost points. */
async function againWhereItLost(compareAll: () => Promise<void>): Promise<void> {
  try {
    await compareAll();
  } catch (error) {
    if (!(error instanceof IntegrationLost)) throw error;
    note(`once more, for on a busy machine the integration lost points: ${error.message}`);
    await compareAll();
  }
}

/** Runs both side by side and returns what each has stored. */
async function sideBySide(
  { version, hass, store, name, inYaml = false, states, listed = [], native = false }: Run,
): Promise<{ theirs: Contents; ours: Contents; deadLetters: number }> {
  const [theirs, ours] = [`theirs ${name}`, `ours ${name}`];
  await store.create(ours);
  const { INFLUXDB_URL = "", ...env } = store.env(ours);
  await using enrich = await startEnrich({
    SCHEMA: "homeassistant",
    CONFIG_FILE: `${hass.dir}/configuration.yaml`,
    ...env,
    ...(inYaml ? {} : { INFLUXDB_URL }),
  }, { readable: [hass.dir] });
  await using ingest = await startIngest({
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    ENRICHMENT_SERVICE_URL: enrich.url,
  });
  await ingest.untilReady();
  await untilWritten(hass, store, theirs);
  const begunMs = Date.now();
  // with whole seconds, nothing that came before may share one with what is compared
  await until(() => Date.now() >= begunMs + 1_000, "the second is over");
  const sinceNs = BigInt(Math.floor(Date.now() / 1000)) * 1_000_000_000n;
  await mark(hass);
  for (const { entityId, body } of states) await hass.setStateText(entityId, body);
  const alone = listed.filter(({ losesBatch }) => losesBatch && store.version === "in2");
  if (alone.length > 0) await untilWritten(hass, store, theirs);
  for (const { entityId, body } of alone) {
    await hass.setStateText(entityId, body);
    await untilWritten(hass, store, theirs);
  }
  for (const { entityId, body } of listed.filter((state) => !alone.includes(state))) {
    await hass.setStateText(entityId, body);
  }
  if (native) await hass.fireEvent("burst_native");
  const last = await mark(hass);
  for (const database of [theirs, ours]) {
    await until(() => isStored(store, database, last), `${database} has the last state`);
  }
  await until(
    async () => total(await ingest.metrics(), "ingest_events_queued") === 0,
    "nothing waits",
  );
  const written = version === NEWEST ? (text: string) => text : spaced;
  return {
    theirs: await contents(store, theirs, sinceNs, written),
    ours: await contents(store, ours, sinceNs, written),
    deadLetters: total(await ingest.metrics(), "ingest_events_dead_lettered"),
  };
}

/** A tag or measurement that ends in a backslash tears the integration's line, and it loses the point. */
function endsInBackslash(text: string): boolean {
  const [measurement, tags] = JSON.parse(text);
  return [measurement, ...tags.flat()].some((name) => String(name).endsWith("\\\\_"));
}

/** What is stored of one of the states that differ; of the tags those beside domain and entity_id. */
function stored({ differing }: Contents, entityId: string) {
  return differing.filter(({ tags }) => tags.entity_id === entityId.split(".")[1])
    .map(({ measurement, fields, tags: { domain: _domain, entity_id: _entityId, ...tags } }) => [
      measurement,
      fields,
      ...(Object.keys(tags).length > 0 ? [tags] : []),
    ]);
}

function assertNative(theirs: Contents, ours: Contents): void {
  for (const [name, wanted] of Object.entries(NATIVE_STATES)) {
    const entityId = `sensor.native_${name}`;
    const point = (fields: object | undefined) =>
      fields ? [["native", { value: 1, ...fields }]] : [];
    assert.deepEqual(
      stored(theirs, entityId),
      point(wanted.theirs),
      `the integration's ${entityId}`,
    );
    assert.deepEqual(stored(ours, entityId), point(wanted.ours), entityId);
  }
}

/** Compares what both store. Throws IntegrationLost where that says so. */
async function compare(run: Run): Promise<void> {
  const before = run.hass.output.length;
  try {
    await compareStored(run);
  } catch (error) {
    const [loss] = LOSS.exec(run.hass.output.slice(before)) ?? [];
    throw loss === undefined ? error : new IntegrationLost(loss, { cause: error });
  }
}

/** Line breaks and spaces are the same where a version writes the former. */
async function compareStored(run: Run): Promise<void> {
  const { version, store, name } = run;
  const { theirs, ours, deadLetters } = await sideBySide(run);
  const alone = difference(ours.points, theirs.points);
  measured(
    `${version}, ${name}, ${store.version}: ${theirs.points.length} points of the ` +
      `integration, ${ours.points.length} of enrich, ${alone.length} lost by the integration ` +
      `alone, ${theirs.types.length} fields, ${run.listed?.length ?? 0} listed differences`,
  );
  assert.deepEqual(difference(theirs.points, ours.points), [], `${name}: the integration's alone`);
  assert.deepEqual(alone.filter((text) => !endsInBackslash(text)), [], `${name}: enrich's alone`);
  assert.deepEqual(difference(theirs.types, ours.types), [], `${name}: types of fields`);
  assert.equal(deadLetters, 0, name);
  for (const { entityId, [store.version]: wanted } of run.listed ?? []) {
    const both = { ours: stored(ours, entityId), theirs: stored(theirs, entityId) };
    const expected = { ours: [wanted.ours], theirs: wanted.theirs ? [wanted.theirs] : [] };
    assert.deepEqual(both, expected, `${store.version}: ${entityId}`);
  }
  if (run.native) assertNative(theirs, ours);
  // a mark went into the batch of each state that loses its batch
  const [written, kept] = [ours, theirs].map((all) => stored(all, "other.mark").length);
  assert.equal(kept === written, store.version === "in1", `${kept} of ${written} marks`);
  assert.ok(theirs.points.length >= 30, "too few to mean anything");
}

/** A core whose configuration.yaml has the connection of the integration: 2026.11 takes it over from there. */
async function withYaml(
  version: HomeAssistantVersion,
  store: Store,
  name: string,
  options: string,
): Promise<HomeAssistant> {
  await store.create(`theirs ${name}`);
  const extraYaml = `influxdb:\n${store.yaml(`theirs ${name}`)}${options}`;
  return await HomeAssistant.start({ version, minimal: true, extraYaml });
}

/** All configurations, one after the other at the same core: the first from YAML, the others by its form. */
async function compareNewest(): Promise<void> {
  await using influxd = await Influxd.start();
  const store = storeOf1(influxd);
  await using hass = await withYaml(NEWEST, store, LISTED, LISTED_OPTIONS);
  const run = { version: NEWEST, hass, store, states: restStates() } as const;
  await compare({ ...run, name: LISTED, inYaml: true, listed: LISTED_STATES, native: true });
  const integration = new InfluxdbIntegration(hass);
  for (const [name, options] of Object.entries(CONFIGURATIONS)) {
    await integration.delete();
    await store.create(`theirs ${name}`);
    await integration.add(store.connection(`theirs ${name}`), options);
    await compare({ ...run, name });
  }
  const [last = ""] = Object.keys(CONFIGURATIONS).slice(-1);
  const made = await mark(hass);
  await until(() => isStored(store, `theirs ${last}`, made), "the entry that is left writes");
  assert.equal(await isStored(store, `theirs ${LISTED}`, made), false, "a deleted entry writes");
}

async function compareInfluxdb2(): Promise<void> {
  await using influxd = await Influxd2.start(128);
  const store = storeOf2(influxd);
  await using hass = await withYaml(NEWEST, store, LISTED, LISTED_OPTIONS);
  // of the others the integration loses a batch of 100, or writes a space for a tag's last backslash
  const states = restStates().filter(({ body }) => !/"":|ends in backslash/.test(body));
  assert.ok(states.length > 150);
  const run = { version: NEWEST, hass, store, name: LISTED, inYaml: true, states } as const;
  await compare({ ...run, listed: LISTED_STATES });
}

async function compareOlder(version: HomeAssistantVersion): Promise<void> {
  await using influxd = await Influxd.start();
  const store = storeOf1(influxd);
  await using hass = await withYaml(version, store, DEFAULT, "");
  const run = { version, hass, store, name: DEFAULT, inYaml: true, states: restStates() };
  await compare({ ...run, listed: LISTED_BEFORE });
}

const parts = (await availableVersions()).flatMap((version): [string, () => Promise<void>][] =>
  version === NEWEST
    ? [
      [version, () => againWhereItLost(compareNewest)],
      [`${version}, InfluxDB 2`, () => againWhereItLost(compareInfluxdb2)],
    ]
    : [[version, () => againWhereItLost(() => compareOlder(version))]]
);

realTestsAtOnce(
  "SCHEMA=homeassistant stores what Home Assistant's own integration does",
  Object.fromEntries(parts),
);
