import assert from "node:assert/strict";
import { dashboardFiles } from "./dashboards.ts";
import { type PromQlDashboard, promQlDashboardSchema, promQlHouse } from "./promql_dashboard.ts";
import type { Names } from "./influxql_names.ts";
import { writtenNames } from "./written_names.ts";

/** VictoriaMetrics holds the numbers alone. */
const NUMBERS = writtenNames((value) => typeof value === "number");

Deno.test("the VictoriaMetrics dashboard names only series and labels that are written", () => {
  assert.deepEqual(unknownNames(promQlHouse().dashboard, NUMBERS), []);
});

Deno.test("a VictoriaMetrics dashboard with a name that is not written is found out", () => {
  const { text } = promQlHouse();
  const made: readonly (readonly [from: string, to: string, unknown: string])[] = [
    ["held(person_value{", "held(persons_value{", "persons_value is no series"],
    // a text
    ["light_available{", "light_state{", "light_state is no series"],
    ["device_class=~", "class=~", "class is no label"],
    ["by (area)", "by (room)", "room is no label"],
    ["on (entity_id, source)", "on (entity, source)", "entity is no label"],
    ["{{name}}", "{{friendly_name}}", "friendly_name is no label"],
    ['source=~\\"$source\\"}, area)', 'source=~\\"$source\\"}, room)', "room is no label"],
  ];
  for (const [from, to, unknown] of made) {
    const changed = text.replaceAll(from, to);
    assert.notEqual(changed, text, from);
    const problems = unknownNames(promQlDashboardSchema.parse(JSON.parse(changed)), NUMBERS);
    assert.ok(problems.some((problem) => problem.endsWith(unknown)), `${to}: ${problems}`);
  }
});

Deno.test("the VictoriaMetrics dashboard shows what the one for InfluxDB shows", () => {
  const [influxDb] = dashboardFiles().filter(({ name }) => name === "house.json");
  const { text, dashboard } = promQlHouse();
  const shown = ({ panels }: { panels: readonly { readonly title: string }[] }) =>
    panels.map(({ title }) => title);
  assert.ok(influxDb);
  assert.deepEqual(shown(dashboard), shown(influxDb.dashboard));
  assert.ok(dashboardFiles().every((file) => file.dashboard.uid !== dashboard.uid));
  assert.doesNotMatch(text, /https?:\/\/|"url": /);
  assert.equal(dashboard.timezone, "");
  for (const { definition, query } of dashboard.templating.list) {
    assert.equal(definition, query.query);
  }
});

function unknownNames(dashboard: PromQlDashboard, written: Names): readonly string[] {
  const series = new Set(
    [...written].flatMap(([measurement, { fields }]) =>
      [...fields].map((field) => `${measurement}_${field}`)
    ),
  );
  const labels = new Set(["__name__", ...[...written.values()].flatMap(({ tags }) => [...tags])]);
  const targets = dashboard.panels.flatMap((panel) => panel.targets);
  const queries = [
    ...targets.map(({ expr }) => expr),
    ...dashboard.templating.list.map(({ query }) => query.query),
  ];
  const usedLabels = [
    ...queries.flatMap((query) => [
      ...captured(query, /(\w+) ?(?:=~|!~|!=|=)"/g),
      ...captured(query, /(?:by|on) \(([\w, ]*)\)/g).flatMap((list) => list.split(/, ?/)),
      ...captured(query, /^label_values\((?:.*, )?(\w+)\)$/g),
    ]),
    ...targets.flatMap(({ legendFormat }) => captured(legendFormat, /\{\{(\w+)\}\}/g)),
  ].filter(Boolean);
  const usedSeries = queries.flatMap((query) => captured(query, /(\w+)\{/g));
  assert.ok(usedLabels.length > 20 && usedSeries.length > 20);
  return [
    ...usedSeries.filter((name) => !series.has(name)).map((name) => `${name} is no series`),
    ...usedLabels.filter((name) => !labels.has(name)).map((name) => `${name} is no label`),
  ];
}

function captured(text: string, pattern: RegExp): readonly string[] {
  return [...text.matchAll(pattern)].flatMap(([, name]) => name ?? []);
}
