/** Whether a program could listen where its settings say, or does so already; and who answers somewhere. */
import { z } from "zod";
import type { CheckReport } from "./check_report.ts";
import { deadline, describeError } from "../retry.ts";
import type { Secret } from "../settings/secret.ts";
import { reachableUrl } from "../settings/settings_reader.ts";

const DEADLINE_MS = 10_000;
const statusSchema = z.object({ program: z.string() });

/** Asks one of the two programs. Throws where nobody answers. */
export function askProgram(
  url: string,
  path: string,
  serviceToken: Secret | undefined,
): Promise<Response> {
  const headers = new Headers();
  if (serviceToken) headers.set("authorization", `Bearer ${serviceToken()}`);
  return fetch(url + path, { headers, redirect: "error", signal: deadline(DEADLINE_MS) });
}

/** `ingest` or `enrich`, or undefined where it is neither, or does not say. */
export async function programAt(
  url: string,
  serviceToken: Secret | undefined,
): Promise<string | undefined> {
  try {
    const response = await askProgram(url, "/status", serviceToken);
    return statusSchema.parse(await response.json()).program;
  } catch {
    return undefined;
  }
}

/** `host` and `port` as the settings name them. */
export async function checkListening(
  program: "ingest" | "enrich",
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
        `Cannot listen on ${shown} (${describeError(error)}); mend ${name}_HOST and ${name}_PORT`,
      );
    }
  }
  if (await programAt(reachableUrl(host, port), serviceToken) === program) {
    return report.ok("port", `A running ${program} listens on ${shown}`);
  }
  report.fail(
    "port",
    `Port ${port} is taken, and not by an ${program} that takes this SERVICE_TOKEN; ` +
      `end what listens there, or set ${name}_PORT`,
  );
}
