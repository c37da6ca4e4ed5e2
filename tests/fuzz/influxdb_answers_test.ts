import fc from "fast-check";
import assert from "node:assert/strict";
import { batchAnswerSchema } from "../../lib/contract.ts";
import { FakeInfluxDb, type Trouble } from "../stand_ins/fake_influxdb.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { type Program, startEnrich } from "../whole_programs.ts";
import { oddJson, runs, SEED, spoilt } from "./fuzz_runs.ts";

/** What a client says it waits for, and what may pass until it is answered on a busy machine. */
const WAIT_S = 1;
const LIMIT_MS = 20_000;

function lineOf(n: number): string {
  const time = `2026-06-25T21:20:05.${String(n).padStart(6, "0")}+00:00`;
  return `{"event":{"event_type":"mark","data":{"n":${n}},"origin":"LOCAL","time_fired":"${time}"}}`;
}

async function post(enrich: Program, lines: readonly string[]): Promise<Response> {
  return await enrich.get("/events", {
    method: "POST",
    headers: { "content-type": "application/x-ndjson", prefer: `wait=${WAIT_S}` },
    body: lines.join("\n"),
    signal: AbortSignal.timeout(LIMIT_MS),
  });
}

const body = fc.oneof(
  fc.constantFrom(
    "<!doctype html><title>Sign in</title>",
    '{"code":"invalid","message":"unable to parse',
    '{"error":"partial write: points beyond retention policy dropped=999999999999"}',
    '{"error":"partial write: field type conflict: input field \\"a\\" on measurement \\"b\\" is type float, already exists as type string dropped=1"}',
    '{"code":"unprocessable entity","message":"failure writing points to database: partial write: dropped=-1"}',
    "x".repeat(1_000_000),
    "[".repeat(10_000),
    "",
  ),
  oddJson,
  oddJson.map((message) => `{"code":${message},"message":${message}}`),
  oddJson.map((message) => `{"error":${message}}`),
  spoilt(fc.constant('{"code":"invalid","message":"unable to parse \'a b=c\': invalid number"}')),
);
const headers = fc.record({
  "content-type": fc.constantFrom("application/json", "text/html", "application/octet-stream", ""),
  "retry-after": fc.constantFrom("-1", "x", "0", "0.5", "Thu, 01 Jan 1970 00:00:00 GMT", "NaN"),
  "content-encoding": fc.constantFrom("gzip", "br", "deflate", "x"),
  location: fc.constantFrom("/", "/api/v2/write", "http://169.254.169.254/", "file:///etc/passwd"),
  date: fc.constantFrom("Thu, 01 Jan 1970 00:00:00 GMT", "x", "Fri, 31 Dec 9999 23:59:59 GMT"),
  "x-influxdb-version": fc.constantFrom("1.8", "v9", "\u00e9", ""),
}, { requiredKeys: [] });
/** A 204 is believed, so that it is none of these. */
const status = fc.constantFrom(
  ...[
    200,
    201,
    202,
    205,
    206,
    226,
    300,
    301,
    302,
    303,
    304,
    307,
    308,
    400,
    401,
    402,
    403,
    404,
    405,
  ],
  ...[408, 410, 411, 413, 415, 418, 421, 422, 429, 431, 451, 500, 501, 502, 503, 504, 511, 599],
);
const trouble: fc.Arbitrary<Trouble> = fc.oneof(
  { weight: 40, arbitrary: fc.record({ status, body, headers }) },
  { weight: 2, arbitrary: fc.constantFrom<Trouble>("reset", "lose reply", "login page") },
  {
    weight: 1,
    arbitrary: fc.record({ status, body, unfinished: fc.constant(true) }),
  },
);

Deno.test(`Whatever InfluxDB answers, enrich answers for every line in time, and stores the next one once it can (seed ${SEED})`, async () => {
  using folder = new TemporaryFolder();
  await using influx = await FakeInfluxDb.start({ version: 2 });
  await using enrich = await startEnrich({
    DATA_DIR: folder.path,
    INFLUXDB_URL: influx.url,
    INFLUXDB_ORG: "home",
    INFLUXDB_BUCKET: "home",
    INFLUXDB_TOKEN: "token",
  });
  let n = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(trouble, { minLength: 1, maxLength: 4 }), async (troubles) => {
      let asked = 0;
      influx.trouble = influx.questionTrouble = () => troubles[asked++ % troubles.length];
      const lines = [lineOf(n++), lineOf(n++), lineOf(n++)];
      const answer = await post(enrich, lines);
      const text = await answer.text();
      if (answer.status !== 200) return assert.equal(answer.status, 500, text);
      const { stored, skipped, problems, pending } = batchAnswerSchema.parse(JSON.parse(text));
      const left = Object.values(skipped).reduce((sum, count) => sum + count, 0);
      assert.equal(stored + left + problems.length + pending.length, lines.length);
      assert.equal(stored, 0, "nothing was taken");
    }),
    runs(100),
  );
  influx.trouble = influx.questionTrouble = () => undefined;
  const before = influx.points.length;
  await until(
    async () => {
      const answer = await post(enrich, [lineOf(n++)]);
      await answer.body?.cancel();
      return influx.points.length > before;
    },
    "a point is stored",
    { everyMs: 200 },
  );
});
