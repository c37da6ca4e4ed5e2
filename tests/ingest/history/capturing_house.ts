/** Capture of a simulated Home Assistant into an outbox, and what is in there. */
import assert from "node:assert/strict";
import { Capture } from "../../../lib/ingest/capture/capture.ts";
import { CAPTURE_TIMES } from "../../../lib/ingest/capture/capture_times.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { SimulatedHomeAssistant, type SimulationOptions } from "../../simulator/home_assistant.ts";
import { formatTimeUs, parseTimeUs } from "../../../lib/time.ts";
import type { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { rowsOf } from "../outbox/rows.ts";

export const FILLING_TIMES = { pollMs: 5, barrierDeadlineMs: 300, barrierMaxWaitMs: 200 };
export const ALL = { maxEvents: 1_000_000, maxBytes: 1e12 };

interface CaptureChange {
  readonly importDays?: number;
  readonly snapshotMinutes?: number;
  readonly maxBytes?: number;
  /** Whether what waits is delivered meanwhile: more than a few hundred rows of history wait for that. */
  readonly drains?: boolean;
}

/** What was delivered of the outbox of a folder, and of an outbox that is open. */
const deliveredOf = new WeakMap<TemporaryFolder, string[]>();
const delivered = new WeakMap<Outbox, string[]>();

function drain(outbox: Outbox): void {
  const rows = rowsOf(outbox.waiting.next.peek({ ...ALL, maxEvents: 1_000 }));
  const done = rows.map(({ seq }) => seq);
  const settled = outbox.settle({ done, delivered: done.length, leftOut: {}, problems: [] });
  if (settled) delivered.get(outbox)?.push(...rows.map(({ line }) => line));
}

/** All lines of the outbox, delivered ones first. */
function linesOf(outbox: Outbox): string[] {
  return [
    ...delivered.get(outbox) ?? [],
    ...rowsOf(outbox.waiting.next.peek(ALL)).map(({ line }) => line),
  ];
}

/** Captures for as long as the test takes, into the outbox of that folder. */
export async function capturing<T>(
  hass: SimulatedHomeAssistant,
  folder: TemporaryFolder,
  test: (capture: Capture, outbox: Outbox) => Promise<T>,
  { importDays = 0, snapshotMinutes = 0, maxBytes = 200_000_000, drains = true }: CaptureChange =
    {},
): Promise<T> {
  using outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes,
    onFailure: assert.ifError,
  });
  const lines = deliveredOf.get(folder) ?? [];
  deliveredOf.set(folder, lines);
  delivered.set(outbox, lines);
  const capture = new Capture({
    hassUrl: hass.url,
    hassToken: () => hass.token,
    outbox,
    importDays,
    snapshotMinutes,
    fillingTimes: FILLING_TIMES,
    times: { ...CAPTURE_TIMES, backoffBaseMs: 5 },
  });
  const stop = new AbortController();
  const running = capture.run(stop.signal);
  const draining = setInterval(() => drains && drain(outbox), 2);
  try {
    return await test(capture, outbox);
  } finally {
    clearInterval(draining);
    stop.abort();
    await running;
  }
}

export function simulated(options: SimulationOptions = {}): SimulatedHomeAssistant {
  return new SimulatedHomeAssistant(options).start();
}

export const connected = (capture: Capture, times = 1) =>
  until(() => capture.state.kind === "capturing" && capture.connections >= times, "it captures");

/** All that could be filled is. */
export const complete = (capture: Capture) =>
  until(
    () => capture.filling.status.state === "idle" && capture.filling.status.entities === 0,
    "all is filled",
  );

/** The last event is in the outbox. */
export const spooled = (hass: SimulatedHomeAssistant, outbox: Outbox) =>
  until(() => {
    const last = hass.fired.at(-1)?.text ?? "?";
    return linesOf(outbox).some((line) => line.includes(last));
  }, "the last event is spooled");

export interface Captured {
  readonly entityId: string;
  readonly timeFired: string;
  readonly oldState: string | undefined;
  readonly via: string | undefined;
  readonly type: string;
}

export function captured(outbox: Outbox): Captured[] {
  return linesOf(outbox).map((line) => {
    const { event, via } = JSON.parse(line);
    return {
      type: event.event_type,
      entityId: event.data.entity_id,
      // Home Assistant leaves out a fraction that is 0
      timeFired: formatTimeUs(parseTimeUs(event.time_fired) ?? 0),
      oldState: event.data.old_state?.state,
      via,
    };
  });
}

/** What Home Assistant fired as states, as a line each: entity, stamp, the state replaced. */
function firedStates(hass: SimulatedHomeAssistant): string[] {
  return hass.fired.filter(({ eventType }) => eventType === "state_changed").map(({ text }) => {
    const { data, time_fired } = JSON.parse(text);
    const at = formatTimeUs(parseTimeUs(time_fired) ?? 0);
    return `${data.entity_id} ${at} ${data.old_state?.state}`;
  });
}

/** Those of Home Assistant's states that are not in the outbox at all. */
export function lacking(hass: SimulatedHomeAssistant, outbox: Outbox): string[] {
  const found = new Set(
    captured(outbox).map(({ entityId, timeFired }) => `${entityId} ${timeFired}`),
  );
  return firedStates(hass).filter((line) => !found.has(line.split(" ").slice(0, 2).join(" ")));
}

/**
 * Every state that Home Assistant fired must be there, with what it replaced, once: but a state that
 * get_states showed comes a second time from the recorder, which knows what it replaced.
 */
export function assertComplete(hass: SimulatedHomeAssistant, outbox: Outbox): void {
  const states = captured(outbox).filter(({ type }) => type === "state_changed");
  const shown = states.filter(({ via }) => via === "snapshot");
  const others = states.filter(({ via }) => via !== "snapshot");
  const stampsOf = (list: readonly Captured[]) =>
    list.map(({ entityId, timeFired }) => `${entityId} ${timeFired}`);
  const found = new Set(stampsOf(others));
  assert.deepEqual(stampsOf(shown).filter((stamp) => !found.has(stamp)), []);
  assert.deepEqual(
    others.map(({ entityId, timeFired, oldState }) => `${entityId} ${timeFired} ${oldState}`)
      .sort(),
    firedStates(hass).sort(),
  );
}

/** So many changes of seven sensors. */
export function change(hass: SimulatedHomeAssistant, n: number, from = 0): void {
  for (let i = from; i < from + n; i++) hass.setState(`sensor.s${i % 7}`, String(i), { i });
}

/** The requests for rows of history; a stream without an end is none. */
export const rowsAsked = (hass: SimulatedHomeAssistant) =>
  hass.received.filter(({ type, end_time }) =>
    String(type).startsWith("history/") && end_time !== undefined
  );
