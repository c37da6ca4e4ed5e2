/** What is measured: both programs with a store, or the floor. */
import { join } from "node:path";
import { Process } from "../tests/real/parts/process.ts";
import { total } from "../tests/real/parts/metrics_text.ts";
import { type Program, startEnrich, startIngest } from "../tests/real/parts/programs.ts";
import { sleep } from "../lib/retry.ts";
import { LocalFile } from "./local_file.ts";
import type { Meter, Usage } from "./meter.ts";
import { nowMs, untilReadable } from "./readable.ts";
import type { Source } from "./source.ts";
import { type LineStore, openLineStore, type Readable, type StoreName } from "./store.ts";

/** How both programs are set where the environment says nothing, said because tests say otherwise. */
const PRODUCTION = { LOG_LEVEL: "info", BACKFILL_DAYS: "10", SNAPSHOT_MINUTES: "60" };
const POLL_MS = 25;
const NO_MORE_MS = 60_000;
/** What an event of the benchmark takes in the outbox, with some to spare. */
const OUTBOX_KB_PER_EVENT = 3;

export interface ContestantOptions {
  readonly source: Source;
  readonly meter: Meter;
  readonly store: StoreName;
  /** The folder of compiled programs, where these are to run. */
  readonly compiledDir?: string | undefined;
  /** The sources of another commit, where these are to run. */
  readonly checkout?: string | undefined;
  /** How many events the outbox must have room for. */
  readonly backlog: number;
}

/** A running program, or both. */
export interface Contestant extends AsyncDisposable {
  /** Its processes, by name. */
  readonly pids: ReadonlyMap<string, number>;
  readonly store: Readable;
  /** From the start of the process that reads Home Assistant until it had subscribed. */
  readonly startMs: number;
  /** What can wait on the disk; the floor has none. */
  readonly outbox?: Outbox;
}

export interface Outbox {
  /** Stops enrich, so that all that comes waits. */
  hold(): Promise<void>;
  /** Starts enrich again. */
  release(): Promise<void>;
  /** How many events were received and how many wait, by ingest's own numbers, which are proved to add up. */
  counts(): Promise<{ readonly received: number; readonly queued: number }>;
}

const never = new AbortController().signal;

/** Starts enrich with its store, then ingest; returns when both are ready. */
export async function startPrograms(options: ContestantOptions): Promise<Contestant> {
  const { source, store: name, compiledDir, checkout, backlog } = options;
  await using resources = new AsyncDisposableStack();
  const isLocal = name === "local";
  const lineStore = isLocal ? undefined : resources.use(await openLineStore(name));
  const started = { compiledDir, checkout };
  const enrich = resources.use(
    await startEnrich({ ...PRODUCTION, ...lineStore?.env }, started),
  );
  await enrich.untilReady();
  const store = lineStore ??
    resources.use(new LocalFile(join(enrich.dir, "data", "store.sqlite")));
  const env = {
    ...PRODUCTION,
    HASS_URL: source.hass.url,
    HASS_TOKEN: source.hass.token,
    ENRICHMENT_SERVICE_URL: enrich.url,
    OUTBOX_MAX_MB: String(Math.max(1024, Math.ceil(backlog * OUTBOX_KB_PER_EVENT / 1000))),
  };
  // what a first start compiles is there at the second, whose time counts
  await (await startIngest(env, started))[Symbol.asyncDispose]();
  const subscribed = source.nextSubscription();
  const fromMs = nowMs();
  const ingest = resources.use(await startIngest(env, started));
  const startMs = await subscribed - fromMs;
  await ingest.untilReady();
  const kept = resources.move();
  return {
    get pids() {
      return new Map([["ingest", ingest.pid], ["enrich", enrich.pid]]);
    },
    store,
    startMs,
    outbox: outboxOf(ingest, enrich, checkout),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function outboxOf(ingest: Program, enrich: Program, checkout: string | undefined): Outbox {
  return {
    hold: () => enrich.stop(),
    release: () => enrich.startAgain(checkout),
    counts: async () => {
      const metrics = await ingest.metrics();
      return {
        received: total(metrics, "ingest_events_received_total"),
        queued: total(metrics, "ingest_events_queued"),
      };
    },
  };
}

/** Starts the floor's process, and returns when it has subscribed. */
async function startReading(
  source: Source,
  store: LineStore,
): Promise<{ readonly process: Process; readonly startMs: number }> {
  const { url, token } = source.hass;
  const subscribed = source.nextSubscription();
  const fromMs = nowMs();
  const process = new Process("floor", [
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-prompt",
    "--allow-net=127.0.0.1",
    new URL("floor.ts", import.meta.url).pathname,
    url,
    token,
    store.writeUrl,
    store.authorization,
  ]);
  const ended = process.ended().then(() => {
    throw new Error(`The floor has ended: ${process.output}`);
  });
  return { process, startMs: await Promise.race([subscribed, ended]) - fromMs };
}

/** How many events a second the floor brings where nothing is stored. */
export async function readingLimit(source: Source, count: number): Promise<number> {
  await using store = await openLineStore("none");
  const { process } = await startReading(source, store);
  await using _ = process;
  const { first, firstUs, lastUs } = await source.fire({ count, perSecond: 0 });
  const numbers = { first, count, fromUs: firstUs };
  const { atMs, lost } = await untilReadable(store, numbers, lastUs, () => {});
  return (count - lost) / (atMs - firstUs / 1000) * 1000;
}

/** Starts the floor with a store of its own; returns when it has subscribed. */
export async function startFloor({ source, store: name }: ContestantOptions): Promise<Contestant> {
  await using resources = new AsyncDisposableStack();
  const store = resources.use(await openLineStore(name));
  // as with ingest the second start counts
  await (await startReading(source, store)).process.kill();
  const { process, startMs } = await startReading(source, store);
  resources.use(process);
  const kept = resources.move();
  return {
    pids: new Map([["floor", process.pid]]),
    store,
    startMs,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** The usage of each process of a contestant, by its name. */
export async function usages(
  { pids }: Contestant,
  meter: Meter,
): Promise<ReadonlyMap<string, Usage>> {
  const all = [...pids].map(async ([name, pid]) => [name, await meter.usage(pid)] as const);
  return new Map(await Promise.all(all));
}

/** Waits until ingest has received so many events, or no more come. */
export async function untilReceived(outbox: Outbox, count: number): Promise<void> {
  let most = -1;
  let grewMs = nowMs();
  while (most < count && nowMs() - grewMs < NO_MORE_MS) {
    const { received } = await outbox.counts();
    if (received > most) grewMs = nowMs();
    most = received;
    await sleep(POLL_MS, never);
  }
}
