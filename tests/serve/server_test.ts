import assert from "node:assert/strict";
import { Refusals } from "../../lib/serve/refusals.ts";
import { createApp, type HealthReason } from "../../lib/serve/server.ts";

function app(
  { token, reasons = [], notes, refusals }: {
    token?: string;
    refusals?: Refusals;
    reasons?: HealthReason[];
    notes?: Readonly<Record<string, number>>;
  } = {},
) {
  const served = createApp({
    name: "enrich",
    serviceToken: token === undefined ? undefined : () => token,
    refusals,
    health: () => reasons,
    notes: () => notes ?? {},
    metrics: () => "a_total 1\n",
    status: () => ({ detail: "<script>" }),
  });
  served.get("/broken", () => {
    throw new Error("something http://me:pass@host broke");
  });
  return (path: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    if (!headers.has("host")) headers.set("host", "127.0.0.1:8002");
    return served.fetch(new Request(`http://127.0.0.1:8002${path}`, { ...init, headers }));
  };
}

const basic = (password: string) => ({ authorization: `Basic ${btoa(`anybody:${password}`)}` });

Deno.test("Server answers its routes", async () => {
  const get = app();
  for (const path of ["/health/live", "/health/ready", "/health", "/metrics", "/status"]) {
    assert.equal((await get(path)).status, 200, path);
  }
  assert.match(
    (await get("/metrics")).headers.get("content-type") ?? "",
    /^text\/plain; version=0.0.4/,
  );
  assert.equal((await get("/nowhere")).status, 404);
});

Deno.test("Server is alive while it is not ready, and says why and what to do", async () => {
  const get = app({ reasons: [{ reason: "The store is away", action: "start it" }] });
  assert.equal((await get("/health/live")).status, 200);
  const ready = await get("/health/ready");
  assert.equal(ready.status, 503);
  assert.deepEqual(await ready.json(), {
    status: "not ready",
    reasons: [{ reason: "The store is away", action: "start it" }],
  });
});

Deno.test("Server's notes stand beside its health and make it no worse", async () => {
  const notes = { dead_letters: 3 };
  const well = await app({ notes })("/health");
  assert.equal(well.status, 200);
  assert.deepEqual(await well.json(), { status: "ready", dead_letters: 3 });
  const get = app({ notes, reasons: [{ reason: "away", action: "start it" }] });
  const unwell = await get("/health/ready");
  assert.equal(unwell.status, 503);
  assert.equal((await unwell.json()).dead_letters, 3);
});

Deno.test("Server asks everything but liveness for the token, as bearer or as a browser's password", async () => {
  const get = app({ token: "long-token" });
  assert.equal((await get("/health/live")).status, 200);
  for (const headers of [{}, { authorization: "Bearer wrong" }, basic("wrong"), basic("")]) {
    const refused = await get("/status", { headers });
    assert.equal(refused.status, 401);
    assert.match(refused.headers.get("www-authenticate") ?? "", /^Basic/);
    assert.equal((await get("/metrics", { headers })).status, 401);
  }
  assert.equal(
    (await get("/status", { headers: { authorization: "Bearer long-token" } })).status,
    200,
  );
  assert.equal((await get("/status", { headers: basic("long-token") })).status, 200);
  const elsewhere = { host: "enrich:8002", authorization: "bearer long-token" };
  assert.equal((await get("/status", { headers: elsewhere })).status, 200);
});

Deno.test("Server without a token answers only to loopback names", async () => {
  const get = app();
  for (const host of ["localhost:8002", "127.0.0.1", "[::1]:8002"]) {
    assert.equal((await get("/status", { headers: { host } })).status, 200, host);
  }
  for (const host of ["evil.example:8002", "192.168.1.5:8002", "localhost.evil.example"]) {
    assert.equal((await get("/status", { headers: { host } })).status, 403, host);
  }
});

Deno.test("Server refuses what a browser sends for another site's page", async () => {
  const get = app();
  const from = (origin: string) => get("/status", { headers: { origin } });
  assert.equal((await from("http://127.0.0.1:8002")).status, 200);
  for (const origin of ["http://evil.example", "null", "http://127.0.0.1:9999"]) {
    assert.equal((await from(origin)).status, 403, origin);
  }
});

Deno.test("Server counts what it refuses, and says that somebody has another token", async () => {
  const refusals = new Refusals();
  const get = app({ token: "long-token", refusals });
  const counts = () => Object.fromEntries(refusals.counts);
  assert.deepEqual(counts(), { token_missing: 0, token_wrong: 0, origin: 0, host: 0 });
  await get("/status", { headers: { authorization: "Bearer long-token" } });
  await get("/");
  await get("/status", { headers: { origin: "http://evil.example" } });
  assert.deepEqual(refusals.advice(), [], "a browser asks without a token first");
  await get("/events", { method: "POST", headers: { authorization: "Bearer other-token" } });
  await get("/events", { method: "POST" });
  assert.deepEqual(counts(), { token_missing: 2, token_wrong: 1, origin: 1, host: 0 });
  const [advice] = refusals.advice();
  assert.match(advice?.reason ?? "", /refused for a wrong or missing SERVICE_TOKEN: 2 so far/);
  const open = new Refusals();
  await app({ refusals: open })("/status", { headers: { host: "evil.example" } });
  assert.equal(open.counts.get("host"), 1);
});

Deno.test("Server takes a browser's word that a page is its own, behind a proxy with a Host of its own", async () => {
  const get = app();
  const behindProxy = (site: string, more: Readonly<Record<string, string>> = {}) =>
    get("/status", {
      headers: { origin: "https://house.example", "sec-fetch-site": site, ...more },
    });
  assert.equal((await behindProxy("same-origin")).status, 200);
  for (const site of ["same-site", "cross-site", "none"]) {
    assert.equal((await behindProxy(site)).status, 403, site);
  }
  // a name that somebody points here is no loopback name, whatever the browser says
  assert.equal((await behindProxy("same-origin", { host: "evil.example" })).status, 403);
});

Deno.test("Server tells no browser that its whole host speaks TLS", async () => {
  const get = app();
  for (const path of ["/health/live", "/health", "/status", "/metrics", "/nowhere", "/broken"]) {
    assert.equal((await get(path)).headers.get("strict-transport-security"), null, path);
  }
  const refused = await get("/status", { headers: { host: "evil.example" } });
  assert.deepEqual([refused.status, refused.headers.get("strict-transport-security")], [403, null]);
});

Deno.test("Server answers its own failure with 500, and without a secret", async () => {
  const response = await app()("/broken");
  assert.equal(response.status, 500);
  assert.deepEqual(await response.json(), {
    detail: "Event processing failed",
    cause: "something http://***@host broke",
  });
});
