/** Every query of the dashboards, asked of real InfluxDBs that hold a small house. */
import assert from "node:assert/strict";
import { toLine } from "../../lib/enrich/influxdb/line.ts";
import {
  dashboardFiles,
  interpolated,
  type Variable,
  type VariableValues,
} from "../docs/dashboards.ts";
import { PLAYROOM, SMALL_HOUSE, smallHousePoints } from "../small_house.ts";
import { REAL_INFLUXDBS, type RealInfluxDb } from "./parts/influxdbs.ts";
import type { Series } from "./parts/influxql.ts";
import { realTest } from "./parts/real_test_case.ts";

const TIME_ZONE = "Australia/Adelaide";

type Answers = readonly (readonly Series[])[];
type Choices = Readonly<Record<string, string>>;

/** The dashboards on an InfluxDB with the small house. */
class ShownHouse implements AsyncDisposable {
  readonly #influxDb: RealInfluxDb;
  readonly #now: Date;

  private constructor(influxDb: RealInfluxDb, now: Date) {
    this.#influxDb = influxDb;
    this.#now = now;
  }

  static async start(open: () => Promise<RealInfluxDb>): Promise<ShownHouse> {
    const house = new ShownHouse(await open(), new Date());
    const lines = smallHousePoints(house.#now).map((point) => toLine(point));
    await house.#influxDb.write(lines.join("\n"));
    return house;
  }

  /** What a panel shows: the answer to each of its queries. */
  async shown(file: string, title: string, choices: Choices = {}): Promise<Answers> {
    const [panel] = dashboardOf(file).panels.filter((panel) => panel.title === title);
    assert.ok(panel, `${file} has no panel ${title}`);
    const values = await this.variables(file, choices);
    const { list } = dashboardOf(file).templating;
    const answers: Series[][] = [];
    for (const { query } of panel.targets) {
      answers.push(await this.#influxDb.query(interpolated(query, list, values)));
    }
    return answers;
  }

  /** The values of a dashboard's variables: what is chosen, else All, else the first there is. */
  async variables(file: string, choices: Choices): Promise<VariableValues> {
    const minuteMs = 60_000;
    const fromMs = this.#now.getTime() - 24 * 60 * minuteMs;
    const values = new Map<string, string | undefined>([
      ["timeFilter", `time >= ${fromMs}ms and time <= ${this.#now.getTime()}ms`],
      ["__interval", "5m"],
      ["__interval_ms", String(5 * minuteMs)],
      ["__timezone", TIME_ZONE],
    ]);
    const { list } = dashboardOf(file).templating;
    for (const variable of list) {
      const options = await this.#options(variable, list, values);
      const choice = choices[variable.name] ?? (variable.includeAll ? undefined : options[0]);
      if (choice !== undefined) assert.ok(options.includes(choice), `${variable.name}: ${options}`);
      values.set(variable.name, choice);
    }
    return values;
  }

  async #options(
    { name, query, regex }: Variable,
    list: readonly Variable[],
    values: VariableValues,
  ): Promise<readonly string[]> {
    const series = await this.#influxDb.query(interpolated(query, list, values));
    // as Grafana does: of tags' values the second column, of anything else the first
    const column = query.startsWith("SHOW TAG VALUES") ? 1 : 0;
    const found = series.flatMap((one) => one.values.map((row) => String(row[column])));
    const wanted = new RegExp(regex.replace(/^\/(.*)\/$/, "$1"));
    const options = [...new Set(found)].filter((option) => wanted.test(option)).sort();
    assert.ok(options.length > 0, `The variable ${name} has nothing to choose`);
    return options;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#influxDb[Symbol.asyncDispose]();
  }
}

function dashboardOf(file: string) {
  const [found] = dashboardFiles().filter(({ name }) => name === file);
  assert.ok(found, `No dashboard is named ${file}`);
  return found.dashboard;
}

/** The answers' values of a column, in their order. */
function columnOf(answers: Answers, column: string): readonly unknown[] {
  return answers.flat().flatMap(({ columns, values }) =>
    values.map((row) => row[columns.indexOf(column)])
  );
}

const KITCHEN_LIGHT: Choices = { name: "The light.kitchen" };

async function showsSomething(house: ShownHouse): Promise<void> {
  for (const { name, dashboard } of dashboardFiles()) {
    const all = name === "entity.json" ? KITCHEN_LIGHT : {};
    for (const choices of [all, { ...all, source: SMALL_HOUSE }]) {
      for (const { title } of dashboard.panels) {
        for (const series of await house.shown(name, title, choices)) {
          const cells = series.flatMap(({ columns, values }) =>
            values.flatMap((row) => row.filter((_, index) => columns[index] !== "time"))
          );
          assert.ok(cells.some((cell) => cell !== null), `${name}: ${title} is empty`);
        }
      }
    }
  }
}

async function countsWhatIsSoNow(house: ShownHouse): Promise<void> {
  const now = async (title: string, column: string, choices?: Choices) =>
    columnOf(await house.shown("house.json", title, choices), column);

  assert.deepEqual(await now("Doors and windows open", "now"), [1]);
  assert.deepEqual(await now("At home", "now"), [1]);
  assert.deepEqual(await now("Lowest battery", "min"), [12]);
  assert.deepEqual(await now("Power", "mean"), [430, 1250]);
  // the light of the hall was on before it became unavailable; what was removed is not missed
  assert.deepEqual(await now("Lights on now", "now"), [2]);
  assert.deepEqual(await now("Lights on now", "now", { area: PLAYROOM }), [1]);
  assert.deepEqual(await now("Unavailable entities now", "entities"), [1, 1]);
  const lost = await house.shown("house.json", "Unavailable now", { area: "Hall" });
  assert.deepEqual(columnOf(lost, "entity_id"), ["light.hall", "sensor.lost"]);
  assert.deepEqual(columnOf(lost, "name"), ["The light.hall", "The sensor.lost"]);
  assert.deepEqual(columnOf(lost, "area"), ["Hall", "Hall"]);
  assert.deepEqual(await now("Unavailable now", "entity_id", { area: "Kitchen" }), []);
}

async function daysBeginAtMidnight(house: ShownHouse): Promise<void> {
  const midnight = new Intl.DateTimeFormat("en-GB", { timeZone: TIME_ZONE, timeStyle: "medium" });
  const days = await house.shown("house.json", "Lights on, hours a day");
  assert.ok(columnOf(days, "time").length > 0);
  for (const timeNs of columnOf(days, "time")) {
    const time = new Date(Number(BigInt(String(timeNs)) / 1_000_000n));
    assert.equal(midnight.format(time), "00:00:00");
  }
  // the kitchen's 50 minutes, the playroom's 30, the hall's 80
  const hours = columnOf(days, "sum").map(Number);
  assert.equal(Math.round(60 * hours.reduce((sum, one) => sum + one, 0)), 160);
}

async function findsAnEntity(house: ShownHouse): Promise<void> {
  const values = await house.variables("entity.json", KITCHEN_LIGHT);
  assert.equal(values.get("entity_id"), "light.kitchen");
  assert.equal(values.get("domain"), "light");
  assert.equal(values.get("attribute"), "brightness");
  const states = await house.shown("entity.json", "State", KITCHEN_LIGHT);
  assert.deepEqual(columnOf(states, "state"), ["on", "off", "on"]);
  const events = await house.shown("entity.json", "Events", KITCHEN_LIGHT);
  assert.deepEqual(columnOf(events, "service"), ["turn_on"]);
  const inKitchen = await house.variables("entity.json", { ...KITCHEN_LIGHT, area: "Kitchen" });
  assert.equal(inKitchen.get("entity_id"), "light.kitchen");
  const inHall = house.variables("entity.json", { ...KITCHEN_LIGHT, area: "Hall" });
  await assert.rejects(inHall, /: name: The binary_sensor\.front_door,The light\.hall,/);
}

const SHOWN: Readonly<Record<string, (house: ShownHouse) => Promise<void>>> = {
  "each panel of each dashboard has something to show of a small house": showsSomething,
  "the house's panels count what is so now, of the areas that are chosen": countsWhatIsSoNow,
  "days begin at midnight of the dashboard's time zone": daysBeginAtMidnight,
  "an entity that is chosen by its name is found with its domain and attributes": findsAnEntity,
};

for (const [name, open] of Object.entries(REAL_INFLUXDBS)) {
  for (const [says, check] of Object.entries(SHOWN)) {
    realTest(`${says}: ${name}`, async () => {
      await using house = await ShownHouse.start(open);
      await check(house);
    });
  }
}
