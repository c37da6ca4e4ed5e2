/** A port of 127.0.0.1 that nobody listens on now: for programs that cannot be told "any, and say which". */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
