/**
 * Lists that Home Assistant answers: all states, all entries of a registry. They can have 30 MB, which
 * to parse at once, and to read, would keep everything else waiting.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { elements, memberText } from "../../json_text.ts";
import type { CommandAnswer } from "./outstanding_commands.ts";

/** A shorter answer is parsed as every message is: in some milliseconds. */
const LONG_CHARS = 250_000;
/** What is read of a list between two turns of the event loop, but at least one entry. */
export const STEP_CHARS = 250_000;
export const STEP_ENTRIES = 500;

/** As releases since 2024 write it; the registries' lists have spaces. */
const LONG_LIST =
  /^\{\s*"id":\s*(\d{1,15}),\s*"type":\s*"result",\s*"success":\s*true,\s*"result":\s*(?=\[)/;
const LIST_END = /\]\s*\}\s*$/;

interface LongList {
  readonly type: "result";
  readonly id: number;
  readonly success: true;
}

export interface ListEntry {
  /** Undefined where it is no JSON. */
  readonly value: unknown;
  /** Its own text. */
  readonly text: string;
}

/** The message that a long list is, of which nothing has been parsed; undefined for any other text. */
export function longList(text: string): LongList | undefined {
  if (text.length < LONG_CHARS || !LIST_END.test(text.slice(-20))) return undefined;
  const [, id] = LONG_LIST.exec(text) ?? [];
  return id === undefined ? undefined : { type: "result", id: Number(id), success: true };
}

/** What a command was answered with, parsed at once however long it is. */
export function resultOf({ result, text }: Omit<CommandAnswer, "events">): unknown {
  return longList(text) ? JSON.parse(memberText(text, "result") ?? "null") : result;
}

/** Where the answer's list begins; undefined where it answers no list. */
function listText({ result, text }: Omit<CommandAnswer, "events">): string | undefined {
  const [head] = LONG_LIST.exec(text) ?? [];
  if (longList(text) && head !== undefined) return text.slice(head.length);
  return Array.isArray(result) ? memberText(text, "result") : undefined;
}

/**
 * Hands over the entries of a list in its order, with a turn of the event loop between the steps.
 * Returns false where the answer is no list.
 */
export async function readInSteps(
  answer: Omit<CommandAnswer, "events">,
  read: (entries: readonly ListEntry[]) => void,
): Promise<boolean> {
  const list = listText(answer);
  if (list === undefined) return false;
  let entries: ListEntry[] = [];
  let chars = 0;
  for (const text of elements(list)) {
    entries.push({ value: parsed(text), text });
    chars += text.length;
    if (chars < STEP_CHARS && entries.length < STEP_ENTRIES) continue;
    read(entries);
    entries = [];
    chars = 0;
    await nextTurn();
  }
  read(entries);
  return true;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
