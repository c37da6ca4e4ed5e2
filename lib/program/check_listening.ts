/** Whether a program could listen where its settings say, or does so already. */
import type { CheckReport } from "./check_report.ts";
import { describeError } from "../retry.ts";
import { type ProgramName, RunningProgram } from "./running_program.ts";
import type { Secret } from "../settings/secret.ts";
import { reachableUrl } from "../settings/settings_reader.ts";

/** `host` and `port` as the settings name them. */
export async function checkListening(
  program: ProgramName,
  { host, port, serviceToken }: {
    readonly host: string;
    readonly port: number;
    readonly serviceToken: Secret | undefined;
  },
  report: CheckReport,
): Promise<void> {
  const name = program.toUpperCase();
  const hostname = host === "localhost" ? "127.0.0.1" : host;
  const shown = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  try {
    Deno.listen({ hostname, port }).close();
    return report.ok("port", `${program} can listen on ${shown}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) {
      return report.fail(
        "port",
        `Cannot listen on ${shown} (${
          describeError(error)
        }); correct ${name}_HOST and ${name}_PORT`,
      );
    }
  }
  const url = reachableUrl(host, port);
  const running = new RunningProgram({ name: program, url, serviceToken });
  if (await running.nameItself() === program) {
    return report.ok("port", `A running ${program} listens on ${shown}`);
  }
  report.fail(
    "port",
    `Port ${port} is taken, and not by an ${program} that takes this SERVICE_TOKEN; ` +
      `end what listens there, or set ${name}_PORT`,
  );
}
