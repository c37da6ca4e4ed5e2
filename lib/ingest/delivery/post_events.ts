/** One request to enrich: lines in, what became of them out. Never throws for what enrich or the network does. */
import { type BatchAnswer, batchAnswerSchema, failureSchema } from "../../contract.ts";
import { deadline, describeError, meaningOf, retryAfterMs } from "../../retry.ts";
import type { Secret } from "../../settings/secret.ts";
import type { Batch } from "../outbox/next_events.ts";

export type PostOutcome =
  | { readonly kind: "answered"; readonly answer: BatchAnswer }
  | {
    readonly kind: "failed";
    /** `misconfigured`: a person must fix a setting. `too large`: 413. `again`: everything else. */
    readonly meaning: "again" | "misconfigured" | "too large";
    readonly reason: string;
    readonly retryAfterMs?: number;
  };

export type PostEvents = (
  batch: Batch,
  deadlineMs: number,
  signal: AbortSignal,
) => Promise<PostOutcome>;

/** How the reason begins where nothing answers. */
export const NOT_REACHED = "could not be reached";

/**
 * Posts to `POST /events` below the address, with the service token where there is one. Enrich is
 * told how long its answer is waited for (`Prefer: wait`, RFC 7240 4.3).
 */
export function postEventsTo(serviceUrl: string, serviceToken: Secret | undefined): PostEvents {
  const url = `${serviceUrl}/events`;
  return async ({ seqs, body }, deadlineMs, signal) => {
    try {
      const headers = new Headers({ "content-type": "application/x-ndjson" });
      if (serviceToken) headers.set("authorization", `Bearer ${serviceToken()}`);
      // else enrich would go on with what is asked again: of a client that left it hears nothing
      const waitS = Math.floor(deadlineMs / 1_000);
      if (waitS > 0) headers.set("prefer", `wait=${waitS}`);
      const response = await fetch(url, {
        method: "POST",
        headers,
        body,
        redirect: "error",
        signal: deadline(deadlineMs, signal),
      });
      return outcomeOf(response, await response.text(), seqs.length);
    } catch (error) {
      const late = error instanceof DOMException && error.name === "TimeoutError";
      const reason = late
        ? `gave no answer within ${deadlineMs / 1000} s`
        : `${NOT_REACHED}: ${describeError(error)}`;
      return { kind: "failed", meaning: "again", reason };
    }
  };
}

function outcomeOf(response: Response, text: string, sent: number): PostOutcome {
  const failed = (
    meaning: "again" | "misconfigured" | "too large",
    reason: string,
  ): PostOutcome => ({
    kind: "failed",
    meaning,
    reason,
    retryAfterMs: retryAfterMs(response.headers.get("retry-after")),
  });
  const meaning = meaningOf(response.status, 200);
  if (meaning === "done") {
    const answer = batchAnswerSchema.safeParse(parseJson(text));
    if (answer.success && accountsFor(answer.data, sent)) {
      return { kind: "answered", answer: answer.data };
    }
    return failed(
      "misconfigured",
      "answered 200, but not as enrich does: check ENRICHMENT_SERVICE_URL",
    );
  }
  const failure = failureSchema.safeParse(parseJson(text));
  const said = failure.success
    ? [failure.data.detail, failure.data.cause].filter(Boolean).join(": ")
    : response.statusText;
  const reason = `answered ${response.status} ${said}`.trimEnd();
  if (meaning === "misconfigured") {
    const setting = response.status === 404 ? "ENRICHMENT_SERVICE_URL" : "SERVICE_TOKEN";
    return failed(meaning, `${reason}: check ${setting}`);
  }
  // a request that is refused as a whole says nothing about its events
  return failed(meaning === "too large" ? meaning : "again", reason);
}

/** Whether every line sent has an answer: what is not accounted for must not be let go of. */
function accountsFor(
  { stored, skipped, problems, pending, limited }: BatchAnswer,
  sent: number,
): boolean {
  const named = [...problems.map(({ index }) => index), ...pending];
  const skippedCount = Object.values(skipped).reduce((sum, count) => sum + count, 0);
  const waits = new Set(pending);
  return new Set(named).size === named.length && named.every((index) => index < sent) &&
    limited.every(({ index }) => waits.has(index)) &&
    stored + skippedCount + named.length === sent;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
