/** Waiting for something to hold, in place of sleeping. */
import { setTimeout as delay } from "node:timers/promises";

export interface Patience {
  /** Milliseconds until it gives up. */
  readonly limitMs?: number;
  /** So much longer what was asked before the limit may take to answer. */
  readonly answerMs?: number;
  readonly everyMs?: number;
}

/**
 * Asks until the answer is neither false nor undefined, and returns it. An exception of
 * the condition counts as "not yet": what is waited for is often a program that starts.
 * Throws after the limit, with what was waited for and the last exception as cause.
 */
export async function until<T>(
  condition: () => T | false | undefined | Promise<T | false | undefined>,
  wish: string,
  { limitMs = 180_000, answerMs = 30_000, everyMs = 25 }: Patience = {},
): Promise<T> {
  const limit = performance.now() + limitMs;
  // what is asked may hang, as a program does that accepts a request and never answers
  const over = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => over.resolve(undefined), limitMs + answerMs);
  let cause: unknown;
  try {
    do {
      try {
        const answer = await Promise.race([condition(), over.promise]);
        if (answer !== false && answer !== undefined) return answer;
        cause = undefined;
      } catch (error) {
        cause = error;
      }
      await delay(everyMs);
    } while (performance.now() < limit);
  } finally {
    clearTimeout(timer);
  }
  throw new Error(
    `Cannot go on: after ${limitMs / 1000} s still not so that ${wish}`,
    { cause },
  );
}
