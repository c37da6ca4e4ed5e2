/** What is measured: both programs with a store, or the floor. */
import { Process } from "../tests/real/parts/process.ts";
import { sleep } from "../lib/retry.ts";
import type { Meter, Usage } from "./meter.ts";
import { type Counts, ProgramPair } from "./program_pair.ts";
import { nowMs, untilReadable } from "./readable.ts";
import type { Source } from "./source.ts";
import { type LineStore, openLineStore, type Readable, type StoreName } from "./store.ts";

const POLL_MS = 25;
const NO_MORE_MS = 60_000;

export interface ContestantOptions {
  readonly source: Source;
  readonly meter: Meter;
  readonly store: StoreName;
  /** The folder of compiled programs, where these are to run. */
  readonly compiledDir?: string | undefined;
  /** The sources of another commit, where these are to run. */
  readonly checkout?: string | undefined;
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
  counts(): Promise<Counts>;
}

const never = new AbortController().signal;

/** Starts enrich with its store, then ingest; returns when both are ready. */
export async function startPrograms(options: ContestantOptions): Promise<Contestant> {
  await using resources = new AsyncDisposableStack();
  const pair = resources.use(await ProgramPair.start(options));
  const { ingest, enrich, store, startMs } = pair;
  await ingest.untilReady();
  const kept = resources.move();
  return {
    get pids() {
      return new Map([["ingest", ingest.pid], ["enrich", enrich.pid]]);
    },
    store,
    startMs,
    outbox: {
      hold: () => enrich.stop(),
      release: () => enrich.startAgain(options.checkout),
      counts: () => pair.counts(),
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
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
