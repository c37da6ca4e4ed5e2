/** The recorded frames of real Home Assistants, read for tests. */
import { elementTexts, memberText } from "../../lib/json_text.ts";
import type { Version } from "./clock.ts";

/** The recorded releases, each with its folder. */
export const RECORDED: readonly (readonly [Version, string])[] = [
  ["2024.3.3", "home-assistant-2024.3"],
  ["2025.4.4", "home-assistant-2025.4"],
  ["2026.11.0", "home-assistant-2026.11"],
];

const FIXTURES = new URL("../fixtures/", import.meta.url);

/** One line of a recording. */
export interface Recorded {
  readonly conn: number;
  readonly dir: "send" | "recv" | "rest" | "note";
  readonly text?: string;
  /** The close code; 1006 where no close frame came. */
  readonly close?: number;
  readonly method?: string;
  readonly path?: string;
  /** The exact JSON text of a REST call's body. */
  readonly body?: string;
}

/** The lines of one scenario. */
export function readRecording(folder: string, scenario: string): Recorded[] {
  const file = new URL(`${folder}/${scenario}.jsonl`, FIXTURES);
  return Deno.readTextFileSync(file).trimEnd().split("\n").map((line) => ({
    ...JSON.parse(line),
    body: memberText(line, "body"),
  }));
}

/** Every recorded frame of all releases, sent and received. */
export function* recordedFrames(): Generator<string> {
  for (const [, folder] of RECORDED) {
    for (const { name } of Deno.readDirSync(new URL(folder, FIXTURES))) {
      const scenario = name.replace(".jsonl", "");
      for (const { dir, text } of readRecording(folder, scenario)) {
        if (dir !== "note" && text !== undefined) yield text;
      }
    }
  }
}

/** The texts of the events in a frame. */
export function eventTexts(frame: string): string[] {
  return elementTexts(frame)
    .filter((message) => memberText(message, "type") === '"event"')
    .map((message) => memberText(message, "event") ?? "");
}

/** The text with what differs from run to run made alike: times, ids, measured durations. */
export function masked(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00/g, "TIME")
    .replace(/"[0-9A-HJKMNP-TV-Z]{26}"/g, '"ULID"')
    .replace(/"[0-9a-f]{32}"/g, '"HEX"')
    .replace(/"(lu|seconds|rate|cpu)":[\d.e-]+/g, '"$1":0');
}
