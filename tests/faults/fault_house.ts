/** Both programs as processes between a simulated house and a store, what is done to them, and all that is known then. */
import * as z from "zod";
import { freePort } from "../real/parts/free_port.ts";
import type { StoredPoint } from "../real/parts/influxql.ts";
import { total } from "../real/parts/metrics_text.ts";
import {
  type Environment,
  type Program,
  type ProgramOptions,
  startEnrich,
  startIngest,
} from "../real/parts/programs.ts";
import { Proxy } from "../real/parts/proxy.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { until } from "../until.ts";
import { type FaultStore, localPoints } from "./fault_stores.ts";
import { HttpBetween } from "./http_between.ts";
import { type FlowOptions, NumberedFlow } from "./numbered_flow.ts";
import { eventKey, type Evidence, lineKey, mustBeStored, notStored } from "./oracle.ts";
import { outboxLines } from "./outbox_copy.ts";
import type { RowRun } from "./row.ts";
import { Scrapes } from "./scrapes.ts";

/** So long nothing moves before a run counts as over though something is not there. */
const QUIET_MS = 20_000;
const QUIET_CONTROL_MS = 4_000;

export interface HouseOptions {
  /** Where enrich stores: its own file unless it is said. */
  readonly store?: FaultStore | undefined;
  readonly flow?: FlowOptions;
  readonly ingestEnv?: Environment;
  readonly ingestOptions?: ProgramOptions;
  readonly enrichEnv?: Environment;
  readonly enrichOptions?: ProgramOptions;
  /** How often Home Assistant's recorder commits, in milliseconds. */
  readonly commitIntervalMs?: number;
}

const statusSchema = z.object({
  filling: z.object({ state: z.string(), entities: z.number() }),
});

export class FaultHouse implements AsyncDisposable {
  readonly flow: NumberedFlow;
  readonly #scrapes: Scrapes;
  readonly #committed = new Set<string>();
  readonly #hopeless = new Set<string>();
  readonly #broken: string[] = [];
  readonly #injected = new Map<string, number>();
  #fixedMs = performance.now();

  private constructor(
    private readonly run: RowRun,
    readonly hass: SimulatedHomeAssistant,
    readonly enrich: Program,
    readonly ingest: Program,
    /** Between ingest and what stands before enrich. */
    readonly enrichProxy: Proxy,
    /** What may change what ingest and enrich say to each other. */
    readonly between: HttpBetween,
    /** Between enrich and a store that is a server. */
    readonly storeProxy: Proxy,
    private readonly points: () => Promise<readonly StoredPoint[]>,
    /** DATA_DIR of ingest. */
    readonly dataDir: string,
    flow: FlowOptions,
    private readonly resources: AsyncDisposableStack,
  ) {
    this.flow = resources.use(new NumberedFlow(hass, flow));
    this.#scrapes = resources.use(new Scrapes(() => ingest.metrics()));
  }

  /** Returns when both programs are ready, and events flow. */
  static async start(run: RowRun, options: HouseOptions = {}): Promise<FaultHouse> {
    const { store, flow = {}, ingestEnv, ingestOptions, enrichEnv, enrichOptions } = options;
    run.say("starts");
    await using resources = new AsyncDisposableStack();
    const commitIntervalMs = options.commitIntervalMs ?? 0;
    // a port of the kernel's own choice may be an outgoing connection's while it restarts
    const port = freePort();
    const hass = resources.use(new SimulatedHomeAssistant({ commitIntervalMs, port }).start());
    // one that nobody asks where the store is a file
    const storeProxy = resources.use(new Proxy(store?.url ?? "http://127.0.0.1:9"));
    const enrich = resources.use(
      await startEnrich({ ...store?.env(storeProxy.url), ...enrichEnv }, enrichOptions),
    );
    const between = resources.use(new HttpBetween(enrich.url, "/events"));
    const enrichProxy = resources.use(new Proxy(between.url));
    const ingest = resources.use(
      await startIngest({
        HASS_URL: hass.url,
        ...(ingestEnv?.HASS_TOKEN_FILE === undefined && { HASS_TOKEN: hass.token }),
        ENRICHMENT_SERVICE_URL: enrichProxy.url,
        ...ingestEnv,
      }, ingestOptions),
    );
    const points = store?.points ??
      (() => Promise.resolve(localPoints(`${enrich.dir}/data/store.sqlite`)));
    const house = new FaultHouse(
      run,
      hass,
      enrich,
      ingest,
      enrichProxy,
      between,
      storeProxy,
      points,
      ingestEnv?.DATA_DIR ?? `${ingest.dir}/data`,
      flow,
      resources.move(),
    );
    try {
      await until(() => hass.subscriberCount > 0, "ingest has subscribed");
      await house.captured();
      house.flow.start();
      return house;
    } catch (error) {
      await house[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where the outbox is. */
  get outboxPath(): string {
    return `${this.dataDir}/outbox.sqlite`;
  }

  /** Waits until ingest captures. */
  async captured(): Promise<void> {
    await until(
      async () => total(await this.ingest.metrics(), "ingest_capturing") === 1,
      "ingest captures",
    );
  }

  /** Waits until ingest has compared, and nothing is missing by its own account. */
  async filled(): Promise<void> {
    await until(async () => {
      const { filling } = statusSchema.parse(await this.ingest.status());
      return filling.state === "idle" && filling.entities === 0;
    }, "nothing is missing");
  }

  /** Waits until so many events are waiting in the outbox. */
  async untilWaiting(count: number): Promise<void> {
    await until(
      async () => total(await this.ingest.metrics(), "ingest_events_queued") >= count,
      `${count} events wait`,
    );
  }

  /** Waits until more was delivered than up to now. */
  async untilDelivering(): Promise<void> {
    const delivered = async () =>
      total(await this.ingest.metrics(), "ingest_events_delivered_total");
    const before = await until(delivered, "ingest answers");
    await until(async () => await delivered() > before, "events are delivered");
  }

  /** A fault was injected. */
  injected(what: string): void {
    const count = (this.#injected.get(what) ?? 0) + 1;
    this.#injected.set(what, count);
    this.run.say(`${what} ${count}`);
  }

  /** Counts as broken what does not hold. */
  promise(holds: boolean, text: string): void {
    if (!holds) this.#broken.push(text);
  }

  /** Counts as broken what does not come to hold in time. */
  async promised<T>(
    text: string,
    condition: () => T | false | undefined | Promise<T | false | undefined>,
    limitMs = 60_000,
  ): Promise<void> {
    await until(condition, text, { limitMs }).catch(() => this.#broken.push(text));
  }

  /** Health of a program says that it does not do its work, with words that fit. */
  said(program: "ingest" | "enrich", words: RegExp, limitMs = 60_000): Promise<void> {
    return this.promised(`health of ${program} says ${words}`, async () => {
      const { ready, text } = await this[program].health();
      return !ready && words.test(text);
    }, limitMs);
  }

  /** These events can never be stored. */
  hopeless(text: string): void {
    this.#hopeless.add(eventKey(text));
  }

  /** From now on the outbox may be another one, whose counters begin anew. */
  outboxBeginsAnew(): void {
    this.#scrapes.mayBeginAnew = true;
  }

  /** The last fault is over. */
  fixed(): void {
    this.#fixedMs = performance.now();
  }

  /** What is in the outbox now is known to be committed; ingest is down. */
  readOutbox(): void {
    const { waiting, deadLetters } = outboxLines(this.outboxPath);
    for (const line of [...waiting, ...deadLetters]) this.#committed.add(lineKey(line));
  }

  /** From now on the number of events that are received does not say which. */
  lostOrder(): void {
    this.#scrapes.lostOrder();
  }

  /** SIGKILL; then `meanwhile`, and it is started again. */
  async killIngest(meanwhile: () => void | Promise<void> = () => {}): Promise<void> {
    this.lostOrder();
    await this.ingest.kill();
    this.injected("kills of ingest");
    this.readOutbox();
    await meanwhile();
    await this.ingest.startAgain();
    this.fixed();
  }

  /** Ends the flow, waits until all is stored or nothing moves any more, and tells all that is known. */
  async finish(): Promise<Evidence> {
    this.flow.stop();
    this.run.say("is all stored?");
    const isComplete = await this.#settle();
    const recoverySeconds = (performance.now() - this.#fixedMs) / 1000;
    const metrics = await until(() => this.ingest.metrics(), "ingest answers");
    await this.#scrapes[Symbol.asyncDispose]();
    await this.ingest.stop().catch((error: Error) => this.#broken.push(error.message));
    const stored = await this.points();
    this.promise(isComplete || this.run.isControl, "all is stored in time");
    return {
      ...this.#known(),
      ...outboxLines(this.outboxPath),
      stored,
      scrapeProblems: this.#scrapes.problems,
      scrapes: this.#scrapes.count,
      broken: this.#broken,
      injected: [...this.#injected].map(([what, count]) => `${count} ${what}`).join(", "),
      metrics,
      recoverySeconds,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }

  #known(): Pick<Evidence, "fired" | "committed" | "hopeless"> {
    const fired = this.hass.fired.map(({ text }) => text);
    const first = fired.slice(0, this.#scrapes.committedInOrder).map(eventKey);
    return { fired, committed: new Set([...this.#committed, ...first]), hopeless: this.#hopeless };
  }

  /** Whether all is stored. */
  async #settle(): Promise<boolean> {
    const startMs = performance.now();
    let seen = "";
    let movedMs = startMs;
    for (;;) {
      const metrics = await this.ingest.metrics().catch(() => undefined);
      const counts = ["events_received_total", "events_delivered_total", "events_queued"]
        .map((name) => total(metrics ?? new Map(), `ingest_${name}`));
      if (metrics && counts[2] === 0) {
        const missing = notStored(mustBeStored(this.#known()), await this.points());
        if (missing.length === 0) return true;
        counts.push(missing.length);
      }
      const nowMs = performance.now();
      if (String(counts) !== seen) movedMs = nowMs;
      seen = String(counts);
      const gaps = total(metrics ?? new Map(), "ingest_gap_entities");
      const isDone = metrics !== undefined && counts[2] === 0 && gaps === 0;
      const { isControl } = this.run;
      if ((isControl || isDone) && nowMs - movedMs > (isControl ? QUIET_CONTROL_MS : QUIET_MS)) {
        return false;
      }
      if (nowMs - startMs > this.run.sizes.settleMs) return false;
      this.run.say(`is all stored? waiting ${counts[2]}, entities with gaps ${gaps}`);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}
