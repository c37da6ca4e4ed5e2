/** VictoriaMetrics' notation of how long points are kept, as its `-retentionPeriod` has it. */
import * as z from "zod";

/** A period, and what it was called. */
export interface RetentionPeriod {
  readonly text: string;
  readonly ms: number;
}

const MONTH_MS = 31 * 86_400_000;
const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 365 * 86_400_000,
};

/**
 * Milliseconds of `1` or `1M` (a month of 31 days), `100y`, `2w`, `30d`, `24h`, `1d12h`; undefined
 * where it is none of these (lib/flagutil/duration.go). Minutes are for its other durations, such as
 * `1h30m0s`: a retention with them it refuses itself.
 */
export function parsePeriodMs(text: string): number | undefined {
  const [, months] = /^(\d+(?:\.\d+)?)M?$/.exec(text) ?? [];
  if (months !== undefined) return Number(months) * MONTH_MS;
  const parts = text.toLowerCase();
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w|y))+$/.test(parts)) return undefined;
  return [...parts.matchAll(/([\d.]+)([a-z]+)/g)]
    .reduce((sum, [, count, unit = ""]) => sum + Number(count) * (UNIT_MS[unit] ?? 0), 0);
}

/** The least that VictoriaMetrics takes for its own. */
const LEAST_MS = 86_400_000;

/** A setting that is such a period. */
export const retentionPeriod = z.string().transform((text, context): RetentionPeriod => {
  const ms = parsePeriodMs(text);
  if (ms !== undefined && ms >= LEAST_MS) return { text, ms };
  const message =
    "must be VictoriaMetrics' -retentionPeriod, a day at least: 1 for a month, 100y, 30d";
  context.addIssue({ code: "custom", message, input: text });
  return z.NEVER;
});
