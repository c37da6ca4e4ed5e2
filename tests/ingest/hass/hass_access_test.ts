import assert from "node:assert/strict";
import { Connection } from "../../../lib/ingest/hass/connection.ts";
import { CONNECTION_TIMES } from "../../../lib/ingest/hass/connection_times.ts";
import { accessOf, askPlainly } from "../../../lib/ingest/hass/hass_access.ts";
import { HassFault } from "../../../lib/ingest/hass/hass_fault.ts";
import { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import { CA_FILE, ELSEWHERE_FILE, TlsProxy } from "../../stand_ins/tls_proxy.ts";

const never = new AbortController().signal;
const trusting = (file: string) => () => Deno.readTextFileSync(file);
const CA = trusting(CA_FILE);

interface Way {
  readonly hassUrl: string;
  readonly hassCaCert?: () => string;
  readonly hassHeaders?: () => ReadonlyMap<string, string>;
}

/** Asks for the state of things over a connection. */
async function stateOver(way: Way, token: string): Promise<unknown> {
  const { connection } = await Connection.open({
    ...accessOf(way),
    token,
    signal: never,
    handlers: { onEvent: () => {}, onMalformed: assert.fail },
    times: CONNECTION_TIMES,
  });
  try {
    return await connection.command("get_config");
  } finally {
    connection.close("tested");
  }
}

/** What is wrong with the way, as one sentence; of what is no HassFault `: ` and its message. */
async function faultOf(way: Way): Promise<string> {
  try {
    await stateOver(way, "never asked for");
  } catch (error) {
    assert.ok(error instanceof Error);
    return error instanceof HassFault ? `${error.message}; ${error.action}` : `: ${error.message}`;
  }
  return "nothing";
}

/** Closes what begins as http without a word, as Python's ssl does, and passes the rest on to a server. */
class ClosesHttp {
  readonly host: string;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #serving: Promise<unknown>;

  constructor(url: string) {
    this.host = `127.0.0.1:${this.#listener.addr.port}`;
    this.#serving = this.#serve(Number(new URL(url).port));
  }

  async #serve(port: number): Promise<void> {
    const carried: Promise<unknown>[] = [];
    for await (const conn of this.#listener) {
      const bytes = new Uint8Array(65_536);
      const length = await conn.read(bytes) ?? 0;
      if (length === 0 || bytes[0] !== 22) {
        conn.close();
        continue;
      }
      const server = await Deno.connect({ hostname: "127.0.0.1", port });
      await server.write(bytes.subarray(0, length));
      carried.push(
        conn.readable.pipeTo(server.writable).catch(() => {}),
        server.readable.pipeTo(conn.writable).catch(() => {}),
      );
    }
    await Promise.all(carried);
  }

  async end(): Promise<void> {
    this.#listener.close();
    await this.#serving;
  }
}

/** What servers with TLS say that they speak: aiohttp nothing, some proxies HTTP/1 alone. */
const ALPN = [undefined, ["http/1.1"]];

Deno.test({
  name:
    "A connection that nobody answers leaves nothing open, with an authority of one's own or without",
  sanitizeResources: true,
  fn: async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const host = `127.0.0.1:${listener.addr.port}`;
    for (
      const way of [{ hassUrl: `http://${host}` }, { hassUrl: `https://${host}`, hassCaCert: CA }]
    ) {
      const opening = Connection.open({
        ...accessOf(way),
        token: "never asked for",
        signal: never,
        handlers: { onEvent: assert.fail, onMalformed: assert.fail },
        times: { ...CONNECTION_TIMES, openDeadlineMs: 100 },
      });
      const taken = await listener.accept();
      await assert.rejects(opening, /did not answer within 0.1 s/);
      taken.close();
    }
  },
});

Deno.test("A connection trusts the user's own certificate authority, and nobody else's", async () => {
  await using hass = new SimulatedHomeAssistant().start();
  for (const alpnProtocols of ALPN) {
    await using proxy = new TlsProxy({ port: hass.port, alpnProtocols });
    const trusted = { hassUrl: proxy.url, hassCaCert: CA };
    assert.ok(await stateOver(trusted, hass.token));
    assert.ok(
      await stateOver(
        { ...trusted, hassUrl: proxy.url.replace("127.0.0.1", "localhost") },
        hass.token,
      ),
    );
    for (const hassCaCert of [undefined, trusting(ELSEWHERE_FILE)]) {
      assert.equal(
        await faultOf({ hassUrl: proxy.url, hassCaCert }),
        `The certificate of ${proxy.host} is not trusted (UnknownIssuer); ` +
          "set HASS_CA_FILE to the certificate of the authority that signed it",
      );
    }
  }
});

Deno.test("A connection says what to do where the certificate is made for other names", async () => {
  for (const alpnProtocols of ALPN) {
    await using proxy = new TlsProxy({ port: 1, alpnProtocols, certificate: "elsewhere.pem" });
    assert.equal(
      await faultOf({ hassUrl: proxy.url, hassCaCert: trusting(ELSEWHERE_FILE) }),
      `The certificate of ${proxy.host} is made for homeassistant.local or 192.0.2.7, not for ` +
        "127.0.0.1; set HASS_URL to a name that it is made for",
    );
  }
});

Deno.test("A connection sends the headers that a proxy asks for, and reads them and the authority again", async () => {
  await using hass = new SimulatedHomeAssistant().start();
  const wants = { "cf-access-client-id": "abc.access", authorization: "Basic dXNlcjpwYXNz" };
  await using proxy = new TlsProxy({ port: hass.port, wants });
  let headers = new Map<string, string>();
  let pem = "";
  const way = { hassUrl: proxy.url, hassCaCert: () => pem, hassHeaders: () => headers };
  assert.equal(await faultOf(way), ": it holds no certificate");
  pem = CA();
  assert.match(await faultOf(way), /answers 403: .*HASS_HEADERS to what the proxy asks for$/);
  headers = new Map(Object.entries(wants));
  assert.ok(await stateOver(way, hass.token));
  const answer = await askPlainly(accessOf(way), never);
  assert.equal(answer.status, 400);
  // besides them everything is as it was
  const sent = proxy.heads.at(-2)?.toLowerCase().split("\r\n").slice(1).map((line) =>
    line.replace(/: .*/, "")
  );
  assert.deepEqual(sent?.sort(), [
    "authorization",
    "cf-access-client-id",
    "connection",
    "host",
    "sec-websocket-key",
    "sec-websocket-version",
    "upgrade",
    "user-agent",
  ]);
});

Deno.test("A connection over TLS says what answered in place of Home Assistant, and what to do", async () => {
  const answers: [string, RegExp][] = [
    ["403 Forbidden", /^https:\S+ answers 403: .*ip_bans\.yaml.*HASS_HEADERS/],
    ["401 Unauthorized", /^https:\S+ answers 401: .*; set HASS_HEADERS to what it asks for$/],
    [
      "302 Found\r\nLocation: https://house.cloudflareaccess.com/login?token=secret",
      /redirects to https:\/\/house\.cloudflareaccess\.com; set HASS_URL to that, or .* HASS_HEADERS/,
    ],
    ["502 Bad Gateway", /answers 502; see that Home Assistant runs behind this proxy$/],
    [
      "404 Not Found",
      /answers 404 at \/api\/websocket, as Home Assistant does not; check HASS_URL/,
    ],
  ];
  for (const alpnProtocols of ALPN) {
    await using proxy = new TlsProxy({ port: 1, alpnProtocols, wants: { never: "sent" } });
    for (const [status, sentence] of answers) {
      proxy.refusal = `HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`;
      assert.match(await faultOf({ hassUrl: proxy.url, hassCaCert: CA }), sentence);
    }
    // a proxy that passes no Upgrade on: Home Assistant is asked for a WebSocket that is none
    proxy.refusal =
      "HTTP/1.1 400 Bad Request\r\nContent-Length: 31\r\n\r\nNo WebSocket UPGRADE hdr: None\n";
    assert.match(
      await faultOf({ hassUrl: proxy.url, hassCaCert: CA }),
      /is Home Assistant, but opens no WebSocket \(.*\); let the proxy before it pass WebSockets on$/,
    );
  }
});

Deno.test("A connection says the same of a server that speaks HTTP/2, too", async () => {
  await using server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    cert: Deno.readTextFileSync(CA_FILE.replace("ca.pem", "server.pem")),
    key: Deno.readTextFileSync(CA_FILE.replace("ca.pem", "server.key")),
    onListen: () => {},
  }, () => new Response("", { status: 403 }));
  const hassUrl = `https://127.0.0.1:${server.addr.port}`;
  assert.match(await faultOf({ hassUrl, hassCaCert: CA }), /answers 403: .*HASS_HEADERS/);
  assert.match(await faultOf({ hassUrl }), /is not trusted \(UnknownIssuer\); set HASS_CA_FILE/);
});

Deno.test("A connection over HTTP says what answered in place of Home Assistant, too", async () => {
  let status = 401;
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("", { status }),
  );
  const hassUrl = `http://127.0.0.1:${server.addr.port}`;
  assert.match(await faultOf({ hassUrl }), /answers 401: .*HASS_HEADERS/);
  status = 502;
  assert.match(await faultOf({ hassUrl }), /answers 502; see that Home Assistant runs/);
});

Deno.test("A port where nothing listens is named in plain words", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  for (const scheme of ["http", "https"]) {
    const hassUrl = `${scheme}://127.0.0.1:${listener.addr.port}`;
    assert.equal(await faultOf({ hassUrl }), ": connection refused");
  }
});

Deno.test("A connection says that http and https are mixed up, either way", async () => {
  await using plain = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(),
  );
  const host = `127.0.0.1:${plain.addr.port}`;
  assert.equal(
    await faultOf({ hassUrl: `https://${host}` }),
    `HASS_URL begins with https, but ${host} answers by http; set HASS_URL to http://${host}`,
  );
  await using secure = new TlsProxy({ port: 1 });
  const closing = new ClosesHttp(secure.url);
  for (const { host } of [new URL(secure.url), closing]) {
    assert.equal(
      await faultOf({ hassUrl: `http://${host}` }),
      `HASS_URL begins with http, but ${host} answers by https; set HASS_URL to https://${host}`,
    );
  }
  await closing.end();
  // one that speaks https, and has closed a connection of it, is not to be asked by http
  using moody = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const answer = new TextEncoder().encode(
    "HTTP/1.1 400 Bad Request\r\ncontent-length: 58\r\nconnection: close\r\n\r\n" +
      "The plain HTTP request was sent to HTTPS port: nginx/1.26.",
  );
  const moods = (async () => {
    for await (const conn of moody) {
      const greeting = new Uint8Array(1_000);
      await conn.read(greeting);
      if (greeting[0] !== 0x16) await conn.write(answer);
      conn.close();
    }
  })();
  assert.doesNotMatch(
    await faultOf({ hassUrl: `https://127.0.0.1:${moody.addr.port}` }),
    /answers by http/,
  );
  moody.close();
  await moods;
  // a server that only closes may be anything
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const silence = (async () => {
    for await (const conn of silent) conn.close();
  })();
  const hassUrl = `http://127.0.0.1:${silent.addr.port}`;
  assert.equal(await faultOf({ hassUrl }), ": the connection was closed before an answer");
  silent.close();
  await silence;
});

Deno.test("An answer without end is told by its status, and not read on", async () => {
  const part = new Uint8Array(65_536).fill(97);
  let sent = 0;
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () =>
      new Response(
        new ReadableStream({
          pull: (stream) => {
            sent += part.length;
            stream.enqueue(part);
          },
        }),
      ),
  );
  const hassUrl = `http://127.0.0.1:${server.addr.port}`;
  assert.match(
    await faultOf({ hassUrl }),
    /answers 200 at \/api\/websocket, as Home Assistant does not/,
  );
  assert.ok(sent < 50_000_000, `${sent} bytes`);
});
