/** Whether ingest does its work, and if not, why and what to do about it. */
import type { HassTokenOrigin, IngestSettings } from "../settings/ingest_settings.ts";
import type { Refusals } from "../serve/refusals.ts";
import type { HealthReason, Verdict } from "../serve/server.ts";
import type { Capture } from "./capture/capture.ts";
import type { CaptureState } from "./capture/capture_state.ts";
import type { Delivery } from "./delivery/delivery.ts";
import { NOT_REACHED } from "./delivery/post_events.ts";
import type { FillingStatus } from "./history/filling_progress.ts";
import { HISTORY_IS_OFF } from "./history/history_request.ts";
import { NOTHING_HEARD } from "./history/recorder_barrier.ts";
import { damagedFiles } from "./outbox/damaged_files.ts";
import type { Outbox } from "./outbox/outbox.ts";
import type { Statistics } from "./statistics/statistics.ts";

const MAKE_TOKEN = "make a new long-lived access token under your profile, Security";
const NEW_TOKEN: Readonly<Record<HassTokenOrigin, string>> = {
  variable: `${MAKE_TOKEN}, set HASS_TOKEN to it and restart ingest`,
  file: `${MAKE_TOKEN}, and write it to the file of HASS_TOKEN_FILE, which is read every 10 s`,
  credential: `${MAKE_TOKEN}, make it the credential HASS_TOKEN and restart ingest`,
  supervisor: "restart this app: at each start the Supervisor gives it a new token",
};

/** What to do about what filling waits for. */
const UNTIL_ASKED: Readonly<Record<string, string>> = {
  [HISTORY_IS_OFF]: "add “history:” or “default_config:” to Home Assistant's configuration.yaml " +
    "and restart it; until then what its recorder keeps stays there",
  [NOTHING_HEARD]: "nothing: as soon as a state changes this core can be asked",
};
const UNTIL_ANSWERED =
  "while Home Assistant makes a backup, or migrates its database, wait; else see its log for what " +
  "keeps the recorder from writing. It is asked again at least once an hour";
/** Waiting for so long is said; less is usual after a start. */
const LONG_WAIT_MS = 600_000;

/** From this part of what dead letters may take on they say so. */
const DEAD_LETTERS_WARNING = 0.5;

export interface IngestParts {
  readonly outbox: Outbox;
  readonly capture: Capture;
  readonly delivery: Delivery;
  readonly statistics: Statistics;
  readonly settings: IngestSettings;
  readonly refusals: Refusals;
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
      action: `${enrichWish(delivery.problem.reason, settings)}; nothing is lost meanwhile`,
    });
  }
  const { limited } = delivery;
  if (limited.count > 0) {
    const events = limited.count === 1 ? "1 event waits" : `${limited.count} events wait`;
    reasons.push({
      reason: `${events} because of a limit of the store` +
        (limited.reason === undefined ? "" : `: ${limited.reason}`),
      action:
        `raise the limit, or store less (see ${settings.enrichmentServiceUrl}/health); then ` +
        "press “Try now” on ingest's page, or wait: some are tried again each hour, and all once one gets through",
    });
  }
  if (outbox.size.full) {
    const uncounted = outbox.owed.refused === 0
      ? ""
      : `; ${outbox.owed.refused} of them are counted once that can be written`;
    reasons.push({
      reason: `Events are refused: ${outbox.size.reason}${uncounted}`,
      action: outbox.size.diskIsFull
        ? "free space on it; refused states are then filled in from Home Assistant's recorder"
        : "fix what keeps events from being delivered, or raise OUTBOX_MAX_MB",
    });
  }
  return reasons;
}

/** What to do about an enrich that takes nothing: of one that is not there no page can be seen. */
function enrichWish(reason: string, { enrichmentServiceUrl: url }: IngestSettings): string {
  if (reason.startsWith(NOT_REACHED)) {
    return `start enrich, or set ENRICHMENT_SERVICE_URL (${url}) to where it runs`;
  }
  if (/SERVICE_TOKEN/.test(reason)) return "set SERVICE_TOKEN, the same for both programs";
  return `see ${url}/health`;
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
        action: state.action ?? reachable(settings),
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

/** The same, with what to do, and what filling waits for; empty where nothing waits for a person. */
export function ingestAdvice(
  { outbox, capture, settings, refusals }: IngestParts,
): HealthReason[] {
  return [
    ...lettersAdvice(outbox, settings.dataDir),
    ...fillingAdvice(capture.filling.status),
    ...refusals.advice(),
  ];
}

function lettersAdvice(outbox: Outbox, dataDir: string): HealthReason[] {
  const advice = damagedFiles(dataDir).map((file) => ({
    reason: `An outbox was damaged and is set aside: events in ${file} are not delivered`,
    action: `run "ingest outbox recover ${file}", which delivers what can be read of it`,
  }));
  const { deadLetters } = outbox.counters();
  if (deadLetters === 0) return advice;
  const fullness = outbox.size.deadLettersFullness;
  const crowd = fullness < DEAD_LETTERS_WARNING
    ? ""
    : `, ${Math.round(fullness * 100)} % of what they may take: once that is full each new one ` +
      "drops the oldest";
  return [...advice, {
    reason: (deadLetters === 1 ? "1 dead letter" : `${deadLetters} dead letters`) + crowd,
    action: "fix what the reason names and deliver them again, or discard them, on the page or " +
      `with "ingest dead-letters"${crowd && "; or raise OUTBOX_MAX_MB"}`,
  }];
}

/** Why what was missed cannot be filled in, or will not be; empty where it can. */
export function fillingAdvice(
  { entities, waitingFor, waitingMs = 0, isRecording }: Pick<
    FillingStatus,
    "entities" | "waitingFor" | "waitingMs" | "isRecording"
  >,
): HealthReason[] {
  const advice: HealthReason[] = isRecording ? [] : [{
    reason: "Home Assistant's recorder records nothing: what happens while ingest is away is lost",
    action: "see Home Assistant's log for what has stopped its recorder (a full disk or little " +
      "memory, for example), fix that, and restart Home Assistant",
  }];
  if (waitingFor === undefined || entities === 0 || waitingMs < LONG_WAIT_MS) return advice;
  const whose = entities === 1 ? "1 entity has" : `${entities} entities have`;
  return [...advice, {
    reason: `What ${whose} missed has waited for ${minutesText(waitingMs)}: ${waitingFor}`,
    action: UNTIL_ASKED[waitingFor] ?? UNTIL_ANSWERED,
  }];
}

function minutesText(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
}

/** What the page says first. */
export function ingestVerdict(parts: IngestParts): Verdict {
  const { outbox, capture, delivery, settings } = parts;
  const reasons = ingestHealth(parts);
  const advice = ingestAdvice(parts);
  if (reasons.length > 0) {
    const headline = capture.state.kind !== "capturing"
      ? "Not well: events are not captured"
      : outbox.size.full
      ? "Not well: events are refused"
      : delivery.problem
      ? "Not well: events are captured, but wait in the outbox"
      : "Not well: a limit of the store holds events, the others are stored";
    return { level: "bad", headline, reasons: [...reasons, ...advice] };
  }
  const { status: filling } = capture.filling;
  if (advice.length > 0) {
    const but = lettersAdvice(outbox, settings.dataDir).length > 0
      ? "some wait for you"
      : fillingAdvice(filling).length === 0
      ? "something needs your attention"
      : filling.isRecording
      ? "what was missed cannot be filled in yet"
      : "Home Assistant's recorder records nothing";
    const headline = `Events are captured and delivered, but ${but}`;
    return { level: "note", headline, reasons: advice };
  }
  const missed = filling.entities === 0
    ? ""
    : filling.waitingFor === undefined
    ? ", and what was missed is being filled in"
    : ", and what was missed waits for Home Assistant's recorder";
  const headline = `All is well: events are captured and delivered${missed}`;
  return { level: "well", headline, reasons };
}
