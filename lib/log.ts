/** Logging: text for people, JSON for machines, and never a secret. */
import { Buffer } from "node:buffer";
import {
  configure,
  dispose,
  getJsonLinesFormatter,
  getLogger as getCategoryLogger,
  getTextFormatter,
  type Logger,
  type LogLevel,
  type LogRecord,
} from "@logtape/logtape";
import { JWT_PATTERN, redactByPattern } from "@logtape/redaction";

export type { Logger };

export const LOG_LEVELS = [
  "debug",
  "info",
  "warning",
  "error",
] as const satisfies readonly LogLevel[];
export const LOG_FORMATS = ["text", "json"] as const;

/** The longest first: one that begins with another is hidden whole. */
let secrets: readonly string[] = [];

/**
 * From now on this value is hidden wherever `redact` looks, also as JSON, URLs and base64 write it:
 * a server may tell what it was sent. Texts below four characters would hide half the log.
 */
export function rememberSecret(value: string): void {
  if (value.length < 4 || secrets.includes(value)) return;
  const inJson = JSON.stringify(value).slice(1, -1);
  const forms = [
    value,
    inJson,
    JSON.stringify(inJson).slice(1, -1),
    encodeURIComponent(value),
    encodeURIComponent(value).replace(/%../g, (escape) => escape.toLowerCase()),
    new URLSearchParams({ "": value }).toString().slice(1),
    Buffer.from(value).toString("base64").replace(/=+$/, ""),
  ];
  secrets = [...new Set([...secrets, ...forms])].sort((a, b) => b.length - a.length);
}

/** The text with every known secret, bearer token and `token=` of a URL hidden. */
export function redact(text: string): string {
  let hidden = text;
  for (const secret of secrets) hidden = hidden.replaceAll(secret, "***");
  return hidden
    .replace(/\b(Bearer|Token|Basic) +[\w.~+/=-]{8,}/gi, "$1 ***")
    .replace(/([?&][\w-]*token=)[^&\s"']+/gi, "$1***")
    .replace(/(\/\/)[^/\s:@]+:[^/\s@]+@/g, "$1***@");
}

/** The value as JSON, with every secret hidden in its texts, before they are written in JSON's way. */
export function redactedJson(value: unknown): string {
  return JSON.stringify(value, (_, member) => typeof member === "string" ? redact(member) : member);
}

/** The record with no secret in its message: a format may write what is in it in another way. */
function redacted(record: LogRecord): LogRecord {
  const hide = (value: unknown) => typeof value === "string" ? redact(value) : value;
  return {
    ...record,
    message: record.message.map(hide),
    properties: Object.fromEntries(
      Object.entries(record.properties).map(([name, value]) => [name, hide(value)]),
    ),
  };
}

/**
 * Sends the log of this process to standard error.
 * @param level the least level that is written
 * @param format `text` for people, `json` (one object a line) for machines
 */
export async function startLog(
  { level, format }: { level: LogLevel; format: (typeof LOG_FORMATS)[number] },
): Promise<void> {
  const plain = format === "json"
    ? getJsonLinesFormatter({ message: "rendered" })
    : getTextFormatter({
      timestamp: "rfc3339",
      level: "full",
      category: " ",
      value: "bare",
      format: ({ timestamp, level, category, message }) =>
        `${timestamp} ${level.padEnd(7)} ${category}: ${message}`,
    });
  const formatter = redactByPattern(plain, [JWT_PATTERN]);
  const encoder = new TextEncoder();
  await configure({
    reset: true,
    sinks: {
      stderr: (record) =>
        void Deno.stderr.writeSync(encoder.encode(redact(formatter(redacted(record))))),
    },
    loggers: [
      { category: [], sinks: ["stderr"], lowestLevel: level },
      {
        category: ["logtape", "meta"],
        sinks: ["stderr"],
        lowestLevel: "warning",
      },
    ],
  });
}

/** Ends the log: nothing is written any more. */
export const stopLog = dispose;

/** The logger of a part of a program, for example `getLogger("ingest", "delivery")`. */
export function getLogger(...category: [string, ...string[]]): Logger {
  return getCategoryLogger(category);
}
