/** What VictoriaMetrics had better be set to, though it takes points. */
import type { StoreNote } from "../store.ts";
import type { ServerFlags } from "./server_flags.ts";

const RETENTION_UNKNOWN: StoreNote = {
  name: "retention_unknown",
  reason:
    "How long VictoriaMetrics keeps points cannot be read from its /metrics, and it throws away " +
    "without a word what is older: events of more than a day ago wait in ingest",
  action: "set VICTORIAMETRICS_RETENTION to its -retentionPeriod",
};

/** `isSet`: VICTORIAMETRICS_RETENTION is. `lost`: why samples were thrown away lately, and how many. */
export function serverNotes(
  flags: ServerFlags | undefined,
  isSet: boolean,
  lost: ReadonlyMap<string, number>,
): readonly StoreNote[] {
  if (!flags) return isSet ? [] : [RETENTION_UNKNOWN];
  const notes: StoreNote[] = [];
  if (!flags.isRetentionSet) {
    notes.push({
      name: "retention_default",
      reason:
        "VictoriaMetrics deletes each event after a month, for nobody has said how long it keeps them",
      action: "start it with -retentionPeriod=100y, or with 1M if a month is what you want",
    });
  }
  if (flags.dedupMs === 0) {
    notes.push({
      name: "not_deduplicated",
      reason:
        "VictoriaMetrics keeps events that are sent again, after a fault for example, as second " +
        "samples",
      action: "start it with -dedup.minScrapeInterval=1ms",
    });
  }
  for (
    const [flag, ms] of [
      ["dedup.minScrapeInterval", flags.dedupMs],
      ["influxTrimTimestamp", flags.trimMs],
    ] as const
  ) {
    if (ms <= 1) continue;
    notes.push({
      name: flag,
      reason:
        `VictoriaMetrics keeps one sample of each ${ms / 1_000} s and throws the others away, ` +
        "events that were stored among them",
      action: `start it with -${flag}=1ms`,
    });
  }
  if (flags.skipsSingleField) {
    notes.push({
      name: "influxSkipSingleField",
      reason:
        "VictoriaMetrics stores a number that stands alone in its point under another name than " +
        "one beside others",
      action: "start it without -influxSkipSingleField",
    });
  }
  if (flags.aggregates) {
    notes.push({
      name: "streamAggr.config",
      reason:
        "VictoriaMetrics stores sums in place of the samples that its -streamAggr.config names",
      action: "let that name none of enrich's series, or start it with -streamAggr.keepInput",
    });
  }
  if (lost.size > 0) {
    const reasons = [...lost].map(([reason, count]) => `${count} for ${reason}`).join(", ");
    notes.push({
      name: "thrown_away",
      reason:
        `VictoriaMetrics has thrown away samples within the last hour (${reasons}): another ` +
        "program's, or enrich's, if something changes them on their way",
      action: "see VictoriaMetrics' log, and what its -relabelConfig drops",
    });
  }
  return notes;
}
