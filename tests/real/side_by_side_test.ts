/**
 * Home Assistant's own `influxdb` integration and SCHEMA=homeassistant, at the same Home Assistant,
 * into the same influxd, configured by the very same configuration.yaml: what they store must be
 * alike, row by row and field type by field type, but for the differences that the documentation lists.
 */
import assert from "node:assert/strict";
import {
  availableVersions,
  HomeAssistant,
  type HomeAssistantVersion,
} from "./parts/home_assistant.ts";
import { Influxd, type StoredPoint } from "./parts/influxd.ts";
import { keepsLineBreaks, spaced } from "./parts/line_breaks.ts";
import { total } from "./parts/metrics_text.ts";
import { startEnrich, startIngest } from "./parts/programs.ts";
import { measured, realTestsAtOnce } from "./parts/real_test_case.ts";
import { LISTED_STATES, restStates } from "./parts/rest_states.ts";
import { until } from "../until.ts";

/** Options of the integration beside its connection. */
const CONFIGURATIONS: Readonly<Record<string, string>> = {
  "default options": "",
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

const FIRST = "other.first";
const LAST = "sensor.last";
/** With these options each point can be told by its tags. */
const PLAIN = "default options";

/** In measurements and tags, and where Python shows a list, a line break is written as \\n. */
function flat(text: string): string {
  return spaced(text.replaceAll("\\n", "\n"));
}

/** The point as text, so that two can be compared as they are shown; without line breaks where asked for. */
function textOf({ measurement, tags, fields, timeNs }: StoredPoint, lineBreaks: boolean): string {
  const sorted = (one: object) => Object.entries(one).sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify(
    [measurement, sorted(tags), String(timeNs), sorted(fields)],
    (_, value) => lineBreaks || typeof value !== "string" ? value : flat(value),
  );
}

/** What both must have in common: points after the first mark, as texts, and the types of their fields. */
async function contents(
  influxd: Influxd,
  database: string,
  sinceNs: bigint,
  lineBreaks: boolean,
) {
  const all = (await influxd.allPoints(database)).filter(({ timeNs }) => timeNs >= sinceNs);
  const isListed = ({ tags }: StoredPoint) => tags.entity_id?.startsWith("listed_") === true;
  const points = all.filter((point) => !isListed(point));
  const compared = new Set(
    points.flatMap(({ measurement, fields }) =>
      Object.keys(fields).map((field) => `${measurement} ${field}`)
    ),
  );
  const types = (await influxd.query("SHOW FIELD KEYS", database)).flatMap(({ name, values }) =>
    values.filter(([field]) => compared.has(`${name} ${field}`))
      .map(([field, type]) => `${lineBreaks ? name : flat(name)} ${field} ${type}`)
  );
  const listed = all.filter(isListed);
  return {
    points: points.map((point) => textOf(point, lineBreaks)).sort(),
    types: types.sort(),
    listed,
  };
}

type Contents = Awaited<ReturnType<typeof contents>>;

/** What stands in one list and not in the other. */
function difference(a: readonly string[], b: readonly string[]): string[] {
  const other = new Set(b);
  return a.filter((one) => !other.has(one)).map((one) => one.slice(0, 600));
}

async function isStored(influxd: Influxd, database: string, entityId: string): Promise<boolean> {
  // the mark's own attribute, for its tags and measurement follow the configuration
  const found = await influxd.query(`SELECT "mark" FROM /.*/`, database);
  return found.some(({ values }) => values.some(([, mark]) => mark === markOf(entityId)));
}

function markOf(entityId: string): number {
  return entityId === FIRST ? 1 : 2;
}

async function mark(hass: HomeAssistant, entityId: string): Promise<void> {
  await hass.setState(entityId, {
    state: "1",
    force_update: true,
    attributes: { mark: markOf(entityId) },
  });
}

/** Runs both side by side and returns what each has stored. */
async function sideBySide(
  influxd: Influxd,
  version: HomeAssistantVersion,
  options: string,
  name: string,
) {
  const [theirs, ours] = [`theirs ${name}`, `ours ${name}`];
  await influxd.createDatabase(theirs);
  await influxd.createDatabase(ours);
  const { hostname, port } = new URL(influxd.url);
  const connection =
    `influxdb:\n  host: ${hostname}\n  port: ${port}\n  database: "${theirs}"\n${options}`;
  await using hass = await HomeAssistant.start({ version, minimal: true, extraYaml: connection });
  await using enrich = await startEnrich({
    SCHEMA: "homeassistant",
    CONFIG_FILE: `${hass.dir}/configuration.yaml`,
    INFLUXDB_DATABASE: ours,
  }, { readable: [hass.dir] });
  await using ingest = await startIngest({
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    ENRICHMENT_SERVICE_URL: enrich.url,
  });
  await ingest.untilReady();
  const begunMs = Date.now();
  // with whole seconds, nothing that came before may share one with what is compared
  await until(() => Date.now() >= begunMs + 1_000, "the second is over");
  const sinceNs = BigInt(Math.floor(Date.now() / 1000)) * 1_000_000_000n;
  await mark(hass, FIRST);
  for (const { entityId, body } of restStates()) await hass.setStateText(entityId, body);
  if (name === PLAIN) {
    for (const { entityId, body } of LISTED_STATES) await hass.setStateText(entityId, body);
  }
  await mark(hass, LAST);
  for (const database of [theirs, ours]) {
    await until(() => isStored(influxd, database, LAST), `${database} has the last state`);
  }
  await until(
    async () => total(await ingest.metrics(), "ingest_events_queued") === 0,
    "nothing waits",
  );
  const lineBreaks = keepsLineBreaks(version);
  return {
    theirs: await contents(influxd, theirs, sinceNs, lineBreaks),
    ours: await contents(influxd, ours, sinceNs, lineBreaks),
    deadLetters: total(await ingest.metrics(), "ingest_events_dead_lettered"),
  };
}

/** A tag or measurement that ends in a backslash tears the integration's line, and it loses the point. */
function endsInBackslash(text: string): boolean {
  const [measurement, tags] = JSON.parse(text);
  return [measurement, ...tags.flat()].some((name) => String(name).endsWith("\\\\_"));
}

/** Since 2026.10 the integration keeps an attribute `time`, as enrich does. */
function keepsTime(version: HomeAssistantVersion): boolean {
  return version === "2026.11.0";
}

function assertListed(
  version: HomeAssistantVersion,
  { theirs, ours }: { theirs: Contents; ours: Contents },
): void {
  const stored = ({ listed }: Contents, entityId: string) =>
    listed.filter(({ tags }) => `sensor.${tags.entity_id}` === entityId)
      .map(({ measurement, fields }) => [measurement, fields]);
  for (const { entityId, ours: wanted, theirs: listed } of LISTED_STATES) {
    const lost = entityId === "sensor.listed_time" && keepsTime(version) ? wanted : listed;
    assert.deepEqual(stored(ours, entityId), [wanted], entityId);
    assert.deepEqual(stored(theirs, entityId), lost ? [lost] : [], `the integration's ${entityId}`);
  }
}

async function compare(version: HomeAssistantVersion): Promise<void> {
  await using influxd = await Influxd.start();
  for (const [name, options] of Object.entries(CONFIGURATIONS)) {
    const { theirs, ours, deadLetters } = await sideBySide(influxd, version, options, name);
    const alone = difference(ours.points, theirs.points);
    measured(
      `${version}, ${name}: ${theirs.points.length} points of the integration, ` +
        `${ours.points.length} of enrich, ${alone.length} lost by the integration alone, ` +
        `${theirs.types.length} fields`,
    );
    assert.deepEqual(
      difference(theirs.points, ours.points),
      [],
      `${name}: the integration's alone`,
    );
    assert.deepEqual(alone.filter((text) => !endsInBackslash(text)), [], `${name}: enrich's alone`);
    assert.deepEqual(difference(theirs.types, ours.types), [], `${name}: types of fields`);
    assert.equal(deadLetters, 0, name);
    if (name === PLAIN) assertListed(version, { theirs, ours });
    assert.ok(theirs.points.length >= 30, "too few to mean anything");
  }
}

const versions = await availableVersions();

realTestsAtOnce(
  "SCHEMA=homeassistant stores what Home Assistant's own integration does",
  Object.fromEntries(versions.map((version) => [version, () => compare(version)])),
);
