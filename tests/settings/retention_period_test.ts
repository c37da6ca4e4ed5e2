import assert from "node:assert/strict";
import { enrichSettings } from "../../lib/settings/enrich_settings.ts";
import { parsePeriodMs } from "../../lib/settings/retention_period.ts";

const DAY_MS = 86_400_000;

Deno.test("parsePeriodMs reads VictoriaMetrics' notation: months of 31 days where there is no unit", () => {
  const periods: Readonly<Record<string, number>> = {
    "1": 31 * DAY_MS,
    "1M": 31 * DAY_MS,
    "0.5": 15.5 * DAY_MS,
    "100y": 36_500 * DAY_MS,
    "2w": 14 * DAY_MS,
    "30d": 30 * DAY_MS,
    "24h": DAY_MS,
    "1d12h": 1.5 * DAY_MS,
    "1h30m0s": 5_400_000,
    "15s": 15_000,
    "1ms": 1,
    "0s": 0,
    "0": 0,
  };
  for (const [text, ms] of Object.entries(periods)) assert.equal(parsePeriodMs(text), ms, text);
  for (const text of ["", "a month", "1 d", "-1d", "1dd", "d", "1q"]) {
    assert.equal(parsePeriodMs(text), undefined, text);
  }
});

Deno.test("VICTORIAMETRICS_RETENTION is such a period, of a day at least, and an error names it", () => {
  const read = (text: string) =>
    enrichSettings({ VICTORIAMETRICS_RETENTION: text }).settings.victoriaMetricsRetention;
  assert.deepEqual(read("100y"), { text: "100y", ms: 36_500 * DAY_MS });
  assert.deepEqual(read("24h"), { text: "24h", ms: DAY_MS });
  assert.equal(read(""), undefined);
  for (const text of ["23h", "0", "ever", "-1", "1x"]) {
    assert.throws(
      () => read(text),
      /VICTORIAMETRICS_RETENTION.*-retentionPeriod, a day at least/,
      text,
    );
  }
});
