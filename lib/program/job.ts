/** A job that a command has a running program do: begun and followed through the program's routes. */
import type * as z from "zod";
import { sleep } from "../retry.ts";
import { type CommandOutput, ProgressLine } from "./command.ts";
import { ProgramAway, type RunningProgram } from "./running_program.ts";

/** A program that is upgraded meanwhile is waited for. */
const AWAY_MS = 300_000;

interface JobState {
  readonly state: "none" | "running" | "done" | "failed";
}

/** Its routes, and what they say: `P`. */
export interface JobOfProgram<P extends JobState> {
  /** GET tells how far it is. */
  readonly path: string;
  readonly schema: z.ZodType<P>;
  /** Has the program begin; again where it was started anew. */
  readonly begin: () => Promise<void>;
  /** How far it is, for people: a part of 0 … 1, and a text. */
  readonly shown: (progress: P) => readonly [part: number, text: string];
}

/** Begins the job and shows how far it is. Returns how it ended. Throws ProgramAway, or what `begin` throws. */
export async function followJob<P extends JobState>(
  program: RunningProgram,
  { path, schema, begin, shown }: JobOfProgram<P>,
  output: CommandOutput,
): Promise<P> {
  await begin();
  const line = new ProgressLine(output);
  let heardMs = performance.now();
  for (;;) {
    try {
      const progress = program.bodyOf(await program.get(path), schema);
      heardMs = performance.now();
      if (progress.state === "none") await begin();
      else if (progress.state === "running") line.show(...shown(progress));
      else return progress;
    } catch (error) {
      if (!(error instanceof ProgramAway) || performance.now() - heardMs > AWAY_MS) throw error;
    }
    await sleep(output.intervalMs, new AbortController().signal);
  }
}
