import assert from "node:assert/strict";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { HOUSE } from "../simulator/sample_house.ts";
import { until } from "../until.ts";
import { differences } from "./parts/expected_point.ts";
import { Influxd, type StoredPoint } from "./parts/influxd.ts";
import { total } from "./parts/metrics_text.ts";
import { type Program, startEnrich, startIngest } from "./parts/programs.ts";
import { measured, realTest } from "./parts/real_test_case.ts";

/** Hands each request to the next of the servers; 502 where that one is away. */
class Balancer implements AsyncDisposable {
  readonly url: string;
  /** How often a server was away. */
  failures = 0;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #turn = 0;

  constructor(targets: readonly string[]) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => {
        const target = targets[this.#turn++ % targets.length] ?? "";
        try {
          return await forward(request, target);
        } catch {
          this.failures++;
          return new Response("Bad Gateway", { status: 502 });
        }
      },
    );
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

async function forward(request: Request, target: string): Promise<Response> {
  const { pathname } = new URL(request.url);
  const headers = { "content-type": request.headers.get("content-type") ?? "" };
  const body = await request.text();
  const answer = await fetch(target + pathname, { method: request.method, headers, body });
  return new Response(await answer.text(), { status: answer.status, headers: answer.headers });
}

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

realTest(
  "Two enriches behind a load balancer store what a second ingest with an enrich of its own stores elsewhere",
  async () => {
    await using resources = new AsyncDisposableStack();
    const influxd = resources.use(await Influxd.start());
    const hass = resources.use(
      new SimulatedHomeAssistant({ house: HOUSE, recorder: false }).start(),
    );
    const enrichInto = async (database: string) =>
      resources.use(
        await startEnrich({ INFLUXDB_URL: influxd.url, INFLUXDB_DATABASE: database }),
      );
    const ingestTo = async (url: string) =>
      resources.use(
        await startIngest({
          HASS_URL: hass.url,
          HASS_TOKEN: hass.token,
          ENRICHMENT_SERVICE_URL: url,
        }),
      );
    for (const database of ["shared", "alone"]) await influxd.createDatabase(database);
    const both = [await enrichInto("shared"), await enrichInto("shared")] as const;
    const balancer = resources.use(new Balancer(both.map(({ url }) => url)));
    const ingests = [
      await ingestTo(balancer.url),
      await ingestTo((await enrichInto("alone")).url),
    ];
    for (const ingest of ingests) await ingest.untilReady();

    const change = async (round: number) => {
      await hass.burst({ n: 3_000, entities: 50 });
      for (let i = 0; i < 100; i++) hass.fire("round", { round, i });
    };
    await change(1);
    await both[0].kill();
    await change(2);
    await until(() => balancer.failures > 0, "the one that was killed is missed");
    await both[0].startAgain();
    await change(3);
    await drained(ingests);

    const [shared, alone] = [
      await comparable(influxd, "shared"),
      await comparable(influxd, "alone"),
    ];
    assert.deepEqual(differences(alone, shared), { missing: [], surplus: [] });
    assert.ok(alone.length > 9_000, `${alone.length} points`);
    const stored: number[] = [];
    for (const enrich of both) {
      const metrics = await enrich.metrics();
      assert.equal(total(metrics, "enrich_events_problem_total"), 0);
      stored.push(total(metrics, "enrich_events_stored_total"));
    }
    assert.ok(stored.every((count) => count > 0), "both have stored");
    measured(
      `two enriches, one of them killed meanwhile: ${shared.length} points alike in both stores, ` +
        `${stored.join(" and ")} of them by each since its last start`,
    );
  },
);
