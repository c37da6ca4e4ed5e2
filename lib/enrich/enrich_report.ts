/** What enrich says about itself: health with what to do, metrics, status. Every number has a source. */
import type { EnrichSettings } from "../settings/enrich_settings.ts";
import { Metrics } from "../serve/metrics.ts";
import { PerMinute } from "../serve/per_minute.ts";
import { VERSION } from "../program/program.ts";
import type { Refusals } from "../serve/refusals.ts";
import type { HealthReason, PageSource, Verdict } from "../serve/server.ts";
import { LocalStore } from "./local/local_store.ts";
import type { ConfigWatch } from "./rules/config_watch.ts";
import type { Receiver } from "./receiver.ts";

export interface EnrichParts {
  readonly receiver: Receiver;
  readonly settings: EnrichSettings;
  readonly configWatch: ConfigWatch;
  readonly refusals: Refusals;
}

/**
 * Why events are not stored; empty where they are. A limit of the store is among the reasons: what it
 * is in the way of waits in ingest until a person does something.
 */
export function enrichHealth({ receiver: { store } }: EnrichParts): HealthReason[] {
  const { problem, limits = [] } = store.status();
  const reasons = limits.map(({ reason, wish }) => ({
    reason: `A limit of the store keeps some events waiting in ingest: ${reason}`,
    action: wish,
  }));
  if (problem === undefined) return reasons;
  // each problem says what to do about it
  const action = "events are stored again once that is done; ingest keeps what waits";
  return [{ reason: problem, action }, ...reasons];
}

/** What waits for a person though events are stored: a store's shortage or notes, a faulty CONFIG_FILE. */
export function enrichAdvice(
  { receiver: { store }, settings: { file }, configWatch: { problem }, refusals }: EnrichParts,
): HealthReason[] {
  const shortage = store instanceof LocalStore ? store.shortage(Date.now()) : undefined;
  const notes = store.status().notes ?? [];
  const advice = [
    ...(shortage ? [shortage] : []),
    ...notes.map(({ reason, action }) => ({ reason, action })),
    ...refusals.advice(),
  ];
  if (!file || problem === undefined) return advice;
  return [...advice, {
    reason: `What CONFIG_FILE now says is not applied: ${problem}`,
    action: `do what that says, or correct ${file.path}, which is applied when it changes`,
  }];
}

export function enrichMetrics(
  { receiver, settings, configWatch, refusals }: EnrichParts,
): () => string {
  const { counters, store } = receiver;
  const metrics = new Metrics("enrich");
  metrics.counter(
    "requests_total",
    "Answers to POST /events, by status.",
    () => counters.requests,
    "status",
  );
  refusals.addTo(metrics);
  metrics.counter(
    "events_received_total",
    "Events that came in, repetitions included.",
    () => counters.received,
  );
  metrics.counter(
    "events_stored_total",
    "Events that the store has acknowledged.",
    () => counters.stored,
  );
  metrics.counter(
    "events_skipped_total",
    "Events left out, by reason.",
    () => counters.skipped,
    "reason",
  );
  metrics.counter(
    "events_problem_total",
    "Events that can never be stored.",
    () => sumOf(counters.problems),
  );
  metrics.counter(
    "attributes_left_out_total",
    "Attributes of stored events that are not stored, by reason; text is the state, too.",
    () => counters.leftOut,
    "reason",
  );
  metrics.gauge(
    "store_ready",
    "0 while the store takes no points.",
    () => receiver.store.status().problem ? 0 : 1,
  );
  metrics.gauge(
    "store_limit",
    "1 while a limit of the store keeps events waiting, by limit.",
    () => new Map(receiver.store.status().limits?.map(({ name }) => [name, 1])),
    "limit",
  );
  metrics.gauge(
    "store_note",
    "1 while something about the store needs attention though it stores events, by note.",
    () => new Map(receiver.store.status().notes?.map(({ name }) => [name, 1])),
    "note",
  );
  if (store instanceof LocalStore) {
    metrics.gauge(
      "store_bytes",
      "Size of the local store's file and its write-ahead log.",
      () => store.sizeBytes(),
    );
    metrics.gauge("store_points", "Points in the local store.", () => store.counts().points);
    metrics.gauge(
      "store_fullness_ratio",
      "Part of the local store's allowed size in use.",
      () => store.fullness,
    );
    metrics.gauge(
      "store_oldest_point_age_seconds",
      "How far back the local store reaches, statistics apart.",
      () => Math.max(0, (Date.now() - (store.oldestMs ?? Date.now())) / 1_000),
    );
    metrics.counter(
      "store_pruned_total",
      "Points that the local store has deleted, by reason.",
      () => store.pruned,
      "reason",
    );
  }
  if (settings.file) {
    metrics.gauge(
      "config_applied",
      "0 while CONFIG_FILE as it is now is faulty and not applied.",
      () => configWatch.problem === undefined ? 1 : 0,
    );
  }
  return () => metrics.text();
}

/** What the page of enrich shows; its counts of the last hour are taken until the signal is aborted. */
export function enrichPage(parts: EnrichParts, signal: AbortSignal): PageSource {
  const { counters, store } = parts.receiver;
  const perMinute = new PerMinute(() => {
    const { received, stored } = counters;
    return { received, stored };
  }, signal);
  return {
    name: "enrich",
    verdict: () => enrichVerdict(parts),
    status: () => enrichStatus(parts),
    now: () => ({
      verdict: enrichVerdict(parts),
      now_ms: Date.now(),
      per_minute: perMinute.now(),
      status: enrichStatus(parts),
    }),
    past: async () => ({
      per_minute: perMinute.history(),
      house: store instanceof LocalStore ? await store.presentHouse.read(signal) : undefined,
    }),
  };
}

function enrichVerdict(parts: EnrichParts): Verdict {
  const reasons = enrichHealth(parts);
  const advice = enrichAdvice(parts);
  if (reasons.length > 0) {
    const headline = parts.receiver.store.status().problem === undefined
      ? "Not well: a limit of the store keeps some events waiting"
      : "Not well: events cannot be stored now";
    return { level: "bad", headline, reasons: [...reasons, ...advice] };
  }
  if (advice.length > 0) {
    const headline = "Events are stored, but something needs your attention";
    return { level: "note", headline, reasons: advice };
  }
  return { level: "well", headline: "All is well: events are stored", reasons };
}

export function enrichStatus(
  { receiver: { counters, store }, settings, configWatch }: EnrichParts,
) {
  const { description, problem, limits = [], notes = [] } = store.status();
  return {
    program: "enrich",
    version: VERSION,
    schema: settings.schema,
    attributes: settings.attributes,
    ...(settings.file && { config: { file: settings.file.path, problem: configWatch.problem } }),
    store: {
      description,
      problem,
      ...(limits.length > 0 && { limits }),
      ...(notes.length > 0 && { notes }),
      ...(store instanceof LocalStore && localStoreStatus(store)),
    },
    events: {
      received: counters.received,
      stored: counters.stored,
      skipped: Object.fromEntries(counters.skipped),
      problems: sumOf(counters.problems),
      problem_reasons: Object.fromEntries(counters.problems),
    },
    attributes_left_out: Object.fromEntries(counters.leftOut),
    requests: Object.fromEntries(counters.requests),
  };
}

function localStoreStatus(store: LocalStore) {
  const { oldestMs } = store;
  return {
    size_bytes: store.sizeBytes(),
    fullness: Number(store.fullness.toFixed(4)),
    ...store.counts(),
    oldest_point: oldestMs === undefined ? undefined : new Date(oldestMs).toISOString(),
    pruned: Object.fromEntries(store.pruned),
  };
}

function sumOf(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}
