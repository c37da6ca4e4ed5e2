/** `ingest health` and `enrich health`: whether the running program does its work, for a container's check. */
import * as z from "zod";
import { type CommandOutput, complainOf } from "./command.ts";
import { findProgram, type ProgramName } from "./running_program.ts";
import type { Environment } from "../settings/settings_reader.ts";

const reasonSchema = z.object({ reason: z.string(), action: z.string() });
const adviceSchema = z.array(reasonSchema).default([]);
const readySchema = z.object({ advice: adviceSchema });
const unreadySchema = z.object({ reasons: z.array(reasonSchema).nonempty(), advice: adviceSchema });

/**
 * Asks the program for `/health/ready`, found by its HOST and PORT and SERVICE_TOKEN, and writes
 * every reason why it is not ready, and what waits for a person. Returns the exit status: 0 ready, 1 anything else.
 */
export async function health(
  name: ProgramName,
  readEnvironment: () => Environment,
  output: CommandOutput,
): Promise<number> {
  try {
    const program = findProgram(name, readEnvironment());
    const answer = await program.get("/health/ready");
    if (answer.status === 200) {
      output.write("ready\n");
      const { advice = [] } = readySchema.safeParse(answer.body).data ?? {};
      for (const { reason, action } of advice) output.write(`${reason}: ${action}\n`);
      return 0;
    }
    const unready = unreadySchema.safeParse(answer.body);
    if (answer.status !== 503 || !unready.success) throw program.refusal(answer);
    const { reasons, advice } = unready.data;
    for (const { reason, action } of [...reasons, ...advice]) {
      output.complain(`${reason}: ${action}`);
    }
  } catch (error) {
    complainOf(error, output);
  }
  return 1;
}
