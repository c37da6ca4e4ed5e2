/** `ingest health` and `enrich health`: whether the running program does its work, for a container's check. */
import { z } from "zod";
import type { CommandOutput } from "./command.ts";
import { deadline, describeError } from "../retry.ts";
import {
  ConfigError,
  type Environment,
  host,
  port,
  reachableUrl,
  SettingsReader,
} from "../settings/settings_reader.ts";

/** Under the time-out of the containers' checks, so that what is wrong is told. */
const REQUEST_DEADLINE_MS = 8_000;
const PORTS = { ingest: 8001, enrich: 8002 };

const healthSchema = z.object({
  reasons: z.array(z.object({ reason: z.string(), action: z.string() })).default([]),
});

/**
 * Asks the program for `/health/ready`, found by its HOST and PORT and SERVICE_TOKEN, and writes
 * every reason why it is not ready. Returns the exit status: 0 ready, 1 anything else.
 */
export async function health(
  program: "ingest" | "enrich",
  readEnvironment: () => Environment,
  output: CommandOutput,
): Promise<number> {
  try {
    const problems = await problemsOf(program, readEnvironment());
    if (problems.length === 0) return output.write("ready\n"), 0;
    for (const problem of problems) output.complain(problem);
  } catch (error) {
    const problems = error instanceof ConfigError ? error.problems : [describeError(error)];
    for (const problem of problems) output.complain(problem);
  }
  return 1;
}

/** Empty where it is ready. */
async function problemsOf(program: "ingest" | "enrich", env: Environment): Promise<string[]> {
  const { url, headers } = addressOf(program, env);
  let response: Response;
  let text: string;
  try {
    const signal = deadline(REQUEST_DEADLINE_MS);
    response = await fetch(`${url}/health/ready`, { headers, redirect: "error", signal });
    text = await response.text();
  } catch (error) {
    return [`Cannot reach ${program} at ${url}: see that it runs (${describeError(error)})`];
  }
  if (response.status === 200) return [];
  if (response.status !== 503) {
    return [`${url} answered ${response.status}: see that it is ${program}, and SERVICE_TOKEN`];
  }
  const { reasons } = healthSchema.parse(JSON.parse(text));
  return reasons.map(({ reason, action }) => `${reason}: ${action}`);
}

function addressOf(program: "ingest" | "enrich", env: Environment) {
  const reader = new SettingsReader(env);
  const name = program.toUpperCase();
  const settings = reader.parse(
    z.looseObject({
      [`${name}_HOST`]: host.default("127.0.0.1"),
      [`${name}_PORT`]: port.default(PORTS[program]),
    }).transform((all) => ({
      host: String(all[`${name}_HOST`]),
      port: Number(all[`${name}_PORT`]),
    })),
  );
  const token = reader.secret("SERVICE_TOKEN");
  if (!settings || reader.problems.length > 0) throw new ConfigError(reader.problems);
  return {
    url: reachableUrl(settings.host, settings.port),
    headers: new Headers(token ? { authorization: `Bearer ${token()}` } : {}),
  };
}
