import assert from "node:assert/strict";
import { LocalStore } from "../../lib/enrich/local/local_store.ts";
import type { FieldValue } from "../../lib/enrich/store.ts";
import { addPage } from "../../lib/pages/page.ts";
import { PerMinute } from "../../lib/serve/per_minute.ts";
import { rememberSecret } from "../../lib/log.ts";
import { listen } from "../../lib/serve/listening.ts";
import { createApp, type PageSource, type Verdict } from "../../lib/serve/server.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { HOUSE } from "../simulator/sample_house.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { startEnrich, startIngest } from "../whole_programs.ts";

const WELL: Verdict = { level: "well", headline: "All is well: so it is", reasons: [] };
const LIMIT_MS = 20_000;
const TOKEN = { headers: { authorization: "Bearer s3cret-token" } };

function sourceOf(change: Partial<PageSource> = {}): PageSource {
  return {
    name: "ingest",
    verdict: () => WELL,
    notes: () => ({ dead_letters: 3 }),
    status: () => ({ detail: "<script>alert(1)</script>" }),
    now: () => ({ n: 1 }),
    past: () => ({ n: 2 }),
    ...change,
  };
}

/** A page on a real socket. */
function served(change: Partial<PageSource> = {}) {
  const stop = new AbortController();
  const source = sourceOf(change);
  const app = createApp({
    name: source.name,
    serviceToken: () => "s3cret-token",
    health: () => [],
    metrics: () => "",
    status: () => ({}),
  });
  addPage(app, source, stop.signal);
  const server = listen(app, { host: "127.0.0.1", port: 0, setting: "INGEST_PORT" });
  return {
    get: (path: string) =>
      fetch(server.url + path, { ...TOKEN, signal: AbortSignal.timeout(LIMIT_MS) }),
    url: server.url,
    stop,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await server.close();
    },
  };
}

/** Reads until the stream has said this, and leaves it. */
async function heard(response: Response, wanted: RegExp): Promise<string> {
  assert.ok(response.body);
  let text = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (wanted.test(text)) return text;
  }
  throw new Error(`The stream ended with ${text}`);
}

Deno.test("A page has the verdict and the numbers without script, and nothing in it is read as HTML", async () => {
  rememberSecret("very-secret");
  const verdict: Verdict = {
    level: "bad",
    headline: "Not well: <b>",
    reasons: [{ reason: "The store said <img src=x>", action: "remove very-secret & go" }],
  };
  await using page = served({ verdict: () => verdict });
  const response = await page.get("/");
  const html = await response.text();
  assert.match(html, /<title>ingest: Not well: &#60;b&#62;<\/title>/);
  assert.match(html, /<section\s+id="verdict"\s+class="bad"/);
  assert.match(html, /href="icon-bad\.svg"/);
  assert.match(html, /The store said &#60;img src=x&#62;<\/strong> <span>remove \*\*\* &#38; go/);
  assert.match(html, /<noscript><p>dead letters: 3<\/p><pre>/);
  assert.match(html, /&#60;script&#62;alert/);
  assert.doesNotMatch(html, /<script>|\{\{|very-secret| on\w+=| style=/);
});

Deno.test("A page allows nothing but its own files, and none of its URLs is absolute", async () => {
  for (const name of ["ingest", "enrich"] as const) {
    await using page = served({ name });
    const response = await page.get("/");
    assert.equal(
      response.headers.get("content-security-policy"),
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
        "img-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    );
    assert.equal((await fetch(page.url)).status, 401);
    let text = await response.text();
    const files = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url = ""]) => url);
    assert.deepEqual(files, ["icon-well.svg", "page.css", "parts.css", `${name}_page.js`]);
    // what a script imports is added as it is read
    const all = new Set([...files, "icon-note.svg", "icon-bad.svg"]);
    for (const file of all) {
      const served = await page.get(`/${file}`);
      assert.equal(served.status, 200, file);
      assert.match(
        served.headers.get("content-type") ?? "",
        file.endsWith(".js") ? /javascript/ : file.endsWith(".css") ? /css/ : /svg/,
      );
      const body = await served.text();
      for (const [, imported = ""] of body.matchAll(/ from "\.\/([^"]+)"/g)) all.add(imported);
      text += body;
    }
    assert.ok(all.has("watch.js") && all.has("drawing.js"));
    assert.doesNotMatch(
      text.replaceAll("http://www.w3.org/2000/svg", ""),
      /["'`]\/(?!>)|url\(\/|https?:/,
    );
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write/);
  }
});

Deno.test("A page's stream tells at once, each second, and not to a viewer more than 16", async () => {
  let reads = 0;
  rememberSecret("very-secret");
  await using page = served({ now: () => ({ n: ++reads, url: "http://x?very-secret" }) });
  const text = await heard(await page.get("/live"), /"n":2/);
  assert.match(text, /^event: now\ndata: \{"n":1,"url":"http:\/\/x\?\*\*\*"\}\n\n/);
  assert.match(text, /event: past\ndata: \{"n":2\}\n\n/);
  // nobody watches, nothing is read
  let last = -1;
  await until(() => last === (last = reads), "nothing is read without a viewer", {
    everyMs: 1_500,
  });
  await heard(await page.get("/live"), /(event: now[^]*){2}/);
  const viewers: Response[] = [];
  for (let i = 0; i < 16; i++) viewers.push(await page.get("/live"));
  const refused = await page.get("/live");
  assert.equal(refused.status, 503);
  assert.match(await refused.text(), /Too many pages are open: close one/);
  await viewers[0]?.body?.cancel();
  await until(async () => {
    const again = await page.get("/live");
    await again.body?.cancel();
    return again.status === 200;
  }, "one that has left makes room");
  page.stop.abort();
  await Promise.all(viewers.slice(1).map((viewer) => viewer.text()));
});

Deno.test("A page that cannot be told something goes on", async () => {
  let reads = 0;
  const now = () => {
    if (++reads === 1) throw new Error("the outbox is locked");
    return { n: reads };
  };
  await using page = served({ now });
  assert.match(await heard(await page.get("/live"), /event: now/), /\{"n":2\}/);
});

Deno.test("PerMinute counts what came in the last sixty seconds, and keeps an hour of it", () => {
  using stop = new Stopped();
  let events = 100;
  const perMinute = new PerMinute(() => ({ events }), stop.signal);
  assert.deepEqual(perMinute.now(), { events: 0 });
  for (let i = 0; i < 400; i++) {
    events += 5;
    perMinute.sample();
  }
  events += 2;
  assert.deepEqual(perMinute.now(), { events: 32 - 5 });
  const history = perMinute.history();
  assert.equal(history.length, 366);
  assert.deepEqual(history.at(-1), { events: 30 });
});

class Stopped implements Disposable {
  readonly #stop = new AbortController();
  readonly signal = this.#stop.signal;
  [Symbol.dispose](): void {
    this.#stop.abort();
  }
}

Deno.test("Both programs stream their present state, and end though somebody watches", async () => {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant({ house: HOUSE }).start();
  const enrich = await startEnrich({ DATA_DIR: folder.path });
  const ingest = await startIngest({
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    DATA_DIR: folder.path,
    ENRICHMENT_SERVICE_URL: enrich.url,
  });
  const [ofIngest, ofEnrich] = [await ingest.get("/live"), await enrich.get("/live")];
  const told = async (url: string, wanted: RegExp) => {
    const response = await fetch(`${url}/live`);
    return await heard(response, wanted);
  };
  hass.setState("sensor.meter_power", "1234", { unit_of_measurement: "W" });
  await told(ingest.url, /"captured":[1-9]\d*,"delivered":[1-9]/);
  const house = await until(async () => {
    const text = await told(enrich.url, /event: past\n.*\n/);
    const past = JSON.parse(/event: past\ndata: (.*)\n/.exec(text)?.[1] ?? "");
    const found = past.house.states.find((
      { entity_id: id, value }: { entity_id: string; value: number },
    ) => id === "sensor.meter_power" && value === 1234);
    return found && past.house;
  }, "the page shows the house");
  const meter = house.states.find(({ entity_id: id }: { entity_id: string }) =>
    id === "sensor.meter_power"
  );
  assert.equal(meter.area, "Hallway");
  assert.equal(meter.unit, "W");
  assert.equal(meter.values.length, 48);
  assert.equal(meter.values.at(-1), 1234);
  const startedMs = performance.now();
  await ingest.stop();
  await enrich.stop();
  assert.ok(performance.now() - startedMs < 5_000);
  assert.match(await ofIngest.text(), /event: now/);
  assert.match(await ofEnrich.text(), /event: now/);
});

Deno.test("PresentStates shows each entity once, as it is now, with its values from a day ago to now", async () => {
  using folder = new TemporaryFolder();
  using stop = new Stopped();
  const store = new LocalStore(folder.file("store.sqlite"), { days: 30, maxBytes: 100_000_000 });
  const nowMs = Date.now();
  const hour = (ago: number, id: string, fields: Record<string, FieldValue>, area = "Attic") => ({
    measurement: id.split(".")[0] ?? "",
    tags: new Map([["entity_id", id], ["name", `The ${id}`], ["area", area]]),
    fields: new Map<string, FieldValue>(Object.entries({ available: 1, ...fields })),
    timeNs: BigInt(Math.round(nowMs - ago * 3_600_000)) * 1_000_000n,
  });
  await store.write([
    hour(30, "sensor.a", { value: 1 }),
    hour(12, "sensor.a", { value: 10482.31 }),
    hour(0.001, "sensor.a", { value: 3 }),
    hour(48, "sensor.a", { value: 9 }, "Cellar"),
    hour(5, "light.b", { value: 1, state: "on" }, "Kitchen"),
    hour(2, "light.b", { available: 0, state: "unavailable" }, "Kitchen"),
    hour(1, "switch.gone", { available: 0, state: "removed" }),
    hour(1, "events.none", { value: 1 }),
  ]);
  const house = await store.presentHouse.read(stop.signal);
  assert.ok(house);
  const about = house.states.map((
    { entity_id, area, value, state, available },
  ) => [entity_id, area, value, state, available]);
  assert.deepEqual(about, [
    ["sensor.a", "Attic", 3, undefined, 1],
    ["light.b", "Kitchen", undefined, "unavailable", 0],
  ]);
  const valuesOf = (id: string) =>
    house.states.find(({ entity_id }) => entity_id === id)?.values ?? [];
  const a = valuesOf("sensor.a");
  // nothing is older than twelve hours: there the lines begin
  assert.equal(Math.round((nowMs - house.since_ms) / 3_600_000), 12);
  assert.deepEqual([a.length, a[0], a[46], a[47]], [48, 10482.31, 10482.31, 3]);
  const b = valuesOf("light.b");
  assert.deepEqual([b[0], b[47 - 12], b[47]], [null, 1, null]);
  store.close();
});

Deno.test("Enrich tells why it refused, in its status too", async () => {
  using folder = new TemporaryFolder();
  await using enrich = await startEnrich({ DATA_DIR: folder.path });
  const post = (body: string, type: string) =>
    enrich.get("/events", { method: "POST", body, headers: { "content-type": type } });
  await (await post("{}", "application/json")).text();
  await (await post("{}\nnothing\n", "application/x-ndjson")).text();
  const { events } = await (await enrich.get("/status")).json();
  const reasons: [string, number][] = Object.entries(events.problem_reasons);
  assert.equal(reasons.reduce((sum, [, n]) => sum + n, 0), events.problems);
  assert.ok(reasons.some(([reason]) => /the line is no JSON/.test(reason)));
});
