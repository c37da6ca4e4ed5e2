/** The frames recorded from three real versions of Home Assistant, see tests/fixtures/README.md. */
import * as z from "zod";
import { elementTexts, memberText } from "../lib/json_text.ts";

const FIXTURES = new URL("fixtures/", import.meta.url);
export const VERSIONS = [
  "home-assistant-2024.3",
  "home-assistant-2025.4",
  "home-assistant-2026.11",
] as const;

const row = z.object({ dir: z.string(), text: z.string().optional() });

export interface RecordedFrame {
  readonly version: (typeof VERSIONS)[number];
  /** `restart.jsonl`, … */
  readonly file: string;
  /** The exact text message. */
  readonly text: string;
}

/** Every text message that Home Assistant sent, in the order of the recordings. */
export function* recordedFrames(): Generator<RecordedFrame> {
  for (const version of VERSIONS) {
    for (const { name: file } of Deno.readDirSync(new URL(`${version}/`, FIXTURES))) {
      const lines = Deno.readTextFileSync(new URL(`${version}/${file}`, FIXTURES)).trim().split(
        "\n",
      );
      for (const line of lines) {
        const { dir, text } = row.parse(JSON.parse(line));
        if (dir === "recv" && text !== undefined) yield { version, file, text };
      }
    }
  }
}

/** The exact text of every event among the frames. */
export function* recordedEvents(): Generator<RecordedFrame> {
  for (const frame of recordedFrames()) {
    for (const message of elementTexts(frame.text)) {
      const text = memberText(message, "event");
      if (text?.includes('"time_fired"')) yield { ...frame, text };
    }
  }
}

/** The result that was recorded for the first command of that type, or for a later one. */
export function recordedResult(
  version: (typeof VERSIONS)[number],
  file: string,
  command: string,
  index = 0,
): unknown {
  const lines = Deno.readTextFileSync(new URL(`${version}/${file}`, FIXTURES)).trim().split("\n");
  const rows = lines.map((line) => row.parse(JSON.parse(line)));
  const sent =
    rows.filter(({ dir, text }) => dir === "send" && text?.includes(`"type":"${command}"`))[index];
  const { id } = z.object({ id: z.number() }).parse(JSON.parse(sent?.text ?? "null"));
  const answer = z.object({ id: z.literal(id), type: z.literal("result"), result: z.unknown() });
  for (const { dir, text } of rows) {
    if (dir !== "recv" || text === undefined) continue;
    for (const message of elementTexts(text)) {
      const parsed = answer.safeParse(JSON.parse(message));
      if (parsed.success) return parsed.data.result;
    }
  }
  throw new Error(`Cannot find an answer to ${command} in ${version}/${file}`);
}
