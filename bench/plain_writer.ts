/** The store's own limit: what it takes from a writer that has nothing else to do. */
import { SimulatedHomeAssistant } from "../tests/simulator/home_assistant.ts";
import { floorLine } from "./floor.ts";
import { numberedHouse, NumberedSensor } from "./numbered_house.ts";
import { nowMs, untilReadable } from "./readable.ts";
import type { LineStore } from "./store.ts";

const BATCH_LINES = 5_000;
const IN_FLIGHT = 2;

/** The lines that the floor writes of so many events, in bodies of requests, and the time of the first. */
function bodies(count: number): { readonly texts: string[]; readonly fromUs: number } {
  const { states } = new SimulatedHomeAssistant({ house: numberedHouse(), recorder: false });
  const sensors = states.all().map((state) => new NumberedSensor(state));
  const fromUs = Math.floor(nowMs() * 1000);
  const lines = Array.from({ length: count }, (_, number) => {
    const { data } = JSON.parse(sensors[number % sensors.length].next(number, fromUs + number));
    return floorLine(data.entity_id, data.new_state);
  });
  const texts: string[] = [];
  while (lines.length > 0) texts.push(lines.splice(0, BATCH_LINES).join("\n"));
  return { texts, fromUs };
}

/** How many lines a second the store takes, until all can be read. Throws where it refuses some. */
export async function plainLimit(store: LineStore, count: number): Promise<number> {
  const { texts, fromUs } = bodies(count);
  const headers = new Headers(store.authorization ? { authorization: store.authorization } : {});
  const startMs = nowMs();
  const write = async () => {
    for (let body = texts.shift(); body !== undefined; body = texts.shift()) {
      const response = await fetch(store.writeUrl, { method: "POST", headers, body });
      const text = await response.text();
      if (!response.ok) throw new Error(`The store answers ${response.status} ${text}`);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, write));
  const numbers = { first: 0, count, fromUs };
  const { atMs, lost } = await untilReadable(store, numbers, fromUs + count - 1, () => {});
  if (lost > 0) throw new Error(`The store has lost ${lost} of ${count} lines`);
  return count / (atMs - startMs) * 1000;
}
