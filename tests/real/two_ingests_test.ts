import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { describeGaps, fillingOf } from "./parts/filling.ts";
import { HomeAssistant, newestVersion } from "./parts/home_assistant.ts";
import { Influxd, type StoredPoint } from "./parts/influxd.ts";
import { total } from "./parts/metrics_text.ts";
import { indexByEntity, stateKey } from "./parts/pipeline.ts";
import { type Program, startEnrich, startIngest } from "./parts/programs.ts";
import { Reader } from "./parts/reader.ts";
import { measured, realTest } from "./parts/real_test_case.ts";
import { until } from "../until.ts";

/** One ingest that nobody touches · one that is killed twice · one of each into the same store. */
const DATABASES = ["untouched", "killed", "both"] as const;
type Database = typeof DATABASES[number];

const OFF_MS = 5_000;
const BETWEEN_MS = 8_000;
/** The recorder commits after seconds, where nothing holds it up; a busy machine takes longer. */
const FILLED_WITHIN_MS = 110_000;
const MINUTE_NS = 60_000_000_000n;
const EXCLUDED = "sensor.excluded";
const STILL = "sensor.still";

interface House {
  readonly influxd: Influxd;
  readonly ingests: Readonly<Record<Database, readonly Program[]>>;
}

async function startPrograms(
  hass: HomeAssistant,
  resources: AsyncDisposableStack,
): Promise<House> {
  const influxd = resources.use(await Influxd.start());
  const start = async (database: Database): Promise<Program[]> => {
    await influxd.createDatabase(database);
    const enrich = resources.use(
      await startEnrich({ INFLUXDB_URL: influxd.url, INFLUXDB_DATABASE: database }),
    );
    const ingests: Program[] = [];
    for (let i = 0; i < (database === "both" ? 2 : 1); i++) {
      ingests.push(resources.use(
        await startIngest({
          HASS_URL: hass.url,
          HASS_TOKEN: hass.token,
          ENRICHMENT_SERVICE_URL: enrich.url,
          // where it runs on, so that what is compared with it knows its full minutes
          SNAPSHOT_MINUTES: database === "untouched" ? "1" : "0",
        }),
      ));
    }
    for (const ingest of ingests) await ingest.untilReady();
    return ingests;
  };
  return {
    influxd,
    ingests: {
      untouched: await start("untouched"),
      killed: await start("killed"),
      both: await start("both"),
    },
  };
}

/** What names a point: measurement, tags and time. */
function identity({ measurement, tags, timeNs }: StoredPoint): string {
  return JSON.stringify([measurement, Object.entries(tags).sort(), String(timeNs)]);
}

/**
 * The points that must be alike: of all but `entities`, since the time, without regular snapshots
 * and without what the recorder fires by itself, maybe while an ingest is off.
 */
function comparable(points: readonly StoredPoint[], fromNs: bigint): Map<string, StoredPoint> {
  return new Map(
    points.filter(({ measurement, tags, timeNs }) =>
      measurement !== "entities" && !tags.event_type?.startsWith("recorder_") &&
      timeNs >= fromNs && timeNs % MINUTE_NS !== 0n
    ).map((point) => [identity(point), point]),
  );
}

/** What a recorder's row cannot tell of an entity: excluded ones have no row, and no state before it. */
function mayLack(point: StoredPoint, field: string): boolean {
  return point.tags.entity_id === EXCLUDED && field.startsWith("old_state");
}

function compare(
  name: string,
  wanted: ReadonlyMap<string, StoredPoint>,
  found: ReadonlyMap<string, StoredPoint>,
): void {
  const missing = [...wanted.keys()].filter((key) => !found.has(key));
  const added = [...found.keys()].filter((key) => !wanted.has(key));
  assert.deepEqual(
    { missing: missing.slice(0, 5), added: added.slice(0, 5) },
    { missing: [], added: [] },
    `${name}: ${missing.length} series and times are missing, ${added.length} are added`,
  );
  const unlike = [...wanted].flatMap(([key, point]) => {
    const fields = found.get(key)?.fields ?? {};
    const names = new Set([...Object.keys(point.fields), ...Object.keys(fields)]);
    return [...names].filter((field) =>
      fields[field] !== point.fields[field] &&
      !(fields[field] === undefined && mayLack(point, field))
    ).map((field) => [key, field, point.fields[field], fields[field]]);
  });
  assert.deepEqual(unlike.slice(0, 5), [], `${name}: ${unlike.length} fields are not alike`);
}

/** Waits until the same event, fired last, is in all three. */
async function settle(hass: HomeAssistant, { influxd, ingests }: House): Promise<void> {
  const last = `settling_${crypto.randomUUID()}`;
  await hass.fireEvent(last);
  for (const database of DATABASES) {
    await until(
      async () =>
        (await influxd.query(`SELECT * FROM "events" WHERE "event_type" = '${last}'`, database))
          .length > 0,
      `the last event is in ${database}`,
    );
    for (const ingest of ingests[database]) {
      await until(
        async () => total(await ingest.metrics(), "ingest_events_queued") === 0,
        "nothing is queued",
      );
    }
  }
}

/** Changes of many kinds, each once; of text, on/off, units, and of attributes alone. */
async function change(hass: HomeAssistant, round: number): Promise<void> {
  for (let i = 0; i < 5; i++) {
    await hass.setState(`sensor.text_${i}`, {
      state: `text ${round}`,
      attributes: { round, even: round % 2 === 0, note: `note ${i}`, list: [i] },
    });
    await hass.setState(`switch.flag_${i}`, { state: (round + i) % 2 === 0 ? "on" : "off" });
    await hass.setState(`sensor.odd_${i}`, {
      state: round % 3 === 0 ? "unavailable" : String(round * 1.5),
      attributes: { unit_of_measurement: "°C", device_class: "temperature" },
    });
    // an attribute changes, the state does not: last_changed stays
    await hass.setState(`sensor.same_${i}`, { state: "same", attributes: { round } });
  }
}

realTest(
  "A store whose ingest was killed twice, and one of two ingests at once, equal that of an ingest that nobody touched",
  async () => {
    await using resources = new AsyncDisposableStack();
    const hass = resources.use(
      await HomeAssistant.start({
        version: await newestVersion(),
        minimal: true,
        recorderYaml: `  exclude:\n    entities:\n      - ${EXCLUDED}\n`,
      }),
    );
    const house = await startPrograms(hass, resources);
    const { influxd, ingests } = house;
    await using reader = await Reader.start(hass);
    await hass.setState(STILL, { state: "7", attributes: { unit_of_measurement: "m" } });
    await hass.setState(EXCLUDED, { state: "1" });
    await change(hass, 0);
    await settle(hass, house);
    await hass.setState("sensor.begin", { state: "1" });
    const { timeFiredUs: fromUs } = await reader.untilRead(
      ({ entityId }) => entityId === "sensor.begin",
      "the beginning is read",
    );
    await hass.startBurst({ n: 100_000, rate: 20, entities: 20 });

    const [killed] = ingests.killed;
    const [bothKilled] = ingests.both;
    assert.ok(killed && bothKilled);
    for (const round of [1, 2]) {
      await change(hass, 10 * round);
      await hass.fireEvent("odd_event", { round });
      await delay(BETWEEN_MS);
      await Promise.all([killed.kill(), bothKilled.kill()]);
      for (let i = 1; i <= 3; i++) {
        await change(hass, 10 * round + i);
        await delay(OFF_MS / 3);
      }
      if (round === 1) await hass.setState(EXCLUDED, { state: "2" });
      else await hass.deleteState("sensor.text_0");
      await Promise.all([killed.startAgain(), bothKilled.startAgain()]);
      for (const ingest of [killed, bothKilled]) await ingest.untilReady();
    }
    await delay(BETWEEN_MS);
    await hass.fireEvent("burst_stop");
    await settle(hass, house);
    const fromNs = fromUs * 1000n;
    const stored = async (database: Database) =>
      comparable(await influxd.allPoints(database), fromNs);
    await until(
      async () => {
        const wanted = await stored("untouched");
        const found = await Promise.all([stored("killed"), stored("both")]);
        return found.every((points) => [...wanted.keys()].every((key) => points.has(key)));
      },
      "all stores hold what the untouched one holds",
      { limitMs: FILLED_WITHIN_MS, everyMs: 1_000 },
    ).catch(() => {}); // what is missing is told below
    const statuses = await Promise.all(
      DATABASES.flatMap((name) => ingests[name].map((ingest) => fillingOf(ingest))),
    );
    await settle(hass, house);
    reader.throwIfBroken();

    await until(
      async () =>
        (await influxd.query(
          `SELECT "value" FROM "sensor" WHERE "entity_id" = '${STILL}'`,
          "untouched",
        )).flatMap(({ values }) => values).length > 1,
      "a regular snapshot is stored",
      { limitMs: 90_000, everyMs: 500 },
    );
    const points = new Map<Database, StoredPoint[]>();
    for (const name of DATABASES) points.set(name, await influxd.allPoints(name));
    const untouched = points.get("untouched") ?? [];
    const wanted = comparable(untouched, fromNs);
    assert.ok(wanted.size > 500, `${wanted.size} points`);
    for (const name of ["killed", "both"] as const) {
      compare(name, wanted, comparable(points.get(name) ?? [], fromNs));
    }

    const changed = reader.events.find(({ entityId, data }) =>
      entityId === EXCLUDED && JSON.stringify(data.new_state).includes('"state":"2"')
    );
    assert.ok(changed);
    const excluded = indexByEntity(points.get("killed") ?? []).get(
      stateKey(EXCLUDED, changed.timeFiredUs),
    );
    assert.equal(excluded?.[0]?.fields.value, 2, "the state that no recorder knows");

    const snapshots = untouched.filter(({ tags, timeNs }) =>
      tags.entity_id === STILL && timeNs % MINUTE_NS === 0n
    );
    const stillUs = reader.events.find(({ entityId }) => entityId === STILL)?.timeFiredUs;
    const still = indexByEntity(untouched).get(stateKey(STILL, stillUs ?? 0n))?.[0];
    assert.ok(snapshots.length > 0, "the regular snapshot of an entity that has not changed");
    for (const { fields, tags } of snapshots) {
      assert.deepEqual({ ...fields }, { ...still?.fields });
      assert.deepEqual({ ...tags }, { ...still?.tags });
    }
    measured(
      `one ingest untouched, one killed twice, two at once of which one was killed twice: ` +
        `${wanted.size} points alike in each store, ${snapshots.length} regular snapshots of an ` +
        `unchanged entity; gaps: ${statuses.map(describeGaps).join(" | ")}`,
    );
  },
);
