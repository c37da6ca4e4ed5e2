/** What Home Assistant's `influxdb` integration makes of line breaks since 2026.10. */
import type { HomeAssistantVersion } from "./home_assistant.ts";

/** What Python's `str.splitlines` splits at, but for three control characters that no test makes. */
const LINE_BREAK = /\r\n|[\n\r\v\f\u0085\u2028\u2029]/;

/** Whether the integration writes line breaks as they are, as enrich does; else as spaces. */
export function keepsLineBreaks(version: HomeAssistantVersion): boolean {
  return version !== "2026.11.0";
}

/** `" ".join(text.splitlines())` */
export function spaced(text: string): string {
  const lines = text.split(LINE_BREAK);
  if (lines.at(-1) === "") lines.pop();
  return lines.join(" ");
}
