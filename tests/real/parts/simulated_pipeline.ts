/** A simulated Home Assistant with nothing in it, and ingest and enrich as processes between it and a store. */
import { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import type { FiredEvent } from "../../simulator/bus.ts";
import { type Metrics, total } from "./metrics_text.ts";
import { type Environment, type Program, startEnrich, startIngest } from "./programs.ts";
import { Proxy } from "./proxy.ts";
import { until } from "../../until.ts";

export interface SimulatedPipelineOptions {
  /** Of enrich: which store. */
  readonly store: Environment;
  /** What enrich may read beside its own folder. */
  readonly readable?: readonly string[];
}

export class SimulatedPipeline implements AsyncDisposable {
  private constructor(
    readonly hass: SimulatedHomeAssistant,
    readonly enrich: Program,
    readonly ingest: Program,
    /** Between ingest and enrich. */
    readonly enrichProxy: Proxy,
    private readonly resources: AsyncDisposableStack,
  ) {}

  /** Returns when ingest and enrich call themselves ready. */
  static async start(
    { store, readable = [] }: SimulatedPipelineOptions,
  ): Promise<SimulatedPipeline> {
    await using resources = new AsyncDisposableStack();
    const hass = resources.use(new SimulatedHomeAssistant({ recorder: false }).start());
    const enrich = resources.use(await startEnrich(store, { readable }));
    const enrichProxy = resources.use(new Proxy(enrich.url));
    const ingest = resources.use(
      await startIngest({
        HASS_URL: hass.url,
        HASS_TOKEN: hass.token,
        ENRICHMENT_SERVICE_URL: enrichProxy.url,
      }),
    );
    await enrich.untilReady();
    await ingest.untilReady();
    return new SimulatedPipeline(hass, enrich, ingest, enrichProxy, resources.move());
  }

  /** What was fired so far, all of it while ingest captured. */
  get fired(): readonly FiredEvent[] {
    return this.hass.fired;
  }

  /** Waits until all that was fired is captured. */
  async untilCaptured(): Promise<Metrics> {
    return await until(async () => {
      const metrics = await this.ingest.metrics();
      return total(metrics, "ingest_events_received_total") === this.fired.length && metrics;
    }, "all that was fired is captured");
  }

  /** Waits until all that was fired is captured and nothing waits; tells `onSample` how much does. */
  async untilDrained(
    limitMs = 180_000,
    onSample: (queued: number) => void = () => {},
  ): Promise<Metrics> {
    return await until(
      async () => {
        const metrics = await this.untilCaptured();
        const queued = total(metrics, "ingest_events_queued");
        onSample(queued);
        return queued === 0 && metrics;
      },
      "nothing waits",
      { limitMs, everyMs: 100 },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}
