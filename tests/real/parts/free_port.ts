/** Below the ports that the kernel gives to outgoing connections, which would take one that is free for a moment. */
const FIRST = 20_000;
const COUNT = 12_000;

let next = Math.floor(Math.random() * COUNT);

/** A port of 127.0.0.1 that nobody listens on now: for programs that cannot be told "any, and say which". */
export function freePort(): number {
  for (;;) {
    const port = FIRST + next++ % COUNT;
    try {
      using _listener = Deno.listen({ hostname: "127.0.0.1", port });
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}
