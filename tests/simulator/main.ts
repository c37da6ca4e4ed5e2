/** Runs a simulated Home Assistant with a living house until a signal ends it. */
import { parseArgs } from "node:util";
import * as z from "zod";
import { SimulatedHomeAssistant } from "./home_assistant.ts";
import { LivingHouse } from "./living_house.ts";
import { HOUSE } from "./sample_house.ts";

const argumentsSchema = z.object({
  port: z.coerce.number().int().min(0).max(65_535).default(18123),
  rate: z.coerce.number().positive().default(17),
  version: z.enum(["2024.3.3", "2025.4.4", "2026.11.0"]).default("2026.11.0"),
  prefix: z.string().default(""),
  token: z.string().optional(),
});

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: "string" },
      rate: { type: "string" },
      version: { type: "string" },
      prefix: { type: "string" },
      token: { type: "string" },
    },
  });
  const { port, rate, version, prefix, token } = argumentsSchema.parse(values);
  await using ha = new SimulatedHomeAssistant({
    port,
    version,
    prefix,
    token,
    anyToken: token === undefined,
    house: HOUSE,
    keepFired: 1_000,
  }).start();
  const ended = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => ended.abort());
  }
  say(
    `A simulated Home Assistant ${version} listens at ${ha.url} and takes ` +
      `${token === undefined ? "any token" : "the token given"}`,
  );
  await new LivingHouse(ha, { eventsPerMinute: rate }).run(ended.signal);
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
