/** The outbox's line: an event's very text, with the names that hold now. */
import type { Envelope, RegistryNames } from "../../contract.ts";

/**
 * One line of `POST /events`. `event` is the event's text and stays byte for byte as it is; what
 * is undefined of the rest is left out.
 */
export function envelopeLine(
  event: string,
  rest: {
    readonly registry: RegistryNames | undefined;
    readonly source: string | undefined;
    readonly via?: Envelope["via"];
  },
): string {
  const members = JSON.stringify(rest).slice(1);
  const line = members === "}" ? `{"event":${event}}` : `{"event":${event},${members}`;
  // a line break in JSON can only stand between tokens, and would tear the line in two. V8 makes one text
  // of what a pattern looks through: in parts the line would hold its whole message until it is committed
  return /[\r\n]/.test(line) ? line.replace(/[\r\n]+/g, " ") : line;
}
