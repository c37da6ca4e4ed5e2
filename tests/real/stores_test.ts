/**
 * What must hold of every store: after ten days of history, a day of a living house, and a kill of
 * each part, it holds what was delivered, by its own count. FULL=1 is the whole of it.
 */
import assert from "node:assert/strict";
import * as z from "zod";
import type { FiredEvent } from "../simulator/bus.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { LivingHouse } from "../simulator/living_house.ts";
import { HOUSE } from "../simulator/sample_house.ts";
import { until } from "../until.ts";
import { DeliveryTap } from "./parts/delivery_tap.ts";
import { expectedPoint } from "./parts/expected_point.ts";
import { untilFilled } from "./parts/filling.ts";
import { REAL_INFLUXDBS, type RealInfluxDb } from "./parts/influxdbs.ts";
import type { StoredPoint } from "./parts/influxql.ts";
import { equationOf, total } from "./parts/metrics_text.ts";
import { type Environment, type Program, startEnrich, startIngest } from "./parts/programs.ts";
import { measured, realTestsAtOnce } from "./parts/real_test_case.ts";
import { VictoriaMetricsServer } from "./parts/victoriametrics.ts";

const FULL = Deno.env.get("FULL") === "1";
/** Of a real house. */
const EVENTS_PER_MINUTE = 17;
const DAY_S = 86_400;
/** An hour less than BACKFILL_DAYS, so that nothing falls out while the test runs. */
const HISTORY_S = 10 * DAY_S - 3_600;
const HISTORY_EVENTS = FULL ? Math.floor(HISTORY_S / 60) * EVENTS_PER_MINUTE : 10_000;
const LIVE_EVENTS = FULL ? 24 * 60 * EVENTS_PER_MINUTE : 1_500;
/** How many of them happen in a second. */
const LIVE_RATE = FULL ? 300 : 150;
const LIMIT_MS = 900_000;

/** A real store, and what it can tell of what it holds. */
interface CountingStore extends AsyncDisposable {
  readonly env: Environment;
  kill(): Promise<void>;
  startAgain(): Promise<void>;
  /** What it must hold of a point: the point, or several samples. */
  idsOf(point: StoredPoint): readonly string[];
  /** By its own count. */
  count(): Promise<number>;
  /** What it holds, and whatever else must be so. */
  ids(): Promise<ReadonlySet<string>>;
  /** Stores something that nobody sent. */
  spoil(): Promise<void>;
}

function idOf({ measurement, tags, timeNs }: StoredPoint): string {
  const sorted = Object.entries(tags).sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify([measurement, sorted, String(timeNs)]);
}

/** A field that each point of the measurement has. */
function steadyField(measurement: string): string {
  return measurement === "events" ? "origin" : "available";
}

function countingInfluxDb(influxDb: RealInfluxDb): CountingStore {
  const read = async (measurement: string) =>
    (await influxDb.query(`SELECT * FROM "${measurement}" GROUP BY *`))
      .reduce((sum, { values }) => sum + values.length, 0);
  return {
    env: influxDb.env(),
    kill: () => influxDb.kill(),
    startAgain: () => influxDb.startAgain(),
    idsOf: (point) => [idOf(point)],
    count: async () => {
      const measurements = await influxDb.query("SHOW MEASUREMENTS");
      let count = 0;
      for (
        const name of measurements.flatMap(({ values }) => values.map(([name]) => String(name)))
      ) {
        if (name === "entities") count += await read(name);
        else {
          const [series] = await influxDb.query(
            `SELECT count("${steadyField(name)}") FROM "${name}"`,
          );
          count += Number(series?.values[0]?.[1] ?? 0);
        }
      }
      return count;
    },
    ids: async () => new Set((await influxDb.allPoints()).map(idOf)),
    spoil: () => influxDb.write(`sensor,entity_id=sensor.nobody available=1 1`),
    [Symbol.asyncDispose]: async () => await influxDb[Symbol.asyncDispose](),
  };
}

function sampleId(labels: Readonly<Record<string, string>>, timeMs: number): string {
  return JSON.stringify([Object.entries(labels).sort(([a], [b]) => a < b ? -1 : 1), timeMs]);
}

const countSchema = z.object({
  data: z.object({ result: z.array(z.object({ value: z.tuple([z.number(), z.string()]) })) }),
});

/** How many samples it has, by its own count, of the last twelve days and the hour to come. */
async function sampleCount({ url }: VictoriaMetricsServer): Promise<number> {
  const body = new URLSearchParams({
    query: 'sum(count_over_time({__name__!=""}[12d]))',
    time: String(Math.floor(Date.now() / 1_000) + 3_600),
    nocache: "1",
  });
  const response = await fetch(`${url}/api/v1/query`, { method: "POST", body });
  const text = await response.text();
  assert.ok(response.ok, text);
  const [first] = countSchema.parse(JSON.parse(text)).data.result;
  return Number(first?.value[1] ?? 0);
}

/** Of each point a sample for each number, in a series of its own, with the time in whole milliseconds. */
function countingVictoriaMetrics(server: VictoriaMetricsServer): CountingStore {
  const assertNoneIgnored = async () => assert.deepEqual(await server.ignored(), {});
  return {
    env: { INFLUXDB_URL: server.url, INFLUXDB_DATABASE: "home" },
    kill: async () => {
      // it counts from its start
      await assertNoneIgnored();
      await server.kill();
    },
    startAgain: () => server.startAgain(),
    idsOf: ({ measurement, tags, fields, timeNs }) =>
      Object.entries(fields).filter(([, value]) => typeof value === "number").map(([field]) =>
        sampleId(
          { __name__: `${measurement}_${field}`, db: "home", ...tags },
          Number(timeNs / 1_000_000n),
        )
      ),
    count: async () => {
      await server.samplesOnceFlushed("nothing");
      return await sampleCount(server);
    },
    ids: async () => {
      await assertNoneIgnored();
      const samples = await server.samplesOnceFlushed();
      assert.deepEqual(samples.filter(({ labels }) => /_state$/.test(labels.__name__ ?? "")), []);
      return new Set(samples.map(({ labels, timeMs }) => sampleId(labels, timeMs)));
    },
    spoil: () => server.write(`sensor,entity_id=sensor.nobody available=1 ${Date.now()}000000`),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** A house whose clock runs as fast as its events come, and that notes all states which it had. */
class FastHouse extends SimulatedHomeAssistant {
  /** `entity_id` and the time in microseconds. */
  readonly statesHad = new Set<string>();
  readonly #life: LivingHouse;

  private constructor(private readonly time: { offsetS: number }) {
    super({
      house: HOUSE,
      keepFired: 1_000,
      now: () => Date.now() / 1_000 + time.offsetS,
    });
    this.#life = new LivingHouse(this);
  }

  /** It has lived for ten days already, and a day is left until now. */
  static build(): FastHouse {
    const time = { offsetS: -HISTORY_S - LIVE_EVENTS / EVENTS_PER_MINUTE * 60 };
    const house = new FastHouse(time);
    house.start();
    house.#live(HISTORY_EVENTS, HISTORY_S / HISTORY_EVENTS);
    return house;
  }

  /** Lives its day. Tells `lived` how many events it has had. */
  async liveItsDay(lived: (events: number) => void, signal: AbortSignal): Promise<void> {
    const startedMs = performance.now();
    const first = this.bus.count;
    const count = () => this.bus.count - first;
    while (count() < LIVE_EVENTS && !signal.aborted) {
      const due = Math.min(LIVE_EVENTS, (performance.now() - startedMs) / 1_000 * LIVE_RATE);
      this.#live(Math.floor(due) - count(), 60 / EVENTS_PER_MINUTE);
      lived(count());
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  protected override deliver(event: FiredEvent): void {
    super.deliver(event);
    if (event.eventType !== "state_changed") return;
    const { tags, timeNs } = expectedPoint(`{"event":${event.text}}`);
    this.statesHad.add(`${tags.entity_id} ${timeNs}`);
  }

  #live(events: number, secondsEach: number): void {
    for (const end = this.bus.count + events; this.bus.count < end;) {
      this.time.offsetS += secondsEach;
      this.#life.happen();
    }
  }
}

async function killed(part: { kill(): Promise<void>; startAgain(): Promise<void> }): Promise<void> {
  await part.kill();
  await part.startAgain();
}

async function untilDelivered(ingest: Program): Promise<void> {
  await until(
    async () => total(await ingest.metrics(), "ingest_events_queued") === 0,
    "nothing waits",
    { limitMs: LIMIT_MS, everyMs: 200 },
  );
}

async function holdsWhatWasDelivered(
  name: string,
  open: () => Promise<CountingStore>,
): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const store = resources.use(await open());
  const house = resources.use(FastHouse.build());
  const points = new Set<string>();
  const stored = new Set<string>();
  const states = new Set<string>();
  const enrich = resources.use(await startEnrich(store.env));
  const tap = resources.use(
    new DeliveryTap(enrich.url, (line) => {
      const point = expectedPoint(line);
      points.add(idOf(point));
      for (const id of store.idsOf(point)) stored.add(id);
      states.add(`${point.tags.entity_id} ${point.timeNs}`);
    }),
  );
  const startedMs = performance.now();
  const ingest = resources.use(
    await startIngest({
      HASS_URL: house.url,
      HASS_TOKEN: house.token,
      ENRICHMENT_SERVICE_URL: tap.url,
      BACKFILL_DAYS: "10",
    }),
  );
  const rows = async () => total(await ingest.metrics(), "ingest_gap_rows_filled_total");
  const untilImported = (part: number) =>
    until(async () => await rows() > part * HISTORY_EVENTS, "so much is imported", {
      limitMs: LIMIT_MS,
    });

  // VictoriaMetrics has lost what it had only in memory, until enrich has written that again
  const untilHeld = async () => {
    const wanted = stored.size;
    await until(async () => await store.count() >= wanted, "the store holds all that it had", {
      limitMs: LIMIT_MS,
      everyMs: 500,
    });
  };

  const ended = new AbortController();
  let lived = 0;
  const living = house.liveItsDay((events) => lived = events, ended.signal);
  const untilLived = (part: number) =>
    until(() => lived > part * LIVE_EVENTS, "so much was lived", { limitMs: LIMIT_MS });
  try {
    await untilImported(0.2);
    await killed(ingest);
    await untilImported(0.5);
    await killed(store);
    await untilHeld();
    await untilLived(0.3);
    await killed(store);
    await untilHeld();
    await untilLived(0.5);
    await killed(enrich);
    await untilLived(0.7);
    await killed(ingest);
    await living;
  } finally {
    ended.abort();
    await living;
  }
  await untilFilled(ingest, LIMIT_MS);
  await untilDelivered(ingest);
  const missing = () => [...house.statesHad].filter((state) => !states.has(state));
  await until(() => missing().length === 0, "every state is delivered", { limitMs: 60_000 })
    .catch((error) => assert.fail(`${error}: ${missing().length}, ${missing().slice(0, 5)}`));
  await untilDelivered(ingest);
  const seconds = (performance.now() - startedMs) / 1_000;

  const metrics = await ingest.metrics();
  const count = await store.count();
  const delivered = total(metrics, "ingest_events_delivered_total");
  const skipped = total(metrics, "ingest_events_skipped_total");
  measured(
    `${name}: ${HISTORY_EVENTS} events of ten days and ${lived} of a day, ` +
      `${house.statesHad.size} of them states, and five kills: ${seconds.toFixed(0)} s; ${
        equationOf(metrics).text
      }; answered for ${tap.settled}, ` +
      `${points.size} of their own, ${stored.size} to store; the store counts ${count}`,
  );
  assert.equal(total(metrics, "ingest_events_dead_lettered"), 0);
  assert.equal(total(metrics, "ingest_events_dropped_total"), 0);
  // whose answer ingest did not live to hear was answered for twice
  assert.ok(delivered + skipped <= tap.settled);
  // a present state that nobody had heard comes once more from the recorder: at the first start, and after each kill of ingest
  const repeated = delivered + skipped - points.size;
  assert.ok(repeated >= 0 && repeated <= 3 * (HOUSE.entities.length + 2), `${repeated} repeated`);
  assert.equal(count, stored.size);
  const held = await store.ids();
  assert.deepEqual([...held].filter((id) => !stored.has(id)).slice(0, 5), [], "what nobody sent");
  assert.deepEqual([...stored].filter((id) => !held.has(id)).slice(0, 5), [], "what is missing");
  await store.spoil();
  await until(async () => await store.count() > count, "one that nobody sent is noticed");
}

const STORES: Readonly<Record<string, () => Promise<CountingStore>>> = {
  ...Object.fromEntries(
    Object.entries(REAL_INFLUXDBS).map(([name, open]) => [
      name,
      async () => countingInfluxDb(await open()),
    ]),
  ),
  "VictoriaMetrics": async () =>
    countingVictoriaMetrics(
      await VictoriaMetricsServer.start("-dedup.minScrapeInterval=1ms", "-retentionPeriod=100y"),
    ),
};

realTestsAtOnce(
  "After ten days of history, a day of a house, and five kills a store holds what was delivered",
  Object.fromEntries(
    Object.entries(STORES).map(([name, open]) => [name, () => holdsWhatWasDelivered(name, open)]),
  ),
);
