/** Many states at a given rate, to measure with. */
import { setImmediate as nextTurn } from "node:timers/promises";
import * as z from "zod";
import { cpuUsage } from "node:process";
import { sleep } from "../../lib/retry.ts";
import { float } from "./exact_json.ts";

/** What a burst is made of, as the data of `burst_start` says it. */
export const burstOptionsSchema = z.object({
  /** How many states are set. */
  n: z.number(),
  /** States a second; 0 is as fast as it goes. */
  rate: z.number(),
  /** Among how many entities they go round. */
  entities: z.number(),
  /** How many states are set in one turn of the loop; with a rate, a hundredth of it. */
  batch: z.number(),
  /** How many attributes each has, besides the unit, the name and `seq`. */
  attrs: z.number(),
  prefix: z.string(),
  unit: z.string(),
  /** Comes back in `burst_done`. */
  id: z.string().nullable(),
}).partial();
export type BurstOptions = Readonly<z.infer<typeof burstOptionsSchema>>;

/** The data of `burst_done`. */
export interface BurstResult {
  readonly n: number;
  readonly seconds: number;
  readonly rate: number;
  readonly cpu: number;
  readonly id: string | null;
}

/**
 * Sets states of `sensor.<prefix>_<i>`. The first batch is set before it returns for
 * the first time. After each batch it waits for `pause`, or as long as the rate asks.
 * It ends early, with the states set so far, when the signal is aborted.
 */
export async function runBurst(
  {
    n = 1000,
    rate = 0,
    entities = 200,
    batch = 50,
    attrs = 6,
    prefix = "burst",
    unit = "W",
    id = null,
  }: BurstOptions,
  set: (entityId: string, state: string, attributes: string) => void,
  signal: AbortSignal,
  pause: () => Promise<void> = nextTurn,
): Promise<BurstResult> {
  const values = Array.from(
    { length: attrs },
    (_, i) => [`a${i}`, float(i * 1.5)] as const,
  );
  const base = JSON.stringify({
    ...Object.fromEntries(values),
    unit_of_measurement: unit,
    friendly_name: "Burst sensor",
  }).slice(0, -1);
  const batchSize = Math.max(1, Math.floor(rate === 0 ? batch : rate / 100));
  const start = performance.now();
  const cpuBefore = cpuUsage();
  let i = 0;
  while (i < n && !signal.aborted) {
    for (const end = Math.min(n, i + batchSize); i < end; i++) {
      set(
        `sensor.${prefix}_${i % entities}`,
        String(i),
        `${base},"seq":${i}}`,
      );
    }
    const waitMs = rate === 0 ? 0 : start + i / rate * 1000 - performance.now();
    if (waitMs > 0) await sleep(waitMs, signal);
    else await pause();
  }
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = cpuUsage(cpuBefore);
  return {
    n: i,
    seconds,
    rate: i / seconds,
    cpu: (user + system) / 1e6,
    id,
  };
}
