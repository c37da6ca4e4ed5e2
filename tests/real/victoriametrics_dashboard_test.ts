/** Every query of the dashboard for VictoriaMetrics, asked of a real one that holds a small house. */
import assert from "node:assert/strict";
import { metricLine, numbersOf } from "../../lib/enrich/victoriametrics/metric_line.ts";
import {
  type Choices,
  interpolatedPromQl,
  promQlHouse,
  type PromQlVariable,
} from "../docs/promql_dashboard.ts";
import { PLAYROOM, SMALL_HOUSE, smallHousePoints } from "../small_house.ts";
import { type Labels, PromQl } from "./parts/promql.ts";
import { realTest } from "./parts/real_test_case.ts";
import { VictoriaMetricsServer } from "./parts/victoriametrics.ts";

const { dashboard } = promQlHouse();
const DAY_S = 86_400;

interface Shown {
  readonly labels: Labels;
  readonly values: readonly number[];
  /** When, as Unix seconds. */
  readonly times: readonly number[];
}

/** The dashboard on a VictoriaMetrics with the small house. */
class ShownHouse implements AsyncDisposable {
  readonly #promQl: PromQl;

  private constructor(
    private readonly victoriaMetrics: VictoriaMetricsServer,
    /** Unix seconds. */
    readonly now: number,
  ) {
    this.#promQl = new PromQl(victoriaMetrics.url);
  }

  static async start(): Promise<ShownHouse> {
    const victoriaMetrics = await VictoriaMetricsServer.start("-dedup.minScrapeInterval=1ms");
    // a whole minute: panels look at whole minutes, and what happens is whole minutes ago
    const house = new ShownHouse(victoriaMetrics, Math.floor(Date.now() / 60_000) * 60);
    const points = smallHousePoints(new Date(house.now * 1_000))
      .flatMap((point) => numbersOf(point)?.point ?? []);
    await victoriaMetrics.write(points.map(metricLine).join("\n"));
    await house.#promQl.flush();
    return house;
  }

  /** What a panel shows: the answers to all of its queries. */
  async shown(title: string, choices: Choices = {}): Promise<readonly Shown[]> {
    const [panel] = dashboard.panels.filter((panel) => panel.title === title);
    assert.ok(panel, `no panel is named ${title}`);
    const shown: Shown[] = [];
    for (const { expr, instant, interval = "5m" } of panel.targets) {
      const query = interpolatedPromQl(expr, dashboard, choices, {
        __range: `${DAY_S}s`,
        __interval: interval,
      });
      if (instant) {
        for (const [labels, value] of await this.#promQl.query(query, this.now)) {
          shown.push({ labels, values: [value], times: [this.now] });
        }
      } else {
        const days = interval === "1d" ? 7 : 1;
        const range = [this.now - days * DAY_S, this.now] as const;
        for (const [labels, points] of await this.#promQl.queryRange(query, range, interval)) {
          shown.push({
            labels,
            values: points.map(([, value]) => value),
            times: points.map(([seconds]) => seconds),
          });
        }
      }
    }
    return shown;
  }

  /** What there is to choose of a variable. */
  async options(
    { query: { query } }: PromQlVariable,
    choices: Choices,
  ): Promise<readonly string[]> {
    const [, matches, label = ""] = /^label_values\((?:(.+), )?(\w+)\)$/.exec(query) ?? [];
    const match = matches && interpolatedPromQl(matches, dashboard, choices, {});
    return await this.#promQl.labelValues(label, match, [this.now - DAY_S, this.now]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.victoriaMetrics[Symbol.asyncDispose]();
  }
}

realTest("each panel on VictoriaMetrics has something to show of a small house", async () => {
  await using house = await ShownHouse.start();
  const all: Choices = {};
  for (const choices of [all, { source: [SMALL_HOUSE] }]) {
    for (const { title } of dashboard.panels) {
      const shown = await house.shown(title, choices);
      assert.ok(shown.some(({ values }) => values.length > 0), `${title} is empty`);
    }
  }
});

realTest(
  "the areas to choose on VictoriaMetrics are those of the houses that are chosen",
  async () => {
    await using house = await ShownHouse.start();
    const [source, area] = dashboard.templating.list;
    assert.ok(source && area);
    assert.deepEqual(await house.options(source, {}), [SMALL_HOUSE]);
    const areas = await house.options(area, { source: [SMALL_HOUSE] });
    assert.deepEqual(areas.toSorted(), ["Bedroom", "Hall", PLAYROOM, "Kitchen"].toSorted());
    assert.deepEqual(await house.options(area, { source: ["another"] }), []);
  },
);

realTest(
  "the panels on VictoriaMetrics count what is so now, of the areas that are chosen",
  async () => {
    await using house = await ShownHouse.start();
    const now = async (title: string, choices?: Choices) =>
      (await house.shown(title, choices)).flatMap(({ values }) => values);
    assert.deepEqual(await now("Doors and windows open"), [1]);
    assert.deepEqual(await now("At home"), [1]);
    assert.deepEqual(await now("Lowest battery"), [12]);
    // the light of the hall was on before it became unavailable; what was removed is not missed
    assert.deepEqual(await now("Lights on now"), [2]);
    assert.deepEqual(await now("Lights on now", { area: [PLAYROOM] }), [1]);
    assert.deepEqual(await now("Lights on now", { area: [PLAYROOM, "Hall"] }), [1]);
    assert.deepEqual(await now("Lights on now", { area: ["Hall"] }), []);
    assert.deepEqual(await now("Unavailable entities now"), [2]);
    assert.deepEqual(await now("Unavailable entities now", { area: ["Kitchen"] }), []);
    const lost = await house.shown("Unavailable now", { area: ["Hall"] });
    assert.deepEqual(lost.map(({ labels }) => labels), [
      { area: "Hall", entity_id: "light.hall", name: "The light.hall" },
      { area: "Hall", entity_id: "sensor.lost", name: "The sensor.lost" },
    ]);
  },
);

realTest("the panels on VictoriaMetrics show what was so, with units and gaps", async () => {
  await using house = await ShownHouse.start();
  const of = async (title: string, entityId: string) =>
    (await house.shown(title)).filter(({ labels }) => labels.entity_id === entityId)
      .flatMap(({ values }) => values);
  assert.deepEqual(await of("Power", "sensor.roof"), [1250]);
  assert.deepEqual(await of("Temperature", "sensor.loft"), [64.2]);
  assert.deepEqual(await of("Temperature", "sensor.kitchen_temperature"), [20.5, 21.5]);
  // each 5 minutes, from 100 minutes ago and 5 minutes ago on
  const door = await of("Doors and windows", "binary_sensor.front_door");
  assert.deepEqual(door, [...Array(19).fill(0), 1, 1]);
  const days = await house.shown("Lights on, hours a day");
  // a day stands where it begins
  for (const { times } of days) assert.deepEqual(times, [house.now - DAY_S]);
  const hours = days.flatMap(({ values }) => values);
  // the kitchen's 50 and 30 minutes, the playroom's 30 and 40, the hall's 80 until it was unavailable
  const minutes = Math.round(60 * hours.reduce((sum, one) => sum + one, 0));
  assert.ok(
    minutes === 230 || minutes === 232,
    `${minutes}, with or without the minute that is now`,
  );
});
