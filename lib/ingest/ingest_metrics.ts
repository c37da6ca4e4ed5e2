/** Ingest's metrics. Every number has a source. */
import { Metrics } from "../serve/metrics.ts";
import { parseTimeUs } from "../time.ts";
import { damagedFiles } from "./outbox/damaged_files.ts";
import type { IngestParts } from "./ingest_health.ts";

/** The metrics' text, read at each call. The equation's counters are the last committed set. */
export function ingestMetrics(
  { outbox, capture, delivery, settings, refusals }: IngestParts,
): () => string {
  const metrics = new Metrics("ingest");
  let counters = outbox.counters();
  metrics.counter(
    "events_received_total",
    "Received: events captured, or refused while the outbox was full; = delivered + left out + dead letters + dropped + waiting.",
    () => {
      // all of one scrape come from one set, or the equation would not hold between two of them
      counters = outbox.counters();
      return counters.received;
    },
  );
  refusals.addTo(metrics);
  metrics.counter(
    "events_delivered_total",
    "Delivered: events that enrich has stored.",
    () => counters.delivered,
  );
  metrics.counter(
    "events_skipped_total",
    "Left out: events that enrich stores nothing of, by reason.",
    () => counters.leftOut,
    "reason",
  );
  metrics.gauge(
    "events_dead_lettered",
    "Dead letters: events that can never be stored as they are, kept for a person to look at.",
    () => counters.deadLetters,
  );
  metrics.counter(
    "events_dropped_total",
    "Dropped: events given up, by reason.",
    () => counters.dropped,
    "reason",
  );
  metrics.gauge(
    "events_queued",
    "Waiting: events that are still to be delivered.",
    () => counters.waiting,
  );
  metrics.gauge(
    "events_limited",
    "Of those that wait, the events that a limit of the store holds.",
    () => delivery.limited.count,
  );
  metrics.gauge(
    "dead_letters_oldest_age_seconds",
    "Since the dead letter that arrived first was refused; 0 while there is none.",
    () => outbox.deadLetters.oldestAgeS,
  );
  metrics.gauge(
    "oldest_event_age_seconds",
    "Age of the oldest event that was heard and waits for its turn, by this machine's clock; 0 where none does.",
    () => {
      const firedUs = parseTimeUs(outbox.waiting.oldestTimeFired() ?? "");
      return firedUs === undefined ? 0 : Math.max(0, Date.now() / 1_000 - firedUs / 1e6);
    },
  );
  metrics.gauge(
    "outbox_fullness_ratio",
    "Part in use of what events may take of the outbox; 1 where its disk takes nothing.",
    () => outbox.size.fullness,
  );
  metrics.gauge(
    "dead_letters_fullness_ratio",
    "Part in use of what dead letters may take of the outbox; beyond 1 the oldest are dropped.",
    () => outbox.size.deadLettersFullness,
  );
  metrics.gauge(
    "outbox_full",
    "1 while events are refused: the outbox, or its disk, is full.",
    () => outbox.size.full ? 1 : 0,
  );
  metrics.gauge(
    "outbox_damaged_files",
    "Damaged outboxes that are set aside in DATA_DIR and not recovered.",
    () => damagedFiles(settings.dataDir).length,
  );
  metrics.counter(
    "frames_malformed_total",
    "Messages of Home Assistant that could not be read.",
    () => capture.malformed,
  );
  metrics.counter(
    "connections_total",
    "Connections to Home Assistant that captured.",
    () => capture.connections,
  );
  const { filling } = capture;
  let status = filling.status;
  metrics.counter(
    "gaps_total",
    "Gaps: how often capture has stopped hearing.",
    () => filling.gaps.count,
  );
  metrics.gauge(
    "gap_entities",
    "Entities of which states are missing, and still to be filled in.",
    () => {
      // in a large house it looks at thousands of rows: once a scrape
      status = filling.status;
      return status.entities;
    },
  );
  metrics.gauge(
    "gap_waiting_entities",
    "Of these, the entities for whose states the recorder cannot be asked yet; the status says why.",
    () => status.waitingEntities,
  );
  metrics.gauge(
    "recorder_recording",
    "0 where Home Assistant last said that its recorder records nothing.",
    () => status.isRecording ? 1 : 0,
  );
  metrics.counter(
    "gap_rows_filled_total",
    "Missing states that were filled in from history.",
    () => filling.rows,
  );
  metrics.counter(
    "gap_unfilled_total",
    "Entities of which states cannot be filled in, by reason: lost by the recorder, older than the recorder keeps, " +
      "not recorded, renamed, or what Home Assistant answers when it is asked for them.",
    () => filling.gaps.unfilledByReason,
    "reason",
  );
  metrics.gauge(
    "capturing",
    "1 while events are captured.",
    () => capture.state.kind === "capturing" ? 1 : 0,
  );
  metrics.gauge(
    "delivering",
    "0 while enrich or the store takes no events.",
    () => delivery.problem ? 0 : 1,
  );
  return () => metrics.text();
}
