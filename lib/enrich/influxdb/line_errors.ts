/** What InfluxDB 3 says of each line of a write that it refused, the others being stored. */
import * as z from "zod";
import { redact } from "../../log.ts";

export interface LineError {
  /** From 0. */
  readonly index: number;
  readonly reason: string;
}

/** Beside these there is the line itself, which holds what users have written: it is not read. */
const bodySchema = z.object({
  data: z.array(z.object({ line_number: z.number(), error_message: z.string() })).nonempty(),
});

const MAX_REASON_CHARS = 500;

/** Whether what is said of lines begins here: with the lines themselves it may be long. */
export function beginsLineErrors(start: string): boolean {
  return /^\{"error":"[^"]*","data":[[{]/.test(start);
}

/** The list that the body of an answer holds; undefined where there is none, or it was cut. */
export function lineErrorsIn(body: string): readonly LineError[] | undefined {
  if (body === "") return undefined;
  try {
    return bodySchema.parse(JSON.parse(body)).data.map(({ line_number, error_message }) => ({
      index: line_number - 1,
      // before it is cut: of a part of a secret nobody knows what it is
      reason: redact(error_message.replace(/\s+/g, " ").trim()).slice(0, MAX_REASON_CHARS),
    }));
  } catch {
    return undefined;
  }
}

/**
 * Which of the lines it names, with the reason; undefined where it cannot be about these lines: it
 * names one twice, or one that there is not.
 */
export function namedLines<T>(
  errors: readonly LineError[] | undefined,
  lines: readonly T[],
): ReadonlyMap<T, string> | undefined {
  const named = new Map<T, string>();
  for (const { index, reason } of errors ?? []) {
    const line = lines[index];
    if (line === undefined || named.has(line)) return undefined;
    named.set(line, reason);
  }
  return named.size > 0 ? named : undefined;
}
