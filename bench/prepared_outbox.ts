/** Outboxes that are full of something before ingest starts. */
import { join } from "node:path";
import { envelopeLine } from "../lib/ingest/outbox/envelope.ts";
import { Outbox } from "../lib/ingest/outbox/outbox.ts";
import { SimulatedHomeAssistant } from "../tests/simulator/home_assistant.ts";
import { numberedHouse, NumberedSensor } from "./numbered_house.ts";
import { nowMs } from "./readable.ts";

const LINES_A_COMMIT = 5_000;
/** So much is allowed that it is never full. */
const MAX_BYTES = 20e9;

export interface OutboxContents {
  /** How many events wait. */
  readonly waiting?: number;
  /** How many dead letters there are, of two reasons in turn. */
  readonly deadLetters?: number;
}

/** The reasons of the dead letters. */
export const REASONS = ["field type conflict", "it has no entity_id"] as const;

/** Gives events as ingest writes them, one after the other, of the sensors of the benchmark's house. */
function eventLines(): (count: number) => string[] {
  const { states } = new SimulatedHomeAssistant({ house: numberedHouse(), recorder: false });
  const sensors = states.all().map((state) => new NumberedSensor(state));
  const registry = { name: "Outlet", area: "Kitchen", floor: "Ground floor", device: "Plug" };
  let number = 0;
  const line = () => {
    const sensor = sensors[number % sensors.length];
    const text = sensor.next(number++, Math.floor(nowMs() * 1000));
    return envelopeLine(text, { registry, source: undefined });
  };
  return (count) => Array.from({ length: count }, line);
}

/** Makes a temporary folder that can be a DATA_DIR with such an outbox, and returns its path. */
export async function preparedOutbox(
  { waiting = 0, deadLetters = 0 }: OutboxContents,
): Promise<string> {
  const dataDir = await Deno.makeTempDir({ prefix: "prepared-" });
  using outbox = new Outbox({
    path: join(dataDir, "outbox.sqlite"),
    maxBytes: MAX_BYTES,
    onFailure: (error) => {
      throw error;
    },
  });
  const lines = eventLines();
  const take = (most: number) => lines(Math.min(most, LINES_A_COMMIT));
  for (let left = waiting; left > 0; left -= LINES_A_COMMIT) outbox.append(take(left));
  for (let left = deadLetters; left > 0; left -= LINES_A_COMMIT) {
    const refusedAt = new Date().toISOString();
    const letters = take(left).map((line, i) => ({ line, reason: REASONS[i % 2], refusedAt }));
    outbox.append([], () => outbox.deadLetters.takeIn(letters));
  }
  return dataDir;
}
