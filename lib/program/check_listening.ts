/** Whether a program could listen where its settings say, or does so already. */
import type { CheckReport } from "./check_report.ts";
import { type ProgramName, RunningProgram } from "./running_program.ts";
import { listeningFault } from "../serve/listening_fault.ts";
import type { Secret } from "../settings/secret.ts";
import { reachableUrl } from "../settings/settings_reader.ts";

/** `host` and `port` as the settings name them. Returns whether the program itself listens there. */
export async function checkListening(
  program: ProgramName,
  { host, port, serviceToken }: {
    readonly host: string;
    readonly port: number;
    readonly serviceToken: Secret | undefined;
  },
  report: CheckReport,
): Promise<boolean> {
  const name = program.toUpperCase();
  const hostname = host === "localhost" ? "127.0.0.1" : host;
  const shown = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  try {
    Deno.listen({ hostname, port }).close();
    report.ok("port", `${program} can listen on ${shown}`);
    return false;
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) {
      const setting = `${name}_HOST and ${name}_PORT`;
      report.fail("port", listeningFault(error, { host, port, setting }));
      return false;
    }
  }
  const url = reachableUrl(host, port);
  const running = new RunningProgram({ name: program, url, serviceToken });
  if (await running.nameItself() === program) {
    report.ok("port", `A running ${program} listens on ${shown}`);
    return true;
  }
  report.fail(
    "port",
    `Port ${port} is taken, and not by an ${program} that takes this SERVICE_TOKEN; ` +
      `end what listens there, or set ${name}_PORT`,
  );
  return false;
}
