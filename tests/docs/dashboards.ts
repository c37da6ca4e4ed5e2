/** The Grafana dashboards of etc/grafana as Grafana reads them: panels, variables and their queries. */
import { parse } from "yaml";
import * as z from "zod";

const GRAFANA = new URL("../../etc/grafana/", import.meta.url);

const datasource = z.strictObject({ type: z.literal("influxdb"), uid: z.string() });

/** Named as Grafana's JSON names them. */
const panelSchema = z.looseObject({
  id: z.int(),
  type: z.string(),
  title: z.string().min(1),
  datasource,
  targets: z.array(z.strictObject({
    refId: z.string(),
    datasource,
    rawQuery: z.literal(true),
    query: z.string(),
    resultFormat: z.enum(["time_series", "table"]),
    alias: z.string().optional(),
  })).min(1),
  fieldConfig: z.strictObject({
    defaults: z.looseObject({ unit: z.string().min(1) }),
    overrides: z.array(z.looseObject({
      matcher: z.strictObject({ id: z.string(), options: z.string() }),
    })),
  }),
  transformations: z.array(z.looseObject({
    options: z.looseObject({ excludeByName: z.record(z.string(), z.literal(true)).optional() }),
  })).default([]),
});
export type Panel = z.infer<typeof panelSchema>;

const variableSchema = z.looseObject({
  type: z.literal("query"),
  name: z.string(),
  label: z.string().min(1),
  datasource,
  query: z.string(),
  regex: z.string(),
  includeAll: z.boolean(),
  allValue: z.string().optional(),
});
export type Variable = z.infer<typeof variableSchema>;

export const dashboardSchema = z.looseObject({
  id: z.null(),
  uid: z.string().min(1),
  title: z.string().min(1),
  timezone: z.string(),
  tags: z.array(z.string()),
  links: z.array(z.looseObject({ type: z.string(), tags: z.array(z.string()) })),
  templating: z.strictObject({ list: z.array(variableSchema) }),
  panels: z.array(panelSchema),
});
export type Dashboard = z.infer<typeof dashboardSchema>;

export interface DashboardFile {
  readonly name: string;
  readonly text: string;
  readonly dashboard: Dashboard;
}

/** Every dashboard, and the text of its file. Throws where one is not what Grafana takes. */
export function dashboardFiles(): readonly DashboardFile[] {
  const folder = new URL("dashboards/", GRAFANA);
  return [...Deno.readDirSync(folder)].map(({ name }) => {
    const text = Deno.readTextFileSync(new URL(name, folder));
    return { name, text, dashboard: dashboardSchema.parse(JSON.parse(text)) };
  });
}

/** What the YAML files of a folder of etc/grafana/provisioning say. */
export function provisioned(folder: "datasources" | "dashboards"): readonly unknown[] {
  const url = new URL(`provisioning/${folder}/`, GRAFANA);
  return [...Deno.readDirSync(url)].map(({ name }) =>
    parse(Deno.readTextFileSync(new URL(name, url)))
  );
}

/** The values of variables, as texts; `undefined` is All. */
export type VariableValues = ReadonlyMap<string, string | undefined>;

/** A query with variables replaced as Grafana replaces them: `${name:format}`, `$name`. */
export function interpolated(
  query: string,
  variables: readonly Variable[],
  values: VariableValues,
): string {
  return query.replaceAll(
    /\$(?:(\w+)|\{(\w+)(?::(\w+))?\})/g,
    (whole, plain?: string, braced?: string, format?: string) => {
      const name = plain ?? braced ?? "";
      if (!values.has(name)) throw new Error(`Cannot replace ${whole}: no variable has that name`);
      const value = values.get(name);
      if (value === undefined) {
        return variables.find((variable) => variable.name === name)?.allValue ?? "";
      }
      return format === "regex" ? value.replaceAll(/[\\^$*+?.()|[\]{}/]/g, "\\$&") : value;
    },
  );
}
