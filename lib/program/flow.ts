/** How events flow through both running programs, watched from outside. */
import * as z from "zod";
import { deadline, sleep } from "../retry.ts";
import type { CommandOutput } from "./command.ts";
import type { RunningProgram } from "./running_program.ts";

const DEADLINE_MS = 5_000;

const ingestStatusSchema = z.object({
  home_assistant: z.object({ kind: z.string(), reason: z.string().optional() }),
  delivery: z.object({ problem: z.string().optional() }),
  events: z.object({ received: z.number(), delivered: z.number() }),
  outbox: z.object({ full: z.boolean(), full_reason: z.string().optional() }),
});
const enrichStatusSchema = z.object({
  store: z.object({ description: z.string(), problem: z.string().optional() }),
});

/** One sentence about the flow; it changes only when the state of the flow does. */
export function flowOf(
  ingest: z.infer<typeof ingestStatusSchema> | undefined,
  enrich: z.infer<typeof enrichStatusSchema> | undefined,
): string {
  if (!enrich) return "enrich is starting";
  if (!ingest) return "ingest is starting";
  const { home_assistant: hass, delivery, events, outbox } = ingest;
  if (hass.kind !== "capturing") {
    return `not capturing: Home Assistant ${hass.reason ?? "has not answered yet"}`;
  }
  if (outbox.full) return `events are refused: ${outbox.full_reason ?? "the outbox is full"}`;
  if (delivery.problem !== undefined) {
    return `capturing, but events wait in the outbox: enrich ${delivery.problem}`;
  }
  if (enrich.store.problem !== undefined) {
    return `capturing, but the store takes nothing: ${enrich.store.problem}`;
  }
  return events.delivered === 0 ? "capturing" : "flowing: captured, delivered, stored";
}

/** Writes where events are stored and how they flow, and each change, until the signal is aborted. */
export async function watchFlow(
  programs: { readonly ingest: RunningProgram; readonly enrich: RunningProgram },
  { write, colours, intervalMs }: CommandOutput,
  signal: AbortSignal,
): Promise<void> {
  let lastFlow = "";
  let lastStore = "";
  for (;;) {
    const [ingest, enrich] = await Promise.all([
      statusOf(programs.ingest, ingestStatusSchema, signal),
      statusOf(programs.enrich, enrichStatusSchema, signal),
    ]);
    if (signal.aborted) return;
    const store = enrich?.store.description ?? lastStore;
    if (store !== lastStore) write(`Events are stored in ${store}\n`);
    lastStore = store;
    const flow = flowOf(ingest, enrich);
    if (flow !== lastFlow) {
      const events = ingest
        ? ` (${ingest.events.received} captured, ${ingest.events.delivered} stored)`
        : "";
      const time = new Date().toLocaleTimeString("en-GB");
      write(`${time} ${colours ? `\x1b[1m${flow}\x1b[0m` : flow}${events}\n`);
    }
    lastFlow = flow;
    await sleep(intervalMs, signal);
  }
}

/** Undefined where it is not up yet, or going down. */
async function statusOf<T extends z.ZodType>(
  program: RunningProgram,
  schema: T,
  signal: AbortSignal,
): Promise<z.output<T> | undefined> {
  try {
    return program.bodyOf(await program.get("/status", deadline(DEADLINE_MS, signal)), schema);
  } catch {
    return undefined;
  }
}
