/** `--growth`: what an event costs, and how much memory is taken, as a house or the outbox grows. */
import { sleep } from "../lib/retry.ts";
import { until } from "../tests/until.ts";
import type { GrowthSizes } from "./sizes.ts";
import type { Meter, Usage } from "./meter.ts";
import { preparedOutbox } from "./prepared_outbox.ts";
import { type Counts, type PairOptions, ProgramPair } from "./program_pair.ts";
import type { ProgressLine } from "./progress_line.ts";
import { nowMs, untilReadable } from "./readable.ts";
import { Source } from "./source.ts";
import type { Load } from "./source_worker.ts";

/** With a house of so many entities: processor time an event as fast as they are taken, and memory after it. */
export interface EntitiesStep {
  readonly entities: number;
  readonly ingestUs: number;
  readonly enrichUs: number;
  readonly ingestMb: number;
  readonly enrichMb: number;
}

/** While so many events wait for enrich. */
export interface WaitingStep {
  readonly waiting: number;
  /** Ingest's processor time for an event that is captured meanwhile. */
  readonly captureUs: number;
  /** How long the next 1,000 events take to be delivered once enrich is back. */
  readonly deliverMs: number;
  readonly ingestMb: number;
}

export interface Growth {
  readonly entities: readonly EntitiesStep[];
  readonly waiting: readonly WaitingStep[];
}

export interface GrowthOptions extends Pick<PairOptions, "store" | "compiledDir"> {
  readonly sizes: GrowthSizes;
  readonly meter: Meter;
  readonly progress: ProgressLine;
}

const POLL_MS = 20;

const never = new AbortController().signal;

/** Processor time between two moments, in microseconds for each of so many events. */
function usOf(before: Usage, after: Usage, events: number): number {
  return (after.cpuSeconds - before.cpuSeconds) / events * 1e6;
}

async function entitiesStep(
  entities: number,
  { sizes, meter, progress, ...pairOptions }: GrowthOptions,
): Promise<EntitiesStep> {
  progress.say(`${entities} entities: start`);
  await using source = await Source.start(entities);
  await using pair = await ProgramPair.start({ ...pairOptions, source });
  const { ingest, enrich, store } = pair;
  const load = async (load: Load) => {
    const { first, count, firstUs, lastUs } = await source.fire(load);
    const numbers = { first, count, fromUs: firstUs };
    const { lost } = await untilReadable(store, numbers, lastUs, () => {});
    if (lost > 0) throw new Error(`${lost} of ${count} events were lost`);
  };
  const usages = () => Promise.all([ingest, enrich].map(({ pid }) => meter.usage(pid)));
  await pair.untilSettled(sizes.restMs);
  progress.say(`${entities} entities: warms up`);
  await load({ count: sizes.warmUp, perSecond: 0 });
  const before = await usages();
  progress.say(`${entities} entities: is measured`);
  await load({ count: sizes.events, perSecond: 0 });
  const after = await usages();
  const [ingestUs, enrichUs] = after.map((usage, i) => usOf(before[i], usage, sizes.events));
  const [ingestMb, enrichMb] = after.map(({ rssMb }) => rssMb);
  return { entities, ingestUs, enrichUs, ingestMb, enrichMb };
}

async function waitingStep(
  waiting: number,
  { sizes, meter, progress, ...pairOptions }: GrowthOptions,
): Promise<WaitingStep> {
  progress.say(`${waiting} events wait: is prepared`);
  const dataDir = await preparedOutbox({ waiting });
  await using source = await Source.start();
  const options = { ...pairOptions, source, dataDir, enrichAway: true };
  await using pair = await ProgramPair.start(options);
  const usage = () => meter.usage(pair.ingest.pid);
  await pair.untilSettled(sizes.restMs);
  progress.say(`${waiting} events wait: others are captured`);
  const before = await usage();
  await source.fire({ count: sizes.captured, perSecond: sizes.capturedPerSecond });
  // it is committed within 20 ms; to ask whether it is would be measured, too
  await sleep(sizes.restMs, never);
  const after = await usage();
  progress.say(`${waiting} events wait: are delivered`);
  await pair.enrich.startAgain();
  const deliverMs = await msPerThousand(pair, sizes.captured / 2);
  await Deno.remove(dataDir, { recursive: true });
  const captureUs = usOf(before, after, sizes.captured);
  return { waiting, captureUs, deliverMs, ingestMb: after.rssMb };
}

/** How long 1,000 events take, seen at so many; the first batch comes after a pause of ingest's. */
async function msPerThousand(pair: ProgramPair, count: number): Promise<number> {
  const { queued } = await pair.counts();
  const seen = async (wanted: (counts: Counts) => boolean) =>
    await until(
      async () => {
        const counts = await pair.counts();
        return wanted(counts) && { ...counts, atMs: nowMs() };
      },
      "what waits is delivered",
      { everyMs: POLL_MS },
    );
  const from = await seen((now) => now.queued < queued);
  const to = await seen((now) => now.queued <= Math.max(0, from.queued - count));
  return (to.atMs - from.atMs) / (from.queued - to.queued) * 1000;
}

/** Measures all steps, one after the other. */
export async function measureGrowth(options: GrowthOptions): Promise<Growth> {
  const entities: EntitiesStep[] = [];
  const waiting: WaitingStep[] = [];
  for (const count of options.sizes.entities) entities.push(await entitiesStep(count, options));
  for (const count of options.sizes.waiting) waiting.push(await waitingStep(count, options));
  return { entities, waiting };
}
