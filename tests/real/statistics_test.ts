import assert from "node:assert/strict";
import * as z from "zod";
import { until } from "../until.ts";
import { type HomeAssistant, oldestAndNewestVersions } from "./parts/home_assistant.ts";
import type { HassSocket } from "./parts/hass_socket.ts";
import type { StoredPoint } from "./parts/influxd.ts";
import { total } from "./parts/metrics_text.ts";
import { DATABASE, Pipeline } from "./parts/pipeline.ts";
import { Process } from "./parts/process.ts";
import { renameEntity } from "./parts/registered_entities.ts";
import { measured, realTest } from "./parts/real_test_case.ts";

const HOURS = 1_800;
const HOUR_MS = 3_600_000;
/** In the registry, with an area. */
const LEVEL = "sensor.double_level";
/** Only a state, and shown in another unit than its statistics are kept in. */
const HOUSE = "sensor.house_temperature";
/** Deleted long ago. */
const GONE = "sensor.gone";
const SOLAR = "energy:solar";
const VALUES = ["mean", "min", "max", "sum", "state"] as const;

const rowsSchema = z.record(
  z.string(),
  z.array(
    z.looseObject({ start: z.number() }).and(
      z.partialRecord(z.enum(VALUES), z.number().nullable()),
    ),
  ),
);

/** Every statistic has gaps, and one a gap of half a year. */
function hoursOf(values: (hour: number) => object): object[] {
  const lastMs = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - HOUR_MS;
  return Array.from({ length: HOURS }, (_, i) => i).filter((i) => i % 50 !== 7).map((i) => ({
    start: new Date(lastMs - (i < HOURS / 2 ? i : i + 4_400) * HOUR_MS).toISOString(),
    ...values(i),
  }));
}

async function showHouse(hass: HomeAssistant, state: string): Promise<void> {
  await hass.setState(HOUSE, {
    state,
    attributes: {
      unit_of_measurement: "°F",
      device_class: "temperature",
      state_class: "measurement",
      friendly_name: "House, warm",
    },
  });
}

const MEAN = { has_mean: true, has_sum: false };

function addStatistics(
  socket: HassSocket,
  statistic_id: string,
  metadata: object,
  stats: readonly object[],
): Promise<unknown> {
  return socket.command({
    type: "recorder/import_statistics",
    metadata: { statistic_id, name: null, source: "recorder", ...metadata },
    stats,
  });
}

async function makeStatistics(hass: HomeAssistant): Promise<void> {
  using socket = await hass.connect();
  const { area_id } = z.looseObject({ area_id: z.string() }).parse(
    await socket.command({ type: "config/area_registry/create", name: "Küche, hinten" }),
  );
  await socket.command({ type: "config/entity_registry/update", entity_id: LEVEL, area_id });
  await showHouse(hass, "70");
  const add = (statistic_id: string, metadata: object, stats: readonly object[]) =>
    addStatistics(socket, statistic_id, metadata, stats);
  const sum = { has_mean: false, has_sum: true };
  const means = hoursOf((i) => ({ mean: i / 7, min: -i, max: i * 1e15 }));
  await add(LEVEL, { ...MEAN, unit_of_measurement: "%" }, means);
  await add(HOUSE, { ...MEAN, unit_of_measurement: "°C" }, means);
  await add(GONE, { ...MEAN, unit_of_measurement: null }, means.slice(0, 10));
  await add(
    SOLAR,
    { ...sum, name: "Solar energy", source: "energy", unit_of_measurement: "kWh" },
    hoursOf((i) => ({ state: i / 3, sum: 1e6 - i / 3 })),
  );
}

/** `statistic_id ns` → its values, as Home Assistant tells them to anybody. */
async function told(socket: HassSocket): Promise<Map<string, object>> {
  const rows = rowsSchema.parse(
    await socket.command({
      type: "recorder/statistics_during_period",
      start_time: "1970-01-01T00:00:00+00:00",
      statistic_ids: [LEVEL, HOUSE, GONE, SOLAR],
      period: "hour",
      types: VALUES,
    }),
  );
  return new Map(
    Object.entries(rows).flatMap(([id, hours]) =>
      hours.map((hour): [string, object] => [
        `${id} ${BigInt(hour.start) * 1_000_000n}`,
        Object.fromEntries(
          VALUES.flatMap((name) => typeof hour[name] === "number" ? [[name, hour[name]]] : []),
        ),
      ])
    ),
  );
}

async function stored({ influxd }: Pipeline): Promise<StoredPoint[]> {
  return (await influxd.allPoints(DATABASE)).filter(({ measurement }) =>
    measurement === "statistics"
  );
}

/** Runs `ingest import-statistics` to its end, and until all that it has imported is delivered. */
async function importStatistics(pipeline: Pipeline, ...args: string[]): Promise<string> {
  const ingest = new URL("../../ingest.ts", import.meta.url).pathname;
  const process = new Process("ingest import-statistics", [
    Deno.execPath(),
    ...["run", "--no-prompt", "--allow-net", "--allow-env", ingest, "import-statistics", ...args],
  ], { env: { INGEST_PORT: new URL(pipeline.ingest.url).port } });
  const { code } = await process.ended();
  assert.equal(code, 0, process.output);
  await until(
    async () => total(await pipeline.ingest.metrics(), "ingest_events_queued") === 0,
    "nothing waits in the outbox",
    { limitMs: 120_000, everyMs: 100 },
  );
  return process.output;
}

for (const version of await oldestAndNewestVersions()) {
  realTest(
    `Statistics of Home Assistant ${version} are in InfluxDB row for row, and a second import changes nothing`,
    async () => {
      await using pipeline = await Pipeline.start({
        version,
        minimal: true,
        prepare: makeStatistics,
      });
      const { hass } = pipeline;
      using socket = await hass.connect();
      const expected = await until(async () => {
        const rows = await told(socket);
        return rows.size === HOURS * 0.98 * 3 + 10 && rows;
      }, "the recorder has the statistics");
      // 2026.11 has one of its own, without rows
      const { length } = z.array(z.unknown()).parse(
        await socket.command({ type: "recorder/list_statistic_ids" }),
      );
      await showHouse(hass, "71");
      await hass.callService("input_number", "set_value", {
        entity_id: "input_number.level",
        value: 30,
      });
      const { points: live } = await pipeline.settle();

      const startedMs = performance.now();
      const output = await importStatistics(pipeline);
      const seconds = (performance.now() - startedMs) / 1000;
      const first = await stored(pipeline);
      const found = new Map(
        first.map(({ tags, fields, timeNs }) => [`${tags.statistic_id} ${timeNs}`, fields]),
      );
      assert.equal(found.size, first.length, "a row is in two series");
      assert.deepEqual(new Map([...found].sort()), new Map([...expected].sort()));
      assert.match(output, new RegExp(`Imported 5,302 hours of ${length} statistics`));

      const tagsOf = (id: string) => ({
        ...first.find(({ tags }) => tags.statistic_id === id)?.tags,
      });
      for (const id of [LEVEL, HOUSE]) {
        const state = live.find(({ measurement, tags }) =>
          measurement === "sensor" && tags.entity_id === id
        );
        assert.ok(state);
        assert.deepEqual(tagsOf(id), { ...state.tags, statistic_id: id });
      }
      assert.equal(tagsOf(LEVEL).area, "Küche, hinten");
      assert.deepEqual(
        [tagsOf(HOUSE).name, tagsOf(HOUSE).unit, tagsOf(HOUSE).device_class],
        ["House, warm", "°F", "temperature"],
      );
      assert.deepEqual(tagsOf(SOLAR), { statistic_id: SOLAR, name: "Solar energy", unit: "kWh" });
      assert.deepEqual(tagsOf(GONE), { statistic_id: GONE, entity_id: GONE });

      const second = await importStatistics(pipeline);
      assert.match(second, new RegExp(`Imported 0 hours of ${length} statistics`));
      assert.deepEqual(await stored(pipeline), first);
      const again = await importStatistics(pipeline, "--since", "2000-01-01");
      assert.match(again, new RegExp(`Imported 5,302 hours of ${length} statistics`));
      assert.deepEqual(await stored(pipeline), first);

      const renamed = "sensor.renamed_level";
      await renameEntity(socket, LEVEL, renamed);
      const hour = new Date(Math.floor(Date.now() / HOUR_MS) * HOUR_MS).toISOString();
      await until(async () => {
        const list = JSON.stringify(await socket.command({ type: "recorder/list_statistic_ids" }));
        return list.includes(`"${renamed}"`) && !list.includes(`"${LEVEL}"`);
      }, "the recorder knows the new id");
      const third = await importStatistics(pipeline);
      assert.match(third, new RegExp(`Imported 0 hours of ${length} statistics`));
      await addStatistics(socket, renamed, { ...MEAN, unit_of_measurement: "%" }, [
        { start: hour, mean: 5, min: 5, max: 5 },
      ]);
      const fourth = await until(async () => {
        const output = await importStatistics(pipeline);
        return /Imported 1 hours/.test(output) && output;
      }, "the new hour is imported");
      assert.match(fourth, new RegExp(`Imported 1 hours of ${length} statistics`));
      const after = await stored(pipeline);
      assert.equal(after.length, first.length + 1);
      const level = after.filter(({ tags }) => tags.statistic_id === LEVEL);
      assert.equal(level.length, HOURS * 0.98 + 1, "a renamed statistic goes on as one");
      const ids = new Set(level.map(({ tags }) => tags.entity_id));
      assert.deepEqual([...ids].sort(), [LEVEL, renamed]);
      measured(
        `Home Assistant ${version}: ${first.length} hours of statistics in ${seconds.toFixed(1)} s`,
      );
    },
  );
}
