/** Capturing from a simulated Home Assistant, for as long as a test takes. */
import assert from "node:assert/strict";
import { memberText } from "../../../lib/json_text.ts";
import { Capture, type CaptureOptions } from "../../../lib/ingest/capture/capture.ts";
import { CAPTURE_TIMES, type CaptureTimes } from "../../../lib/ingest/capture/capture_times.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import type { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import { until } from "../../until.ts";
import { rowsOf } from "../outbox/rows.ts";

export const TIMES: CaptureTimes = {
  ...CAPTURE_TIMES,
  refusedWaitMs: 50,
  tokenLookMs: 5,
  backoffBaseMs: 5,
  backoffMaxMs: 20,
};

/** Gaps are filled without much waiting. */
export const FILLING = { pollMs: 5, barrierDeadlineMs: 300, barrierMaxWaitMs: 200 };

export interface Capturing {
  readonly outbox: Outbox;
  readonly capture: Capture;
}

/** Captures into the outbox at that path; what is not given is as tests mostly want it. */
export async function capturing(
  hass: SimulatedHomeAssistant,
  path: string,
  test: (setup: Capturing) => Promise<void>,
  { maxBytes = 100_000_000, ...options }: Partial<CaptureOptions> & { readonly maxBytes?: number } =
    {},
): Promise<void> {
  using outbox = new Outbox({ path, maxBytes, onFailure: assert.ifError });
  const capture = new Capture({
    hassUrl: hass.url,
    hassToken: () => hass.token,
    outbox,
    importDays: 0,
    snapshotMinutes: 0,
    times: TIMES,
    fillingTimes: FILLING,
    ...options,
  });
  const stop = new AbortController();
  const running = capture.run(stop.signal);
  try {
    await test({ outbox, capture });
  } finally {
    stop.abort();
    await running;
  }
}

export const connected = ({ capture }: Capturing, times = 1) =>
  until(() => capture.state.kind === "capturing" && capture.connections >= times, "it captures");

export function linesOf({ outbox }: Capturing): string[] {
  const batch = outbox.waiting.next.peek({ maxEvents: 1_000_000, maxBytes: 1e12 });
  return rowsOf(batch).map(({ line }) => line);
}

/** The lines of events that Home Assistant fired, not those of ingest's own making. */
export function capturedLines(setup: Capturing): string[] {
  return linesOf(setup).filter((line) => !line.includes('"via":'));
}

export const capturedTexts = (setup: Capturing) =>
  capturedLines(setup).map((line) => memberText(line, "event"));

/** Waits until that event has gone through. */
export async function hears(
  hass: SimulatedHomeAssistant,
  setup: Capturing,
  entityId: string,
): Promise<void> {
  hass.setState(entityId, String(hass.fired.length));
  await until(
    () => capturedTexts(setup).some((text) => text?.includes(`"${entityId}"`)),
    `${entityId} is captured`,
  );
}
