/**
 * Every route of both programs, who may reach it, and what each caller is answered. The tests walk
 * this table, and docs/security.md has its first half.
 */

export type ProgramName = "ingest" | "enrich";

export interface Route {
  readonly programs: readonly ProgramName[];
  readonly method: "GET" | "POST";
  /** As the router has it. */
  readonly path: string;
  /** Where the path has a parameter: one that can be asked for. */
  readonly example?: string;
  /** What it is for; in the documentation routes with the same words are one row. */
  readonly is: string;
  /** `anybody`: also without the token, and under any name of this machine. */
  readonly who: "anybody" | "token";
  /** The JSON that is posted, one that changes nothing worth keeping. */
  readonly body?: string;
  /** What one who may is answered. */
  readonly status: number;
}

const BOTH = ["ingest", "enrich"] as const;
const FILES = "the page's own styles, scripts and icons";

const EVENT = JSON.stringify({
  event_type: "security_test",
  data: { n: 1 },
  origin: "LOCAL",
  time_fired: "2026-06-25T21:20:05Z",
});
const NO_LETTER = JSON.stringify({ reason: "no dead letter has this reason" });

function file(path: string, programs: readonly ProgramName[] = BOTH): Route {
  return { programs, method: "GET", path, is: FILES, who: "token", status: 200 };
}

export const ROUTES: readonly Route[] = [
  {
    programs: BOTH,
    method: "GET",
    path: "/health/live",
    is: "whether the program runs, and nothing else",
    who: "anybody",
    status: 200,
  },
  // where this is asked ingest reaches no Home Assistant, and enrich its store
  ...["/health", "/health/ready"].flatMap((path) =>
    ([["ingest", 503], ["enrich", 200]] as const).map(([program, status]): Route => ({
      programs: [program],
      method: "GET",
      path,
      is: "whether it does its work, and what to do",
      who: "token",
      status,
    }))
  ),
  {
    programs: BOTH,
    method: "GET",
    path: "/metrics",
    is: "counters",
    who: "token",
    status: 200,
  },
  {
    programs: BOTH,
    method: "GET",
    path: "/status",
    is: "the state as JSON, with addresses, entity ids and gaps",
    who: "token",
    status: 200,
  },
  {
    programs: BOTH,
    method: "GET",
    path: "/",
    is: "the page",
    who: "token",
    status: 200,
  },
  {
    programs: BOTH,
    method: "GET",
    path: "/live",
    is: "what changes on the page, as a stream, with names and states",
    who: "token",
    status: 200,
  },
  ...["/page.css", "/parts.css", "/drawing.js", "/watch.js"].map((path) => file(path)),
  ...["/icon-well.svg", "/icon-note.svg", "/icon-bad.svg"].map((path) => file(path)),
  file("/ingest_page.js", ["ingest"]),
  file("/enrich_page.js", ["enrich"]),
  {
    programs: ["ingest"],
    method: "GET",
    path: "/dead-letters",
    is: "events that were refused, with all that they hold",
    who: "token",
    status: 200,
  },
  {
    programs: ["ingest"],
    method: "GET",
    path: "/dead-letters/:seq{[0-9]+}",
    example: "/dead-letters/1",
    is: "events that were refused, with all that they hold",
    who: "token",
    status: 404,
  },
  {
    programs: ["ingest"],
    method: "POST",
    path: "/dead-letters/replay",
    is: "delivers dead letters again",
    who: "token",
    body: NO_LETTER,
    status: 200,
  },
  {
    programs: ["ingest"],
    method: "POST",
    path: "/dead-letters/discard",
    is: "gives dead letters up",
    who: "token",
    body: NO_LETTER,
    status: 200,
  },
  {
    programs: ["ingest"],
    method: "POST",
    path: "/limited/try",
    is: "tries events again that a limit holds",
    who: "token",
    body: "{}",
    status: 202,
  },
  {
    programs: ["ingest"],
    method: "GET",
    path: "/import-statistics",
    is: "how far the import of statistics is",
    who: "token",
    status: 200,
  },
  {
    programs: ["ingest"],
    method: "POST",
    path: "/import-statistics",
    is: "begins an import of statistics",
    who: "token",
    body: '{"since":"no time"}',
    status: 422,
  },
  {
    programs: ["ingest"],
    method: "GET",
    path: "/outbox/recover",
    is: "how far the recovery of a damaged outbox is",
    who: "token",
    status: 200,
  },
  {
    programs: ["ingest"],
    method: "POST",
    path: "/outbox/recover",
    is: "begins the recovery of a damaged outbox",
    who: "token",
    body: "{}",
    status: 422,
  },
  {
    programs: ["enrich"],
    method: "POST",
    path: "/events",
    is: "stores events",
    who: "token",
    body: EVENT,
    status: 200,
  },
];

export const METHODS = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
  "TRACE",
  "PROPFIND",
  "get",
] as const;

/** The secrets of the programs that are walked. */
export const TOKENS = {
  service: "the-service-token-0d6f",
  homeAssistant: "home-assistants-token-77c1",
  influxDb: "influxdbs-token-5a90",
} as const;

/** Ways to run a program: on loopback without SERVICE_TOKEN or with it, and reachable by others. */
export type Bound = "loopback" | "loopback, token" | "beyond loopback";

/** `answered`: what the route says to one who may. */
type Expected = "answered" | 401;

export interface Caller {
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly expected: Readonly<Record<Bound, Expected>>;
}

const OPEN = { loopback: "answered", "loopback, token": 401, "beyond loopback": 401 } as const;
const KNOWN = {
  loopback: "answered",
  "loopback, token": "answered",
  "beyond loopback": "answered",
} as const;

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const basic = (user: string, password: string) => ({
  Authorization: `Basic ${btoa(`${user}:${password}`)}`,
});

/** Of all but `/health/live`, which answers everybody. */
export const CALLERS: readonly Caller[] = [
  { name: "without a token", headers: {}, expected: OPEN },
  { name: "with a wrong token", headers: bearer("wrong"), expected: OPEN },
  { name: "with an empty token", headers: { Authorization: "Bearer " }, expected: OPEN },
  { name: "with a wrong password", headers: basic("anybody", "wrong"), expected: OPEN },
  { name: "with Basic that is no base64", headers: { Authorization: "Basic %%" }, expected: OPEN },
  {
    name: "with Home Assistant's token",
    headers: bearer(TOKENS.homeAssistant),
    expected: OPEN,
  },
  { name: "with InfluxDB's token", headers: bearer(TOKENS.influxDb), expected: OPEN },
  {
    name: "with InfluxDB's token, as InfluxDB wants it",
    headers: { Authorization: `Token ${TOKENS.influxDb}` },
    expected: OPEN,
  },
  {
    name: "with the service token in another scheme",
    headers: { Authorization: `Token ${TOKENS.service}` },
    expected: OPEN,
  },
  {
    name: "with the service token as the user's name",
    headers: basic(TOKENS.service, ""),
    expected: OPEN,
  },
  {
    name: "with the beginning of the service token",
    headers: bearer(TOKENS.service.slice(0, -1)),
    expected: OPEN,
  },
  {
    name: "with more than the service token",
    headers: bearer(`${TOKENS.service}0`),
    expected: OPEN,
  },
  {
    name: "with the service token in the query",
    headers: {},
    query: `access_token=${TOKENS.service}&token=${TOKENS.service}`,
    expected: OPEN,
  },
  { name: "with the service token", headers: bearer(TOKENS.service), expected: KNOWN },
  {
    name: "with the service token as a password",
    headers: basic("anybody", TOKENS.service),
    expected: KNOWN,
  },
];

/** Headers that all answers have. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
    "img-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
};

/** Headers that no answer has: no other origin is allowed anything, and none says what runs here. */
export const ABSENT_HEADERS = /^(access-control-.*|server|x-powered-by)$/;

/** Names that a rebound name, or another machine, puts into Host. */
export const FOREIGN_HOSTS = [
  "evil.example",
  "evil.example:PORT",
  "127.0.0.1.evil.example:PORT",
  "localhost.evil.example",
  "192.168.1.5:PORT",
  "0.0.0.0:PORT",
  "[::]:PORT",
  "127.0.0.1:PORT, evil.example",
  "",
] as const;

/** Names of this machine, and of it alone. */
export const OWN_HOSTS = ["127.0.0.1:PORT", "localhost:PORT", "[::1]:PORT", "127.0.0.1"] as const;

export interface CrossSite {
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly methods: readonly ("GET" | "POST")[];
}

const EVIL = { Origin: "http://evil.example", "Sec-Fetch-Site": "cross-site" };
const FORM = { "Content-Type": "application/x-www-form-urlencoded" };
const NAVIGATES = { "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document" };

/** What a browser sends for a page of another origin: 403, with and without the right token. */
export const CROSS_SITE: readonly CrossSite[] = [
  {
    name: "fetch of a foreign page",
    headers: { ...EVIL, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty" },
    methods: ["GET", "POST"],
  },
  {
    name: "fetch of a page on another port of this machine",
    headers: {
      Origin: "http://127.0.0.1:1",
      "Sec-Fetch-Site": "same-site",
      "Sec-Fetch-Mode": "cors",
      "Sec-Fetch-Dest": "empty",
    },
    methods: ["GET", "POST"],
  },
  {
    name: "form of a foreign page",
    headers: { ...EVIL, ...FORM, ...NAVIGATES },
    methods: ["POST"],
  },
  {
    name: "form of a foreign page, in a browser that knows no Sec-Fetch-Site",
    headers: { Origin: EVIL.Origin, ...FORM },
    methods: ["POST"],
  },
  {
    name: "form of a page without an origin",
    headers: { Origin: "null", "Sec-Fetch-Site": "cross-site", ...FORM, ...NAVIGATES },
    methods: ["POST"],
  },
  {
    name: "form of a foreign page, whose browser keeps back the origin",
    headers: { "Sec-Fetch-Site": "cross-site", ...FORM, ...NAVIGATES },
    methods: ["POST"],
  },
  {
    name: "image or script of a foreign page",
    headers: {
      "Sec-Fetch-Site": "cross-site",
      "Sec-Fetch-Mode": "no-cors",
      "Sec-Fetch-Dest": "image",
    },
    methods: ["GET"],
  },
  {
    name: "script of a page on another port of this machine",
    headers: {
      "Sec-Fetch-Site": "same-site",
      "Sec-Fetch-Mode": "no-cors",
      "Sec-Fetch-Dest": "script",
    },
    methods: ["GET"],
  },
  {
    name: "frame of a foreign page",
    headers: {
      "Sec-Fetch-Site": "cross-site",
      "Sec-Fetch-Mode": "navigate",
      "Sec-Fetch-Dest": "iframe",
    },
    methods: ["GET"],
  },
  {
    name: "EventSource of a foreign page",
    headers: {
      ...EVIL,
      "Sec-Fetch-Mode": "cors",
      "Sec-Fetch-Dest": "empty",
      Accept: "text/event-stream",
    },
    methods: ["GET"],
  },
  {
    name: "WebSocket of a foreign page",
    headers: {
      ...EVIL,
      "Sec-Fetch-Mode": "websocket",
      "Sec-Fetch-Dest": "empty",
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    },
    methods: ["GET"],
  },
];

/** What a browser sends for a person, or for the program's own page: answered. */
export const OWN_SITE: readonly CrossSite[] = [
  { name: "typed address", headers: { "Sec-Fetch-Site": "none", ...NAVIGATES }, methods: ["GET"] },
  {
    name: "link on another page",
    headers: { "Sec-Fetch-Site": "cross-site", ...NAVIGATES },
    methods: ["GET"],
  },
  {
    name: "own page",
    headers: {
      "Sec-Fetch-Site": "same-origin",
      "Sec-Fetch-Mode": "cors",
      "Sec-Fetch-Dest": "empty",
    },
    methods: ["GET", "POST"],
  },
  {
    name: "own page, behind a proxy with a Host of its own",
    headers: { Origin: "https://house.example", "Sec-Fetch-Site": "same-origin" },
    methods: ["GET", "POST"],
  },
];

/** What a form can send without the browser asking first, and no type at all: 415. */
export const SIMPLE_TYPES = [
  "text/plain",
  "text/plain;application/json",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  undefined,
] as const;

/** Spellings of paths that must not lead past the guard. */
export const ODD_PATHS = [
  "//status",
  "/status/",
  "/STATUS",
  "/%73tatus",
  "/health/live/",
  "/health/live/../../status",
  "/health/live/..%2f..%2fstatus",
  "/health//live",
  "/health/live;/../status",
  "/health/live%00",
  "/./status",
  "/..",
  "/nowhere",
  "*",
] as const;
