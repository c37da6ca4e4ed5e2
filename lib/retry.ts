/** When and how to try again: backoff, deadlines, what a status code means. Used by both programs. */
import { setTimeout as delay } from "node:timers/promises";

/** What to do about an HTTP status. */
export type StatusMeaning =
  | "done"
  | "refused"
  | "too large"
  | "misconfigured"
  | "again";

/**
 * What a status code of InfluxDB, or of enrich, means:
 * `done` stored · `refused` some of it can never be stored, find out which ·
 * `too large` split it · `misconfigured` hold everything, a person must fix a setting ·
 * `again` try later.
 *
 * Only 204 (InfluxDB) and 200 (enrich) are success: 201 of InfluxDB 3 is a partial
 * write, and a proxy's login page answers 200 where 204 was to be expected.
 */
export function meaningOf(status: number, success: 200 | 204): StatusMeaning {
  if (status === success) return "done";
  if (status === 201 || status === 400 || status === 422) return "refused";
  if (status === 413) return "too large";
  if (status === 401 || status === 403 || status === 404) {
    return "misconfigured";
  }
  return "again";
}

/** Exponential backoff with full jitter (AWS, "Exponential Backoff And Jitter"): 0 … min(maxMs, baseMs·2^attempt). */
export function backoffMs(
  attempt: number,
  { baseMs, maxMs, random = Math.random }: {
    baseMs: number;
    maxMs: number;
    random?: () => number;
  },
): number {
  return random() * Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
}

/** The longest that a `Retry-After` is obeyed. */
const MAX_RETRY_AFTER_MS = 600_000;
/** It begins with the day of the week, in each of its three forms (RFC 9110 5.6.7). */
const HTTP_DATE = /^\s*[A-Z][a-z]+,? /;

/** Milliseconds that a `Retry-After` header asks for (seconds or an HTTP date, RFC 9110 10.2.3), ten minutes at the most. */
export function retryAfterMs(
  header: string | null,
  nowMs = Date.now(),
): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d+\s*$/.test(header)) return Math.min(Number(header) * 1000, MAX_RETRY_AFTER_MS);
  // Date.parse makes a year or a month of any number
  const date = HTTP_DATE.test(header) ? Date.parse(header) : NaN;
  return Number.isNaN(date) ? undefined : Math.min(Math.max(0, date - nowMs), MAX_RETRY_AFTER_MS);
}

/** Waits; ends early, without an error, when the signal is aborted. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch {
    // the signal's owner knows why
  }
}

/** A signal that is aborted with `signal`, and after `ms` with a TimeoutError. */
export function deadline(ms: number, signal?: AbortSignal): AbortSignal {
  const timeout = AbortSignal.timeout(ms);
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}

/** What the words of hyper, rustls and the system below fetch and WebSocket mean, the first that fits. */
const CONNECTION_WORDS: readonly (readonly [RegExp, string])[] = [
  [/too many open files/i, "this program may open no more files"],
  [/connection refused/i, "connection refused"],
  [/no route to host/i, "no route to that address"],
  [/network is unreachable/i, "its network cannot be reached"],
  [/timed out/i, "no answer in time"],
  [/tcp connect error$/, "no connection can be made"],
  [/temporary failure in name resolution/i, "no name server answers"],
  [/dns error/i, "its name is not found"],
  [/corrupt message of type InvalidContentType/, "it answers by http, not by https"],
  [/invalid HTTP version parsed/, "it does not answer by http, perhaps by https"],
  [/reset by peer|broken pipe/i, "the connection was reset"],
  [/closed|canceled|tls handshake eof|end of file/i, "the connection was closed before an answer"],
  [/error (?:reading|decoding) .*body/i, "the connection was closed within the answer"],
];

/** What fetch and WebSocket say before them, some of it twice. */
const BEFORE_WORDS =
  /^(?:.*error sending request.*?(?:client error \(\w+\): |$)|.*failed to connect to WebSocket: |fetch failed: |.*(?=error (?:reading|decoding)\b.*\bbody))/s;

/** An error as one line for people: of a connection what went wrong, else the message. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return "no answer in time";
  const { message, cause } = error;
  const text = message === "fetch failed" && cause instanceof Error
    ? `fetch failed: ${cause.message}`
    : message;
  const words = text.replace(BEFORE_WORDS, "");
  if (words === text && !BEFORE_WORDS.test(text)) return text;
  // what rustls says of a certificate is read by certificateFault
  if (/invalid peer certificate/.test(words)) return words;
  const known = CONNECTION_WORDS.find(([pattern]) => pattern.test(words));
  return known?.[1] ?? (words.replace(/ \(os error \d+\)/g, "") || "no connection can be made");
}

/** `http` or `https` where an error, as described, says that it is by this that the server answers. */
export function answeringScheme(reason: string): "http" | "https" | undefined {
  if (/answers by http, not by https$/.test(reason)) return "http";
  return /perhaps by https$/.test(reason) ? "https" : undefined;
}
