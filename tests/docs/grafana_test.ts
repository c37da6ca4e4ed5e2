import assert from "node:assert/strict";
import * as z from "zod";
import {
  type Dashboard,
  dashboardFiles,
  dashboardSchema,
  type Panel,
  provisioned,
} from "./dashboards.ts";
import { type Names, Query } from "./influxql_names.ts";
import { promQlHouse } from "./promql_dashboard.ts";
import { writtenNames } from "./written_names.ts";

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

const sourcesSchema = z.object({
  datasources: z.tuple([z.object({
    uid: z.string(),
    type: z.string(),
    isDefault: z.boolean().default(false),
    secureJsonData: z.record(z.string(), z.string()),
  })]),
});

Deno.test("each dashboard's queries name the provisioned data source of its kind, which holds no secret", () => {
  const sources = provisioned("datasources").map((file) =>
    sourcesSchema.parse(file).datasources[0]
  );
  const uids = new Map(sources.map(({ type, uid }) => [type, uid]));
  assert.equal(sources.filter(({ isDefault }) => isDefault).length, 1);
  assert.equal(new Set(uids.values()).size, sources.length);
  for (const { secureJsonData } of sources) {
    const [secret, ...more] = Object.values(secureJsonData);
    assert.deepEqual(more, []);
    assert.match(secret ?? "", /^(Token )?\$__file\{\/secrets\/\w+\}$/);
  }
  const named = new Map<string, Set<string>>();
  for (const { text } of [...dashboardFiles(), promQlHouse()]) {
    const used = text.matchAll(/"datasource": \{\s*"type": "(\w+)",\s*"uid": "([\w-]+)"\s*\}/g);
    for (const [, type = "", uid = ""] of used) {
      named.set(type, (named.get(type) ?? new Set()).add(uid));
    }
  }
  assert.deepEqual(named, new Map(sources.map(({ type, uid }) => [type, new Set([uid])])));
});

Deno.test("the dashboards are provisioned from a folder that docs/grafana.md names, by what secrets.sh says", () => {
  const [{ providers: [provider] }] = z.tuple([
    z.object({ providers: z.tuple([z.object({ options: z.object({ path: z.string() }) })]) }),
  ]).parse(provisioned("dashboards"));
  assert.equal(provider.options.path, "$__file{/secrets/dashboards}");
  const read = (path: string) => Deno.readTextFileSync(new URL(`../../${path}`, import.meta.url));
  const page = read("docs/grafana.md");
  const folders = [...read("etc/containers/secrets.sh").matchAll(/^ *dashboards=(\S+)$/gm)]
    .map(([, folder = ""]) => folder);
  assert.deepEqual(folders, ["/etc/grafana/dashboards", "/etc/grafana/victoriametrics"]);
  for (const folder of folders) {
    assert.ok(page.includes(`\`${folder}\``), folder);
    assert.ok(read("compose.yaml").includes(`- .${folder}:${folder}:ro`), folder);
    assert.ok(read(`.${folder}/house.json`).length > 0);
  }
});

function variablesIn(text: string): readonly string[] {
  return [...text.matchAll(/\$\{?([A-Za-z]\w*|__\w+)/g)].flatMap(([, name]) => name ?? []);
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
