/**
 * The one judgement of every row: what was fired and what ingest has committed, held against what is
 * stored, what waits and what became a dead letter.
 */
import { eventSchema } from "../../lib/contract.ts";
import { parseTimeUs } from "../../lib/time.ts";
import { differences, expectedPoint } from "../real/parts/expected_point.ts";
import type { StoredPoint } from "../real/parts/influxql.ts";
import { byReason, type Metrics } from "../real/parts/metrics_text.ts";

/** All that is known of a run when it is over. */
export interface Evidence {
  /** How often what was injected. */
  readonly injected: string;
  /** The text of every event that Home Assistant fired. */
  readonly fired: readonly string[];
  /** What ingest is known to have committed, by `eventKey`. */
  readonly committed: ReadonlySet<string>;
  readonly stored: readonly StoredPoint[];
  /** Lines of the outbox. */
  readonly waiting: readonly string[];
  readonly deadLetters: readonly string[];
  /** Keys of events that can never be stored: they must be dead letters. */
  readonly hopeless: ReadonlySet<string>;
  /** What scrapes of ingest said that cannot be true. */
  readonly scrapeProblems: readonly string[];
  readonly scrapes: number;
  /** What the row promises beside that and what did not hold. */
  readonly broken: readonly string[];
  readonly metrics: Metrics;
  /** From the end of the last fault until all was stored. */
  readonly recoverySeconds: number;
}

/**
 * `lost`: committed, and nowhere. `missing`: not stored as a run without faults stores it. `surplus`:
 * stored, but not by a run without faults. `equation`: a scrape that contradicts itself or one before
 * it. `promise`: something else that the row promises.
 */
export type FindingKind = "lost" | "missing" | "surplus" | "equation" | "promise";

export interface Finding {
  readonly kind: FindingKind;
  readonly text: string;
  readonly count: number;
}

/** What tells two events apart, however they were heard: an entity or a type, and the time. */
export function eventKey(text: string): string {
  const { event_type, data, time_fired } = eventSchema.parse(JSON.parse(text));
  const what = event_type === "state_changed" ? data.entity_id : event_type;
  return `${what} ${parseTimeUs(time_fired)}`;
}

/** The same of an outbox's line. */
export function lineKey(line: string): string {
  const { event } = JSON.parse(line);
  return eventKey(JSON.stringify(event));
}

function pointKey({ measurement, tags, timeNs }: StoredPoint): string {
  const what = measurement === "events" ? tags.event_type : tags.entity_id;
  return `${what} ${timeNs / 1_000n}`;
}

export function isState(text: string): boolean {
  return text.startsWith('{"event_type":"state_changed"');
}

/** Of what was fired what must be stored: every state, for the recorder has it, and what was committed. */
export function mustBeStored(
  { fired, committed, hopeless }: Pick<Evidence, "fired" | "committed" | "hopeless">,
): readonly string[] {
  return fired.filter((text) => {
    const key = eventKey(text);
    return !hopeless.has(key) && (isState(text) || committed.has(key));
  });
}

/** Which of them are not there. */
export function notStored(
  required: readonly string[],
  stored: readonly StoredPoint[],
): readonly string[] {
  const there = new Set(stored.map(pointKey));
  return required.filter((text) => !there.has(eventKey(text)));
}

/** Everything that is not as promised; nothing where all is. */
export function judge(evidence: Evidence): readonly Finding[] {
  const { stored, waiting, deadLetters, committed, hopeless, fired } = evidence;
  const places = new Set([
    ...stored.map(pointKey),
    ...[...waiting, ...deadLetters].map(lineKey),
  ]);
  const dead = new Set(deadLetters.map(lineKey));
  const pointOf = (text: string) => expectedPoint(`{"event":${text}}`);
  const storable = fired.filter((text) => !hopeless.has(eventKey(text)));
  const { missing } = differences(mustBeStored(evidence).map(pointOf), stored);
  const { surplus } = differences(storable.map(pointOf), stored);
  const found = (kind: FindingKind, what: string, problems: readonly string[]): Finding[] =>
    problems.length === 0 ? [] : [{
      kind,
      text: `${problems.length} ${what}, ${problems[0]?.slice(0, 300)}`,
      count: problems.length,
    }];
  return [
    ...found(
      "lost",
      "events were committed and are nowhere",
      [...committed].filter((key) => !places.has(key)),
    ),
    ...found("missing", "points are not as without faults", missing),
    ...found("surplus", "points are there that no run without faults has", surplus),
    ...found(
      "missing",
      "events are no dead letters that can never be stored",
      [...hopeless].filter((key) => !dead.has(key)),
    ),
    ...found("missing", "events still wait", waiting),
    ...found("equation", "scrapes contradict themselves", evidence.scrapeProblems),
    ...found("promise", "promises were broken", evidence.broken),
  ];
}

/** What a row's line says in figures. */
export interface Tally {
  readonly injected: string;
  readonly events: number;
  readonly stored: number;
  readonly waiting: number;
  readonly deadLetters: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly lost: number;
  readonly scrapes: number;
  readonly recoverySeconds: number;
}

export function tallyOf(evidence: Evidence, findings: readonly Finding[]): Tally {
  const { injected, fired, stored, metrics, scrapes, recoverySeconds } = evidence;
  const count = (kind: FindingKind) =>
    Math.max(0, ...findings.filter((one) => one.kind === kind).map((one) => one.count));
  return {
    injected,
    events: fired.length,
    stored: stored.length,
    waiting: evidence.waiting.length,
    deadLetters: evidence.deadLetters.length,
    dropped: byReason(metrics, "ingest_events_dropped_total"),
    lost: Math.max(count("lost"), count("missing")),
    scrapes,
    recoverySeconds,
  };
}
