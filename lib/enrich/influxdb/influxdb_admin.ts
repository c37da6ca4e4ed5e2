/** What is asked of InfluxDB besides writing: how long it keeps points, and a new database or bucket. */
import * as z from "zod";
import { InfluxDbFault, readAnswer, readJson, saysVersion2 } from "./influxdb_answer.ts";
import type { InfluxDbConnection, InfluxDbHttp, InfluxDbRequest } from "./influxdb_http.ts";
import { parseDurationMs } from "./retention.ts";

/** Where points go. */
export interface InfluxDbPlace extends InfluxDbConnection {
  /** A name, or an id: 16 hexadecimal digits, which a write of 2.7.12 never takes for a name. */
  readonly org?: string;
  /** Version 2; version 3 takes it for the database where that is not set. */
  readonly bucket?: string;
  /** Versions 1 and 3. */
  readonly database?: string;
}

const queryAnswerSchema = z.object({
  results: z.array(z.object({
    error: z.string().optional(),
    series: z.array(z.object({
      columns: z.array(z.string()),
      values: z.array(z.array(z.unknown())).default([]),
    })).default([]),
  })).nonempty(),
});

const bucketSchema = z.object({
  name: z.string(),
  retentionRules: z.array(z.object({ everySeconds: z.number().default(0) })).default([]),
});
const bucketsSchema = z.object({ buckets: z.array(bucketSchema) });
const orgsSchema = z.object({ orgs: z.array(z.object({ id: z.string(), name: z.string() })) });

/**
 * How long the database's default retention policy, or the bucket, keeps a point, in
 * milliseconds: Infinity forever; undefined where that cannot be seen: by version 3, with a
 * token that may write only, or where version 1 is asked of an InfluxDB 2, which says "forever" of
 * each bucket. Throws StoreUnavailable where InfluxDB says no, or something else.
 */
export async function lookUpRetention(
  http: InfluxDbHttp,
  { version, org, bucket, database = "" }: InfluxDbPlace,
  signal: AbortSignal,
): Promise<number | undefined> {
  if (version === 3) return undefined;
  let keptMs: number | undefined;
  if (version === 1) {
    const query = `SHOW RETENTION POLICIES ON ${quoted(database)}`;
    const { result: { series: [policies] }, response } = await runInfluxQl(http, query, signal);
    if (saysVersion2(response)) return undefined;
    const column = (name: string) => policies?.columns.indexOf(name) ?? -1;
    const policy = policies?.values.find((row) => row[column("default")] === true);
    keptMs = parseDurationMs(String(policy?.[column("duration")]));
  } else {
    const query = { ...(isId(org) ? { orgID: org } : { org }), name: bucket };
    const request = { method: "GET", path: "/api/v2/buckets", query } as const;
    const { json: { buckets } } = await askJson(http, request, bucketsSchema, signal);
    // where there is none of that name, 2.x may tell of its own ones
    const found = buckets.find(({ name }) => name === bucket);
    if (found) keptMs = (found.retentionRules[0]?.everySeconds ?? 0) * 1_000;
  }
  return keptMs === 0 ? Infinity : keptMs;
}

/**
 * Makes the database of 1.x, or the bucket of 2.x, that keeps points forever. Returns false where
 * there is one already. Throws InfluxDbFault with what to do.
 */
export async function createPlace(
  http: InfluxDbHttp,
  { version, org = "", bucket = "", database = "" }: InfluxDbPlace,
  signal: AbortSignal,
): Promise<boolean> {
  const statement = `CREATE DATABASE ${quoted(database)}`;
  try {
    if (version !== 2) {
      await runInfluxQl(http, statement, signal);
      return true;
    }
    const orgId = isId(org) ? org : await lookUpOrgId(http, org, signal);
    // a token that may not see the organization is shown none
    if (orgId === undefined) throw http.fault(`INFLUXDB_TOKEN may not see it${ASK_FOR_BUCKET}`);
    await askJson(
      http,
      {
        method: "POST",
        path: "/api/v2/buckets",
        contentType: "application/json",
        body: JSON.stringify({ orgID: orgId, name: bucket, retentionRules: [] }),
      },
      bucketSchema,
      signal,
    );
    return true;
  } catch (error) {
    if (!(error instanceof InfluxDbFault)) throw error;
    if (error.answer?.code === "conflict") return false;
    const what = version === 2 ? `bucket ${bucket} in organization ${org}` : `database ${database}`;
    const status = error.answer?.status;
    const wish = status !== 401 && status !== 403
      ? ""
      : version === 2
      ? ASK_FOR_BUCKET
      : `; let INFLUXDB_USERNAME be an administrator for this one command, or have one run ${statement}`;
    throw http.fault(`Cannot create ${what}: ${error.message}${wish}`, error.answer);
  }
}

const ASK_FOR_BUCKET =
  "; let INFLUXDB_TOKEN be an all-access token for this one command, or make the bucket on InfluxDB's own pages";

/** Whether a name is taken for an id by 2.x. */
function isId(name = ""): boolean {
  return /^[0-9a-f]{16}$/i.test(name);
}

async function lookUpOrgId(
  http: InfluxDbHttp,
  org: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const request = { method: "GET", path: "/api/v2/orgs", query: { org } } as const;
  const { json: { orgs } } = await askJson(http, request, orgsSchema, signal);
  return orgs.find(({ name }) => name === org)?.id;
}

/** The result of one statement. Throws InfluxDbFault, also where the statement itself failed. */
async function runInfluxQl(http: InfluxDbHttp, q: string, signal: AbortSignal) {
  const { json: { results: [result] }, response } = await askJson(
    http,
    {
      method: "POST",
      path: "/query",
      contentType: "application/x-www-form-urlencoded",
      body: String(new URLSearchParams({ q })),
    },
    queryAnswerSchema,
    signal,
  );
  if (result.error !== undefined) throw http.fault(result.error);
  return { result, response };
}

async function askJson<T>(
  http: InfluxDbHttp,
  request: InfluxDbRequest,
  schema: z.ZodType<T>,
  signal: AbortSignal,
): Promise<{ readonly json: T; readonly response: Response }> {
  const response = await http.ask(request, signal);
  if (!response.ok) {
    const answer = await readAnswer(response);
    throw http.fault(
      `it answered ${answer.status}${answer.reason && ` (${answer.reason})`}`,
      answer,
    );
  }
  const json = await readJson(response, schema);
  if (json !== undefined) return { json, response };
  throw http.fault(
    `it answered ${response.status}, but not as InfluxDB does: is INFLUXDB_URL a proxy or login page?`,
  );
}

/** An identifier of InfluxQL. */
function quoted(name: string): string {
  return `"${name.replaceAll(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"`;
}
