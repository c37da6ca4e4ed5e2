/** Where a program listens, for as long as it runs. */
import type { Hono } from "hono";
import { getLogger } from "../log.ts";
import { describeError, sleep } from "../retry.ts";
import { listeningFault } from "./listening_fault.ts";

export interface Listening {
  /** Where it listens: `http://127.0.0.1:8002`. */
  readonly url: string;
  /** Takes no new requests, and waits for those under way, for 3 s at the most. */
  close(): Promise<void>;
}

const CLOSE_MS = 3_000;
const AGAIN_MS = 1_000;

/**
 * Listens. Deno.serve 2.9.6 ends for good where a connection comes for which the process may open no
 * file any more: then it listens anew. Throws an Error that names the setting where the address
 * cannot be had.
 */
export function listen(
  app: Hono,
  { host, port, setting }: { host: string; port: number; setting: string },
): Listening {
  const log = getLogger("server");
  const hostname = host === "localhost" ? "127.0.0.1" : host;
  const closing = new AbortController();
  const serve = (port: number) =>
    Deno.serve(
      { hostname, port, onListen: () => {} },
      (request, info) => app.fetch(request, info),
    );
  let server: ReturnType<typeof serve>;
  try {
    server = serve(port);
  } catch (error) {
    throw new Error(listeningFault(error, { host, port, setting }));
  }
  const { port: taken } = server.addr;
  const keepOn = async () => {
    for (;;) {
      try {
        return await server.finished;
      } catch (error) {
        log.error(
          "No connection can be taken ({reason}): close what holds many of them, or allow more open " +
            "files; listening again",
          { reason: describeError(error) },
        );
      }
      do {
        await sleep(AGAIN_MS, closing.signal);
        if (closing.signal.aborted) return;
      } while (!again());
    }
  };
  const again = () => {
    try {
      server = serve(taken);
      return true;
    } catch {
      return false;
    }
  };
  const ended = keepOn();
  const shown = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    url: `http://${shown}:${taken}`,
    close: async () => {
      closing.abort();
      const timer = new AbortController();
      await Promise.race([
        Promise.allSettled([server.shutdown(), ended]),
        sleep(CLOSE_MS, timer.signal),
      ]);
      timer.abort();
    },
  };
}
