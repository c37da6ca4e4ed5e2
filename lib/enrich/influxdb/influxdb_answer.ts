/** What InfluxDB's answers mean, in all its versions, and what a person can fix. */
import * as z from "zod";
import { redact } from "../../log.ts";
import { meaningOf, retryAfterMs, type StatusMeaning } from "../../retry.ts";
import { StoreUnavailable } from "../store.ts";
import { beginsLineErrors, type LineError, lineErrorsIn } from "./line_errors.ts";

/** An answer of InfluxDB's, or of whatever stands in front of it. */
export interface Answer {
  readonly status: number;
  readonly meaning: StatusMeaning;
  /** The server's own words, on one line; empty where it has none. */
  readonly reason: string;
  readonly retryAfterMs: number | undefined;
  /** The code of an error of 2.x, as `conflict`. */
  readonly code: string | undefined;
  /** Whether it is known to be an InfluxDB 2. */
  readonly isVersion2: boolean;
  /** What 3 says of the single lines that it refused. */
  readonly lineErrors: readonly LineError[] | undefined;
}

const IN_FILE: Readonly<Record<string, string>> = {
  INFLUXDB_URL: "host",
  INFLUXDB_VERSION: "api_version",
  INFLUXDB_ORG: "organization",
  INFLUXDB_BUCKET: "bucket",
  INFLUXDB_DATABASE: "database",
  INFLUXDB_USERNAME: "username",
  INFLUXDB_PASSWORD: "password",
  INFLUXDB_TOKEN: "token",
};

/** InfluxDB takes no points now. Without an answer it could not be asked at all. */
export class InfluxDbFault extends StoreUnavailable {
  readonly answer: Answer | undefined;

  /** Where `configFile` is set, its options are named beside the variables that the message names. */
  constructor(
    message: string,
    { answer, configFile }: { readonly answer?: Answer; readonly configFile?: string } = {},
  ) {
    const named = message.replaceAll(/INFLUXDB_[A-Z_]+(?! \()/g, (name) => {
      const option = IN_FILE[name];
      return option && configFile ? `${name} (${option} in ${configFile})` : name;
    });
    // what stands in front of InfluxDB may tell in its answer what it was sent
    super(redact(named), answer?.retryAfterMs);
    this.answer = answer;
  }
}

/** The reason where VictoriaMetrics, which then says nothing else, asks for a user. */
export const HTTP_AUTH = "VictoriaMetrics' -httpAuth";

const MAX_ANSWER_CHARS = 4_096;
const MAX_JSON_CHARS = 1_000_000;
const MAX_REASON_CHARS = 500;
const PARTIAL_WRITE = /^(?:[^"']*: )?partial write/;

/** Reads the answer to a write; of its body the first 4 KiB, or 1 MB where it is about single lines. */
export async function readAnswer(response: Response): Promise<Answer> {
  const { status, headers } = response;
  const code = headers.get("x-platform-error-code") ?? undefined;
  const serverNowMs = Date.parse(headers.get("date") ?? "");
  const body = await startOfBody(
    response,
    (start) => beginsLineErrors(start) ? MAX_JSON_CHARS : MAX_ANSWER_CHARS,
  );
  const isHttpAuth = /realm="VictoriaMetrics"/.test(headers.get("www-authenticate") ?? "");
  const reason = reasonIn(body) || (isHttpAuth ? HTTP_AUTH : "");
  return {
    status,
    // 2.0 tells a partial write by a 500
    meaning: status >= 500 && PARTIAL_WRITE.test(reason) ? "refused" : meaningOf(status, 204),
    reason,
    retryAfterMs: retryAfterMs(
      headers.get("retry-after"),
      Number.isNaN(serverNowMs) ? undefined : serverNowMs,
    ),
    code,
    isVersion2: saysVersion2(response),
    lineErrors: lineErrorsIn(body),
  };
}

/**
 * Whether an InfluxDB 2 has answered: it alone has a code in its errors (tried with 2.7.12 and
 * 2.9.1). One that was built without a version says `dev`, where 1.x says `unknown`.
 */
export function saysVersion2({ headers }: Response): boolean {
  return headers.has("x-platform-error-code") ||
    /^(v?2\.|dev$)/.test(headers.get("x-influxdb-version") ?? "");
}

/** The answer's JSON, or undefined where it is none, or not of that form: a login page, for example. */
export async function readJson<T>(
  response: Response,
  schema: z.ZodType<T>,
): Promise<T | undefined> {
  try {
    return schema.parse(JSON.parse(await startOfBody(response, () => MAX_JSON_CHARS)));
  } catch {
    return undefined;
  }
}

/** Whether the server says itself that the fault lies in a point, not in the request. */
export function blamesPoints({ reason, meaning }: Answer): boolean {
  return meaning === "too large" || PARTIAL_WRITE.test(reason) ||
    /unable to parse|parsing .*failed|failed to parse line|incorrect influx line/.test(reason) ||
    /line protocol (?:parsing error|parse failed)/.test(reason);
}

/**
 * Whether a single point may be what the server stumbles over: a 5xx that speaks neither of its
 * being overloaded or away (502, 503, 504, a `Retry-After`) nor of a part of it that has failed.
 */
export function mayBlamePoint({ status, reason, retryAfterMs }: Answer): boolean {
  return status >= 500 && ![502, 503, 504, 507].includes(status) && retryAfterMs === undefined &&
    !blamesServer(reason);
}

/** What may be a user's own name: quoted, or, as QuestDB does, behind `write error:` and `table:`. */
const NAMES = /"[^"]*"|'[^']*'|(?<=write error: |table: )[^,;]*/g;

/** Whether it speaks of a shard, the engine, a cache or the disk. */
export function blamesServer(reason: string): boolean {
  const words = reason.replaceAll(NAMES, "");
  return /\b(shard|engine|cache|disk|series file|wal|timeout)\b|no space left|file system/i.test(
    words,
  );
}

/**
 * Whether it is the answer to an empty body where address, credentials and database are
 * right: 1.x and 2.7 say 204, older 2.x "writing requires points", 3.x "incoming write was empty".
 */
export function isSoundWhenEmpty({ meaning, reason }: Answer): boolean {
  return meaning === "done" ||
    /writing requires points|incoming write was empty/.test(reason);
}

/** Whether the database or bucket is missing, and nothing else. */
export function saysMissing({ status, reason }: Answer): boolean {
  return status === 404 && /^(database not found|bucket .* not found)/.test(reason);
}

/** Whether the token is known, but deactivated. */
export function saysInactive({ status, reason }: Answer): boolean {
  return status === 403 && /token is inactive$/.test(reason);
}

/** Whether credentials were right, and the organization, the bucket or the database is not there. */
export function saysNoPlace(answer: Answer): boolean {
  return saysMissing(answer) ||
    answer.status === 404 && /^(organization .*not|no dbrp mapping) found/.test(answer.reason);
}

/** The start of the body; the rest is not waited for. Empty where it cannot be read: the status says enough. */
export async function startOfBody(
  response: Response,
  maxChars: (start: string) => number,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      // leaving the loop cancels the body
      if (text.length >= maxChars(text)) break;
    }
  } catch {
    return text;
  }
  return text.slice(0, maxChars(text));
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
  // most answers say nothing, and an error that is thrown takes its time
  if (body === "") return "";
  let reason = /<title>([^<]*)/i.exec(body)?.[1] ??
    (/^\s*</.test(body) ? "" : body);
  try {
    const { message, error, data } = answerSchema.parse(JSON.parse(body));
    const line = Array.isArray(data) ? data[0] : data;
    reason = [message ?? error, line?.error_message].filter(Boolean).join(": ");
  } catch {
    // no JSON, or cut: its text is all there is, of which the lines are nobody's business
    if (beginsLineErrors(body)) reason = /"error":"([^"]*)/.exec(body)?.[1] ?? "";
  }
  // before it is cut: of a part of a secret nobody knows what it is
  return redact(reason.replace(/\s+/g, " ").trim()).slice(0, MAX_REASON_CHARS);
}
