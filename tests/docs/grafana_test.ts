import assert from "node:assert/strict";
import { z } from "zod";
import { envelopeSchema } from "../../lib/contract.ts";
import type { StorePoint } from "../../lib/enrich/store.ts";
import { tidyPoint } from "../../lib/enrich/tidy/tidy.ts";
import {
  type Dashboard,
  dashboardFiles,
  dashboardSchema,
  type Panel,
  provisioned,
} from "./dashboards.ts";
import { type Names, Query } from "./influxql_names.ts";
import { recordedEvents } from "../recorded.ts";
import { smallHousePoints } from "../small_house.ts";

Deno.test("the dashboards name only measurements, tags and fields that are written", () => {
  const written = writtenNames();
  for (const { name, dashboard } of dashboardFiles()) {
    assert.deepEqual(unknownNames(dashboard, written), [], name);
  }
});

Deno.test("a dashboard with a name that is not written is found out, wherever the name stands", () => {
  const written = writtenNames();
  const [found] = dashboardFiles().filter(({ name }) => name === "house.json");
  assert.ok(found);
  const made: readonly (readonly [from: string, to: string, unknown: string])[] = [
    ['FROM \\"person\\"', 'FROM \\"persons\\"', "persons is no measurement"],
    ['SELECT \\"state\\" FROM', 'SELECT \\"status\\" FROM', "status is no tag or field"],
    ['mean(\\"value\\")', 'mean(\\"unit\\")', "unit is no field"],
    ['GROUP BY \\"entity_id\\"', 'GROUP BY \\"value\\"', "value is no tag"],
    ['KEY = \\"area\\"', 'KEY = \\"room\\"', "room is no tag"],
    ['AND \\"device_class\\" =~', "AND device_class =~", "device_class stands without quotes"],
    ["$tag_area", "$tag_floor", "$tag_floor is not what the query groups by"],
    ['"options": "name"', '"options": "device"', "device is no column"],
    ['"available": true', '"seen": true', "seen is no column"],
    ["__field.labels.entity_id", "__field.labels.device", "device is not what the query groups by"],
  ];
  for (const [from, to, unknown] of made) {
    const text = found.text.replaceAll(from, to);
    assert.notEqual(text, found.text, from);
    const problems = unknownNames(dashboardSchema.parse(JSON.parse(text)), written);
    assert.ok(problems.some((problem) => problem.endsWith(unknown)), `${to}: ${problems}`);
  }
});

Deno.test("each variable that a dashboard uses is its own, chosen before, or Grafana's", () => {
  for (const { name, text, dashboard } of dashboardFiles()) {
    const known = new Set(["__interval", "__interval_ms", "__timezone", "timeFilter"]);
    for (const variable of dashboard.templating.list) {
      const used = variablesIn(variable.query);
      assert.ok(used.every((one) => known.has(one)), `${name}: ${variable.name} uses ${used}`);
      known.add(variable.name);
    }
    const grafanas = ["__all", "__field", "__url_time_range", "__value", "col", "measurement"];
    for (const one of grafanas) known.add(one);
    const unknown = variablesIn(text).filter((one) => !known.has(one) && !one.startsWith("tag_"));
    assert.deepEqual(unknown, [], name);
  }
});

Deno.test("the dashboards can be told apart, reach each other and no other host", () => {
  const files = dashboardFiles();
  assert.equal(new Set(files.map(({ dashboard }) => dashboard.uid)).size, files.length);
  for (const { name, text, dashboard } of files) {
    assert.doesNotMatch(text, /https?:\/\/|"url": "\/\/|-- (?:Grafana|Mixed|Dashboard) --/, name);
    for (const [, uid] of text.matchAll(/"\/d\/([\w-]+)/g)) {
      assert.ok(files.some(({ dashboard }) => dashboard.uid === uid), `${name} links to ${uid}`);
    }
    const ids = dashboard.panels.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, name);
    const [link] = dashboard.links;
    assert.deepEqual([link?.type, link?.tags], ["dashboards", dashboard.tags], name);
  }
});

Deno.test("the dashboards leave the time zone to Grafana's default, and days follow it", () => {
  for (const { name, dashboard } of dashboardFiles()) {
    assert.equal(dashboard.timezone, "", name);
    for (const { query } of dashboard.panels.flatMap(({ targets }) => targets)) {
      assert.equal(/time\(\d+[dw]\)/.test(query), query.endsWith(" tz('${__timezone}')"), query);
    }
  }
});

Deno.test("the provisioned data source is the one that every query names, and holds no secret", () => {
  const [sources, ...more] = provisioned("datasources");
  assert.deepEqual(more, []);
  const { datasources: [source, ...others] } = z.object({
    datasources: z.array(z.object({
      uid: z.string(),
      type: z.string(),
      jsonData: z.looseObject({ version: z.string() }),
      secureJsonData: z.record(z.string(), z.string()),
    })),
  }).parse(sources);
  assert.ok(source && others.length === 0);
  assert.equal(source.jsonData.version, "InfluxQL");
  const [token, ...secrets] = Object.values(source.secureJsonData);
  assert.deepEqual(secrets, []);
  assert.match(token ?? "", /^Token \$__file\{\/secrets\/\w+\}$/);
  for (const { dashboard } of dashboardFiles()) {
    for (const { datasource } of [...dashboard.panels, ...targetsOf(dashboard)]) {
      assert.deepEqual(datasource, { type: source.type, uid: source.uid });
    }
    for (const { datasource } of dashboard.templating.list) {
      assert.deepEqual(datasource, { type: source.type, uid: source.uid });
    }
  }
});

Deno.test("the dashboards are provisioned from the folder that docs/grafana.md names", () => {
  const [{ providers: [provider] }] = z.tuple([
    z.object({ providers: z.tuple([z.object({ options: z.object({ path: z.string() }) })]) }),
  ]).parse(provisioned("dashboards"));
  const text = Deno.readTextFileSync(new URL("../../docs/grafana.md", import.meta.url));
  assert.ok(text.includes(`\`${provider.options.path}\``), provider.options.path);
});

function variablesIn(text: string): readonly string[] {
  return [...text.matchAll(/\$\{?([A-Za-z]\w*|__\w+)/g)].flatMap(([, name]) => name ?? []);
}

function targetsOf(dashboard: Dashboard) {
  return dashboard.panels.flatMap(({ targets }) => targets);
}

/** What tidyPoint makes of every recorded event, and of a house with what the recordings lack. */
function writtenNames(): Names {
  const names = new Map<string, { readonly tags: Set<string>; readonly fields: Set<string> }>();
  const add = ({ measurement, tags, fields }: StorePoint) => {
    const known = names.get(measurement) ?? { tags: new Set(), fields: new Set() };
    for (const tag of tags.keys()) known.tags.add(tag);
    for (const field of fields.keys()) known.fields.add(field);
    names.set(measurement, known);
  };
  for (const { text } of recordedEvents()) {
    const envelope = envelopeSchema.parse({ event: JSON.parse(text) });
    add(tidyPoint(envelope, text, { attributes: "standard" }).point);
  }
  for (const point of smallHousePoints(new Date())) add(point);
  return names;
}

function unknownNames(dashboard: Dashboard, written: Names): readonly string[] {
  return [
    ...dashboard.templating.list.flatMap(({ name, query }) =>
      new Query(query).unknownNames(written).map((problem) => `$${name}: ${problem}`)
    ),
    ...dashboard.panels.flatMap((panel) =>
      unknownInPanel(panel, written).map((problem) => `${panel.title}: ${problem}`)
    ),
  ];
}

/** Of a panel's queries, and of what it says of their columns. */
function unknownInPanel(panel: Panel, written: Names): readonly string[] {
  const queries = panel.targets.map(({ query, alias = "" }) => ({
    alias,
    query: new Query(query),
  }));
  const groups = queries.map(({ query }) => query.groups);
  const isGroup = (tag: string) => groups.every((tags) => tags.has(tag));
  const isColumn = (name: string) => queries.some(({ query }) => query.columns.has(name));
  const labels = [...JSON.stringify(panel.fieldConfig).matchAll(/__field\.labels\.(\w+)/g)];
  return [
    ...queries.flatMap(({ query }) => query.unknownNames(written)),
    ...queries.flatMap(({ alias, query }) =>
      [...alias.matchAll(/\$tag_(\w+)/g)].flatMap(([whole, tag = ""]) =>
        query.groups.has(tag) ? [] : [`${whole} is not what the query groups by`]
      )
    ),
    ...labels.flatMap(([, tag = ""]) =>
      isGroup(tag) ? [] : [`${tag} is not what the query groups by`]
    ),
    ...[
      ...panel.fieldConfig.overrides.flatMap(({ matcher: { id, options } }) =>
        id === "byName" ? [options] : []
      ),
      ...panel.transformations.flatMap(({ options }) => Object.keys(options.excludeByName ?? {})),
    ].flatMap((name) => name === "Time" || isColumn(name) ? [] : [`${name} is no column`]),
  ];
}
