/** Requests that are refused before anything is done for them: how many, why, and who is probably set up wrong. */
import type { Metrics } from "./metrics.ts";
import { fileFaults } from "../settings/last_known.ts";

/** `origin`: a browser sent it for another site's page; `host`: it names another host, without SERVICE_TOKEN. */
const REASONS = ["token_missing", "token_wrong", "origin", "host"] as const;
export type RefusalReason = (typeof REASONS)[number];

/** So long after such a request somebody is still set up wrong. */
const LATELY_MS = 600_000;

export class Refusals {
  /** Since the start, by reason. */
  readonly counts = new Map<RefusalReason, number>(REASONS.map((reason) => [reason, 0]));
  #senders = 0;
  #lastMs = -Infinity;

  /** `method` is the request's: a browser that shows a page asks without a token first. */
  note(reason: RefusalReason, method: string): void {
    this.counts.set(reason, (this.counts.get(reason) ?? 0) + 1);
    const isReading = method === "GET" || method === "HEAD";
    if (reason !== "token_wrong" && (reason !== "token_missing" || isReading)) return;
    this.#senders++;
    this.#lastMs = performance.now();
  }

  /** Adds what both programs count at their doors, and of their settings' files. */
  addTo(metrics: Metrics): void {
    metrics.counter(
      "requests_refused_total",
      "Requests refused before anything was done for them, by reason.",
      () => this.counts,
      "reason",
    );
    metrics.gauge(
      "setting_files_unreadable",
      "Files of secrets and certificates that can no longer be read.",
      () => fileFaults().length,
    );
  }

  /** What a person should do about requests and about files that cannot be read any more. */
  advice(): { readonly reason: string; readonly action: string }[] {
    const files = fileFaults().map((fault) => ({
      reason: `${fault}: what it held last is used`,
      action: "make it readable again: after a restart there is nothing to use",
    }));
    if (performance.now() - this.#lastMs > LATELY_MS) return files;
    return [...files, {
      reason:
        `Requests are refused for a wrong or missing SERVICE_TOKEN: ${this.#senders} so far, ` +
        "the last one within ten minutes",
      action: "give both programs, and whatever reads /metrics, the same SERVICE_TOKEN",
    }];
  }
}
