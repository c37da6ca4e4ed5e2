/** What VictoriaMetrics would throw away without a word, told beforehand; and what it wants to be set to. */
import { Buffer } from "node:buffer";
import { deadline } from "../../retry.ts";
import type { RetentionPeriod } from "../../settings/retention_period.ts";
import type { InfluxDbHttp } from "../influxdb/influxdb_http.ts";
import {
  type PointOutcome,
  type StoreLimit,
  type StoreNote,
  type StorePoint,
  StoreUnavailable,
} from "../store.ts";
import { storedText } from "./metric_line.ts";
import { readFlags, type ServerFlags } from "./server_flags.ts";

/** For how long its flags are believed: they change only by a restart. */
const BELIEVED_MS = 60_000;
/** Writing may wait for them: no longer than this. */
const LOOK_DEADLINE_MS = 3_000;
/** What it keeps for less than this from now on is left out: it may be thrown away before it is read. */
const EDGE_MS = 60_000;
/** Two clocks that differ by more: one of them is wrong, and nobody knows which. */
const CLOCKS_DIFFER_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** Where nothing is known: the least that `-retentionPeriod` and `-futureRetention` can be. */
const LEAST = { keptMs: DAY_MS, aheadMs: 2 * DAY_MS } as const;
const NANOSECONDS_PER_MS = 1_000_000n;
const DEDUP_WISH = "start it with -dedup.minScrapeInterval=1ms";

/** What a point meets there, or undefined where it is stored. */
export type Fate =
  | Exclude<PointOutcome, { readonly kind: "limited" }>
  | { readonly kind: "limited"; readonly limit: StoreLimit };

export class VictoriaMetrics {
  readonly #http: InfluxDbHttp;
  readonly #setting: RetentionPeriod | undefined;
  #flags: ServerFlags | undefined;
  #lookedMs = -Infinity;

  /** `http` is that of the writes; `setting` counts where the retention cannot be read. */
  constructor(http: InfluxDbHttp, setting: RetentionPeriod | undefined) {
    this.#http = http;
    this.#setting = setting;
  }

  /** Reads its flags where it is time to. What could not be read stays as it was known. */
  async refresh(signal: AbortSignal): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.#lookedMs < BELIEVED_MS) return;
    this.#lookedMs = nowMs;
    try {
      this.#flags = await readFlags(this.#http, deadline(LOOK_DEADLINE_MS, signal));
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  /** What becomes of a point that is, or would be, thrown away. `database`: it is written with one, which is a label. */
  fateOf(point: StorePoint, database: boolean): Fate | undefined {
    return this.#fateByTime(point.timeNs) ?? this.#fateByLabels(point, database);
  }

  /** How long it keeps points, in its own words; undefined where nobody knows. */
  get retention(): string | undefined {
    return this.#flags?.retention ?? this.#setting?.text;
  }

  /** The label that holds the database. */
  get dbLabel(): string {
    return this.#flags?.dbLabel ?? "db";
  }

  /** What a person had better set. */
  notes(): readonly StoreNote[] {
    const flags = this.#flags;
    if (!flags) {
      return this.#setting ? [] : [{
        name: "retention_unknown",
        reason:
          "How long VictoriaMetrics keeps points cannot be read from its /metrics, and it throws " +
          "away without a word what is older: events of more than a day ago wait in ingest",
        action: "set VICTORIAMETRICS_RETENTION to its -retentionPeriod",
      }];
    }
    const notes: StoreNote[] = [];
    if (flags.dedupMs === 0) {
      notes.push({
        name: "not_deduplicated",
        reason:
          "VictoriaMetrics keeps events that are sent again, after a fault for example, as second " +
          "samples",
        action: DEDUP_WISH,
      });
    }
    const thinnedMs = Math.max(flags.dedupMs, flags.trimMs);
    if (thinnedMs > 1) {
      const flag = flags.trimMs > 1 ? "influxTrimTimestamp" : "dedup.minScrapeInterval";
      notes.push({
        name: "thinned",
        reason: `VictoriaMetrics keeps one sample of each ${thinnedMs / 1_000} s, and throws the ` +
          "others away, events that were stored among them",
        action: `start it with -${flag}=1ms`,
      });
    }
    if (flags.skipsSingleField) {
      notes.push({
        name: "single_field",
        reason:
          "VictoriaMetrics stores a number that stands alone in its point under another name " +
          "than one beside others",
        action: "start it without -influxSkipSingleField",
      });
    }
    return notes;
  }

  #fateByTime(timeNs: bigint): Fate | undefined {
    const [theirsMs, oursMs] = [this.#http.nowMs(), Date.now()];
    const known = this.#flags ?? (this.#setting && { ...LEAST, keptMs: this.#setting.ms });
    const { keptMs, aheadMs } = known ?? LEAST;
    const timeMs = Number(timeNs / NANOSECONDS_PER_MS);
    const verdictAt = (nowMs: number) =>
      timeMs < nowMs - keptMs + EDGE_MS ? "old" : timeMs > nowMs + aheadMs ? "ahead" : "kept";
    const verdict = verdictAt(theirsMs);
    if (verdict === "kept") return undefined;
    const differMs = theirsMs - oursMs;
    if (Math.abs(differMs) > CLOCKS_DIFFER_MS && verdictAt(oursMs) !== verdict) {
      return { kind: "limited", limit: clockLimit(differMs) };
    }
    if (verdict === "ahead") {
      const days = (timeMs - theirsMs) / DAY_MS;
      return {
        kind: "refused",
        reason:
          `The event lies ${days.toFixed(1)} days ahead: VictoriaMetrics throws away what is ` +
          "more than -futureRetention ahead",
      };
    }
    return known ? { kind: "skipped", reason: "retention" } : { kind: "limited", limit: UNKNOWN };
  }

  #fateByLabels(
    { measurement, tags: all, fields }: StorePoint,
    database: boolean,
  ): Fate | undefined {
    if (!this.#flags) return undefined;
    const { maxLabelsPerTimeseries, maxLabelNameLen, maxLabelValueLen, separator } = this.#flags;
    const tags = [...all].filter(([, value]) => value !== "");
    const count = tags.length + (database && !all.get(this.dbLabel) ? 1 : 0);
    if (maxLabelsPerTimeseries > 0 && count > maxLabelsPerTimeseries) {
      return limitedBy("maxLabelsPerTimeseries", `a point has ${count} labels`, "store fewer tags");
    }
    const isTooLong = (text: string, maxBytes: number) =>
      // each character is three bytes at most
      maxBytes > 0 && text.length * 3 > maxBytes &&
      Buffer.byteLength(storedText(text)) > maxBytes;
    for (const [name, value] of tags) {
      if (isTooLong(name, maxLabelNameLen)) {
        return limitedBy("maxLabelNameLen", `the name of label ${shown(name)} is longer`);
      }
      if (isTooLong(value, maxLabelValueLen)) {
        return limitedBy("maxLabelValueLen", `the value of label ${shown(name)} is longer`);
      }
    }
    for (const name of fields.keys()) {
      const series = measurement + separator + name.replaceAll('"', '\\"');
      if (isTooLong(series, maxLabelValueLen)) {
        return limitedBy("maxLabelValueLen", `the name of series ${shown(name)} is longer`);
      }
    }
  }
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

function clockLimit(differMs: number): StoreLimit {
  const hours = Math.abs(differMs / 3_600_000).toFixed(1);
  return {
    name: "clock",
    reason: `VictoriaMetrics' clock is ${hours} hours ${differMs < 0 ? "behind" : "ahead of"} ` +
      "enrich's, and by one of them it would throw events away",
    wish: "set the clock that is wrong",
  };
}
