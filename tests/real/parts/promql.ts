/** Asks a VictoriaMetrics in PromQL. */
import * as z from "zod";

const number = z.string().transform(Number);
const labelsSchema = z.record(z.string(), z.string());
const pointSchema = z.tuple([z.number(), number]);
const vectorSchema = z.array(z.object({ metric: labelsSchema, value: pointSchema }));
const matrixSchema = z.array(z.object({ metric: labelsSchema, values: z.array(pointSchema) }));
const valuesSchema = z.object({ data: z.array(z.string()) });

export type Labels = Readonly<z.infer<typeof labelsSchema>>;

/** A time is Unix seconds. */
type Point = readonly [seconds: number, value: number];

export class PromQl {
  constructor(private readonly url: string, private readonly headers = new Headers()) {}

  /** What it says at that moment, by series. Throws what the server says where it fails. */
  async query(promql: string, seconds: number): Promise<[Labels, number][]> {
    const answer = await this.#ask("query", { query: promql, time: String(seconds) });
    const { data: { result } } = z.object({ data: z.object({ result: vectorSchema }) })
      .parse(answer);
    return result.map(({ metric, value: [, value] }) => [metric, value]);
  }

  /** What it says every `step`, from the one time to the other, both included. */
  async queryRange(
    promql: string,
    [start, end]: readonly [number, number],
    step: string,
  ): Promise<[Labels, readonly Point[]][]> {
    const times = { start: String(start), end: String(end) };
    const answer = await this.#ask("query_range", { query: promql, ...times, step });
    const { data: { result } } = z.object({ data: z.object({ result: matrixSchema }) })
      .parse(answer);
    return result.map(({ metric, values }) => [metric, values]);
  }

  /** The values of a label of the series that `matches` selects. */
  async labelValues(
    label: string,
    matches: string | undefined,
    [start, end]: readonly [number, number],
  ): Promise<readonly string[]> {
    return valuesSchema.parse(
      await this.#ask(`label/${label}/values`, {
        start: String(start),
        end: String(end),
        ...(matches === undefined ? {} : { "match[]": matches }),
      }),
    ).data;
  }

  /** Makes what was written a moment ago visible to queries. */
  async flush(): Promise<void> {
    await this.#fetch("internal/force_flush", {});
  }

  async #ask(path: string, parameters: Readonly<Record<string, string>>): Promise<unknown> {
    return JSON.parse(await this.#fetch(`api/v1/${path}`, parameters));
  }

  async #fetch(path: string, parameters: Readonly<Record<string, string>>): Promise<string> {
    const body = new URLSearchParams({ ...parameters, nocache: "1" });
    const response = await fetch(`${this.url}/${path}`, {
      method: "POST",
      headers: this.headers,
      body,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} ${body}: ${response.status} ${text}`);
    return text;
  }
}
