/** What a VictoriaMetrics is set to, as its `/metrics` tells: `flag{name="retentionPeriod", value="1M", …} 1`. */
import { parsePeriodMs } from "../../settings/retention_period.ts";
import { startOfBody } from "../influxdb/influxdb_answer.ts";
import type { InfluxDbHttp } from "../influxdb/influxdb_http.ts";
import { StoreUnavailable } from "../store.ts";

/** The flags of a single-node server that say what becomes of a sample. */
export interface ServerFlags {
  /** `-retentionPeriod` in VictoriaMetrics' own words. */
  readonly retention: string;
  /** Whether somebody has set it. */
  readonly isRetentionSet: boolean;
  /** What is older is thrown away as it comes in: by `-retentionPeriod`, or `-maxBackfillAge` where that is less. */
  readonly keptMs: number;
  /** `-futureRetention`: what lies further ahead is thrown away. */
  readonly aheadMs: number;
  /** `-dedup.minScrapeInterval`: of each such interval the last sample is kept; 0 for all, repeated ones included. */
  readonly dedupMs: number;
  /** What a series may have; 0 is no limit. A series beyond it is thrown away. */
  readonly maxLabelsPerTimeseries: number;
  readonly maxLabelNameLen: number;
  readonly maxLabelValueLen: number;
  /** The label that holds INFLUXDB_DATABASE, and what stands between measurement and field. */
  readonly dbLabel: string;
  readonly separator: string;
  readonly skipsSingleField: boolean;
  readonly skipsMeasurement: boolean;
  /** `-influxTrimTimestamp`: times are cut to it. */
  readonly trimMs: number;
  /** `-storage.maxHourlySeries` and `-storage.maxDailySeries`; 0 is no limit. */
  readonly maxHourlySeries: number;
  readonly maxDailySeries: number;
  /** How many samples it has thrown away because of these, since its start. */
  readonly droppedOfNewSeries: number;
  /** Whether `-streamAggr.config` has sums of samples stored in place of these. */
  readonly aggregates: boolean;
  /** How many samples it has thrown away since its start, by reason; a flag's name where that is the reason. */
  readonly thrownAway: ReadonlyMap<string, number>;
  /** `-inmemoryDataFlushInterval`: how often it writes to its disk what it has in memory. */
  readonly flushMs: number;
  /** When this process of it began, in its own words. */
  readonly started: string | undefined;
  /** Whether the process before ended without having written down what it had in memory; undefined where it does not tell. */
  readonly wasKilled: boolean | undefined;
}

/** A `/metrics` has about 60 KB, more with many flags of scraping. */
const MAX_METRICS_CHARS = 8_000_000;

/** A month, as VictoriaMetrics has it unless it is set. */
const DEFAULT_RETENTION = "1M";

/**
 * Asks for `/metrics` below the URL's path, then ever nearer to its root: the path may be
 * `-http.pathPrefix`, or `/influx`, or both. Undefined where none tells a retention: vmauth, vminsert
 * and vmagent have none, and others may not read it. Throws StoreUnavailable where nobody answers.
 */
export async function readFlags(
  http: InfluxDbHttp,
  signal: AbortSignal,
): Promise<ServerFlags | undefined> {
  const depth = new URL(http.address).pathname.split("/").filter(Boolean).length;
  for (let up = 0; up <= depth; up++) {
    const response = await http.ask(
      { method: "GET", path: `${"/..".repeat(up)}/metrics` },
      signal,
    );
    const text = await startOfBody(response, () => MAX_METRICS_CHARS);
    // it says nothing of who answers at other times
    if (response.status >= 500) throw new StoreUnavailable(`/metrics: ${response.status}`);
    const flags = response.ok ? flagsIn(text) : undefined;
    if (flags) return flags;
  }
  return undefined;
}

/** The flags that the text of a `/metrics` tells, or undefined where it tells no retention. */
export function flagsIn(metrics: string): ServerFlags | undefined {
  const flags = new Map(
    [...metrics.matchAll(/^flag\{name="([^"]*)", ?value="((?:[^"\\]|\\.)*)"/gm)]
      .map(([, name = "", value = ""]) => [name, value.replace(/\\(.)/g, "$1")]),
  );
  const retention = flags.get("retentionPeriod");
  if (retention === undefined) return undefined;
  const periodMs = (name: string, usual: string) =>
    parsePeriodMs(flags.get(name) ?? usual) ?? parsePeriodMs(usual) ?? 0;
  const sampleOf = (name: string) => new RegExp(`^${name} (\\S+)`, "m").exec(metrics)?.[1];
  const killed = sampleOf("vm_app_prev_shutdown_unclean");
  const number = (name: string) => Number(flags.get(name) ?? 0) || 0;
  const backfillMs = periodMs("maxBackfillAge", "0");
  const retentionMs = periodMs("retentionPeriod", DEFAULT_RETENTION);
  return {
    retention,
    isRetentionSet: !/^flag\{name="retentionPeriod",[^}]*is_set="false"/m.test(metrics),
    keptMs: backfillMs > 0 ? Math.min(backfillMs, retentionMs) : retentionMs,
    aheadMs: periodMs("futureRetention", "2d"),
    dedupMs: periodMs("dedup.minScrapeInterval", "0s"),
    maxLabelsPerTimeseries: number("maxLabelsPerTimeseries"),
    maxLabelNameLen: number("maxLabelNameLen"),
    maxLabelValueLen: number("maxLabelValueLen"),
    dbLabel: flags.get("influxDBLabel") ?? "db",
    separator: flags.get("influxMeasurementFieldSeparator") ?? "_",
    skipsSingleField: flags.get("influxSkipSingleField") === "true",
    skipsMeasurement: flags.get("influxSkipMeasurement") === "true",
    trimMs: periodMs("influxTrimTimestamp", "1ms"),
    maxHourlySeries: number("storage.maxHourlySeries"),
    maxDailySeries: number("storage.maxDailySeries"),
    droppedOfNewSeries: ["hourly", "daily"].reduce(
      (sum, span) => sum + Number(sampleOf(`vm_${span}_series_limit_rows_dropped_total`) ?? 0),
      0,
    ),
    aggregates: flags.get("streamAggr.config") !== undefined &&
      flags.get("streamAggr.config") !== "" && flags.get("streamAggr.keepInput") !== "true",
    thrownAway: new Map([
      ...[...metrics.matchAll(/^vm_rows_ignored_total\{reason="([^"]*)"\} (\d+)/gm)]
        .map(([, reason = "", count]): [string, number] => [reason, Number(count)]),
      ["-relabelConfig", Number(sampleOf("vm_relabel_metrics_dropped_total") ?? 0)],
    ]),
    flushMs: periodMs("inmemoryDataFlushInterval", "5s"),
    started: sampleOf("vm_app_start_timestamp"),
    wasKilled: killed === undefined ? undefined : killed !== "0",
  };
}
