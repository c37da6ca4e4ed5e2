/** The whole flow as users run it: Home Assistant → ingest → enrich → InfluxDB, each a process. */
import { HomeAssistant, type HomeAssistantOptions } from "./home_assistant.ts";
import { Influxd, type StoredPoint } from "./influxd.ts";
import { equationOf, type Metrics, total } from "./metrics_text.ts";
import {
  type Environment,
  type Program,
  type ProgramOptions,
  startEnrich,
  startIngest,
} from "./programs.ts";
import { Proxy } from "./proxy.ts";
import { until } from "../../until.ts";

export const DATABASE = "home";

export interface PipelineOptions extends HomeAssistantOptions {
  /** What is done in Home Assistant before ingest sees it. */
  readonly prepare?: (hass: HomeAssistant) => Promise<void>;
  /** Which connections run through a proxy. */
  readonly proxied?: readonly ("hass" | "enrich" | "influxd")[];
  /** Of ingest, beside what it needs to find the others. */
  readonly ingestEnv?: Environment;
  readonly ingestOptions?: ProgramOptions;
}

/** Everything at one moment in which nothing was under way. */
export interface Settled {
  readonly ingest: Metrics;
  readonly enrich: Metrics;
  readonly points: readonly StoredPoint[];
}

export class Pipeline implements AsyncDisposable {
  #settlings = 0;

  private constructor(
    readonly hass: HomeAssistant,
    readonly influxd: Influxd,
    readonly enrich: Program,
    readonly ingest: Program,
    /** Between enrich and influxd, where asked for. */
    readonly influxdProxy: Proxy,
    /** Between ingest and enrich, where asked for. */
    readonly enrichProxy: Proxy,
    /** Between Home Assistant and ingest, where asked for. */
    readonly hassProxy: Proxy,
    private readonly resources: AsyncDisposableStack,
  ) {}

  /** Starts all four; returns when ingest and enrich call themselves ready. */
  static async start(
    { prepare, proxied = [], ingestEnv = {}, ingestOptions, ...hassOptions }: PipelineOptions,
  ): Promise<Pipeline> {
    await using resources = new AsyncDisposableStack();
    const influxd = resources.use(await Influxd.start());
    await influxd.createDatabase(DATABASE);
    const influxdProxy = resources.use(new Proxy(influxd.url));
    const hass = resources.use(await HomeAssistant.start(hassOptions));
    await prepare?.(hass);
    const enrich = resources.use(
      await startEnrich({
        INFLUXDB_URL: proxied.includes("influxd") ? influxdProxy.url : influxd.url,
        INFLUXDB_DATABASE: DATABASE,
      }),
    );
    const enrichProxy = resources.use(new Proxy(enrich.url));
    const hassProxy = resources.use(new Proxy(hass.url));
    const ingest = resources.use(
      await startIngest({
        HASS_URL: proxied.includes("hass") ? hassProxy.url : hass.url,
        HASS_TOKEN: hass.token,
        ENRICHMENT_SERVICE_URL: proxied.includes("enrich") ? enrichProxy.url : enrich.url,
        ...ingestEnv,
      }, ingestOptions),
    );
    await enrich.untilReady();
    await ingest.untilReady();
    return new Pipeline(
      hass,
      influxd,
      enrich,
      ingest,
      influxdProxy,
      enrichProxy,
      hassProxy,
      resources.move(),
    );
  }

  /**
   * Waits until all that Home Assistant has fired so far has reached its end: an event
   * fired last is stored, nothing is queued, and nothing came in while the store was read.
   */
  async settle(limitMs = 120_000): Promise<Settled> {
    const last = `settling_${++this.#settlings}`;
    await this.hass.fireEvent(last);
    await until(
      async () =>
        (await this.influxd.query(
          `SELECT * FROM "events" WHERE "event_type" = '${last}'`,
          DATABASE,
        )).length > 0,
      "the last event is stored",
      { limitMs, everyMs: 100 },
    );
    return await until(
      async () => {
        const before = await this.ingest.metrics();
        if (total(before, "ingest_events_queued") > 0) return undefined;
        const points = await this.influxd.allPoints(DATABASE);
        const enrich = await this.enrich.metrics();
        const ingest = await this.ingest.metrics();
        return equationOf(before).text === equationOf(ingest).text &&
          { ingest, enrich, points };
      },
      "the flow has settled",
      { limitMs, everyMs: 100 },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}

/** Points by entity and time, for looking one up. */
export function indexByEntity(
  points: readonly StoredPoint[],
): Map<string, StoredPoint[]> {
  const index = new Map<string, StoredPoint[]>();
  for (const point of points) {
    const entityId = point.tags.entity_id;
    if (point.measurement === "events" || entityId === undefined) continue;
    const key = `${point.measurement} ${entityId} ${point.timeNs}`;
    index.set(key, [...index.get(key) ?? [], point]);
  }
  return index;
}

/** The key in `indexByEntity` of a state's point. */
export function stateKey(entityId: string, timeUs: bigint): string {
  return `${entityId.split(".")[0]} ${entityId} ${timeUs * 1000n}`;
}

/** `event_type µs` → how many points `events` holds of it. */
export function countEvents(
  points: readonly StoredPoint[],
): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { measurement, tags, timeNs } of points) {
    if (measurement !== "events") continue;
    const key = `${tags.event_type} ${timeNs / 1000n}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}
