/** Whether another program's clock and this machine's agree. */
import type { CheckReport } from "./check_report.ts";

/** When an answer was asked for and came, in milliseconds since 1970, and the Date that it carries. */
export interface ClockReading {
  readonly askedMs: number;
  readonly date: string | null;
  readonly heardMs: number;
}

const MAX_APART_MS = 5_000;
/** A Date has whole seconds. */
const DATE_UNIT_MS = 1_000;

/** `whose`: `Home Assistant`, for example. */
export function checkClock(
  whose: string,
  { askedMs, date, heardMs }: ClockReading,
  report: CheckReport,
): void {
  const theirsMs = Date.parse(date ?? "");
  if (Number.isNaN(theirsMs)) {
    return report.ok("clock", `${whose} tells no time: its clock is not compared`);
  }
  const apartMs = Math.max(askedMs - theirsMs - DATE_UNIT_MS, theirsMs - heardMs);
  if (apartMs <= MAX_APART_MS) {
    return report.ok("clock", `${ownerOf(whose)} clock and this machine's agree`);
  }
  report.warn(
    "clock",
    `${ownerOf(whose)} clock says ${timeText(theirsMs)}, this machine's ${timeText(heardMs)}, ` +
      `${Math.round(apartMs / 1_000)} s apart; have both set by NTP`,
  );
}

function ownerOf(name: string): string {
  return name.endsWith("s") ? `${name}'` : `${name}'s`;
}

function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
