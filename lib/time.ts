/** Home Assistant's times, to the microsecond. JavaScript's Date knows milliseconds only. */

const ISO_TIME =
  /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?:Z|z|([+-])(\d\d):?(\d\d))$/;

/** The day that was parsed last, and its begin: most times are of the same one. */
let day = "-";
let dayUs = 0;

/**
 * Microseconds since 1970 of an ISO 8601 time with an offset, or undefined where
 * the text is none. Python's `isoformat()` leaves the fraction out when it is 0.
 * Digits beyond the sixth are cut. The result is exact until the year 2255.
 */
export function parseTimeUs(text: string): number | undefined {
  return timeOfSameDayUs(text) ?? anyTimeUs(text);
}

/** Of what Home Assistant sends: `2026-06-25T21:20:05.162552+00:00`. Undefined for any other form, or day. */
function timeOfSameDayUs(text: string): number | undefined {
  if (text.length !== 32 || !text.startsWith(day) || !text.endsWith("+00:00")) return undefined;
  const hour = digits(text, 11, 13);
  const minute = digits(text, 14, 16);
  const second = digits(text, 17, 19);
  const us = digits(text, 20, 26);
  const isOfThatForm = text[10] === "T" && text[13] === ":" && text[16] === ":" &&
    text[19] === "." && hour < 24 && minute < 60 && second < 60 && us >= 0;
  return isOfThatForm ? dayUs + ((hour * 60 + minute) * 60 + second) * 1_000_000 + us : undefined;
}

/** NaN where one of the characters is no digit. */
function digits(text: string, start: number, end: number): number {
  let number = 0;
  for (let at = start; at < end; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return NaN;
    number = number * 10 + digit;
  }
  return number;
}

function anyTimeUs(text: string): number | undefined {
  const match = ISO_TIME.exec(text);
  if (!match) return undefined;
  const [
    ,
    year,
    month,
    dayOfMonth,
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
    Number(dayOfMonth),
    Number(hour),
    Number(minute),
    Number(second),
  );
  const date = new Date(ms);
  // Date.UTC rolls 31 February over into March, and reads years below 100 as 19xx
  const real = date.getUTCFullYear() === Number(year) &&
    date.getUTCMonth() === monthIndex &&
    date.getUTCDate() === Number(dayOfMonth) && Number(hour) < 24 &&
    Number(minute) < 60 && Number(second) < 60;
  if (!real) return undefined;
  if (Number(offsetHour ?? 0) > 23 || Number(offsetMinute ?? 0) > 59) {
    return undefined;
  }
  day = text.slice(0, 10);
  dayUs = Date.UTC(Number(year), monthIndex, Number(dayOfMonth)) * 1_000;
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
