import assert from "node:assert/strict";
import { listen } from "../../lib/serve/listening.ts";
import { createApp } from "../../lib/serve/server.ts";

Deno.test("listen says which setting to fix where the address is taken", async () => {
  const hello = createApp({
    name: "enrich",
    serviceToken: undefined,
    health: () => [],
    metrics: () => "",
    status: () => ({}),
  });
  const first = listen(hello, {
    host: "localhost",
    port: 0,
    setting: "ENRICH_HOST and ENRICH_PORT",
  });
  try {
    assert.equal(await (await fetch(`${first.url}/health/live`)).text(), '{"status":"live"}');
    const port = Number(new URL(first.url).port);
    assert.throws(
      () => listen(hello, { host: "127.0.0.1", port, setting: "ENRICH_HOST and ENRICH_PORT" }),
      /Cannot listen on 127.0.0.1:\d+: the port is taken; end .*, or set ENRICH_PORT to another$/,
    );
  } finally {
    await first.close();
  }
});

Deno.test("listen closes within 3 s though a request never ends", async () => {
  const app = createApp({
    name: "enrich",
    serviceToken: undefined,
    health: () => [],
    metrics: () => "",
    status: () => ({}),
  });
  const begun = Promise.withResolvers<void>();
  const ending = new AbortController();
  app.get("/endless", async () => {
    begun.resolve();
    await new Promise((resolve) => ending.signal.addEventListener("abort", resolve));
    return new Response();
  });
  const listening = listen(app, {
    host: "127.0.0.1",
    port: 0,
    setting: "ENRICH_HOST and ENRICH_PORT",
  });
  const asking = fetch(`${listening.url}/endless`);
  await begun.promise;
  const beganMs = performance.now();
  await listening.close();
  const tookMs = performance.now() - beganMs;
  ending.abort();
  await (await asking).body?.cancel();
  assert.ok(tookMs > 2_500 && tookMs < 10_000, `${tookMs} ms`);
});
