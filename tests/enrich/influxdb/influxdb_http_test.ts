import assert from "node:assert/strict";
import { InfluxDb, type InfluxDbOptions } from "../../../lib/enrich/influxdb/influxdb.ts";
import { StoreUnavailable } from "../../../lib/enrich/store.ts";

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
      assert.match(problem, /its certificate is not trusted \(UnknownIssuer\); let ssl_ca_cert/);
    }
    const plain = await problemOf(storeOf({ url: `http://127.0.0.1:${port}`, caCert: () => CA }));
    assert.match(plain, /check that it runs, and INFLUXDB_URL$/);
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
