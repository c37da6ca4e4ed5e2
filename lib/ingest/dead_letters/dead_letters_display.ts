/** Dead letters as people read them. */
import { numberText } from "../../program/command.ts";
import { redact } from "../../log.ts";
import type { DeadLetter, DeadLetterPage, FullDeadLetter } from "../outbox/dead_letter.ts";

/** In place of an empty table, or of what was moved. */
export const NONE = "No dead letter matches";

/** `1 dead letter`, `1,200 dead letters`. */
export function lettersText(n: number): string {
  return `${numberText(n)} dead letter${n === 1 ? "" : "s"}`;
}

/** A page as a table, the newest last. No line is longer than `columns`, the terminal's width. */
export function pageText(page: DeadLetterPage, columns = Infinity): string {
  const { total, older, by_reason: byReason, letters } = page;
  if (total === 0) return `${NONE}\n`;
  const rows = letters.map((letter) => ({
    seq: String(letter.seq),
    time: `${letter.refused_at.slice(0, 19).replace("T", " ")}Z`,
    // what a state_changed is about says enough of it
    event: shown(eventOf(letter).replace(/^state_changed /, "")),
    reason: shown(letter.reason),
  }));
  rows.unshift({ seq: "SEQ", time: "REFUSED AT", event: "EVENT", reason: "REASON" });
  const seqWidth = Math.max(...rows.map(({ seq }) => seq.length));
  // on a terminal the event leaves room for the reason
  const longest = Math.max(...rows.map(({ event }) => event.length));
  const eventWidth = Math.min(longest, Math.floor(columns / 3));
  const table = rows.map(({ seq, time, event, reason }) =>
    [seq.padStart(seqWidth), time.padEnd(20), cut(event, eventWidth).padEnd(eventWidth), reason]
      .join("  ")
  );
  const [first] = letters;
  const more = first && older > 0
    ? `${numberText(older)} of them older: --before ${first.seq}, or a higher --limit; `
    : "";
  const summary = byReason.map(({ reason, count }) =>
    `${numberText(count).padStart(seqWidth)}  ${shown(reason)}`
  );
  return [...table, "", `${lettersText(total)}, ${more}by reason:`, ...summary]
    .map((line) => `${cut(line, columns)}\n`).join("");
}

/** All of one, its JSON indented and every value of it as it was captured. */
export function letterText(letter: FullDeadLetter): string {
  return [
    `dead letter  ${letter.seq}`,
    `event        ${eventOf(letter)}`,
    `fired        ${letter.time_fired ?? ""}`,
    `refused      ${letter.refused_at}`,
    `reason       ${letter.reason}`,
    ...indented(letter.line).split("\n"),
  ].map((text) => `${shown(text)}\n`).join("");
}

/** JSON for machines: the very text, but for secrets. String by string, so that it stays JSON. */
export function jsonLine(json: string): string {
  return `${json.split('"').map(redact).join('"')}\n`;
}

declare global {
  interface JSON {
    // V8 has both, TypeScript's library does not know them yet
    rawJSON(text: string): object;
    parse(
      text: string,
      reviver: (name: string, value: unknown, context: { readonly source?: string }) => unknown,
    ): unknown;
  }
}

/** The JSON text with each member and element on a line of its own; a text that is no JSON as it is. */
function indented(json: string): string {
  try {
    // a text or number is written as it was: 1.0 stays 1.0
    const value = JSON.parse(
      json,
      (_name, value, { source }) => source === undefined ? value : JSON.rawJSON(source),
    );
    return JSON.stringify(value, undefined, 2);
  } catch {
    return json;
  }
}

/** The type and the entity, of which an event may lack either. */
function eventOf({ event_type = "", entity_id = "" }: DeadLetter): string {
  return `${event_type} ${entity_id}`.trim();
}

/** Without secrets, nor what a terminal would obey. */
function shown(text: string): string {
  return redact(text).replace(/\p{Cc}/gu, " ");
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}
