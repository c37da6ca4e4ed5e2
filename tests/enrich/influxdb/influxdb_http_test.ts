import assert from "node:assert/strict";
import { InfluxDb, type InfluxDbOptions } from "../../../lib/enrich/influxdb/influxdb.ts";
import { StoreUnavailable } from "../../../lib/enrich/store.ts";
import { requestHeaders } from "../../../lib/settings/request_headers.ts";
import { FakeInfluxDb } from "../../stand_ins/fake_influxdb.ts";
import { ELSEWHERE_FILE, TlsProxy } from "../../stand_ins/tls_proxy.ts";

const TLS = new URL("../../fixtures/tls/", import.meta.url);
const [CA, CERT, KEY] = ["ca.pem", "server.pem", "server.key"]
  .map((name) => Deno.readTextFileSync(new URL(name, TLS)));
const never = new AbortController().signal;
const POINT = {
  measurement: "sensor",
  tags: new Map(),
  fields: new Map([["value", 1]]),
  timeNs: 1n,
};

/** An HTTPS server on loopback that takes everything, and the store that writes to it. */
async function withServer(
  test: (port: number, storeOf: (options: Partial<InfluxDbOptions>) => InfluxDb) => Promise<void>,
): Promise<void> {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert: CERT, key: KEY, onListen: () => {} },
    () => new Response(null, { status: 204 }),
  );
  const { port } = server.addr;
  const stores: InfluxDb[] = [];
  await test(port, (options) => {
    const url = `https://127.0.0.1:${port}`;
    const store = new InfluxDb({ url, version: 1, database: "home", ...options });
    stores.push(store);
    return store;
  });
  for (const store of stores) store.close();
}

async function problemOf(store: InfluxDb): Promise<string> {
  await assert.rejects(store.write([POINT], never), StoreUnavailable);
  return store.status().problem ?? "";
}

Deno.test("InfluxDbHttp trusts the user's own certificate authority, and nobody else's", async () => {
  await withServer(async (port, storeOf) => {
    for (const host of ["127.0.0.1", "localhost"]) {
      const store = storeOf({ url: `https://${host}:${port}`, caCert: () => CA });
      assert.deepEqual(await store.write([POINT], never), [{ kind: "stored" }]);
      assert.deepEqual(await store.write([POINT], never), [{ kind: "stored" }]);
    }
    for (const caCert of [undefined, () => CERT]) {
      const problem = await problemOf(storeOf({ caCert }));
      assert.match(
        problem,
        /its certificate is not trusted \(UnknownIssuer\); set ssl_ca_cert in CONFIG_FILE/,
      );
    }
    const plain = await problemOf(storeOf({ url: `http://127.0.0.1:${port}`, caCert: () => CA }));
    assert.match(plain, /perhaps by https; begin INFLUXDB_URL with https:\/\/$/);
  });
});

Deno.test("InfluxDbHttp reads the certificate authority again, and says what is wrong with it", async () => {
  await withServer(async (_port, storeOf) => {
    let caCert = () => "";
    const store = storeOf({ caCert: () => caCert() });
    assert.match(await problemOf(store), /ssl_ca_cert names \(it holds no certificate\): .* PEM/);
    for (const body of ["!!!!", "MIIB"]) {
      caCert = () => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
      assert.match(await problemOf(store), /Cannot trust what ssl_ca_cert names \(.+\)/);
    }
    caCert = () => {
      throw new Error("influxdb.yaml: ssl_ca_cert is gone");
    };
    assert.equal(await problemOf(store), "influxdb.yaml: ssl_ca_cert is gone");
    caCert = () => CERT;
    assert.match(await problemOf(store), /not trusted/);
    caCert = () => CA;
    assert.deepEqual(await store.write([POINT], never), [{ kind: "stored" }]);
    assert.equal(store.status().problem, undefined);
  });
});

Deno.test("InfluxDbHttp says what a certificate is made for, and which setting to correct", async () => {
  await using proxy = new TlsProxy({ port: 1, certificate: "elsewhere.pem" });
  const caCert = () => Deno.readTextFileSync(ELSEWHERE_FILE);
  const store = new InfluxDb({ url: proxy.url, version: 1, database: "home", caCert });
  assert.equal(
    await problemOf(store),
    `Cannot reach the database at ${proxy.url}: its certificate is made for homeassistant.local or ` +
      "192.0.2.7, not for 127.0.0.1; set INFLUXDB_URL to a name that it is made for",
  );
  store.close();
});

Deno.test("InfluxDbHttp sends what a proxy asks for beside its own, reads it again, and tells none of it", async () => {
  await using influx = await FakeInfluxDb.start({ version: 2 });
  let headers = requestHeaders("INFLUXDB_HEADERS", "CF-Access-Client-Secret: s3cret-of-proxy");
  const store = new InfluxDb({
    url: influx.url,
    version: 2,
    org: "home",
    bucket: "home",
    token: () => "token",
    headers: () => headers,
  });
  assert.deepEqual(await store.write([POINT], never), [{ kind: "stored" }]);
  const last = () => influx.requests.at(-1)?.headers ?? {};
  assert.equal(last()["cf-access-client-secret"], "s3cret-of-proxy");
  assert.equal(last().authorization, "Token token");
  headers = requestHeaders("INFLUXDB_HEADERS", "X-Other: another-s3cret");
  assert.deepEqual(await store.write([POINT], never), [{ kind: "stored" }]);
  assert.equal(last()["x-other"], "another-s3cret");
  assert.equal(last()["cf-access-client-secret"], undefined);
  // a proxy that tells what it was sent: in an answer to everything, and to one point
  for (const [status, words] of [[403, ""], [502, ""], [400, "unable to parse: "]] as const) {
    influx.trouble = () => ({ status, body: `${words}blocked: x-other=another-s3cret` });
    const said = await store.write([POINT], never).then(
      (outcomes) => JSON.stringify(outcomes),
      (error) => String(error),
    );
    assert.match(said + store.status().problem, /blocked: x-other=\*\*\*/);
    assert.doesNotMatch(said + store.status().problem, /another-s3cret/);
  }
  store.close();
});
