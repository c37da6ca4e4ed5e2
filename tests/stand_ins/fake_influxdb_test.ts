import assert from "node:assert/strict";
import { recordedAnswers, type RecordedRelease } from "../enrich/influxdb/recorded_answers.ts";
import { FakeInfluxDb } from "./fake_influxdb.ts";
import { ORG_ID } from "./fake_influxdb_admin.ts";

const HOUR_MS = 3_600_000;

interface Asked {
  readonly path: string;
  readonly body?: string;
  readonly method?: "GET";
  /** Token of version 2, or `user:password`. */
  readonly as?: string;
  readonly prepare?: (fake: FakeInfluxDb) => void;
}

const TEXT = 'm value=3 NOW\nm value="text" NOW\nm value=5 NOW';
const BROKEN = "m value=6 NOW\nm value NOW\nm value=7 NOW";
const OLD = "m value=1 OLD\nm value=2 NOW";
const knowM = (fake: FakeInfluxDb, path: string, headers: Record<string, string>) =>
  fetch(`${fake.url}${path}`, { method: "POST", headers, body: "m value=1" });

function asks1(q: string, more: Partial<Asked> = {}): Asked {
  return { path: "/query", body: String(new URLSearchParams({ q })), ...more };
}

const hides = (fake: FakeInfluxDb) => void (fake.hides = true);
const forbids = (fake: FakeInfluxDb) => void (fake.forbids = true);

const VERSION_1: Readonly<Record<string, Asked>> = {
  "good write": { path: "/write?db=home", body: "m value=1" },
  "empty body": { path: "/write?db=home" },
  "type conflict, 1 bad of 3": { path: "/write?db=home", body: TEXT },
  "parse error, 1 bad of 3": { path: "/write?db=home", body: BROKEN },
  "wrong password": { path: "/write?db=home", as: "admin:wrong" },
  "no credentials": { path: "/write?db=home", as: "" },
  "unknown db": { path: "/write?db=nowhere" },
  "read-only user": { path: "/write?db=home", prepare: forbids },
  "beyond retention (1 h), 1 of 2": { path: "/write?db=home", body: OLD },
  "SHOW RETENTION POLICIES, write-only user": asks1('SHOW RETENTION POLICIES ON "home"', {
    prepare: hides,
  }),
  "SHOW RETENTION POLICIES, unknown db": asks1('SHOW RETENTION POLICIES ON "nowhere"'),
  "CREATE DATABASE, write-only user": asks1('CREATE DATABASE "made"', { prepare: hides }),
  "v2 write endpoint": { path: "/api/v2/write?org=o&bucket=home" },
};
const WRITE_2 = "/api/v2/write?org=home&bucket=home";
const VERSION_2: Readonly<Record<string, Asked>> = {
  "good write": { path: WRITE_2, body: "m value=1" },
  "empty body": { path: WRITE_2 },
  "type conflict, 1 bad of 3": { path: WRITE_2, body: TEXT },
  "parse error, 1 bad of 3": { path: WRITE_2, body: BROKEN },
  "wrong token": { path: WRITE_2, as: "wrong" },
  "unknown bucket": { path: "/api/v2/write?org=home&bucket=nowhere" },
  "unknown org": { path: "/api/v2/write?org=nobody&bucket=home" },
  "read-only token": { path: WRITE_2, prepare: forbids },
  "beyond retention (1 h), 1 of 2": { path: WRITE_2, body: OLD },
  "GET buckets, full token": { path: "/api/v2/buckets?org=home&name=home", method: "GET" },
  "GET buckets, write-only token": {
    path: "/api/v2/buckets?org=home&name=home",
    method: "GET",
    prepare: hides,
  },
  "GET buckets, unknown name, full token": {
    path: "/api/v2/buckets?org=home&name=nowhere",
    method: "GET",
  },
  "GET buckets, unknown org": { path: "/api/v2/buckets?org=nobody&name=home", method: "GET" },
  "GET orgs, full token": { path: "/api/v2/orgs?org=home", method: "GET" },
  "GET orgs, read-write token": { path: "/api/v2/orgs?org=home", method: "GET", prepare: hides },
  "GET orgs, unknown": { path: "/api/v2/orgs?org=nobody", method: "GET" },
  "POST buckets, exists": {
    path: "/api/v2/buckets",
    body: JSON.stringify({ orgID: ORG_ID, name: "home" }),
  },
  "POST buckets, read-write token": {
    path: "/api/v2/buckets",
    body: JSON.stringify({ orgID: ORG_ID, name: "new" }),
    prepare: hides,
  },
  "POST buckets, good": {
    path: "/api/v2/buckets",
    body: JSON.stringify({ orgID: ORG_ID, name: "made" }),
  },
  "1.x write without DBRP": { path: "/write?db=home", body: "m value=1" },
  "1.x write, unknown db": { path: "/write?db=nowhere" },
  "1.x write, no credentials": { path: "/write?db=home", as: "" },
  "1.x write, Basic user:token": { path: "/write?db=home", as: "admin:admin-token" },
  "1.x write, Basic user:password": { path: "/write?db=home", as: "admin:password" },
  "1.x write, read-only token": { path: "/write?db=home", prepare: forbids },
  "1.x query SHOW RETENTION POLICIES": asks1('SHOW RETENTION POLICIES ON "home"'),
  "1.x query, WO token SHOW RETENTION": asks1('SHOW RETENTION POLICIES ON "home"', {
    prepare: hides,
  }),
  "1.x query CREATE DATABASE": asks1('CREATE DATABASE "v1made"'),
  "org by id in write": { path: `/api/v2/write?org=${ORG_ID}&bucket=home` },
  "org by id in GET buckets": { path: `/api/v2/buckets?org=${ORG_ID}&name=home`, method: "GET" },
  "org by id in GET orgs": { path: `/api/v2/orgs?org=${ORG_ID}`, method: "GET" },
};

/** Other every time, or by how it was built. */
const OWN = /^(date|content-length|connection|transfer-encoding|keep-alive)$/;

/** What of an answer a client can see that is the same each time. */
function formOf(status: number, headers: Iterable<[string, string]>, body: string) {
  const form = (text: string) =>
    text.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME").replaceAll(/\b\d{19}\b/g, "NS")
      .replaceAll(/\b[0-9a-f]{16}\b/g, "ID").replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "UUID")
      .replaceAll(/m,entity_id=\S+ /g, "m ").replaceAll(/database: \w+/g, "database: ID")
      .replaceAll(/\b(user|ro|wo|admin)\b/g, "WHO").replaceAll(/\s+$/g, "");
  const kept = [...headers].filter(([name]) => !OWN.test(name))
    .map(([name, value]) => [name, name === "x-influxdb-version" ? "OWN" : form(value)] as const);
  return { status, headers: Object.fromEntries(kept.sort()), body: form(body) };
}

/** Of long lists only the names of what is in them. */
function keysOf(body: string): unknown {
  const keys = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.slice(0, 1).map(keys);
    if (typeof value !== "object" || value === null) return "";
    return Object.fromEntries(Object.entries(value).map(([name, of]) => [name, keys(of)]));
  };
  return keys(JSON.parse(body));
}

async function answerOf(release: RecordedRelease, asked: Asked) {
  const version = release.startsWith("2") ? 2 : 1;
  await using fake = await FakeInfluxDb.start({
    version,
    username: "admin",
    password: "pw",
    token: "admin-token",
    retentionMs: HOUR_MS,
  });
  const basic = (who: string) => ({ authorization: `Basic ${btoa(who)}` });
  const by = version === 1 ? basic("admin:pw") : { authorization: "Token admin-token" };
  const known = await knowM(fake, version === 1 ? "/write?db=home" : WRITE_2, by);
  await known.body?.cancel();
  asked.prepare?.(fake);
  const { path, method = "POST", as, body = "" } = asked;
  const headers = as === undefined
    ? by
    : as === ""
    ? undefined
    : as.includes(":")
    ? basic(as)
    : { authorization: `Token ${as}` };
  const nowNs = `${Date.now()}000000`;
  const oldNs = `${Date.now() - 2 * HOUR_MS}000000`;
  const response = await fetch(`${fake.url}${path}`, {
    method,
    headers,
    ...(method === "POST" && { body: body.replaceAll("NOW", nowNs).replaceAll("OLD", oldNs) }),
  });
  return { response, text: await response.text() };
}

for (const [release, cases] of [["1.6.7", VERSION_1], ["2.7.12", VERSION_2]] as const) {
  Deno.test(`The scripted InfluxDB answers as ${release} was seen to, header by header`, async () => {
    const recorded = new Map(recordedAnswers(release).map((answer) => [answer.name, answer]));
    for (const [name, asked] of Object.entries(cases)) {
      const real = recorded.get(name);
      assert.ok(real, `no recording of ${name}`);
      const { response, text } = await answerOf(release, asked);
      const mine = formOf(response.status, response.headers, text);
      const its = formOf(real.status, real.headers, real.body);
      assert.deepEqual({ ...mine, body: "" }, { ...its, body: "" }, name);
      if (real.status < 300 && real.body.startsWith("{\n")) {
        const keys = Object.keys(Object(keysOf(real.body)));
        assert.deepEqual(Object.keys(Object(keysOf(text))).sort(), keys.sort(), name);
      } else assert.equal(mine.body, its.body, name);
    }
  });
}
