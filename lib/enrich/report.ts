/** What enrich says about itself: health with what to do, metrics, status. Every number has a source. */
import type { EnrichSettings } from "../config.ts";
import { Metrics } from "../metrics.ts";
import { VERSION } from "../program.ts";
import type { HealthReason } from "../server.ts";
import { LocalStore } from "./local_store.ts";
import type { ConfigWatch } from "./config_watch.ts";
import type { Receiver } from "./receiver.ts";
import type { Store } from "./store.ts";

export interface EnrichParts {
  readonly store: Store;
  readonly receiver: Receiver;
  readonly settings: EnrichSettings;
  readonly configWatch: ConfigWatch;
}

/** Why events are not stored; empty where they are. */
export function enrichHealth({ store }: EnrichParts): HealthReason[] {
  const { problem, description } = store.status();
  if (problem === undefined) return [];
  return [{
    reason: problem,
    action: `see that ${description} runs and takes points; ingest keeps what waits`,
  }];
}

export function enrichMetrics(
  { store, receiver: { counters }, settings, configWatch }: EnrichParts,
): () => string {
  const metrics = new Metrics("enrich");
  metrics.counter(
    "requests_total",
    "Answers to POST /events, by status.",
    () => counters.requests,
    "status",
  );
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
    () => counters.problems,
  );
  metrics.counter(
    "attributes_left_out_total",
    "Attributes of stored events that are not stored, by reason.",
    () => counters.leftOut,
    "reason",
  );
  metrics.gauge(
    "store_ready",
    "0 while the store takes no points.",
    () => store.status().problem ? 0 : 1,
  );
  if (store instanceof LocalStore) {
    metrics.gauge("store_bytes", "Size of the local store's file.", () => store.sizeBytes());
    metrics.gauge("store_points", "Points in the local store.", () => store.counts().points);
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

export function enrichStatus(
  { store, receiver: { counters }, settings, configWatch }: EnrichParts,
) {
  const { description, problem } = store.status();
  return {
    program: "enrich",
    version: VERSION,
    schema: settings.schema,
    attributes: settings.attributes,
    ...(settings.file && { config: { file: settings.file.path, problem: configWatch.problem } }),
    store: {
      description,
      problem,
      ...(store instanceof LocalStore && { size_bytes: store.sizeBytes(), ...store.counts() }),
    },
    events: {
      received: counters.received,
      stored: counters.stored,
      skipped: Object.fromEntries(counters.skipped),
      problems: counters.problems,
    },
    attributes_left_out: Object.fromEntries(counters.leftOut),
    requests: Object.fromEntries(counters.requests),
  };
}
