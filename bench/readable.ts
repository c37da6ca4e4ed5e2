/** Watching a store until it has what was fired. */
import { sleep } from "../lib/retry.ts";
import type { Numbers, Readable } from "./store.ts";

/** Where no more becomes readable for so long, the rest is lost. */
const GIVE_UP_MS = 60_000;
const POLL_MS = 50;
/** How often all are counted, which is dear, though the last is not there. */
const COUNT_MS = 2_000;
const LATENCY_POLL_MS = 10;

export interface Arrival {
  /** When all that came was there, in milliseconds since 1970. */
  readonly atMs: number;
  readonly lost: number;
}

const never = new AbortController().signal;

export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Waits until all of them can be read, or no more come; `lastUs` is when the last was fired. */
export async function untilReadable(
  store: Readable,
  numbers: Numbers,
  lastUs: number,
  say: (count: number) => void,
  giveUpMs = GIVE_UP_MS,
): Promise<Arrival> {
  const { first, count } = numbers;
  const last = { first: first + count - 1, count: 1, fromUs: lastUs };
  let most = -1;
  let grewMs = nowMs();
  let countedMs = -Infinity;
  for (;;) {
    if ((await store.read(last)).length > 0 || nowMs() - countedMs > COUNT_MS) {
      const found = await store.count(numbers, false);
      const atMs = countedMs = nowMs();
      if (found > most) grewMs = atMs;
      most = Math.max(most, found);
      say(found);
      // a snapshot may have written a number again
      const isOver = atMs - grewMs > giveUpMs;
      if (found >= count || isOver) {
        const lost = count - await store.count(numbers, true);
        if (lost === 0) return { atMs, lost };
        if (isOver) return { atMs: grewMs, lost };
      }
    }
    await sleep(POLL_MS, never);
  }
}

/** Asks again and again which of them can be read; gives each one's time since it was fired, in milliseconds. */
export async function latencies(
  store: Readable,
  numbers: Numbers,
  giveUpMs = GIVE_UP_MS,
): Promise<number[]> {
  const found = new Map<number, number>();
  const end = numbers.first + numbers.count;
  let { first, fromUs } = numbers;
  let grewMs = nowMs();
  const timesUs = new Map<number, number>();
  while (first < end && nowMs() - grewMs < giveUpMs) {
    const read = await store.read({ first, count: end - first, fromUs });
    const atMs = nowMs();
    for (const { number, timeUs } of read) {
      if (found.has(number)) continue;
      found.set(number, atMs - timeUs / 1000);
      timesUs.set(number, timeUs);
      grewMs = atMs;
    }
    // the numbers were fired one after the other: before those that are still missing none is asked for
    for (; found.has(first); first++) fromUs = timesUs.get(first) ?? fromUs;
    await sleep(LATENCY_POLL_MS, never);
  }
  return [...found.values()];
}
