/** What ingest says about itself: its status and page. Every number has a source. */
import { PerMinute } from "../serve/per_minute.ts";
import { VERSION } from "../program/program.ts";
import type { PageSource } from "../serve/server.ts";
import type { CaptureState } from "./capture/capture_state.ts";
import { ingestNotes, type IngestParts, ingestVerdict } from "./ingest_health.ts";
import { damagedFiles } from "./outbox/damaged_files.ts";

/** Of the gaps the page shows the last ones. */
const SHOWN_GAPS = 5;

export function ingestStatus(parts: IngestParts) {
  const flow = flowStatus(parts);
  const reasons = { dead_letter_reasons: parts.outbox.deadLetters.reasons() };
  return { ...flow, outbox: { ...flow.outbox, ...reasons } };
}

/** What the page of ingest shows; its counts of the last hour are taken until the signal is aborted. */
export function ingestPage(parts: IngestParts, signal: AbortSignal): PageSource {
  const { outbox } = parts;
  const perMinute = new PerMinute(() => {
    const { received: captured, delivered } = outbox.counters();
    return { captured, delivered };
  }, signal);
  return {
    name: "ingest",
    verdict: () => ingestVerdict(parts),
    notes: () => ingestNotes(parts),
    status: () => ingestStatus(parts),
    now: () => {
      const status = flowStatus(parts);
      return {
        verdict: ingestVerdict(parts),
        now_ms: Date.now(),
        per_minute: perMinute.now(),
        status: { ...status, gaps: status.gaps.slice(0, SHOWN_GAPS) },
      };
    },
    past: () => ({ per_minute: perMinute.history() }),
  };
}

/** All but what takes a look at every dead letter. */
function flowStatus({ outbox, capture, delivery, statistics, settings }: IngestParts) {
  const { received, delivered, leftOut, deadLetters, dropped, waiting } = outbox.counters();
  const { status: filling, gaps } = capture.filling;
  return {
    program: "ingest",
    version: VERSION,
    home_assistant: {
      url: settings.hassUrl,
      ...hassStatus(capture.state),
      connections: capture.connections,
      last_event_ms_ago: rounded(capture.silenceMs),
      named_entities: capture.namedEntities,
      malformed_messages: capture.malformed,
    },
    events: {
      received,
      delivered,
      skipped: Object.fromEntries(leftOut),
      dead_lettered: deadLetters,
      dropped: Object.fromEntries(dropped),
      queued: waiting,
    },
    outbox: {
      full: outbox.size.full,
      full_reason: outbox.size.full ? outbox.size.reason : undefined,
      refused_uncounted: outbox.owed.refused,
      fullness: Number(outbox.size.fullness.toFixed(4)),
      dead_letters_fullness: Number(outbox.size.deadLettersFullness.toFixed(4)),
      oldest_event: outbox.waiting.oldestTimeFired(),
      damaged_files: damagedFiles(settings.dataDir),
    },
    filling: {
      state: filling.state,
      waiting_for: filling.waitingFor,
      waiting_ms: rounded(filling.waitingMs),
      waiting_entities: filling.waitingEntities,
      recorder_recording: filling.isRecording,
      part: filling.part === undefined ? undefined : Number(filling.part.toFixed(3)),
      entities: filling.entities,
      rows: filling.rows,
      seconds_left: rounded(filling.secondsLeft),
    },
    gaps: gaps.report(outbox.missing.byGap()),
    statistics: statistics.progress,
    delivery: {
      enrich: settings.enrichmentServiceUrl,
      problem: delivery.problem?.reason,
      problem_for_ms: rounded(delivery.problem?.forMs),
      last_answer_took_ms: rounded(delivery.lastAnswerMs),
      next_batch_events: delivery.batchLimit,
      limited: {
        events: delivery.limited.count,
        reason: delivery.limited.reason,
        next_try_in_ms: rounded(delivery.limited.nextTryMs),
      },
    },
  };
}

/** For one release the version goes by the name that 0.1.0 gave it, too. */
function hassStatus(state: CaptureState) {
  if (state.kind === "token refused") {
    return { kind: state.kind, reason: state.reason, held_back: state.heldBack };
  }
  if (state.kind !== "capturing") return state;
  const { kind, haVersion, events } = state;
  return { kind, ha_version: haVersion, haVersion, events };
}

function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms);
}
