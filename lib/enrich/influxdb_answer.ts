/** What InfluxDB's answer to a write means, in all its versions. */
import { z } from "zod";
import { meaningOf, retryAfterMs, type StatusMeaning } from "../retry.ts";

/** An answer of InfluxDB's, or of whatever stands in front of it. */
export interface Answer {
  readonly status: number;
  readonly meaning: StatusMeaning;
  /** The server's own words, on one line; empty where it has none. */
  readonly reason: string;
  readonly retryAfterMs: number | undefined;
}

const MAX_ANSWER_CHARS = 4_096;
const MAX_REASON_CHARS = 500;

/** Reads the answer; of its body the first 4 KiB. */
export async function readAnswer(response: Response): Promise<Answer> {
  return {
    status: response.status,
    meaning: meaningOf(response.status, 204),
    reason: reasonIn(await startOfBody(response)),
    retryAfterMs: retryAfterMs(response.headers.get("retry-after")),
  };
}

/** Whether the server says itself that the fault lies in a point, not in the request. */
export function blamesPoints({ reason }: Answer): boolean {
  return /partial write|unable to parse|parsing .*failed/.test(reason);
}

/**
 * Whether it is the answer to an empty body where address, credentials and database are
 * right: 1.x and 2.7 say 204, older 2.x "writing requires points", 3.x "incoming write was empty".
 */
export function isSoundWhenEmpty({ meaning, reason }: Answer): boolean {
  return meaning === "done" ||
    /writing requires points|incoming write was empty/.test(reason);
}

/**
 * How many points lie beyond the retention, where that is all that was refused. 1.x: "points
 * beyond retention policy dropped=5"; 2.x: "dropped 5 points outside retention policy of
 * duration 1h0m0s". In a mixture both versions name the type conflicts only.
 */
export function countBeyondRetention({ reason }: Answer): number {
  const match = /points beyond retention policy dropped=(\d+)/.exec(reason) ??
    /dropped (\d+) points outside retention policy/.exec(reason);
  return Number(match?.[1] ?? 0);
}

/** What a person can mend about an answer that holds everything up; goes behind the rest of the message. */
export function wishFor({ status, reason }: Answer, version: 1 | 2 | 3): string {
  if (status === 401) {
    return version === 1
      ? "; check INFLUXDB_USERNAME and INFLUXDB_PASSWORD"
      : "; check INFLUXDB_TOKEN";
  }
  if (status === 403) {
    return version === 1
      ? "; allow INFLUXDB_USERNAME to write to INFLUXDB_DATABASE"
      : `; let INFLUXDB_TOKEN be one that may write to ${
        version === 2 ? "INFLUXDB_BUCKET" : "INFLUXDB_DATABASE"
      }`;
  }
  if (/^database not found/.test(reason)) {
    return "; create it, or mend INFLUXDB_DATABASE";
  }
  if (/^bucket .* not found/.test(reason)) {
    return "; create it, or mend INFLUXDB_BUCKET";
  }
  if (/^organization .* not found/.test(reason)) return "; mend INFLUXDB_ORG";
  if (status < 400) {
    return " where 204 was expected: is INFLUXDB_URL a proxy or login page?";
  }
  if (status < 429) return "; check INFLUXDB_URL and INFLUXDB_VERSION";
  return "; InfluxDB's own log tells more";
}

/** The first 4 KiB of the body; the rest is not waited for. Empty where it cannot be read: the status says enough. */
async function startOfBody(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      // leaving the loop cancels the body
      if (text.length >= MAX_ANSWER_CHARS) break;
    }
  } catch {
    return text;
  }
  return text.slice(0, MAX_ANSWER_CHARS);
}

const lineErrorSchema = z.object({ error_message: z.string() });
/** 2.x says `message`, 1.x `error`, 3.x `error` and one entry of `data` a line. */
const answerSchema = z.object({
  message: z.string().optional(),
  error: z.string().optional(),
  data: z.union([lineErrorSchema, z.array(lineErrorSchema).nonempty()])
    .optional().catch(undefined),
});

function reasonIn(body: string): string {
  let reason = /<title>([^<]*)/i.exec(body)?.[1] ??
    (/^\s*</.test(body) ? "" : body);
  try {
    const { message, error, data } = answerSchema.parse(JSON.parse(body));
    const line = Array.isArray(data) ? data[0] : data;
    reason = [message ?? error, line?.error_message].filter(Boolean).join(": ");
  } catch {
    // no JSON, or cut: its text is all there is
  }
  return reason.replace(/\s+/g, " ").trim().slice(0, MAX_REASON_CHARS);
}
