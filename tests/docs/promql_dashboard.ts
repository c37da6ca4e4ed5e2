/** The Grafana dashboard of etc/grafana/victoriametrics as Grafana reads it: panels, variables, and their queries in PromQL. */
import * as z from "zod";
import { dashboardSchema } from "./dashboards.ts";

const datasource = z.strictObject({ type: z.literal("prometheus"), uid: z.string() });

/** Named as Grafana's JSON names them. */
const panelSchema = z.looseObject({
  id: z.int(),
  title: z.string().min(1),
  datasource,
  targets: z.array(
    z.strictObject({
      refId: z.string(),
      datasource,
      expr: z.string(),
      editorMode: z.literal("code"),
      instant: z.boolean(),
      range: z.boolean(),
      format: z.enum(["time_series", "table"]),
      legendFormat: z.string(),
      interval: z.string().optional(),
    }).refine(({ instant, range }) => instant !== range),
  ).min(1),
});

const variableSchema = z.looseObject({
  type: z.literal("query"),
  name: z.string(),
  label: z.string().min(1),
  datasource,
  query: z.strictObject({
    qryType: z.literal(1),
    query: z.string().regex(/^label_values\(.+\)$/),
    refId: z.string(),
  }),
  definition: z.string(),
  multi: z.literal(true),
  includeAll: z.literal(true),
  allValue: z.string(),
});
export type PromQlVariable = z.infer<typeof variableSchema>;

export const promQlDashboardSchema = dashboardSchema.extend({
  templating: z.strictObject({ list: z.array(variableSchema) }),
  panels: z.array(panelSchema),
});
export type PromQlDashboard = z.infer<typeof promQlDashboardSchema>;

/** The house, and the text of its file. Throws where it is not what Grafana takes. */
export function promQlHouse(): { readonly text: string; readonly dashboard: PromQlDashboard } {
  const url = new URL("../../etc/grafana/victoriametrics/house.json", import.meta.url);
  const text = Deno.readTextFileSync(url);
  return { text, dashboard: promQlDashboardSchema.parse(JSON.parse(text)) };
}

/** What is chosen of each variable; none is All. */
export type Choices = Readonly<Record<string, readonly string[]>>;

/**
 * A query with variables replaced as Grafana's data source for Prometheus does it: what is chosen
 * becomes a regular expression (`prometheusSpecialRegexEscape`), All the variable's `allValue`.
 */
export function interpolatedPromQl(
  query: string,
  { templating: { list } }: PromQlDashboard,
  choices: Choices,
  builtIn: Readonly<Record<string, string>>,
): string {
  return query.replaceAll(/\$(\w+)/g, (whole, name: string) => {
    const value = builtIn[name];
    if (value !== undefined) return value;
    const variable = list.find((one) => one.name === name);
    if (!variable) throw new Error(`Cannot replace ${whole}: no variable has that name`);
    const chosen = choices[name];
    if (!chosen) return variable.allValue;
    const escaped = chosen.map((one) =>
      one.replaceAll("\\", "\\\\\\\\").replaceAll(/[$^*{}[\]+?.()|]/g, "\\\\$&")
    );
    return escaped.length === 1 ? escaped[0] ?? "" : `(${escaped.join("|")})`;
  });
}
