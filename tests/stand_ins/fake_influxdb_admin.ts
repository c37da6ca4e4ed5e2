/**
 * What InfluxDB says to questions other than writes. 1.6.7's answers were recorded; 2.7's follow
 * its source (tenant/http_server_bucket.go, service_bucket.go, middleware_bucket_auth.go and the
 * same of org), which no server was there to confirm.
 */
import type { FakeInfluxDbOptions, ReceivedRequest, ScriptedAnswer } from "./fake_influxdb.ts";

export interface Asked extends FakeInfluxDbOptions {
  readonly places: Set<string>;
  readonly hides: boolean;
  readonly error: (status: number, message: string) => ScriptedAnswer;
}

const ORG_ID = "0a1b2c3d4e5f6071";

export function isQuestion({ path }: ReceivedRequest): boolean {
  return ["/query", "/api/v2/buckets", "/api/v2/orgs"].includes(path);
}

/** The answer to whom credentials or token have been found right. */
export function answerQuestion(request: ReceivedRequest, asked: Asked): ScriptedAnswer {
  const { method, path, query } = request;
  if (asked.version === 1) {
    return path === "/query" ? answer1(request, asked) : asked.error(404, "404 page not found");
  }
  if (path === "/query") return asked.error(404, "404 page not found");
  if (path === "/api/v2/buckets" && method === "POST") return createBucket(request, asked);
  const org = query.get("org") ?? "";
  if (org !== asked.org) return asked.error(404, `organization name "${org}" not found`);
  const name = query.get("name") ?? "";
  if (path === "/api/v2/orgs") {
    const orgs = asked.hides ? [] : [{ links: {}, id: ORG_ID, name: org, description: "" }];
    return json(200, { links: { self: "/api/v2/orgs" }, orgs });
  }
  if (!asked.places.has(name)) return asked.error(404, `bucket "${name}" not found`);
  return json(200, { links: {}, buckets: asked.hides ? [] : [bucketOf(name, asked)] });
}

function answer1({ method, body }: ReceivedRequest, asked: Asked): ScriptedAnswer {
  const q = new URLSearchParams(body).get("q");
  if (method !== "POST" || q === null) return asked.error(400, 'missing required parameter "q"');
  const statement = /^(SHOW RETENTION POLICIES ON|CREATE DATABASE) "((?:[^"\\]|\\.)*)"$/.exec(q);
  if (!statement) return asked.error(400, `error parsing query: ${q}`);
  const [, verb, identifier = ""] = statement;
  const name = identifier.replace(/\\(.)/g, "$1");
  const creates = verb === "CREATE DATABASE";
  if (asked.hides) {
    const requires = creates ? "admin privilege" : `READ on ${name}`;
    const what = `execute statement '${verb} ${name}', requires ${requires}`;
    return asked.error(403, `error authorizing query: ${asked.username} not authorized to ${what}`);
  }
  const result = (more: object) => json(200, { results: [{ statement_id: 0, ...more }] });
  if (creates) {
    if (name === "" || /["\\/]/.test(name)) return result({ error: "invalid name" });
    asked.places.add(name);
    return result({});
  }
  if (!asked.places.has(name)) return result({ error: `database not found: ${name}` });
  const { retentionMs } = asked;
  const columns = ["name", "duration", "shardGroupDuration", "replicaN", "default"];
  const forEver = ["autogen", "0s", "168h0m0s", 1, retentionMs === undefined];
  const kept = ["short", durationOf(retentionMs ?? 0), "1h0m0s", 1, true];
  return result({
    series: [{ columns, values: retentionMs === undefined ? [forEver] : [forEver, kept] }],
  });
}

/** As Go writes it. */
function durationOf(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  return `${Math.floor(seconds / 3_600)}h${Math.floor(seconds / 60) % 60}m${seconds % 60}s`;
}

function createBucket({ body }: ReceivedRequest, asked: Asked): ScriptedAnswer {
  const { orgID, name } = JSON.parse(body);
  if (orgID !== ORG_ID) return asked.error(404, "organization not found");
  if (asked.hides) return asked.error(401, `write:orgs/${ORG_ID}/buckets is unauthorized`);
  if (asked.places.has(name)) return asked.error(422, `bucket with name ${name} already exists`);
  asked.places.add(name);
  return json(201, bucketOf(name, { ...asked, retentionMs: undefined }));
}

function bucketOf(name: string, { retentionMs }: FakeInfluxDbOptions) {
  const everySeconds = Math.round((retentionMs ?? 0) / 1_000);
  return {
    id: "00000000000000b1",
    orgID: ORG_ID,
    type: "user",
    name,
    retentionRules: [{ type: "expire", everySeconds, shardGroupDurationSeconds: 3_600 }],
    createdAt: "2026-06-25T21:20:05.162552Z",
    updatedAt: "2026-06-25T21:20:05.162552Z",
    links: {},
    labels: [],
  };
}

function json(status: number, body: unknown): ScriptedAnswer {
  return {
    status,
    body: JSON.stringify(body),
    headers: { "content-type": "application/json; charset=utf-8" },
  };
}
