/** Why a program cannot listen where its settings say. */
import { describeError } from "../retry.ts";

/**
 * One sentence, with what to do. `host` and `port` as the settings name them; `setting` names
 * these: `INGEST_HOST and INGEST_PORT`.
 */
export function listeningFault(
  error: unknown,
  { host, port, setting }: { host: string; port: number; setting: string },
): string {
  const [state, wish] = faultOf(error, setting);
  const shown = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return `Cannot listen on ${shown}: ${state}; ${wish}`;
}

function faultOf(error: unknown, setting: string): readonly [state: string, wish: string] {
  const [host, port = host] = setting.split(" and ");
  if (error instanceof Deno.errors.AddrInUse) {
    return ["the port is taken", `end what listens there, or set ${port} to another`];
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return ["this machine has no such address", `correct ${host}`];
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return ["the system does not permit it", `set ${port} to one above 1023`];
  }
  const reason = describeError(error);
  return /lookup address|Name or service/.test(reason)
    ? ["that name is not found", `correct ${host}`]
    : [reason.replace(/ \(os error \d+\)/, ""), `correct ${setting}`];
}
