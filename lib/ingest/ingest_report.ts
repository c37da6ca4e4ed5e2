/** What ingest says about itself: health with what to do, status, the page. Every number has a source. */
import type { HassTokenOrigin, IngestSettings } from "../settings/program_settings.ts";
import { PerMinute } from "../serve/per_minute.ts";
import { VERSION } from "../program/program.ts";
import type { HealthReason, PageSource, Verdict } from "../serve/server.ts";
import type { Capture, CaptureState } from "./capture/capture.ts";
import type { Delivery } from "./delivery/delivery.ts";
import { damagedFiles } from "./outbox/damaged_files.ts";
import type { Missing } from "./outbox/missing_states.ts";
import type { Outbox } from "./outbox/outbox.ts";
import type { Statistics } from "./statistics/statistics.ts";

/** Of the gaps the page shows the last ones. */
const SHOWN_GAPS = 5;

const MAKE_TOKEN = "make a new long-lived access token under your profile, Security";
const NEW_TOKEN: Readonly<Record<HassTokenOrigin, string>> = {
  variable: `${MAKE_TOKEN}, set HASS_TOKEN to it and restart ingest`,
  file: `${MAKE_TOKEN}, and write it to the file of HASS_TOKEN_FILE, which is read every 10 s`,
  credential: `${MAKE_TOKEN}, make it the credential HASS_TOKEN and restart ingest`,
  supervisor: "restart this app: at each start the Supervisor gives it a new token",
};
const UNBAN =
  "Home Assistant has banned this machine after failed logins, or a proxy lets nobody " +
  "in: delete its address from ip_bans.yaml in Home Assistant's configuration folder and restart it";

export interface IngestParts {
  readonly outbox: Outbox;
  readonly capture: Capture;
  readonly delivery: Delivery;
  readonly statistics: Statistics;
  readonly settings: IngestSettings;
}

/** Why events are not captured or not delivered; empty where both are. */
export function ingestHealth({ outbox, capture, delivery, settings }: IngestParts): HealthReason[] {
  const reasons: HealthReason[] = [];
  const { state } = capture;
  const captureReason = captureHealth(state, settings);
  if (captureReason) reasons.push(captureReason);
  if (delivery.problem) {
    reasons.push({
      reason: `Events wait in the outbox: enrich ${delivery.problem.reason}`,
      action: `see ${settings.enrichmentServiceUrl}/health, nothing is lost meanwhile`,
    });
  }
  if (outbox.size.full) {
    reasons.push({
      reason: "The outbox is full, events are refused",
      action: "fix what keeps events from being delivered, or raise OUTBOX_MAX_MB or free the disk",
    });
  }
  return reasons;
}

/** Why events are not captured; undefined where they are. */
export function captureHealth(
  state: CaptureState,
  settings: Pick<IngestSettings, "hassUrl" | "hassTokenOrigin">,
): HealthReason | undefined {
  switch (state.kind) {
    case "capturing":
      return undefined;
    case "token refused":
      return {
        reason: `Home Assistant refused HASS_TOKEN: ${state.reason}` +
          (state.heldBack
            ? "; it is now tried only once a day, so that Home Assistant does not ban this address"
            : ""),
        action: NEW_TOKEN[settings.hassTokenOrigin],
      };
    case "connecting":
      return { reason: "Home Assistant has not answered yet", action: reachable(settings) };
    case "disconnected":
      return {
        reason: `Home Assistant is not connected: ${state.reason}`,
        action: /status code: 403/.test(state.reason) ? UNBAN : reachable(settings),
      };
  }
}

function reachable({ hassUrl }: Pick<IngestSettings, "hassUrl">): string {
  return `see that Home Assistant runs and that HASS_URL (${hassUrl}) reaches it`;
}

/** What health says besides, as numbers: it waits for a person, and keeps nobody waiting. */
export function ingestNotes({ outbox, settings }: IngestParts): Readonly<Record<string, number>> {
  return {
    dead_letters: outbox.counters().deadLetters,
    damaged_outbox_files: damagedFiles(settings.dataDir).length,
  };
}

/** The same, with what to do; empty where nothing waits for a person. */
export function ingestAdvice({ outbox, settings }: IngestParts): HealthReason[] {
  const advice = damagedFiles(settings.dataDir).map((file) => ({
    reason: `An outbox was damaged and is set aside: events in ${file} are not delivered`,
    action: `run "ingest outbox recover ${file}", which delivers what can be read of it`,
  }));
  const { deadLetters } = outbox.counters();
  if (deadLetters === 0) return advice;
  return [...advice, {
    reason: deadLetters === 1 ? "1 dead letter" : `${deadLetters} dead letters`,
    action: "fix what the reason names and deliver them again, or discard them, on the page or " +
      'with "ingest dead-letters"',
  }];
}

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

function ingestVerdict(parts: IngestParts): Verdict {
  const { outbox, capture } = parts;
  const reasons = ingestHealth(parts);
  const advice = ingestAdvice(parts);
  if (reasons.length > 0) {
    const headline = capture.state.kind !== "capturing"
      ? "Not well: events are not captured"
      : outbox.size.full
      ? "Not well: the outbox is full and events are refused"
      : "Not well: events are captured, but wait in the outbox";
    return { level: "bad", headline, reasons: [...reasons, ...advice] };
  }
  if (advice.length > 0) {
    const headline = "Events are captured and delivered, but some wait for you";
    return { level: "note", headline, reasons: advice };
  }
  const filling = capture.filling.status.entities > 0
    ? ", and what was missed is being filled in"
    : "";
  const headline = `All is well: events are captured and delivered${filling}`;
  return { level: "well", headline, reasons };
}

/** All but what takes a look at every dead letter. */
function flowStatus({ outbox, capture, delivery, statistics, settings }: IngestParts) {
  const { received, delivered, leftOut, deadLetters, dropped, waiting } = outbox.counters();
  const { status: filling, gaps } = capture.filling;
  // what never changed since has a gap without an end: nothing is missing after capture went on
  const endUs = gaps.open?.toUs ?? Date.now() * 1000;
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
      fullness: Number(outbox.size.fullness.toFixed(4)),
      oldest_event: outbox.waiting.oldestTimeFired(),
      damaged_files: damagedFiles(settings.dataDir),
    },
    filling: {
      state: filling.state,
      part: filling.state === "reading" ? partRead(outbox.missing.all(), endUs) : undefined,
      entities: filling.entities,
      rows: filling.rows,
      rows_per_second: rounded(filling.rowsPerSecond),
      seconds_left: rounded(filling.secondsLeft),
    },
    gaps: gaps.report(),
    statistics: statistics.progress,
    delivery: {
      enrich: settings.enrichmentServiceUrl,
      problem: delivery.problem?.reason,
      problem_for_ms: rounded(delivery.problem?.forMs),
      last_answer_took_ms: rounded(delivery.lastAnswerMs),
      next_batch_events: delivery.batchLimit,
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

/** The part of what is missing that the present look has read, 0 … 1. It is read from its newer end. */
function partRead(missing: readonly Missing[], endUs: number): number | undefined {
  let wholeUs = 0;
  let unreadUs = 0;
  for (const { fromUs, toUs = endUs, cursorUs } of missing) {
    wholeUs += Math.max(0, toUs - fromUs);
    unreadUs += Math.max(0, Math.min(cursorUs, toUs) - fromUs);
  }
  return wholeUs === 0 ? undefined : Number((1 - unreadUs / wholeUs).toFixed(3));
}

function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms);
}
