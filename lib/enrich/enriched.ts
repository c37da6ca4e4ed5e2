/** What becomes of an event before the store is asked: a point, nothing, or a problem. */
import { describeIssues, type Envelope, envelopeSchema } from "../contract.ts";
import { memberText, parseJson } from "../json_text.ts";
import { describeError } from "../retry.ts";
import { EventProblem } from "./event_problem.ts";
import { isPlainEnvelope } from "./plain_event.ts";
import type { Enrichment, Schema } from "./schema.ts";

/** The event itself is not kept: many are a burden. */
export type Enriched = Enrichment | { readonly kind: "problem"; readonly reason: string };

/** What becomes of a line of a batch. Throws nothing: a line that is no event is that line's problem. */
export function enrichLine(line: string, schema: Schema): Enriched {
  let json: unknown;
  try {
    json = parseJson(line);
  } catch (error) {
    return { kind: "problem", reason: `the line is no JSON: ${describeError(error)}` };
  }
  const eventText = () => eventTextIn(line);
  if (isPlainEnvelope(json)) return enrich(json, eventText, schema);
  const envelope = envelopeSchema.safeParse(json);
  if (!envelope.success) return { kind: "problem", reason: describeIssues(envelope.error) };
  return enrich(envelope.data, eventText, schema);
}

/** As `enrichLine`, of an event that was read. An exception in its enrichment is that event's problem. */
export function enrich(envelope: Envelope, eventText: () => string, schema: Schema): Enriched {
  try {
    return schema(envelope, eventText);
  } catch (error) {
    const reason = error instanceof EventProblem
      ? error.message
      : `the event cannot be enriched: ${describeError(error)}`;
    return { kind: "problem", reason };
  }
}

/** The text of a line's event as Home Assistant sent it; empty where the line has none. */
export function eventTextIn(line: string): string {
  return memberText(line, "event") ?? "";
}
