/** What VictoriaMetrics would throw away with a 204 like any other: by its time, or by its labels. */
import { Buffer } from "node:buffer";
import type { RetentionPeriod } from "../../settings/retention_period.ts";
import type { PointOutcome, StoreLimit, StorePoint } from "../store.ts";
import { storedText } from "./metric_line.ts";
import type { ServerFlags } from "./server_flags.ts";

/** What becomes of a point that is not to be sent. */
export type Fate =
  | Extract<PointOutcome, { readonly kind: "skipped" | "refused" }>
  | { readonly kind: "limited"; readonly limit: StoreLimit };

/** What it keeps for less than this from now on is left out: it may be thrown away before it is read. */
const EDGE_MS = 60_000;
/** Two clocks that differ by more: one of them is wrong, and nobody knows which. */
const CLOCKS_DIFFER_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** Where nothing is known: the least that `-retentionPeriod` and `-futureRetention` can be. */
const LEAST = { keptMs: DAY_MS, aheadMs: 2 * DAY_MS } as const;
const NANOSECONDS_PER_MS = 1_000_000n;

/** Now, in milliseconds since 1970, by both clocks. */
export interface Clocks {
  /** Undefined where what stands before it leaves out the `Date` of its answers. */
  readonly theirsMs: number | undefined;
  readonly oursMs: number;
}

/**
 * By the point's time, undefined where it is kept. What is too old is left out, what lies too far ahead
 * refused, both by the server's own clock. Where that is not known, or the other clock says something
 * else and they are more than an hour apart, the point waits; and where nobody knows how long
 * points are kept (neither `flags` nor `setting`), all waits that is older than a day.
 */
export function fateByTime(
  { timeNs }: StorePoint,
  { theirsMs, oursMs }: Clocks,
  flags: ServerFlags | undefined,
  setting: RetentionPeriod | undefined,
): Fate | undefined {
  const known = flags ?? (setting && { ...LEAST, keptMs: setting.ms });
  const { keptMs, aheadMs } = known ?? LEAST;
  const timeMs = Number(timeNs / NANOSECONDS_PER_MS);
  const verdictAt = (nowMs: number) =>
    timeMs < nowMs - keptMs + EDGE_MS ? "old" : timeMs > nowMs + aheadMs ? "ahead" : "kept";
  const verdict = verdictAt(theirsMs ?? oursMs);
  if (verdict === "kept") return undefined;
  if (theirsMs === undefined) return { kind: "limited", limit: NO_CLOCK };
  const differMs = theirsMs - oursMs;
  if (Math.abs(differMs) > CLOCKS_DIFFER_MS && verdictAt(oursMs) !== verdict) {
    return { kind: "limited", limit: clockLimit(differMs) };
  }
  if (verdict === "ahead") {
    const days = ((timeMs - theirsMs) / DAY_MS).toFixed(1);
    return {
      kind: "refused",
      reason:
        `The event lies ${days} days ahead: VictoriaMetrics throws away what is further ahead ` +
        "than its -futureRetention",
    };
  }
  return known ? { kind: "skipped", reason: "retention" } : { kind: "limited", limit: UNKNOWN };
}

/** VictoriaMetrics' own (1.151.0), for where its flags cannot be read. */
const USUAL_LABELS = {
  maxLabelsPerTimeseries: 40,
  maxLabelNameLen: 256,
  maxLabelValueLen: 4_096,
  dbLabel: "db",
  separator: "_",
} as const;

/**
 * By the point's labels, undefined where they are within the limits. `database`: it is written with
 * one, which is a label.
 */
export function fateByLabels(
  { measurement, tags: all, fields }: StorePoint,
  database: boolean,
  flags: Pick<ServerFlags, keyof typeof USUAL_LABELS> = USUAL_LABELS,
): Fate | undefined {
  const { maxLabelsPerTimeseries, maxLabelNameLen, maxLabelValueLen } = flags;
  const tags = [...all].filter(([, value]) => value !== "");
  const count = tags.length + (database && !all.get(flags.dbLabel) ? 1 : 0);
  if (maxLabelsPerTimeseries > 0 && count > maxLabelsPerTimeseries) {
    return limitedBy("maxLabelsPerTimeseries", `a point has ${count} labels`, "store fewer tags");
  }
  for (const [name, value] of tags) {
    if (isLonger(name, maxLabelNameLen)) {
      return limitedBy("maxLabelNameLen", `the name of label ${shown(name)} is longer`);
    }
    if (isLonger(value, maxLabelValueLen)) {
      return limitedBy("maxLabelValueLen", `the value of label ${shown(name)} is longer`);
    }
  }
  for (const name of fields.keys()) {
    const series = measurement + flags.separator + name.replaceAll('"', '\\"');
    if (isLonger(series, maxLabelValueLen)) {
      return limitedBy("maxLabelValueLen", `the name of series ${shown(series)} is longer`);
    }
  }
}

function isLonger(text: string, maxBytes: number): boolean {
  // each character is three bytes at most
  return maxBytes > 0 && text.length * 3 > maxBytes &&
    Buffer.byteLength(storedText(text)) > maxBytes;
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 40));
}

function limitedBy(flag: string, what: string, otherwise = "make it shorter"): Fate {
  return {
    kind: "limited",
    limit: {
      name: flag,
      reason: `VictoriaMetrics throws away what exceeds its -${flag}: ${what}`,
      wish: `start it with a higher -${flag}, or ${otherwise}`,
    },
  };
}

const UNKNOWN: StoreLimit = {
  name: "retention_unknown",
  reason:
    "how long VictoriaMetrics keeps points cannot be read from its /metrics, and events of more " +
    "than a day ago may be thrown away",
  wish: "set VICTORIAMETRICS_RETENTION to its -retentionPeriod",
};

const NO_CLOCK: StoreLimit = {
  name: "clock",
  reason: "VictoriaMetrics' clock is not known, and by enrich's it would throw events away",
  wish: "let what stands before VictoriaMetrics pass on the Date of its answers",
};

function clockLimit(differMs: number): StoreLimit {
  const hours = Math.abs(differMs / 3_600_000).toFixed(1);
  return {
    name: "clock",
    reason: `VictoriaMetrics' clock is ${hours} hours ${differMs < 0 ? "behind" : "ahead of"} ` +
      "enrich's, and by one of them it would throw events away",
    wish: "set the clock that is wrong",
  };
}

/** The limit of series in an hour or a day, which throws away samples of new ones. */
export function seriesLimit(flags: ServerFlags): StoreLimit {
  const flag = flags.maxHourlySeries > 0 ? "storage.maxHourlySeries" : "storage.maxDailySeries";
  return {
    name: flag,
    reason: `VictoriaMetrics throws away new series beyond its -${flag}`,
    wish: `start it with a higher -${flag}, or 0 for none, or store less`,
  };
}
