/** docs/victoriametrics.md: its queries, as they stand there, asked of a house of which everything is known. */
import assert from "node:assert/strict";
import { MAX_BATCH_EVENTS } from "../../lib/contract.ts";
import { postEventsTo } from "../../lib/ingest/delivery/post_events.ts";
import { blocksOf, page } from "../docs/markdown.ts";
import { knownHouse } from "./parts/known_house.ts";
import { startEnrich } from "./parts/programs.ts";
import { PromQl } from "./parts/promql.ts";
import { measured, realTest } from "./parts/real_test_case.ts";
import { VictoriaMetricsServer } from "./parts/victoriametrics.ts";
import { batchOf } from "../ingest/outbox/rows.ts";

/** Labels and `value`; `at` is the day or the hour that it was asked for. */
type Answer = Readonly<Record<string, string | number>>;

/** The days are asked for at their ends. */
const DAYS = ["29 00:00", "30 00:00", "31 00:00"] as const;

/** A value for each of the three days. */
function daily(values: readonly [number, number, number], labels: Answer = {}): Answer[] {
  return DAYS.map((at, day) => ({ at, ...labels, value: values[day] ?? NaN }));
}

/** What the queries of each section must say, reasoned from what happens in known_house.ts. */
const EXPECTED: Readonly<Record<number, readonly (readonly Answer[])[]>> = {
  1: [[
    // as InfluxDB's, but for a minute: of 1,440 looks the first is at 0:01
    { area: "Balcony", unit: "°C", value: (4 * 389 + 3 * 480 + 11 * 360 + 6 * 211) / 1440 },
    { area: "Kitchen", unit: "°C", value: 19 },
    { area: "Kitchen", unit: "°F", value: -0.4 },
    {
      area: "Living room",
      unit: "°C",
      value: (20 * 23 + 22 / 4 + 24 / 4 + 28 / 2 + 22 * 24) / 48,
    },
  ]],
  // 1000 to 1012; to 1013, then from 0 to 6.5; to 10, back by 0.1 without a count, to 10.5
  2: [daily([12, 1 + 6.5, 3.5 + 0.6], { entity_id: "sensor.heat_pump_energy" })],
  3: [daily([2, 80 / 60, (20 + 31 + 88 + 30) / 60], { entity_id: "light.kitchen" })],
  4: [
    [
      { entity_id: "sensor.door_battery", name: "Front door battery", value: 86 },
      { entity_id: "sensor.remote_battery", name: "Remote battery", value: 54 },
    ],
    [
      { entity_id: "sensor.door_battery", value: berlinSeconds("2026-03-30 23:00") },
      { entity_id: "sensor.remote_battery", value: berlinSeconds("2026-03-29 18:00") },
    ],
  ],
  5: [[{ entity_id: "binary_sensor.front_door", value: 3 }]],
  6: [
    ["30 07:00", "30 08:00", "30 09:00"].map((at) => ({ at, value: 21 })),
    [
      { at: "30 07:00", value: 18.5 },
      { at: "30 08:00", value: 19.5 },
      { at: "30 09:00", value: 20.5 },
      { at: "30 10:00", value: 20.4 },
      { at: "30 11:00", value: 20.4 },
    ],
  ],
  7: [[
    // to 8:20, from 17:50; all of the day; to 8:20
    ...daily([(500 + 370) / 60, 23, 500 / 60], { entity_id: "person.anna" }),
    ...daily([0, 13.5, 24], { entity_id: "person.ben" }),
  ]],
  8: [[
    { entity_id: "sensor.remote_battery", name: "Remote battery", area: "Hall", value: 0 },
    { entity_id: "switch.pond_pump", name: "Pump", area: "Garden", value: 0 },
  ]],
  9: [daily([3, 2, 5]), daily([11, 14, 15])],
  10: [daily([2, 1.8, 2.1], { entity_id: "sensor.washer_power" })],
};

/** Queries that look right and are not: the house must show it, else it proves little. */
const TRAPS: readonly {
  readonly section: number;
  /** What the section says of it. */
  readonly says: readonly string[];
  readonly promql: string;
  readonly answers: readonly Answer[];
}[] = [
  {
    section: 1,
    says: ["sum(sum_over_time(…[1d])) / sum(count_over_time(…[1d]))", "21.3"],
    promql: `# at 2026-03-29
      sum(sum_over_time(sensor_value{area="Living room"}[1d]))
        / sum(count_over_time(sensor_value{area="Living room"}[1d]))`,
    // as InfluxDB's, without the two snapshots at the beginning
    answers: [{ value: (23 * 20 + 28 + 22 + 24 + 28 + 20 + 20 + 20 + 24 * 22) / 54 }],
  },
  {
    section: 2,
    says: ["`[1d]` says 9.5"],
    promql: `# at 2026-03-30
      sum(increase(sensor_value{entity_id="sensor.heat_pump_energy"}[1d]))`,
    // an hour too many, in which it went from 1010 to 1012
    answers: [{ value: 7.5 + 2 }],
  },
  {
    section: 3,
    says: ["integrate(light_value{…}[1d]) / 3600", "4 h"],
    promql: `# at 2026-03-29
      integrate(light_value{entity_id="light.kitchen"}[1d]) / 3600`,
    answers: [{ value: 4 }],
  },
  {
    section: 4,
    says: ["lists the battery that was given a new name twice"],
    promql: `# at 2026-03-31
      last_over_time(sensor_value{device_class="battery"}[3d])`,
    answers: [
      { name: "Door battery", value: 87 },
      { name: "Front door battery", value: 86 },
      { name: "Remote battery", value: 54 },
    ],
  },
  {
    section: 5,
    says: ["sum_over_time(…[1d])", "7"],
    promql: `# at 2026-03-31
      sum_over_time(binary_sensor_value{entity_id="binary_sensor.front_door"}[1d])`,
    answers: [{ value: 2 + 2 + 3 }],
  },
  {
    section: 6,
    says: ["`[2h]` there is one at 10:00"],
    promql: `# from 2026-03-30 09:00 to 2026-03-30 11:00, step 1h
      last_over_time(climate_temperature{entity_id="climate.living_room"}[2h])`,
    answers: [{ at: "30 09:00", value: 21 }, { at: "30 10:00", value: 21 }],
  },
  {
    section: 8,
    says: ["`[3d]` would still list it"],
    promql: `# at 2026-03-31
      max by (entity_id) (last_over_time(sensor_available{entity_id="sensor.scale_weight"}[3d])) == 0`,
    answers: [{ entity_id: "sensor.scale_weight", value: 0 }],
  },
  {
    section: 8,
    says: ["a button that nobody pressed has `available` 0"],
    promql: `# at 2026-03-31
      last_over_time(button_available[2h]) == 0`,
    answers: [{ entity_id: "button.identify", value: 0 }],
  },
  {
    section: 10,
    says: ["max(max_over_time(", "2000, 1800 and 2.1"],
    promql: `# at 2026-03-29, 2026-03-30 (23h), 2026-03-31
      max(max_over_time(sensor_value{entity_id="sensor.washer_power"}[1d]))`,
    answers: daily([2000, 1800, 2.1]),
  },
];

/** Unix seconds of a day and time in Berlin; summer time begins on the 29th at 2. */
function berlinSeconds(local: string): number {
  const time = local.includes(":") ? local : `${local} 00:00`;
  const offset = time < "2026-03-29 02" ? "+01:00" : "+02:00";
  return Date.parse(`${time.replace(" ", "T")}:00${offset}`) / 1_000;
}

function berlin(seconds: number): string {
  const time = new Date(seconds * 1_000);
  return time.toLocaleString("sv-SE", { timeZone: "Europe/Berlin" }).slice(8, 16);
}

/** Asks a query at the times of the comment above it. */
async function ask(promQl: PromQl, block: string): Promise<Answer[]> {
  const range = /^# from (.+) to (.+), step (\w+)\n/.exec(block);
  if (range) {
    const [, from = "", to = "", step = ""] = range;
    const times = [berlinSeconds(from), berlinSeconds(to)] as const;
    const series = await promQl.queryRange(block, times, step);
    return series.flatMap(([labels, points]) =>
      points.map(([seconds, value]) => ({ ...labels, at: berlin(seconds), value }))
    );
  }
  const [, moments = ""] = /^# at (.+)\n/.exec(block) ?? [];
  const answers: Answer[] = [];
  for (const moment of moments.split(", ")) {
    const [, at, window] = /^(\d{4}-\d\d-\d\d)(?: \((\d+h)\))?$/.exec(moment) ?? [];
    assert.ok(at, `No time is above ${block}`);
    const query = window ? block.replaceAll("[1d", `[${window}`) : block;
    const seconds = berlinSeconds(at);
    for (const [labels, value] of await promQl.query(query, seconds)) {
      answers.push({ ...labels, at: berlin(seconds), value });
    }
  }
  return answers;
}

/** Compares the labels that are expected, and the values to the sixth decimal, in any order. */
function assertAnswers(
  actual: readonly Answer[],
  expected: readonly Answer[],
  message: string,
): void {
  const names = Object.keys(expected[0] ?? {});
  const shown = (answers: readonly Answer[]) =>
    answers.map((answer) =>
      names.map((name) => {
        const value = answer[name];
        return `${name} ${typeof value === "number" ? Number(value.toFixed(6)) : value}`;
      }).join(", ")
    ).sort();
  assert.deepEqual(shown(actual), shown(expected), message);
}

interface Section {
  /** The whole of it, each white space a single one. */
  readonly text: string;
  readonly promql: readonly string[];
}

/** The numbered sections of the page. */
function sections(): ReadonlyMap<number, Section> {
  const { text } = page("docs/victoriametrics.md");
  return new Map(
    text.split(/^### (?=\d)/m).slice(1).map((section) => [parseInt(section), {
      text: section.replaceAll(/\s+/g, " "),
      promql: blocksOf(section, "promql"),
    }]),
  );
}

/** With the flags that the page says to set. */
function startAsThePageSays(): Promise<VictoriaMetricsServer> {
  const [command = ""] = blocksOf(page("docs/victoriametrics.md").text, "sh");
  const flags = [...command.matchAll(/-(?:retention|dedup)\S+/g)].map(([flag]) => flag);
  assert.equal(flags.length, 2);
  return VictoriaMetricsServer.start(...flags);
}

/** Tells the whole house to an enrich that stores in the VictoriaMetrics. */
async function tellHouse({ url }: VictoriaMetricsServer): Promise<void> {
  await using enrich = await startEnrich({ INFLUXDB_URL: url, INFLUXDB_DATABASE: "home" });
  const post = postEventsTo(enrich.url, undefined);
  const lines = knownHouse();
  for (let at = 0; at < lines.length; at += MAX_BATCH_EVENTS) {
    const batch = lines.slice(at, at + MAX_BATCH_EVENTS);
    const outcome = await post(batchOf(batch), 30_000, AbortSignal.timeout(60_000));
    assert.ok(outcome.kind === "answered", JSON.stringify(outcome));
    assert.deepEqual(outcome.answer.problems, []);
  }
}

realTest("Each query of docs/victoriametrics.md says of a known house what is true", async () => {
  await using victoriaMetrics = await startAsThePageSays();
  await tellHouse(victoriaMetrics);
  const promQl = new PromQl(victoriaMetrics.url);
  await promQl.flush();
  const read = sections();
  assert.deepEqual([...read.keys()], Object.keys(EXPECTED).map(Number));
  for (const [number, { promql }] of read) {
    assert.equal(promql.length, EXPECTED[number]?.length, `how many queries ${number} has`);
    for (const [index, block] of promql.entries()) {
      const answers = await ask(promQl, block);
      assertAnswers(answers, EXPECTED[number]?.[index] ?? [], `section ${number}: ${block}`);
    }
  }
  for (const { section, says, promql, answers } of TRAPS) {
    const text = read.get(section)?.text ?? "";
    for (const words of says) assert.ok(text.includes(words), `${section} says: ${words}`);
    const asked = await ask(promQl, promql);
    assertAnswers(asked, answers, `trap of section ${section}: ${promql}`);
  }
  measured(`queries of docs/victoriametrics.md are right, ${TRAPS.length} traps are shown`);
});

realTest("docs/victoriametrics.md says of names and times what is true", async () => {
  await using victoriaMetrics = await startAsThePageSays();
  const promQl = new PromQl(victoriaMetrics.url);
  const { text } = page("docs/victoriametrics.md");
  const [, point] = /^The point `(sensor,.+?)`/m.exec(text) ?? [];
  const shown = [...text.matchAll(/^(sensor_\w+)(\{.+\}) ([\d.]+)$/gm)];
  assert.ok(point && shown.length === 2);

  const seconds = Math.floor(Date.now() / 1_000) - 60;
  await victoriaMetrics.write(`${point} ${seconds}000000000`);
  // two changes within a millisecond, and one in the next
  for (const [value, us] of [[5, 100], [7, 200], [6, 900], [3, 1_000]]) {
    await victoriaMetrics.write(
      `lost value=${value} ${seconds}00${String(us).padStart(4, "0")}000`,
    );
  }
  // the same event once more
  await victoriaMetrics.write(`${point} ${seconds}000000000`);
  await victoriaMetrics.write(`odd,entity_id=a a\\ b=1 ${seconds}000000000`);
  await promQl.flush();

  for (const [, name, labels = "", value] of shown) {
    const [series, ...more] = await promQl.query(`${name}${labels}`, seconds + 1);
    assert.deepEqual(more, []);
    const named = [...labels.matchAll(/(\w+)="([^"]+)"/g)].map(([, label, of]) => [label, of]);
    assert.deepEqual(series, [{ __name__: name, ...Object.fromEntries(named) }, Number(value)]);
    const [count] = await promQl.query(`count_over_time(${name}[1m])`, seconds + 1);
    assert.equal(count?.[1], 1);
  }
  const kept = ["count", "max", "min"].map((of) => `${of}_over_time(lost_value[1m])`);
  const values = await Promise.all(kept.map((query) => promQl.query(query, seconds + 1)));
  assert.deepEqual(values.map(([series]) => series?.[1]), [2, 7, 3]);
  assert.equal((await promQl.query('{__name__="odd_a b"}', seconds + 1)).length, 1);
});
