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
const LASTED_MS = 3_000;

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
  let isOut = false;
  let isShut = false;
  const keepOn = async () => {
    for (;;) {
      try {
        return await server.finished;
      } catch (error) {
        if (!isOut) {
          log.error(
            "No connection can be taken ({reason}): close what holds many of them, or allow more open files",
            // not an Error of this realm: Deno says its words alone
            { reason: describeError(error).replace(/^Error: | \(os error \d+\)$/g, "") },
          );
        }
        isOut = true;
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
      noteRecovery(server);
      return true;
    } catch (error) {
      if (!isShut) {
        log.error("{fault}", { fault: listeningFault(error, { host, port: taken, setting }) });
      }
      isShut = true;
      return false;
    }
  };
  /** Taken are connections again once it has lasted. */
  const noteRecovery = async (begun: typeof server) => {
    await sleep(LASTED_MS, closing.signal);
    if (!isOut || closing.signal.aborted || server !== begun) return;
    isOut = isShut = false;
    log.info("Connections are taken again");
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
