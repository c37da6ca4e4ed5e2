/** docs/queries.md: its queries, as they stand there, asked of a house of which everything is known. */
import assert from "node:assert/strict";
import { postEventsTo } from "../../lib/ingest/delivery/post_events.ts";
import { MAX_BATCH_EVENTS } from "../../lib/contract.ts";
import { blocksOf } from "../docs/markdown.ts";
import { Checkout, OLD_RELEASE } from "./parts/checkout.ts";
import type { FluxTable } from "./parts/flux_csv.ts";
import { House } from "./parts/house.ts";
import { REAL_INFLUXDBS, type RealInfluxDb } from "./parts/influxdbs.ts";
import type { Series } from "./parts/influxql.ts";
import { knownHouse } from "./parts/known_house.ts";
import { startEnrich } from "./parts/programs.ts";
import { measured, realTest } from "./parts/real_test_case.ts";
import { batchOf } from "../ingest/outbox/rows.ts";

/** Columns by name, tags among them; `time` is the day and time in Berlin. */
type Row = Readonly<Record<string, string | number | null>>;

interface Section {
  /** The whole of it, each white space a single one. */
  readonly text: string;
  readonly influxql: readonly string[];
  readonly flux: readonly string[];
}

/** Decimals by which Flux is compared: it counts whole milliseconds. */
const MS_DIGITS = 5;

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

/** What is expected of InfluxQL, with the names that Flux has for the columns. */
function inFlux(
  rows: readonly Row[] = [],
  names: Readonly<Record<string, string>> = {},
): readonly Row[] {
  const others: Readonly<Record<string, string>> = { time: "_time", ...names };
  return rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([column, cell]) => [others[column] ?? column, cell]),
    )
  );
}

/** What the Flux query of each section must say, by the names of its results. */
const EXPECTED_FLUX: Readonly<Record<number, Readonly<Record<string, readonly Row[]>>>> = {
  1: { _result: inFlux(EXPECTED[1]?.[0]) },
  2: { _result: inFlux(EXPECTED[2]?.[0], { kWh: "_value" }) },
  // to the second, and not to the minute
  3: {
    _result: inFlux(daily("h", [
      7_200 / 3_600,
      (4_800 - 20) / 3_600,
      (1_220 + (1_860 - 20) + 5_280 + (1_800 - 20)) / 3_600,
    ])),
  },
  4: { _result: inFlux(EXPECTED[4]?.[0], { "%": "_value" }) },
  5: { _result: inFlux(EXPECTED[5]?.[0], { openings: "_value" }) },
  6: {
    _result: inFlux(EXPECTED[6]?.[0], {
      "set point": "temperature",
      actual: "current_temperature",
    }),
  },
  7: {
    _result: inFlux([
      ...daily("h", [(500 + 370) / 60, 23, (500 * 60 + 20) / 3_600], { entity_id: "person.anna" }),
      // for the first day there is no row; on the third it is not known for 20 s
      ...daily("h", [0, 13.5 - 20 / 3_600, 24 - 20 / 3_600], { entity_id: "person.ben" }).slice(1),
    ]),
  },
  8: { _result: inFlux(EXPECTED[8]?.[0]) },
  9: {
    min: inFlux(EXPECTED[9]?.[1], { min: "_value" }).map(({ max: _, ...row }) => row),
    max: inFlux(EXPECTED[9]?.[1], { max: "_value" }).map(({ min: _, ...row }) => row),
  },
  10: { _result: inFlux(EXPECTED[10]?.[0], { kW: "_value" }) },
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

/** Compares the columns that are expected, in any order of rows; numbers to so many decimals. */
function assertRows(
  actual: readonly Row[],
  expected: readonly Row[],
  message: string,
  digits = 6,
): void {
  const rounded = (cell: Row[string] | undefined) =>
    typeof cell === "number" ? Number(cell.toFixed(digits)) : cell;
  const columns = Object.keys(expected[0] ?? {});
  const shown = (rows: readonly Row[]) =>
    rows.map((row) => columns.map((column) => [column, rounded(row[column])]))
      .sort((a, b) => String(a) < String(b) ? -1 : 1);
  assert.deepEqual(shown(actual), shown(expected), message);
}

/** Stores the lines by way of enrich, of another release where its `checkout` is given. */
async function store(
  influxDb: RealInfluxDb,
  lines: readonly string[],
  checkout?: string,
): Promise<void> {
  await using enrich = await startEnrich(influxDb.env(), { checkout });
  const post = postEventsTo(enrich.url, undefined);
  for (let at = 0; at < lines.length; at += MAX_BATCH_EVENTS) {
    const batch = lines.slice(at, at + MAX_BATCH_EVENTS);
    const outcome = await post(batchOf(batch), 30_000, AbortSignal.timeout(60_000));
    assert.ok(outcome.kind === "answered", JSON.stringify(outcome));
    assert.equal(outcome.answer.stored, batch.length, JSON.stringify(outcome));
  }
}

/** Stores the known house; its first half by way of v0.1.0, where asked for. */
async function storeHouse(influxDb: RealInfluxDb, { isUpgraded = false } = {}): Promise<void> {
  const lines = knownHouse();
  const half = isUpgraded ? Math.floor(lines.length / 2) : 0;
  if (isUpgraded) {
    await using old = await Checkout.of(OLD_RELEASE);
    await store(influxDb, lines.slice(0, half), old.path);
  }
  await store(influxDb, lines.slice(half));
}

/** Rows of the results, by their names; times are those of Berlin. */
function fluxRows(tables: readonly FluxTable[]): Record<string, Row[]> {
  const results: Record<string, Row[]> = {};
  for (const { result, rows } of tables) {
    (results[result] ??= []).push(
      ...rows.map((row): Row =>
        Object.fromEntries(Object.entries(row).map(([column, cell]) => [column, plain(cell)]))
      ),
    );
  }
  return results;
}

/** Asks all queries of the sections; returns how many there are. */
async function assertQueries(
  { query, flux }: RealInfluxDb,
  sections: ReadonlyMap<number, Section>,
): Promise<string> {
  let [influxqlQueries, fluxQueries] = [0, 0];
  for (const [number, section] of sections) {
    assert.equal(section.influxql.length, EXPECTED[number]?.length, `queries of ${number}`);
    for (const [index, influxql] of section.influxql.entries()) {
      const rows = rowsOf(await query(influxql));
      assertRows(rows, EXPECTED[number]?.[index] ?? [], `section ${number}: ${influxql}`);
      influxqlQueries++;
    }
    for (const text of flux ? section.flux : []) {
      const expected = EXPECTED_FLUX[number] ?? {};
      const results = fluxRows(await flux?.(text) ?? []);
      assert.deepEqual(Object.keys(results).sort(), Object.keys(expected).sort());
      for (const [name, rows] of Object.entries(expected)) {
        assertRows(results[name] ?? [], rows, `section ${number}, ${name}: ${text}`, MS_DIGITS);
      }
      fluxQueries++;
    }
  }
  return `${influxqlQueries} queries in InfluxQL and ${fluxQueries} in Flux`;
}

for (const [name, open] of Object.entries(REAL_INFLUXDBS)) {
  realTest(
    `Each query of docs/queries.md says of a known house what is true: ${name}`,
    async () => {
      await using influxDb = await open();
      await storeHouse(influxDb);
      const sections = await readSections();
      assert.deepEqual([...sections.keys()], Object.keys(EXPECTED).map(Number));
      const asked = await assertQueries(influxDb, sections);
      for (const { section, says, influxql, rows } of TRAPS) {
        const text = sections.get(section)?.text ?? "";
        for (const words of says) assert.ok(text.includes(words), `${section} says: ${words}`);
        const series = await influxDb.query(`${influxql} tz('Europe/Berlin')`);
        assertRows(rowsOf(series), rows, `trap of section ${section}: ${influxql}`);
      }
      measured(`${name}: ${asked} of docs/queries.md are right, ${TRAPS.length} traps are shown`);
    },
  );

  realTest(`They say the same where v0.1.0 stored the first half of it: ${name}`, async () => {
    await using influxDb = await open();
    await storeHouse(influxDb, { isUpgraded: true });
    const asked = await assertQueries(influxDb, await readSections());
    measured(`${name}: ${asked} of docs/queries.md are right over an upgrade from v0.1.0`);
  });
}

/** A house in which for an hour something is so for 0.9 s of every 10 s. */
function flickeringHouse(): readonly string[] {
  const house = new House();
  const US = 1_000_000;
  const at = (time: string) => Date.parse(`2026-03-${time}+01:00`) * 1_000;
  house.nowUs = at("28T00:00");
  const temperature = { device_class: "temperature", unit_of_measurement: "°C" };
  const furnishings = [
    ["sensor.kitchen", temperature, "20.0", "120.0"],
    ["light.kitchen", {}, "off", "on"],
    ["person.anna", {}, "not_home", "home"],
  ] as const;
  for (const [entityId, attributes, state] of furnishings) {
    house.add(entityId, { name: entityId, area: "Kitchen", attributes }, state);
  }
  house.connect();
  const change = (timeUs: number, which: 2 | 3) => {
    house.nowUs = timeUs;
    for (const furnishing of furnishings) house.set(furnishing[0], furnishing[which]);
  };
  for (let beginUs = at("28T12:00"); beginUs < at("28T13:00"); beginUs += 10 * US) {
    change(beginUs, 3);
    change(beginUs + 0.9 * US, 2);
  }
  house.nowUs = at("29T00:00");
  house.snapshot();
  return house.lines;
}

const FLICKERED_H = 0.09;

realTest("Short spells count in full: InfluxDB 2.7", async () => {
  await using influxDb = await REAL_INFLUXDBS["InfluxDB 2.7"]();
  await store(influxDb, flickeringHouse());
  const sections = await readSections();
  const first = (section: number) => {
    const [influxql = "", flux = ""] = [
      sections.get(section)?.influxql[0],
      sections.get(section)?.flux[0],
    ];
    return { influxql, flux };
  };
  const says = async (flux: string, column: string) =>
    fluxRows(await influxDb.flux?.(flux) ?? [])._result?.[0]?.[column];
  const expected: readonly (readonly [
    section: number,
    column: string,
    value: number,
    cut: number | undefined,
  ])[] = [
    [1, "mean", 20 + 100 * FLICKERED_H / 24, 20],
    [3, "h", FLICKERED_H, 0],
    [7, "h", FLICKERED_H, 0],
  ];
  for (const [section, column, value, cut] of expected) {
    const { flux } = first(section);
    const said = await says(flux, column);
    assert.ok(Math.abs(Number(said) - value) < 1e-4, `section ${section}: ${said}`);
    // what the page warns of
    const seconds = flux.replace("unit: 1ms", "unit: 1s").replace("3600000.0", "3600.0");
    assert.notEqual(seconds, flux);
    assert.equal(await says(seconds, column), cut, `section ${section}, in seconds`);
  }
  for (const [section, column, value] of expected.slice(0, 2)) {
    const [row] = rowsOf(await influxDb.query(first(section).influxql));
    assert.ok(
      Math.abs(Number(row?.[column]) - value) < 1e-4,
      `section ${section}: ${row?.[column]}`,
    );
  }
});

Deno.test("Each section of docs/queries.md has one Flux query", async () => {
  for (const [number, { flux }] of await readSections()) {
    assert.equal(flux.length, 1, `how many Flux queries ${number} has`);
  }
});
