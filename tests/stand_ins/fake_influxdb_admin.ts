/**
 * What InfluxDB says to questions other than writes, as 1.6.7 and 2.7.12 were seen to
 * (tests/fixtures/influxdb).
 */
import type { FakeInfluxDbOptions, ReceivedRequest, ScriptedAnswer } from "./fake_influxdb.ts";

export interface Asked extends FakeInfluxDbOptions {
  readonly places: Set<string>;
  readonly hides: boolean;
  readonly error: (status: number, message: string, code?: string) => ScriptedAnswer;
}

export const ORG_ID = "0a1b2c3d4e5f6071";

export function isQuestion({ path }: ReceivedRequest): boolean {
  return ["/query", "/api/v2/buckets", "/api/v2/orgs"].includes(path);
}

/** The answer to whom credentials or token have been found right. */
export function answerQuestion(request: ReceivedRequest, asked: Asked): ScriptedAnswer {
  const { path } = request;
  if (path === "/query") {
    return asked.version === 1 ? answer1(request, asked) : answer2By1(request, asked);
  }
  if (asked.version === 1) return asked.error(404, "404 page not found");
  return indented(answer2(request, asked));
}

function answer2({ method, path, query, body }: ReceivedRequest, asked: Asked): ScriptedAnswer {
  if (path === "/api/v2/buckets" && method === "POST") return createBucket(body, asked);
  const id = query.get("orgID")?.toLowerCase();
  const org = query.get("org") ?? "";
  if (id === undefined && org !== asked.org) {
    return asked.error(404, `organization name "${org}" not found`);
  }
  const isKnown = id === undefined || id === ORG_ID;
  if (path === "/api/v2/orgs") {
    if (!isKnown) return asked.error(404, "organization not found");
    const orgs = [{ links: {}, id: ORG_ID, name: asked.org, description: "" }];
    return json(200, { links: { self: "/api/v2/orgs" }, orgs: asked.hides ? [] : orgs });
  }
  const name = query.get("name") ?? "";
  if (!isKnown || !asked.places.has(name)) return asked.error(404, `bucket "${name}" not found`);
  return json(200, { links: {}, buckets: asked.hides ? [] : [bucketOf(name, asked)] });
}

/** Its policies keep all forever, whatever the bucket does. */
function answer2By1({ body }: ReceivedRequest, asked: Asked): ScriptedAnswer {
  const q = new URLSearchParams(body).get("q") ?? "";
  const [verb] = /^CREATE DATABASE/.exec(q) ?? [];
  const name = /"(.*)"/.exec(q)?.[1] ?? "";
  const columns = ["name", "duration", "shardGroupDuration", "replicaN", "default"];
  const values = [["autogen", "0s", "168h0m0s", 1, true]];
  const isShown = asked.places.has(name) && !asked.hides;
  const result = verb
    ? { error: `not implemented: ${verb}` }
    : { series: [{ columns, ...(isShown && { values }) }] };
  return json(200, { results: [{ statement_id: 0, ...result }] }, "application/json");
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
  const result = (more: object) =>
    json(200, { results: [{ statement_id: 0, ...more }] }, "application/json");
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
export function durationOf(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  return `${hours > 0 ? `${hours}h` : ""}${seconds >= 60 ? `${minutes}m` : ""}${seconds % 60}s`;
}

function createBucket(body: string, asked: Asked): ScriptedAnswer {
  const { orgID, name } = JSON.parse(body);
  if (orgID.toLowerCase() !== ORG_ID) return asked.error(404, "organization not found");
  if (asked.hides) return asked.error(401, `write:orgs/${ORG_ID}/buckets is unauthorized`);
  if (asked.places.has(name)) {
    return asked.error(422, `bucket with name ${name} already exists`, "conflict");
  }
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

function json(
  status: number,
  body: unknown,
  type = "application/json; charset=utf-8",
): ScriptedAnswer {
  return { status, body: JSON.stringify(body), headers: { "content-type": type } };
}

function indented(answer: ScriptedAnswer): ScriptedAnswer {
  return { ...answer, body: JSON.stringify(JSON.parse(answer.body ?? ""), null, "\t") };
}
