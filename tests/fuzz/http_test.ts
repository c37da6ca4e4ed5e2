import fc from "fast-check";
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { FakeInfluxDb } from "../stand_ins/fake_influxdb.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { type Program, startEnrich, startIngest } from "../whole_programs.ts";
import { oddJson, runs, SEED, spoilt } from "./fuzz_runs.ts";
import { rawRequest } from "./raw_http.ts";

const MEGABYTE = 1_048_576;
const HEAD = "Host: 127.0.0.1\r\nConnection: close\r\n";
const JSON_TYPE = "Content-Type: application/json\r\n";
const LINES_TYPE = "Content-Type: application/x-ndjson\r\n";

interface Pair {
  readonly ingest: Program;
  readonly enrich: Program;
}

/** Both programs; an event that is fired after the test must be stored. */
async function pair(test: (pair: Pair) => Promise<void>): Promise<void> {
  using folder = new TemporaryFolder();
  await using influx = await FakeInfluxDb.start({ version: 2 });
  await using hass = new SimulatedHomeAssistant({ recorder: false }).start();
  await using enrich = await startEnrich({
    DATA_DIR: folder.path,
    INFLUXDB_URL: influx.url,
    INFLUXDB_ORG: "home",
    INFLUXDB_BUCKET: "home",
    INFLUXDB_TOKEN: "token",
  });
  await using ingest = await startIngest({
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    DATA_DIR: folder.path,
    ENRICHMENT_SERVICE_URL: enrich.url,
  });
  await test({ ingest, enrich });
  const mark = crypto.randomUUID();
  await until(
    () => {
      hass.fire("mark", { mark });
      return influx.points.some(({ fields }) => fields.get("mark_str") === mark);
    },
    "an event is stored",
    { everyMs: 200 },
  );
  await ingest.metrics();
}

function get(path: string, headers = HEAD, method = "GET"): string {
  return `${method} ${path} HTTP/1.1\r\n${headers}\r\n`;
}

function post(headers: string, body: string | Uint8Array, path = "/events"): Uint8Array {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const length = /content-length|transfer-encoding/i.test(headers)
    ? ""
    : `Content-Length: ${bytes.length}\r\n`;
  const head = new TextEncoder().encode(`POST ${path} HTTP/1.1\r\n${HEAD}${headers}${length}\r\n`);
  return Uint8Array.from([...head, ...bytes]);
}

/** Whose end never comes, unless the client leaves. */
const CUT_OFF = /cut off/;

/** Of both programs alike, but for what is posted, which is enrich's. 400 without a word is the server's below ours. */
const REQUESTS: readonly (readonly [says: string, status: number, bytes: string | Uint8Array])[] = [
  ["no type", 415, post("", "{}")],
  ["another type", 415, post("Content-Type: text/plain\r\n", "{}")],
  [
    "a gzip bomb",
    415,
    post(`${JSON_TYPE}Content-Encoding: gzip\r\n`, gzipSync("0".repeat(MEGABYTE))),
  ],
  ["no JSON", 400, post(JSON_TYPE, "{")],
  ["no event", 422, post(JSON_TYPE, "{}")],
  ["a deep one", 422, post(JSON_TYPE, "[".repeat(10_000) + "]".repeat(10_000))],
  ["broken UTF-8", 400, post(JSON_TYPE, Uint8Array.from([0x22, 0xff, 0x22]))],
  ["half a character", 400, post(JSON_TYPE, Uint8Array.from([0x22, 0xe2, 0x82]))],
  ["a body said to be too large", 413, post(`${JSON_TYPE}Content-Length: 99999999999\r\n`, "{}")],
  ["a body that is too large", 413, post(LINES_TYPE, new Uint8Array(16_000_001).fill(0x20))],
  ["too many lines", 413, post(LINES_TYPE, "\n".repeat(100_000))],
  ["a length that is none", 400, post(`${JSON_TYPE}Content-Length: -1\r\n`, "{}")],
  ["two lengths", 400, post(`${JSON_TYPE}Content-Length: 2\r\nContent-Length: 3\r\n`, "{}")],
  ["a body cut off", 400, post(`${JSON_TYPE}Content-Length: 100\r\n`, "{}")],
  ["lines cut off", 400, post(`${LINES_TYPE}Content-Length: 100\r\n`, "{}")],
  ["a chunk cut off", 400, post(`${JSON_TYPE}Transfer-Encoding: chunked\r\n`, "5\r\n{}")],
  [
    "length and chunks",
    400,
    post(
      `${JSON_TYPE}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n`,
      "2\r\n{}\r\n0\r\n\r\n",
    ),
  ],
  ["long headers", 400, get("/status", `${HEAD}X: ${"x".repeat(MEGABYTE)}\r\n`)],
  ["many headers", 400, get("/status", HEAD + "X: y\r\n".repeat(2_000))],
  ["a long path", 400, get(`/${"x".repeat(100_000)}`)],
  ["a path that is no text", 404, get("/%ff%fe")],
  ["a path with NUL", 400, get("/\0")],
  ["a path out of here", 404, get("/../../etc/passwd")],
  ["another method", 404, get("/events", HEAD, "PUT")],
  ["no method", 404, get("/status", HEAD, "FOO")],
  ["a tunnel", 404, get("127.0.0.1:1", HEAD, "CONNECT")],
  ["no host", 403, get("/status", "Connection: close\r\n")],
  ["another host", 403, get("/status", "Host: evil.example\r\nConnection: close\r\n")],
  ["two hosts", 400, get("/status", `${HEAD}Host: evil.example\r\n`)],
  ["TLS", 400, Uint8Array.from([0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5])],
  ["Alive", 200, get("/health/live")],
];

Deno.test("Both programs answer requests that no client sends with the status that fits, and work on", async () => {
  await pair(async ({ enrich, ingest }) => {
    for (const [says, status, bytes] of REQUESTS) {
      const ends = CUT_OFF.test(says);
      const answer = await rawRequest(enrich.url, bytes, { ends });
      assert.equal(answer.status, status, `${says}: ${answer.text.slice(0, 500)}`);
      const other = await rawRequest(ingest.url, bytes, { ends });
      const isPost = typeof bytes !== "string" &&
        new TextDecoder().decode(bytes).startsWith("POST");
      // ingest has no such route, and reads no body
      if (!isPost || status === 400 && /^HTTP\/1.1 400.*\r\n\r\n$/s.test(answer.text)) {
        assert.equal(other.status, status, `${says}, ingest: ${other.text.slice(0, 500)}`);
      } else assert.equal(other.status, 404, says);
    }
  });
});

/** What ingest's own routes say to bodies that they do not want. */
const MOVES: readonly (readonly [status: number, type: string, body: string])[] = [
  [415, "", "{}"],
  [400, JSON_TYPE, "{"],
  [422, JSON_TYPE, "null"],
  [422, JSON_TYPE, '{"seqs":["1; DROP TABLE outbox"]}'],
  [422, JSON_TYPE, `{"seqs":[${"1,".repeat(2_000)}1]}`],
  [422, JSON_TYPE, '{"older_than_s":1e999}'],
  [413, JSON_TYPE, `{"reason":"${"x".repeat(200_000)}"}`],
  [400, `${JSON_TYPE}Content-Length: 100\r\n`, "{}"],
];

Deno.test("Ingest's routes refuse bodies that they do not want, and nothing moves", async () => {
  await pair(async ({ ingest }) => {
    for (const path of ["/dead-letters/replay", "/dead-letters/discard"]) {
      for (const [status, type, body] of MOVES) {
        const answer = await rawRequest(ingest.url, post(type, body, path), {
          ends: type.includes("Length"),
        });
        assert.equal(answer.status, status, `${body.slice(0, 100)}: ${answer.text.slice(0, 500)}`);
      }
    }
  });
});

const wellFormed = fc.constantFrom(
  get("/status"),
  get("/dead-letters?limit=5&before=3&entity=*a*"),
  get("/"),
  `POST /events HTTP/1.1\r\n${HEAD}${JSON_TYPE}Content-Length: 2\r\nPrefer: wait=1\r\n\r\n{}`,
  `POST /dead-letters/replay HTTP/1.1\r\n${HEAD}${JSON_TYPE}Content-Length: 12\r\n\r\n{"seqs":[1]}`,
  `POST /events HTTP/1.1\r\n${HEAD}${LINES_TYPE}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
);
const lines = fc.array(
  fc.oneof(oddJson, oddJson.map((event) => `{"event":${event}}`)),
  { maxLength: 5 },
).map((all) => all.join("\n"));

Deno.test(`Whatever bytes come to either program, the answer is no 500, and both work on (seed ${SEED})`, async () => {
  await pair(async ({ ingest, enrich }) => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          spoilt(wellFormed),
          lines.map((body) => post(LINES_TYPE, body)),
          oddJson.map((body) => post(JSON_TYPE, body)),
          oddJson.map((body) => post(JSON_TYPE, body, "/dead-letters/discard")),
          fc.uint8Array({ maxLength: 200 }),
        ),
        async (bytes) => {
          for (const { url } of [ingest, enrich]) {
            const { status = 400, text } = await rawRequest(url, bytes);
            // one that waits to be asked for the body says 100 first
            assert.ok(status < 500 || status === 503, text.slice(0, 500));
          }
        },
      ),
      runs(300),
    );
  });
});
