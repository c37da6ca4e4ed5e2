/** Home Assistant's times, to the microsecond. JavaScript's Date knows milliseconds only. */

const ISO_TIME =
  /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?:Z|z|([+-])(\d\d):?(\d\d))$/;

/**
 * Microseconds since 1970 of an ISO 8601 time with an offset, or undefined where
 * the text is none. Python's `isoformat()` leaves the fraction out when it is 0.
 * Digits beyond the sixth are cut. The result is exact until the year 2255.
 */
export function parseTimeUs(text: string): number | undefined {
  const match = ISO_TIME.exec(text);
  if (!match) return undefined;
  const [
    ,
    year,
    month,
    day,
    hour,
    minute,
    second,
    fraction = "",
    sign,
    offsetHour,
    offsetMinute,
  ] = match;
  const monthIndex = Number(month) - 1;
  const ms = Date.UTC(
    Number(year),
    monthIndex,
    Number(day),
    Number(hour),
    Number(minute),
    Number(second),
  );
  const date = new Date(ms);
  // Date.UTC rolls 31 February over into March, and reads years below 100 as 19xx
  const real = date.getUTCFullYear() === Number(year) &&
    date.getUTCMonth() === monthIndex &&
    date.getUTCDate() === Number(day) && Number(hour) < 24 &&
    Number(minute) < 60 && Number(second) < 60;
  if (!real) return undefined;
  if (Number(offsetHour ?? 0) > 23 || Number(offsetMinute ?? 0) > 59) {
    return undefined;
  }
  const offsetMs = (Number(offsetHour ?? 0) * 60 + Number(offsetMinute ?? 0)) *
    60_000;
  const utcMs = sign === "-" ? ms + offsetMs : ms - offsetMs;
  return utcMs * 1000 + Number(fraction.slice(0, 6).padEnd(6, "0"));
}

/** The time as Python's `isoformat()` writes it in UTC, with all six digits. */
export function formatTimeUs(timeUs: number): string {
  const us = ((timeUs % 1_000_000) + 1_000_000) % 1_000_000;
  const seconds = new Date((timeUs - us) / 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(us).padStart(6, "0")}+00:00`;
}
