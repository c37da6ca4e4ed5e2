import assert from "node:assert/strict";
import { allButLimited } from "../ingest/delivery/delivering.ts";
import { FakeEnrich } from "../stand_ins/fake_enrich.ts";
import { FakeInfluxDb } from "../stand_ins/fake_influxdb.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { HOUSE } from "../simulator/sample_house.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { type Program, startEnrich, startIngest } from "../whole_programs.ts";
import { Chromium, DESK, type OpenPage, PHONE, type View } from "./parts/browser.ts";

const VIEWS: Readonly<Record<string, View>> = {
  light: DESK,
  dark: { ...DESK, colorScheme: "dark" },
  phone: PHONE,
};

/** No word that a page could say: it is hidden wherever it stands. */
const INFLUXDB_TOKEN = "s3cret-of-influxdb";

interface Setup {
  readonly hass: SimulatedHomeAssistant;
  readonly influx: FakeInfluxDb;
  readonly ingest: Program;
  readonly enrich: Program;
  readonly chromium: Chromium;
}

/** A simulated house, both programs, an InfluxDB and a browser, for as long as the test takes. */
async function running(
  test: (setup: Setup) => Promise<void>,
  { token, hassToken }: { token?: string; hassToken?: string } = {},
): Promise<void> {
  using folder = new TemporaryFolder();
  await using influx = await FakeInfluxDb.start({ version: 2, token: INFLUXDB_TOKEN });
  await using hass = new SimulatedHomeAssistant({ house: HOUSE }).start();
  const common = { DATA_DIR: folder.path, SERVICE_TOKEN: token };
  await using enrich = await startEnrich({
    ...common,
    INFLUXDB_URL: influx.url,
    INFLUXDB_ORG: "home",
    INFLUXDB_BUCKET: "home",
    INFLUXDB_TOKEN,
  });
  await using ingest = await startIngest({
    ...common,
    HASS_URL: hass.url,
    HASS_TOKEN: hassToken ?? hass.token,
    ENRICHMENT_SERVICE_URL: enrich.url,
  });
  await using chromium = await Chromium.start();
  await test({ hass, influx, ingest, enrich, chromium });
}

/** Looks at the page light, dark and on a phone; nothing may be wrong with any. */
async function inEachView(
  chromium: Chromium,
  url: string,
  name: string,
  look: (page: OpenPage) => Promise<void>,
  token?: string,
): Promise<void> {
  for (const [view, how] of Object.entries(VIEWS)) {
    await using page = await chromium.open(url, { ...how, token });
    await look(page);
    await page.screenshot(`${name}-${view}`);
    assert.equal(await page.overflows(), false, `${name} is wider than the ${view} window`);
    assertClean(page);
  }
}

function assertClean({ complaints, elsewhere }: OpenPage): void {
  assert.deepEqual({ complaints, elsewhere }, { complaints: [], elsewhere: [] });
}

Deno.test("The pages show a flow that works", async () => {
  await running(async ({ hass, ingest, enrich, chromium }) => {
    await hass.burst({ n: 300, entities: 20, paced: true });
    await inEachView(chromium, `${ingest.url}/`, "ingest-well", async (page) => {
      await page.shows("#verdict.well h2", /All is well: events are captured and delivered/);
      await page.shows("#home-assistant .big", "Connected");
      await page.shows("#outbox .big", "0 waiting");
      await page.shows("#plot .legend", /captured [3-9]\d\d.*delivered [3-9]\d\d/);
      await page.shows("#equation", /received[3-9]\d\d/);
      assert.equal(
        (await page.page.locator("#equation dt").allTextContents()).join(" "),
        "received = delivered + left out + dead letters + dropped + waiting",
      );
      assert.match(await page.page.title(), /^ingest: All is well/);
    });
    await inEachView(chromium, `${enrich.url}/`, "enrich-well", async (page) => {
      await page.shows("#verdict.well h2", "All is well: events are stored");
      await page.shows("#store .detail", /InfluxDB 2 at http/);
      await page.shows("#plot .legend", /received [3-9]\d\d.*stored [3-9]\d\d/);
      await page.page.locator("#house").waitFor({ state: "hidden" });
    });
  });
});

Deno.test("The pages show a stopped InfluxDB, what to do, and that it is over", async () => {
  await running(async ({ hass, ingest, enrich, influx, chromium }) => {
    await using open = await chromium.open(`${ingest.url}/`);
    await open.shows("#verdict.well h2", /All is well/);
    await influx.stop();
    await hass.burst({ n: 50, entities: 5, paced: true });
    await open.shows("#verdict.bad h2", "Not well: events are captured, but wait in the outbox");
    assert.match(await open.page.title(), /^ingest: Not well/);
    const icon = open.page.locator("#icon");
    assert.equal(await icon.getAttribute("href"), "icon-bad.svg");
    await inEachView(chromium, `${ingest.url}/`, "ingest-influxdb-stopped", async (page) => {
      await page.shows("#verdict.bad li", /Cannot reach the database.*nothing is lost meanwhile/);
      await page.shows("#outbox .big", /[1-9]\d* waiting/);
      await page.shows("#outbox .detail", /the oldest for \d+ s/);
      await page.shows("#delivery .big", "Not stored");
    });
    await inEachView(chromium, `${enrich.url}/`, "enrich-influxdb-stopped", async (page) => {
      await page.shows("#verdict.bad li", /Cannot reach the database.*ingest keeps what waits/);
      await page.shows("#store .big", "Takes nothing");
    });
    await influx.restart();
    await open.shows("#verdict.well h2", /All is well/);
    await open.shows("#outbox .big", /^0 waiting/);
    assertClean(open);
  });
});

Deno.test("The page shows a wrong Home Assistant token, and what to do", async () => {
  await running(async ({ ingest, chromium }) => {
    await inEachView(chromium, `${ingest.url}/`, "ingest-wrong-token", async (page) => {
      await page.shows("#verdict.bad h2", "Not well: events are not captured");
      await page.shows("#verdict li", /refused HASS_TOKEN.*make a new long-lived access token/);
      await page.shows("#home-assistant.bad .big", "Token refused");
    });
  }, { hassToken: "wrong" });
});

/** A gap: what happens while ingest is off, which has captured a state of `sensor.lost`. */
async function missed(
  { happens }: {
    readonly happens: (hass: SimulatedHomeAssistant, influx: FakeInfluxDb) => unknown;
  },
  test: (setup: Omit<Setup, "enrich">) => Promise<void>,
): Promise<void> {
  using folder = new TemporaryFolder();
  await using influx = await FakeInfluxDb.start({ version: 1 });
  await using hass = new SimulatedHomeAssistant({ house: HOUSE }).start();
  await using enrich = await startEnrich({
    DATA_DIR: folder.path,
    INFLUXDB_URL: influx.url,
    INFLUXDB_DATABASE: "home",
  });
  const start = () =>
    startIngest({
      HASS_URL: hass.url,
      HASS_TOKEN: hass.token,
      DATA_DIR: folder.path,
      ENRICHMENT_SERVICE_URL: enrich.url,
      BACKFILL_DAYS: "0",
    });
  {
    await using _ingest = await start();
    hass.setState("sensor.lost", "1");
    // what the registries say comes first: before any state is captured there is no gap
    const isCaptured = () =>
      influx.points.some(({ measurement, tags }) =>
        measurement === "sensor" && tags.get("entity_id") === "sensor.lost"
      );
    await until(isCaptured, "its state is captured");
  }
  // before ingest fills: on a busy machine it takes its time
  await using chromium = await Chromium.start();
  await happens(hass, influx);
  await using ingest = await start();
  await test({ hass, influx, ingest, chromium });
}

Deno.test("The page shows a gap that is being filled, and how far it is", async () => {
  const happens = async (hass: SimulatedHomeAssistant, influx: FakeInfluxDb) => {
    await hass.burst({ n: 12_000, entities: 20, paced: true });
    // so that more waits than the filler lets wait, and it can be watched
    influx.delayMs = 1_500;
  };
  await missed({ happens }, async ({ influx, ingest, chromium }) => {
    await inEachView(chromium, `${ingest.url}/`, "ingest-filling", async (page) => {
      await page.shows("#verdict.well h2", /what was missed is being filled in/);
      await page.shows(
        "#filling",
        /\d %: reading the history of \d+ entities, [\d,]+ states filled/,
      );
      await until(async () => {
        const part = await page.page.locator("#filling progress").getAttribute("value");
        return Number(part) > 0 && Number(part) < 1;
      }, "a part of it is done");
      await page.shows("#gaps", /ingest was stopped.*states so far/);
    });
    influx.delayMs = 0;
    await using page = await chromium.open(`${ingest.url}/`);
    await page.shows("#gaps td:last-child", /^12,\d\d\d states$/);
    assertClean(page);
  });
});

Deno.test("The page shows what filling waits for, and then of how many entities what is lacking", async () => {
  const happens = (hass: SimulatedHomeAssistant) => {
    hass.disableHistory();
    hass.recorder.recording = false;
    hass.setState("sensor.lost", "2");
  };
  await missed({ happens }, async ({ hass, ingest, chromium }) => {
    await inEachView(chromium, `${ingest.url}/`, "ingest-filling-waits", async (page) => {
      await page.shows("#verdict.note h2", /Home Assistant's recorder records nothing$/);
      await page.shows(
        "#filling .detail",
        /^0 states filled in so far; what \d+ entit(?:y|ies) missed has waited for \d+ s: Home Assistant's history integration is off$/,
      );
      await page.shows(
        "#gaps",
        /ingest was stopped.*0 states so far, and \d+ entit(?:y|ies) still to be read$/,
      );
    });
    hass.recorder.recording = true;
    hass.disableHistory(false);
    await using page = await chromium.open(`${ingest.url}/`);
    await page.shows(
      "#gaps td:last-child",
      /states; of \d+ entit(?:y|ies) not all: lost by the recorder$/,
    );
    await page.shows("#verdict.well h2", "All is well: events are captured and delivered");
    await page.page.locator("#filling").waitFor({ state: "hidden" });
    assertClean(page);
  });
});

Deno.test("The page shows what a limit of the store holds, and has it tried again", async () => {
  using folder = new TemporaryFolder();
  let isRaised = false;
  await using fake = new FakeEnrich((lines) =>
    allButLimited(
      lines,
      (line) => !isRaised && line.includes('"sensor.odd"'),
      'InfluxDB answered 400: max-values-per-tag limit exceeded: measurement="<b>sensor</b>"',
    )
  );
  await using hass = new SimulatedHomeAssistant({ house: HOUSE }).start();
  await using ingest = await startIngest({
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    DATA_DIR: folder.path,
    ENRICHMENT_SERVICE_URL: fake.url,
    BACKFILL_DAYS: "0",
  });
  await using chromium = await Chromium.start();
  await using open = await chromium.open(`${ingest.url}/`);
  await open.shows("#verdict.well h2", /All is well/);
  assert.equal(await open.page.locator("#limited").isVisible(), false);
  hass.setState("sensor.odd", "1");
  await inEachView(chromium, `${ingest.url}/`, "ingest-limited", async (page) => {
    await page.shows("#verdict.bad h2", /a limit of the store holds events, the others are stored/);
    await page.shows("#verdict li", /because of a limit of the store.*press “Try now”/);
    await page.shows("#limited-said", /^\d events? set aside.*tried again in \d+ s\.$/);
    await page.shows("#limit", /limit exceeded: measurement="<b>sensor<\/b>"$/);
    await page.shows("#delivery.well .big", "Answers");
  });
  isRaised = true;
  await open.page.getByRole("button", { name: "Try now" }).click();
  await open.shows("#verdict.well h2", /All is well/);
  await open.shows("#outbox .big", "0 waiting");
  await open.page.locator("#limited").waitFor({ state: "hidden" });
  assertClean(open);
});

Deno.test("The page shows dead letters; they are delivered again and discarded there, under a prefix too", async () => {
  const token = "s3cret-token";
  await running(async ({ hass, influx, ingest, chromium }) => {
    influx.refuses = ({ tags }) => tags.get("entity_id")?.startsWith("sensor.refused") === true;
    for (const entity of ["sensor.refused_1", "sensor.refused_2", "sensor.refused_3"]) {
      hass.setState(entity, "1");
    }
    await until(async () => (await eventsOf(ingest, token)).dead_lettered === 3, "3 are refused");
    await inEachView(chromium, `${ingest.url}/`, "ingest-dead-letters", async (page) => {
      await page.shows("#verdict.note h2", /some wait for you/);
      await page.shows("#verdict li", /3 dead letters.*deliver them again/);
      await page.shows("#reasons td", /field type conflict/);
    }, token);
    await using proxy = new PrefixProxy(ingest.url);
    await using page = await chromium.open(proxy.url, { token });
    const { page: tab } = page;
    await tab.getByText("The newest of them").click();
    await page.shows("#letters", /sensor\.refused_3/);
    influx.refuses = ({ tags }) => tags.get("entity_id") === "sensor.refused_3";
    await tab.getByRole("button", { name: "Deliver again" }).click();
    await page.shows("#equation", "dead letters1");
    await page.shows("#letters tr:last-child", "sensor.refused_3");
    assert.deepEqual(
      influx.points.flatMap(({ tags }) =>
        tags.get("entity_id")?.startsWith("sensor.refused") ? [tags.get("entity_id")] : []
      ),
      ["sensor.refused_1", "sensor.refused_2"],
    );
    const discard = tab.getByRole("button", { name: "Discard…" });
    await discard.click();
    await page.shows("#confirm-text", /1 event, refused for .* will be given up for good/);
    await page.screenshot("ingest-confirm");
    await tab.getByRole("button", { name: "Keep them" }).click();
    assert.equal((await eventsOf(ingest, token)).dead_lettered, 1);
    await discard.click();
    await tab.locator("#discard").click();
    await page.shows("#verdict.well h2", "All is well");
    await page.shows("#equation", /dead letters0\+ dropped1/);
    const { dropped, dead_lettered } = await eventsOf(ingest, token);
    assert.deepEqual({ dropped, dead_lettered }, {
      dropped: { outbox_full: 0, discarded: 1 },
      dead_lettered: 0,
    });
    assertClean(page);
  }, { token });
});

Deno.test("The page of enrich shows the house of the local store, and what was refused", async () => {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant({ house: HOUSE }).start();
  const CONFIG_FILE = folder.file("enrich.yaml");
  await Deno.writeTextFile(CONFIG_FILE, "influxdb:\n  exclude: {event_types: unwanted}\n");
  await using enrich = await startEnrich({ DATA_DIR: folder.path, CONFIG_FILE });
  await using _ingest = await startIngest({
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    DATA_DIR: folder.path,
    ENRICHMENT_SERVICE_URL: enrich.url,
  });
  await until(async () => (await eventsOf(enrich)).stored > 20, "the house is stored");
  const post = { method: "POST", headers: { "content-type": "application/json" } };
  const unwanted = {
    event_type: "unwanted",
    data: {},
    time_fired: new Date().toISOString(),
    origin: "LOCAL",
  };
  for (const body of ['{"event_type":""}', JSON.stringify(unwanted)]) {
    await (await enrich.get("/events", { ...post, body })).text();
  }
  await using chromium = await Chromium.start();
  await inEachView(chromium, `${enrich.url}/`, "enrich-house", async (page) => {
    await page.shows("#areas section", /Kitchen.*Washing machine/);
    await page.shows("#areas section", /Living room.*Temperature21\.4 °C/);
    await page.shows("#refused td", /events refused: event_type: must not be empty/);
    await page.shows("#refused td", /^events left out: by CONFIG_FILE$/);
    assert.ok(await page.page.locator("#areas svg path").count() > 20);
  });
});

Deno.test("A page runs no script but its own, and says so when its program is gone", async () => {
  await running(async ({ enrich, chromium }) => {
    await using page = await chromium.open(`${enrich.url}/`);
    const { page: tab } = page;
    const ran = await tab.evaluate(`{
      const script = document.createElement("script");
      script.textContent = "globalThis.injected = true";
      document.body.append(script);
      globalThis.injected === true
    }`);
    assert.equal(ran, false);
    await until(() => page.complaints.length > 0, "the browser has refused it");
    assert.match(page.complaints.join(), /Content Security Policy/);
    await enrich.stop();
    await page.shows("#verdict.bad h2", "Not well: enrich does not answer");
    await page.shows("#liveness", "not live");
  });
});

async function eventsOf(program: Program, token?: string) {
  const headers = token === undefined ? undefined : { authorization: `Bearer ${token}` };
  return (await (await program.get("/status", { headers })).json()).events;
}

/** A proxy that has the program under a prefix, and says its own Host to it, as many do. */
class PrefixProxy implements AsyncDisposable {
  readonly url: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #stop = new AbortController();

  constructor(target: string) {
    const { signal } = this.#stop;
    const options = { hostname: "127.0.0.1", port: 0, signal, onListen: () => {} };
    this.#server = Deno.serve(options, (request) => {
      const { pathname, search } = new URL(request.url);
      if (!pathname.startsWith("/prefix/")) return new Response(null, { status: 404 });
      const headers = new Headers(request.headers);
      headers.delete("host");
      const { method, body } = request;
      return fetch(target + pathname.slice("/prefix".length) + search, { method, headers, body });
    });
    this.url = `http://127.0.0.1:${this.#server.addr.port}/prefix/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#server.finished;
  }
}
