/** Both programs with a store, as they are run. */
import { join } from "node:path";
import { sleep } from "../lib/retry.ts";
import { total } from "../tests/real/parts/metrics_text.ts";
import { type Program, startEnrich, startIngest } from "../tests/real/parts/programs.ts";
import { LocalFile } from "./local_file.ts";
import { nowMs } from "./readable.ts";
import type { Source } from "./source.ts";
import { openLineStore, type Readable, type StoreName } from "./store.ts";

/** How both programs are set where the environment says nothing, said because tests say otherwise. */
const PRODUCTION = { LOG_LEVEL: "info", BACKFILL_DAYS: "10", SNAPSHOT_MINUTES: "60" };
/** So much is allowed that no outbox of the benchmark is ever full. */
const OUTBOX_MAX_MB = "20000";
const POLL_MS = 250;
const NO_MORE_MS = 120_000;

export interface PairOptions {
  readonly source: Source;
  readonly store: StoreName;
  /** The folder of compiled programs, where these are to run; empty for the sources. */
  readonly compiledDir?: string | undefined;
  /** The sources of another commit, where these are to run. */
  readonly checkout?: string | undefined;
  /** A module that runs before the sources do, in the same process. */
  readonly preload?: string;
  /** A DATA_DIR of ingest with an outbox that is there before it starts. */
  readonly dataDir?: string | undefined;
  /** Enrich is stopped before ingest starts, and comes when it is started again. */
  readonly enrichAway?: boolean;
  /** A command that ingest is run by, such as `env NAME=value`. */
  readonly under?: readonly string[];
}

/** How many events were received and how many wait, by ingest's own numbers, which are proved to add up. */
export interface Counts {
  readonly received: number;
  readonly queued: number;
}

const never = new AbortController().signal;

export class ProgramPair implements AsyncDisposable {
  private constructor(
    readonly ingest: Program,
    readonly enrich: Program,
    readonly store: Readable,
    /** From the start of ingest's process until it had subscribed, in milliseconds. */
    readonly startMs: number,
    private readonly kept: AsyncDisposableStack,
  ) {}

  /** Returns when ingest has subscribed: what it does next at its start is not done. */
  static async start(options: PairOptions): Promise<ProgramPair> {
    const { source, store: name, compiledDir, checkout, preload, under = [] } = options;
    const { dataDir, enrichAway } = options;
    await using resources = new AsyncDisposableStack();
    const lineStore = name === "local" ? undefined : resources.use(await openLineStore(name));
    const started = { compiledDir, checkout, preload };
    const enrich = resources.use(await startEnrich({ ...PRODUCTION, ...lineStore?.env }, started));
    await enrich.untilReady();
    const store = lineStore ??
      resources.use(new LocalFile(join(enrich.dir, "data", "store.sqlite")));
    if (enrichAway) await enrich.stop();
    const env = {
      ...PRODUCTION,
      HASS_URL: source.hass.url,
      HASS_TOKEN: source.hass.token,
      ENRICHMENT_SERVICE_URL: enrich.url,
      OUTBOX_MAX_MB,
    };
    // what a first start compiles is there at the second, whose time counts
    await (await startIngest(env, started))[Symbol.asyncDispose]();
    const subscribed = source.nextSubscription();
    const fromMs = nowMs();
    const ingest = resources.use(
      await startIngest(
        { ...env, ...(dataDir !== undefined && { DATA_DIR: dataDir }) },
        { ...started, under, writable: dataDir },
      ),
    );
    const startMs = await subscribed - fromMs;
    return new ProgramPair(ingest, enrich, store, startMs, resources.move());
  }

  async counts(): Promise<Counts> {
    const metrics = await this.ingest.metrics();
    return {
      received: total(metrics, "ingest_events_received_total"),
      queued: total(metrics, "ingest_events_queued"),
    };
  }

  /** Waits until nothing has moved for `restMs`; while enrich runs, until nothing waits either. */
  async untilSettled(restMs: number, say: (counts: Counts) => void = () => {}): Promise<void> {
    let last: Counts = { received: -1, queued: -1 };
    let movedMs = nowMs();
    for (;;) {
      const counts = await this.counts();
      say(counts);
      if (counts.received !== last.received || counts.queued !== last.queued) movedMs = nowMs();
      last = counts;
      const isOver = !this.enrich.running || counts.queued === 0;
      const stoodMs = nowMs() - movedMs;
      if (isOver && stoodMs >= restMs) return;
      if (stoodMs > NO_MORE_MS) throw new Error(`${counts.queued} events wait and do not move`);
      await sleep(POLL_MS, never);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kept.disposeAsync();
  }
}
