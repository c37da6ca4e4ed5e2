/** docs/queries.md: its queries, as they stand there, asked of a house of which everything is known. */
import assert from "node:assert/strict";
import { postEventsTo } from "../../lib/ingest/delivery/post_events.ts";
import { MAX_BATCH_EVENTS } from "../../lib/contract.ts";
import { blocksOf } from "../docs/markdown.ts";
import { Checkout, OLD_RELEASE } from "./parts/checkout.ts";
import { Influxd, type Series } from "./parts/influxd.ts";
import { knownHouse } from "./parts/known_house.ts";
import { startEnrich } from "./parts/programs.ts";
import { measured, realTest } from "./parts/real_test_case.ts";

const DATABASE = "house";

/** Columns by name, tags among them; `time` is the day and time in Berlin. */
type Row = Readonly<Record<string, string | number | null>>;

interface Section {
  /** The whole of it, each white space a single one. */
  readonly text: string;
  readonly influxql: readonly string[];
  readonly flux: readonly string[];
}

const DAYS = ["28 00:00", "29 00:00", "30 00:00"] as const;

/** A value for each of the three days. */
function daily(column: string, values: readonly [number, number, number], more: Row = {}): Row[] {
  return DAYS.map((time, day) => ({ time, [column]: values[day] ?? null, ...more }));
}

/** What the queries of each section must say, reasoned from what happens in known_house.ts. */
const EXPECTED: Readonly<Record<number, readonly (readonly Row[])[]>> = {
  1: [[
    // 4 for 6.5 h, 3 for 8 h, 11 for 6 h, 6 for 3.5 h
    { area: "Balcony", unit: "°C", mean: (4 * 6.5 + 3 * 8 + 11 * 6 + 6 * 3.5) / 24 },
    { area: "Kitchen", unit: "°C", mean: 19 },
    { area: "Kitchen", unit: "°F", mean: -0.4 },
    // 20 but for 22, 24 and 28 (twice as long) in one hour; and 22 at the window all day
    {
      area: "Living room",
      unit: "°C",
      mean: (20 * 23 + 22 / 4 + 24 / 4 + 28 / 2 + 22 * 24) / 48,
    },
  ]],
  // 1000 to 1012; to 1013, then from 0 to 6.5; to 10, back by 0.1, to 10.5
  2: [daily("kWh", [12, 1 + 6.5, 3.5 - 0.1 + 0.6])],
  3: [
    [{ h: 1 + 1 }],
    // to the minute; on the 30th from midnight, before and after the restart, and at the end
    daily("h", [2, 80 / 60, (20 + 31 + 88 + 30) / 60]),
  ],
  4: [[
    { entity_id: "sensor.door_battery", "%": 86, name: "Front door battery", time: "30 23:00" },
    { entity_id: "sensor.remote_battery", "%": 54, name: "Remote battery", time: "29 18:00" },
  ]],
  5: [[{ openings: 3 }], [{ openings: 2 }]],
  6: [[
    { time: "30 06:00", "set point": 21, actual: 18.5 },
    { time: "30 07:00", "set point": 21, actual: 19.5 },
    { time: "30 08:00", "set point": 21, actual: 20.5 },
    { time: "30 09:00", "set point": 21, actual: 20.4 },
    { time: "30 10:00", "set point": null, actual: 20.4 },
  ]],
  7: [[
    // to 8:20, from 17:50; all of the day; to 8:20
    ...daily("h", [(500 + 370) / 60, 23, 500 / 60], { entity_id: "person.anna" }),
    ...daily("h", [0, 13.5, 24], { entity_id: "person.ben" }),
  ]],
  8: [[
    { entity_id: "sensor.remote_battery", state: "unavailable" },
    { entity_id: "switch.pond_pump", state: "unavailable" },
  ]],
  9: [
    [
      { entity_id: "sensor.terrace_temperature", old_entity_id: "sensor.balcony_temperature" },
      { entity_id: "switch.pond_pump", old_entity_id: "switch.old_pump" },
    ],
    [
      { time: "28 00:00", min: 3, max: 11 },
      { time: "29 00:00", min: 2, max: 14 },
      { time: "30 00:00", min: 5, max: 15 },
    ],
  ],
  10: [daily("kW", [2, 1.8, 2.1])],
};

interface Trap {
  readonly section: number;
  /** What the section says of it. */
  readonly says: readonly string[];
  readonly influxql: string;
  readonly rows: readonly Row[];
}

const METER = `"sensor" WHERE "entity_id" = 'sensor.heat_pump_energy'`;
const LIGHT = `"light" WHERE "entity_id" = 'light.kitchen'`;
const DOOR = `"binary_sensor" WHERE "entity_id" = 'binary_sensor.front_door'`;
const ALL_DAYS = `time >= '2026-03-28' AND time < '2026-03-31'`;

/** Queries that look right and are not: the house must show it, else it proves little. */
const TRAPS: readonly Trap[] = [
  {
    section: 1,
    says: [`mean("value")`, "21.29"],
    influxql: `SELECT mean("value") FROM "sensor" WHERE "area" = 'Living room'
      AND time >= '2026-03-28' AND time <= '2026-03-29'`,
    // 25 snapshots of each, one of them of 28; four reports; one after it was unavailable, one of its new name
    rows: [{ mean: (24 * 20 + 28 + 22 + 24 + 28 + 20 + 20 + 20 + 25 * 22) / 56 }],
  },
  {
    section: 2,
    says: [`spread("value")`, "1012.5"],
    influxql: `SELECT spread("value") FROM ${METER} AND ${ALL_DAYS} GROUP BY time(1d)`,
    rows: daily("spread", [12, 1013 - 0.5, 10.5 - 6.5]),
  },
  {
    section: 2,
    says: [`non_negative_difference("value")`, "7 instead of 7.5", "4.1 instead of 4"],
    influxql: `SELECT sum("d") FROM (SELECT non_negative_difference("value") AS "d" FROM ${METER})
      WHERE ${ALL_DAYS} GROUP BY time(1d)`,
    rows: daily("sum", [12, 7, 4.1]),
  },
  {
    section: 3,
    says: [`integral("value", 1h)`, "4 h"],
    influxql: `SELECT integral("value", 1h) FROM ${LIGHT}
      AND time >= '2026-03-28' AND time < '2026-03-29'`,
    // as if on from 18:05:10 to 22:05:10
    rows: [{ integral: 4 }],
  },
  {
    section: 3,
    says: ["still on is not counted yet", "restarted is not counted"],
    influxql: `SELECT sum("old_state_s") / 60 AS "minutes" FROM ${LIGHT}
      AND "old_state" = 'on' AND ${ALL_DAYS}`,
    // of 120 + 80 + 169 without the half hours before the restart and at the end
    rows: [{ minutes: 120 + 100 + 88 }],
  },
  {
    section: 4,
    says: [`GROUP BY "name"`, "twice"],
    influxql: `SELECT last("value") FROM "sensor" WHERE "device_class" = 'battery' AND ${ALL_DAYS}
      GROUP BY "name"`,
    rows: [
      { name: "Door battery", last: 87 },
      { name: "Front door battery", last: 86 },
      { name: "Remote battery", last: 54 },
    ],
  },
  {
    section: 5,
    says: [`count("value") … WHERE "value" = 1`, "7"],
    influxql: `SELECT count("value") FROM ${DOOR} AND "value" = 1
      AND time >= '2026-03-30' AND time < '2026-03-31'`,
    // opened twice, found open after two restarts, and open at 13:00, 14:00 and 18:00
    rows: [{ count: 2 + 2 + 3 }],
  },
  {
    section: 6,
    says: ["fill(previous)"],
    influxql: `SELECT last("temperature") FROM "climate"
      WHERE time >= '2026-03-30 09:00:00' AND time < '2026-03-30 11:00:00'
      GROUP BY time(1h) fill(previous)`,
    rows: [{ time: "30 09:00", last: 21 }, { time: "30 10:00", last: 21 }],
  },
  {
    section: 8,
    says: [`last("state")`],
    influxql: `SELECT "entity_id", "state" FROM (
        SELECT last("state"::string) AS "state" FROM "sensor" GROUP BY "entity_id")
      WHERE "state" = 'unavailable' AND time >= '2026-03-30 22:00:00' AND time < '2026-03-31'`,
    rows: [{ entity_id: "sensor.garden_humidity" }, { entity_id: "sensor.remote_battery" }],
  },
  {
    section: 8,
    says: ["The range is the last two hours"],
    influxql: `SELECT "entity_id", "state" FROM (
        SELECT last("available"), "state"::string FROM "sensor" GROUP BY "entity_id")
      WHERE "state" = 'unavailable' AND ${ALL_DAYS}`,
    rows: [{ entity_id: "sensor.remote_battery" }, { entity_id: "sensor.scale_weight" }],
  },
  {
    section: 8,
    says: ["`::string` is needed"],
    influxql: `SELECT "entity_id", "state" FROM (
        SELECT last("available"), "state" FROM /.+/ GROUP BY "entity_id")
      WHERE "state" = 'unavailable' AND ${ALL_DAYS}`,
    rows: [],
  },
  {
    section: 10,
    says: [`max("value")`, "2000, 1800 and 2.1"],
    influxql: `SELECT max("value") FROM "sensor" WHERE "entity_id" = 'sensor.washer_power'
      AND ${ALL_DAYS} GROUP BY time(1d)`,
    rows: daily("max", [2000, 1800, 2.1]),
  },
];

/** The numbered sections of docs/queries.md. */
async function readSections(): Promise<ReadonlyMap<number, Section>> {
  const markdown = await Deno.readTextFile(new URL("../../docs/queries.md", import.meta.url));
  return new Map(
    markdown.split(/^## (?=\d)/m).slice(1).map((section) => [parseInt(section), {
      text: section.replaceAll(/\s+/g, " "),
      influxql: blocksOf(section, "influxql"),
      flux: blocksOf(section, "flux"),
    }]),
  );
}

function rowsOf(series: readonly Series[]): Row[] {
  return series.flatMap(({ tags = {}, columns, values }) =>
    values.map((cells): Row => ({
      ...tags,
      ...Object.fromEntries(cells.map((cell, index) => [columns[index], plain(cell)])),
    }))
  );
}

/** Times are the only numbers that large. */
function plain(cell: Series["values"][number][number]): string | number | null {
  if (typeof cell !== "bigint") return typeof cell === "boolean" ? Number(cell) : cell;
  const time = new Date(Number(cell / 1_000_000n));
  return time.toLocaleString("sv-SE", { timeZone: "Europe/Berlin" }).slice(8, 16);
}

/** Compares the columns that are expected; numbers to the sixth decimal. */
function assertRows(actual: readonly Row[], expected: readonly Row[], message: string): void {
  const rounded = (cell: Row[string] | undefined) =>
    typeof cell === "number" ? Number(cell.toFixed(6)) : cell;
  const columns = Object.keys(expected[0] ?? {});
  const shown = (rows: readonly Row[]) =>
    rows.map((row) => Object.fromEntries(columns.map((column) => [column, rounded(row[column])])));
  assert.deepEqual(shown(actual), shown(expected), message);
}

/** An InfluxDB that holds the house, by way of enrich; its first half by way of v0.1.0, where asked for. */
async function storeHouse(
  resources: AsyncDisposableStack,
  { isUpgraded = false } = {},
): Promise<Influxd> {
  const influxd = resources.use(await Influxd.start());
  await influxd.createDatabase(DATABASE);
  const store = async (lines: readonly string[], checkout?: string) => {
    await using enrich = await startEnrich(
      { INFLUXDB_URL: influxd.url, INFLUXDB_DATABASE: DATABASE },
      { checkout },
    );
    const post = postEventsTo(enrich.url, undefined);
    for (let at = 0; at < lines.length; at += MAX_BATCH_EVENTS) {
      const batch = lines.slice(at, at + MAX_BATCH_EVENTS);
      const outcome = await post(batch, 30_000, AbortSignal.timeout(60_000));
      assert.ok(outcome.kind === "answered", JSON.stringify(outcome));
      assert.equal(outcome.answer.stored, batch.length, JSON.stringify(outcome));
    }
  };
  const lines = knownHouse();
  const half = isUpgraded ? Math.floor(lines.length / 2) : 0;
  if (isUpgraded) {
    const old = resources.use(await Checkout.of(OLD_RELEASE));
    await store(lines.slice(0, half), old.path);
  }
  await store(lines.slice(half));
  return influxd;
}

/** Asks all InfluxQL queries of the sections; returns how many there are. */
async function assertQueries(
  influxd: Influxd,
  sections: ReadonlyMap<number, Section>,
): Promise<number> {
  for (const [number, { influxql }] of sections) {
    assert.equal(influxql.length, EXPECTED[number]?.length, `how many queries ${number} has`);
    for (const [index, query] of influxql.entries()) {
      const rows = rowsOf(await influxd.query(query, DATABASE));
      assertRows(rows, EXPECTED[number]?.[index] ?? [], `section ${number}: ${query}`);
    }
  }
  return [...sections.values()].flatMap((section) => section.influxql).length;
}

realTest("Each InfluxQL query of docs/queries.md says of a known house what is true", async () => {
  await using resources = new AsyncDisposableStack();
  const influxd = await storeHouse(resources);
  const sections = await readSections();
  assert.deepEqual([...sections.keys()], Object.keys(EXPECTED).map(Number));
  const asked = await assertQueries(influxd, sections);
  for (const { section, says, influxql, rows } of TRAPS) {
    const text = sections.get(section)?.text ?? "";
    for (const words of says) assert.ok(text.includes(words), `${section} says: ${words}`);
    const series = await influxd.query(`${influxql} tz('Europe/Berlin')`, DATABASE);
    assertRows(rowsOf(series), rows, `trap of section ${section}: ${influxql}`);
  }
  measured(`${asked} queries of docs/queries.md are right, ${TRAPS.length} traps are shown`);
});

realTest("They say the same where v0.1.0 stored the first half of it", async () => {
  await using resources = new AsyncDisposableStack();
  const influxd = await storeHouse(resources, { isUpgraded: true });
  const asked = await assertQueries(influxd, await readSections());
  measured(`${asked} queries of docs/queries.md are right over an upgrade from v0.1.0`);
});

Deno.test("Each section of docs/queries.md has a Flux query, marked as not run", async () => {
  for (const [number, { flux }] of await readSections()) {
    assert.equal(flux.length, 1, `how many Flux queries ${number} has`);
    assert.match(flux[0] ?? "", /^\/\/ not run on a server\n/, `the mark of ${number}`);
  }
});
