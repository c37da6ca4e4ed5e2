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

/** A page as a table, the newest last. `columns`: the terminal's width, which no line exceeds. */
export function pageText(page: DeadLetterPage, columns: number | undefined): string {
  const { total, older, by_reason: byReason, letters } = page;
  if (total === 0) return `${NONE}\n`;
  const rows = [["SEQ", "REFUSED AT", "EVENT", "REASON"], ...letters.map(cellsOf)];
  const [seqWidth = 0, timeWidth = 0, longest = 0] = [0, 1, 2].map((column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0))
  );
  // on a terminal the reason has half of what the numbers and times leave
  const room = (columns ?? Infinity) - seqWidth - timeWidth - 6;
  const eventWidth = Math.min(longest, Math.max(10, Math.ceil(room / 2)));
  const table = rows.map(([seq = "", time = "", event = "", reason = ""]) =>
    [
      seq.padStart(seqWidth),
      time.padEnd(timeWidth),
      cut(event, eventWidth).padEnd(eventWidth),
      reason,
    ].join("  ")
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

/** What a state_changed is about says enough of it. */
function cellsOf({ seq, refused_at, event_type, entity_id, reason }: DeadLetter): string[] {
  const type = event_type === "state_changed" && entity_id !== undefined ? undefined : event_type;
  const event = [type, entity_id].filter((part) => part !== undefined).join(" ");
  return [String(seq), `${refused_at.slice(0, 19).replace("T", " ")}Z`, event, reason].map(shown);
}

/** All of one, its JSON indented and every token of it as it was captured. */
export function letterText(letter: FullDeadLetter): string {
  const { seq, event_type, entity_id, time_fired, refused_at, reason, line } = letter;
  const event = [event_type, entity_id].filter((part) => part !== undefined).join(" ");
  const facts = {
    "dead letter": String(seq),
    event,
    fired: time_fired,
    refused: refused_at,
    reason,
  };
  const lines = [
    ...Object.entries(facts).map(([name, fact = ""]) => `${name.padEnd(13)}${fact}`),
    ...indented(line).split("\n"),
  ];
  return lines.map((text) => `${shown(text)}\n`).join("");
}

/** JSON for machines: the very text, but for secrets. String by string, so that it stays JSON. */
export function jsonLine(json: string): string {
  return `${json.split('"').map(redact).join('"')}\n`;
}

/** The JSON text with each member and element on a line of its own; no token is changed. */
function indented(json: string): string {
  let depth = 0;
  let inString = false;
  const onNewLine = (change: number) => `\n${"  ".repeat(Math.max(0, depth += change))}`;
  return json.replace(/\\.|"|[[{]\s*[\]}]|[[\]{},:]|\s+/g, (token) => {
    if (token === '"') inString = !inString;
    if (inString || token === '"') return token;
    if (token === "[" || token === "{") return token + onNewLine(1);
    if (token === "]" || token === "}") return onNewLine(-1) + token;
    if (token === ",") return token + onNewLine(0);
    if (token === ":") return ": ";
    // nothing but white space, or an empty object or list
    return token.replace(/\s+/g, "");
  });
}

/** Without secrets, nor what a terminal would obey. */
function shown(text: string): string {
  return redact(text).replace(/\p{Cc}/gu, " ");
}

function cut(text: string, width: number | undefined): string {
  return width === undefined || text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}
