/**
 * No store, in a thread of its own: it answers as an InfluxDB 1 that takes everything, and of each
 * line remembers the number and the time alone.
 */
import { promisify } from "node:util";
import { parentPort } from "node:worker_threads";
import { gunzip } from "node:zlib";
import { numberOf } from "./numbered_house.ts";
import type { Numbers, ReadNumber } from "./store.ts";

const unzip = promisify(gunzip);
const NO_LIMIT = {
  results: [{
    statement_id: 0,
    series: [{
      columns: ["name", "duration", "shardGroupDuration", "replicaN", "default"],
      values: [["autogen", "0s", "168h0m0s", 1, true]],
    }],
  }],
};

/** By number: when its state was written, in microseconds since 1970. */
const timesUs = new Map<number, number>();

async function take(request: Request): Promise<void> {
  const bytes = await request.bytes();
  const zipped = request.headers.get("content-encoding") === "gzip";
  const text = new TextDecoder().decode(zipped ? await unzip(bytes) : bytes);
  for (const line of text.split("\n")) {
    const at = line.startsWith("sensor,") ? line.search(/[ ,]value=/) : -1;
    const number = numberOf(parseInt(line.slice(at + 7), 10));
    if (at === -1 || number < 0) continue;
    timesUs.set(number, Number(line.slice(line.lastIndexOf(" ") + 1)) / 1000);
  }
}

function numbersOf({ first, count }: Numbers): ReadNumber[] {
  const found: ReadNumber[] = [];
  for (let number = first; number < first + count; number++) {
    const timeUs = timesUs.get(number);
    if (timeUs !== undefined) found.push({ number, timeUs });
  }
  return found;
}

const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
const server = Deno.serve(options, async (request) => {
  const { pathname } = new URL(request.url);
  if (pathname === "/query") return Response.json(NO_LIMIT);
  if (pathname === "/numbers") return Response.json(numbersOf(await request.json()));
  if (pathname === "/count") return Response.json(numbersOf(await request.json()).length);
  if (pathname === "/write") await take(request);
  return new Response(null, { status: 204 });
});
parentPort?.postMessage(`http://127.0.0.1:${server.addr.port}`);
