import assert from "node:assert/strict";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { HOUSE } from "../simulator/sample_house.ts";
import { until } from "../until.ts";
import { Balancer } from "./parts/balancer.ts";
import { differences } from "./parts/expected_point.ts";
import { Influxd, type StoredPoint } from "./parts/influxd.ts";
import { equationOf, total } from "./parts/metrics_text.ts";
import { type Program, startEnrich, startIngest } from "./parts/programs.ts";
import { measured, realTest } from "./parts/real_test_case.ts";

const ROUND = 3_000;

/** What the registries say has the time at which each ingest heard it. */
async function comparable(influxd: Influxd, database: string): Promise<StoredPoint[]> {
  const points = await influxd.allPoints(database);
  return points.filter(({ measurement }) => measurement !== "entities");
}

async function drained(ingests: readonly Program[]): Promise<void> {
  for (const ingest of ingests) {
    await until(
      async () => total(await ingest.metrics(), "ingest_events_queued") === 0,
      "nothing waits",
    );
  }
}

/** One InfluxDB, one house, and what stands between them. */
class Site implements AsyncDisposable {
  private constructor(
    readonly influxd: Influxd,
    readonly hass: SimulatedHomeAssistant,
    private readonly resources: AsyncDisposableStack,
  ) {}

  /** With an empty database of each name. */
  static async start(databases: readonly string[]): Promise<Site> {
    await using resources = new AsyncDisposableStack();
    const influxd = resources.use(await Influxd.start());
    for (const database of databases) await influxd.createDatabase(database);
    const hass = new SimulatedHomeAssistant({ house: HOUSE, recorder: false }).start();
    resources.use(hass);
    return new Site(influxd, hass, resources.move());
  }

  async enrichInto(database: string): Promise<Program> {
    const env = { INFLUXDB_URL: this.influxd.url, INFLUXDB_DATABASE: database };
    return this.resources.use(await startEnrich(env));
  }

  async ingestTo(url: string): Promise<Program> {
    const { hass } = this;
    return this.resources.use(
      await startIngest({
        HASS_URL: hass.url,
        HASS_TOKEN: hass.token,
        ENRICHMENT_SERVICE_URL: url,
      }),
    );
  }

  /** Fires some 3,000 changes of states, and 100 other events. */
  async change(round: number): Promise<void> {
    await this.hass.burst({ n: ROUND, entities: 50 });
    for (let i = 0; i < 100; i++) this.hass.fire("round", { round, i });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}

realTest(
  "Three enriches behind a load balancer store what a second ingest with an enrich of its own stores elsewhere",
  async () => {
    await using site = await Site.start(["shared", "alone"]);
    const three = [
      await site.enrichInto("shared"),
      await site.enrichInto("shared"),
      await site.enrichInto("shared"),
    ] as const;
    await using balancer = new Balancer(three.map(({ url }) => url));
    const balanced = await site.ingestTo(balancer.url);
    const ingests = [balanced, await site.ingestTo((await site.enrichInto("alone")).url)];
    for (const ingest of ingests) await ingest.untilReady();

    await site.change(1);
    for (const enrich of three) {
      await until(
        async () => total(await enrich.metrics(), "enrich_events_stored_total") > 0,
        "each has stored",
      );
    }
    const changing = site.change(2);
    await three[0].kill();
    await changing;
    await until(() => balancer.failures > 0, "the one that was killed is missed");
    await three[0].startAgain();
    await site.change(3);
    await drained(ingests);

    const [shared, alone] = [
      await comparable(site.influxd, "shared"),
      await comparable(site.influxd, "alone"),
    ];
    assert.deepEqual(differences(alone, shared), { missing: [], surplus: [] });
    assert.equal(shared.length, alone.length);
    assert.ok(alone.length > 3 * ROUND, `${alone.length} points`);
    const metrics = await balanced.metrics();
    const { received, text } = equationOf(metrics);
    assert.ok(received > 3 * ROUND, text);
    const delivered = total(metrics, "ingest_events_delivered_total") +
      total(metrics, "ingest_events_skipped_total");
    assert.equal(delivered, received, text);
    assert.equal(total(metrics, "ingest_events_dead_lettered"), 0);
    const stored: number[] = [];
    for (const enrich of three) {
      const metrics = await enrich.metrics();
      assert.equal(total(metrics, "enrich_events_problem_total"), 0);
      stored.push(total(metrics, "enrich_events_stored_total"));
    }
    assert.ok(stored.every((count) => count > 0), "all have stored");
    measured(
      `three enriches, one of them killed meanwhile: ${shared.length} points alike in both ` +
        `stores, ${stored.join(", ")} of them by each since its last start; ${text}`,
    );
  },
);

/** A balancer that passes nothing on, and says that all is well. */
function liar(answer: (lines: number) => string): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => new Response(answer((await request.text()).split("\n").length)),
  );
}

realTest(
  "A load balancer that answers 200 by itself delivers nothing, and health says so",
  async () => {
    // it ends last: a request under way would keep it from ending
    await using balancer = liar(() => "OK");
    await using site = await Site.start([]);
    const ingest = await site.ingestTo(`http://127.0.0.1:${balancer.addr.port}`);
    await until(() => site.hass.subscriberCount > 0, "ingest has subscribed");
    await site.change(1);
    const { text } = await until(async () => {
      const health = await ingest.health();
      return /answered 200, but not as enrich does/.test(health.text) && health;
    }, "ingest refuses the answer");
    assert.match(text, /ENRICHMENT_SERVICE_URL/);
    await until(
      async () => equationOf(await ingest.metrics()).received > ROUND,
      "all that was fired is captured",
    );
    const metrics = await ingest.metrics();
    assert.equal(total(metrics, "ingest_events_delivered_total"), 0);
    assert.equal(
      total(metrics, "ingest_events_queued"),
      total(metrics, "ingest_events_received_total"),
    );
  },
);

realTest(
  "The comparison of stores sees what a load balancer loses that answers as enrich does",
  async () => {
    await using balancer = liar((stored) =>
      JSON.stringify({
        status: "success",
        stored,
        skipped: {},
        problems: [],
        pending: [],
        limited: [],
      })
    );
    await using site = await Site.start(["shared", "alone"]);
    const ingests = [
      await site.ingestTo(`http://127.0.0.1:${balancer.addr.port}`),
      await site.ingestTo((await site.enrichInto("alone")).url),
    ];
    for (const ingest of ingests) await ingest.untilReady();
    await site.change(1);
    await drained(ingests);
    const alone = await comparable(site.influxd, "alone");
    const shared = await comparable(site.influxd, "shared");
    assert.ok(alone.length > ROUND, `${alone.length} points`);
    assert.equal(differences(alone, shared).missing.length, alone.length);
  },
);
