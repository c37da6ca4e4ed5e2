import assert from "node:assert/strict";
import { rememberSecret } from "../../../lib/log.ts";
import { createPlace, lookUpRetention } from "../../../lib/enrich/influxdb/influxdb_admin.ts";
import { wishFor } from "../../../lib/enrich/influxdb/answer_wish.ts";
import {
  blamesPoints,
  InfluxDbFault,
  isSoundWhenEmpty,
  mayBlamePoint,
  readAnswer,
  saysNoPlace,
} from "../../../lib/enrich/influxdb/influxdb_answer.ts";
import { InfluxDbHttp } from "../../../lib/enrich/influxdb/influxdb_http.ts";
import { countBeyondRetention, retentionIn } from "../../../lib/enrich/influxdb/retention.ts";
import { limitIn } from "../../../lib/enrich/influxdb/server_limit.ts";
import { FakeInfluxDb } from "../../stand_ins/fake_influxdb.ts";
import { type RecordedAnswer, recordedAnswers, type RecordedRelease } from "./recorded_answers.ts";

const HOUR_MS = 3_600_000;
const never = new AbortController().signal;

function responseOf({ status, headers, body }: RecordedAnswer): Response {
  return new Response(status === 204 ? null : body, { status, headers: [...headers] });
}

/** What a write is taken to have met, in a few words. */
async function understood(recorded: RecordedAnswer, version: 1 | 2): Promise<string> {
  const answer = await readAnswer(responseOf(recorded));
  const { meaning } = answer;
  const met = limitIn(answer);
  if (met) {
    assert.equal(countBeyondRetention(answer), 0, "a limit is no retention");
    return `limited: ${met.limit.name}, ${met.dropped}: ${met.limit.reason}`;
  }
  if (meaning === "done") return isSoundWhenEmpty(answer) ? "stored" : "?";
  if (meaning === "misconfigured") {
    return `${saysNoPlace(answer) ? "no place" : "held"}${wishFor(answer, version)}`;
  }
  const beyond = countBeyondRetention(answer);
  if (beyond > 0) return `${beyond} beyond ${retentionIn(answer)} ms`;
  if (blamesPoints(answer)) return meaning === "too large" ? meaning : "points refused";
  return mayBlamePoint(answer) ? "a point may be to blame" : "?";
}

type Expected = Readonly<Record<string, string>>;

const LOGIN_1 = "held; check INFLUXDB_USERNAME and INFLUXDB_PASSWORD";
const MISSING_1 = 'no place; create it by "enrich check --create", or correct INFLUXDB_DATABASE';
const MAY_WRITE_1 = "held; allow INFLUXDB_USERNAME to write to INFLUXDB_DATABASE";
const NO_PATH = "held; check INFLUXDB_URL and INFLUXDB_VERSION";

const VERSION_1: Expected = {
  "good write": "stored",
  "empty body": "stored",
  "type conflict, 1 bad of 3": "points refused",
  "parse error, 1 bad of 3": "points refused",
  "wrong password": LOGIN_1,
  "no credentials": LOGIN_1,
  "unknown db": MISSING_1,
  "unknown db, user of home only": MISSING_1,
  "read-only user": MAY_WRITE_1,
  "read-only user, empty body": MAY_WRITE_1,
  "write-only user": "stored",
  "beyond retention and type conflict": "points refused",
  "a body of 57 MB (limit 25 MB)": "too large",
};

const LOGIN_2 = "held; check INFLUXDB_TOKEN";
const MISSING_2 = 'no place; create it by "enrich check --create", or correct INFLUXDB_BUCKET';
const MAY_WRITE_2 = "held; let INFLUXDB_TOKEN be one that may write to INFLUXDB_BUCKET";
const NO_ORG_2 = "no place; correct INFLUXDB_ORG";
const TOKEN_AS_PASSWORD =
  "held; this is an InfluxDB 2, which knows tokens only: set INFLUXDB_USERNAME to any name and " +
  "INFLUXDB_PASSWORD to a token that may write to the bucket, or INFLUXDB_BUCKET, INFLUXDB_ORG and INFLUXDB_TOKEN in place of " +
  "INFLUXDB_DATABASE";
const NO_MAPPING =
  "no place; this is an InfluxDB 2 where INFLUXDB_PASSWORD, a token, may write to no bucket that is " +
  "called as INFLUXDB_DATABASE says: make that bucket, or correct INFLUXDB_DATABASE";

const VERSION_2: Expected = {
  "write before set-up": LOGIN_2,
  "good write": "stored",
  "empty body": "stored",
  "type conflict, 1 bad of 3": "points refused",
  "type conflict within one new batch": "points refused",
  "parse error, 1 bad of 3": "points refused",
  "wrong token": LOGIN_2,
  "no token": LOGIN_2,
  "unknown bucket": MISSING_2,
  "unknown bucket, empty body": MISSING_2,
  "unknown org": NO_ORG_2,
  "bucket of another org": MISSING_2,
  "read-only token": MAY_WRITE_2,
  "read-only token, empty body": MAY_WRITE_2,
  "write-only token": "stored",
  "token of bucket home writes to bucket second of the org": MAY_WRITE_2,
  "token of bucket home, unknown bucket": MISSING_2,
  "token of bucket home, other org": MAY_WRITE_2,
  "token of bucket home, unknown org": NO_ORG_2,
  "beyond retention (1 h), 1 of 2": `1 beyond ${HOUR_MS} ms`,
  "beyond retention (1 h), all": `2 beyond ${HOUR_MS} ms`,
  "beyond retention and type conflict": "points refused",
  "a text above 1 MiB": "points refused",
  "a body of 50 MB": "stored",
  "1.x write without DBRP": "stored",
  "1.x write, empty body": "stored",
  "1.x write, unknown db": NO_MAPPING,
  "1.x write, no credentials": TOKEN_AS_PASSWORD,
  "1.x write, Basic user:token": "stored",
  "1.x write, Basic user:password": TOKEN_AS_PASSWORD,
  "malformed gzip": "a point may be to blame",
};

const WRITES: Readonly<Record<RecordedRelease, Expected>> = {
  "1.6.7": {
    ...VERSION_1,
    "beyond retention (1 h), 1 of 2": "1 beyond undefined ms",
    "beyond retention (1 h), all": "1 beyond undefined ms",
    "a text above 1 MiB": "stored",
    "v2 write endpoint": NO_PATH,
    "v2 write endpoint, empty": NO_PATH,
    "v2 write endpoint, unknown bucket": NO_PATH,
  },
  "1.13.2": {
    ...VERSION_1,
    "beyond retention (1 h), 1 of 2": `1 beyond ${HOUR_MS} ms`,
    "beyond retention (1 h), all": `1 beyond ${HOUR_MS} ms`,
    "a text above 1 MiB": "points refused",
    "v2 write endpoint": "stored",
    "v2 write endpoint, empty": "stored",
    "v2 write endpoint, unknown bucket": MISSING_2,
    "FUTURE LIMIT 10m: a point 1 h ahead, and one now":
      "limited: write window, 1: points outside write window (-1h0m0s to 10m0s)",
    "PAST LIMIT 1h: a point of 2 h ago":
      "limited: write window, 1: points outside write window (-1h0m0s to 10m0s)",
  },
  "2.7.12": {
    ...VERSION_2,
    "1.x write, read-only token, empty body": TOKEN_AS_PASSWORD,
    "1.x write, read-only token": TOKEN_AS_PASSWORD,
    "1.x write, RW token of home, db second": NO_MAPPING,
    "1.x write, RW token of home, db home": "stored",
    "1.x write, WO token of home, db home": "stored",
    "1.x type conflict": "points refused",
    "1.x beyond retention": `1 beyond ${HOUR_MS} ms`,
    "org by id in write": "stored",
    "bucket by id in write": "stored",
  },
  "2.9.1": VERSION_2,
};

/** What else was asked: `lookUpRetention` tells milliseconds, `createPlace` what it has done, or why it cannot. */
const QUESTIONS_1: Expected = {
  "SHOW RETENTION POLICIES": `${HOUR_MS}`,
  "SHOW RETENTION POLICIES, write-only user":
    "it answered 403 (error authorizing query: wo not authorized to execute statement 'SHOW " +
    "RETENTION POLICIES ON home', requires READ on home)",
  "SHOW RETENTION POLICIES, unknown db": "database not found: nowhere",
  "CREATE DATABASE, write-only user":
    "Cannot create database home: it answered 403 (error authorizing query: wo not authorized to " +
    "execute statement 'CREATE DATABASE made', requires admin privilege); let INFLUXDB_USERNAME be an " +
    'administrator for this one command, or have one run CREATE DATABASE "home"',
};
const QUESTIONS_2: Expected = {
  "GET buckets, full token": `${HOUR_MS}`,
  "GET buckets, write-only token": "undefined",
  "GET buckets, read-write token of home": "Infinity",
  "GET buckets, read-write token of home, name second": "undefined",
  "GET buckets, unknown name, full token": 'it answered 404 (bucket "nowhere" not found)',
  "GET buckets, unknown org": 'it answered 404 (organization name "nobody" not found)',
  "GET orgs, full token": "true",
  "GET orgs, read-write token":
    "Cannot create bucket home in organization home: INFLUXDB_TOKEN may not see it; let INFLUXDB_TOKEN " +
    "be an all-access token for this one command, or make the bucket on InfluxDB's own pages",
  "GET orgs, unknown":
    'Cannot create bucket home in organization home: it answered 404 (organization name "nobody" not ' +
    "found)",
  "POST buckets, read-write token":
    "Cannot create bucket home in organization home: it answered 401 " +
    "(write:orgs/ORG/buckets is unauthorized); let INFLUXDB_TOKEN be an all-access token for this one " +
    "command, or make the bucket on InfluxDB's own pages",
  "POST buckets, exists": "false",
  "POST buckets, good": "true",
  "POST buckets, name _x":
    "Cannot create bucket home in organization home: it answered 400 (bucket " +
    "name _x is invalid. Buckets may not start with underscore)",
  "POST buckets, schema-type explicit": "true",
  "1.x query SHOW RETENTION POLICIES": "undefined",
  "1.x query SHOW RETENTION POLICIES db": "undefined",
  "1.x query CREATE DATABASE": "Cannot create database home: not implemented: CREATE DATABASE",
};
const QUESTIONS: Readonly<Record<RecordedRelease, Expected>> = {
  "1.6.7": {
    ...QUESTIONS_1,
    "v2 GET buckets": "it answered 404 (404 page not found)",
  },
  "1.13.2": { ...QUESTIONS_1, "v2 GET buckets": "undefined" },
  "2.7.12": {
    ...QUESTIONS_2,
    "1.x query, WO token SHOW RETENTION": "undefined",
    "org by id in GET buckets": 'it answered 404 (organization name "3a0b36595df1ef45" not found)',
    "org by id in GET orgs":
      "Cannot create bucket home in organization home: it answered 404 (organization name " +
      '"3a0b36595df1ef45" not found)',
  },
  "2.9.1": QUESTIONS_2,
};

/** What concerns enrich in nothing. */
const OTHERS = ["setup", "ping", "1.x query, RW token of home only"].concat(
  "1.x query, token that may only read home (Grafana)",
);

function versionOf(release: RecordedRelease, { name }: RecordedAnswer): 1 | 2 {
  return /^v2|^(GET|POST) /.test(name) || release.startsWith("2") && !name.startsWith("1.x")
    ? 2
    : 1;
}

/** What a question that gets this answer comes to, be it asked for the retention or for a new place. */
async function answerTo(recorded: RecordedAnswer, version: 1 | 2): Promise<string> {
  await using fake = await FakeInfluxDb.start({ version });
  const { name, status, body } = recorded;
  const headers = Object.fromEntries(recorded.headers);
  delete headers["transfer-encoding"];
  const answer = {
    status,
    body,
    headers: { ...headers, "content-length": `${new Blob([body]).size}` },
  };
  fake.questionTrouble = ({ method }) => {
    if (name.startsWith("POST") && method === "GET") return undefined;
    if (name.startsWith("GET orgs") && method === "POST") {
      return { status: 201, body: '{"name":"home"}' };
    }
    return answer;
  };
  const place = { url: fake.url, version, org: "home", bucket: "home", database: "home" };
  if (name === "GET buckets, full token") place.bucket = "hour";
  const http = new InfluxDbHttp({ ...place, token: () => "token" });
  const asks = /CREATE|POST|orgs/.test(name) ? createPlace : lookUpRetention;
  fake.places.clear();
  try {
    return String(await asks(http, place, never));
  } catch (error) {
    if (!(error instanceof InfluxDbFault)) throw error;
    return error.message.replace(/orgs\/[0-9a-f]{16}/, "orgs/ORG");
  } finally {
    http.close();
  }
}

for (const release of ["1.6.7", "1.13.2", "2.7.12", "2.9.1"] as const) {
  Deno.test(`Each answer that InfluxDB ${release} was seen to give is understood`, async () => {
    const answers = recordedAnswers(release);
    const writes: Record<string, string> = {};
    const questions: Record<string, string> = {};
    for (const answer of answers) {
      const version = versionOf(release, answer);
      if (OTHERS.includes(answer.name)) continue;
      if (/SHOW|CREATE|GET|POST/.test(answer.name)) {
        questions[answer.name] = await answerTo(answer, version);
      } else writes[answer.name] = await understood(answer, version);
    }
    assert.deepEqual(writes, WRITES[release]);
    assert.deepEqual(questions, QUESTIONS[release]);
  });
}

Deno.test("readAnswer hides a secret that the server tells before it cuts what the server says", async () => {
  const secret = "a-token-that-is-known-in-whole-alone";
  rememberSecret(secret);
  for (const cut of [1, 10, secret.length - 1]) {
    const body = `${"x".repeat(500 - cut)}${secret} y`;
    const { reason } = await readAnswer(new Response(body, { status: 401 }));
    assert.equal(reason, `${"x".repeat(500 - cut)}*** y`.slice(0, 500));
  }
});
