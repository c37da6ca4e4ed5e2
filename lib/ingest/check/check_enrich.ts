/** Whether enrich is there, takes SERVICE_TOKEN and can store. */
import * as z from "zod";
import type { CheckReport } from "../../program/check_report.ts";
import { type ProgramAnswer, RunningProgram } from "../../program/running_program.ts";
import type { IngestSettings } from "../../settings/ingest_settings.ts";
import { describeError } from "../../retry.ts";

const healthSchema = z.object({
  reasons: z.array(z.object({ reason: z.string(), action: z.string() })).nonempty(),
});

/** `isFirst`: ingest does not run either, so that nobody need have started enrich. */
export async function checkEnrich(
  { enrichmentServiceUrl: url, serviceToken }: IngestSettings,
  report: CheckReport,
  { isFirst }: { readonly isFirst: boolean },
): Promise<void> {
  const fail = (message: string) => report.fail("enrich", message);
  const settings = "ENRICHMENT_SERVICE_URL";
  const enrich = new RunningProgram({ name: "enrich", url, serviceToken, settings });
  let answer: ProgramAnswer;
  try {
    answer = await enrich.get("/health/ready");
  } catch (error) {
    const message = describeError(error);
    if (!isFirst || !/\(connection refused\)/.test(message)) return fail(message);
    return report.warn(
      "enrich",
      `Enrich is not running yet at ${url}; start it, or set ENRICHMENT_SERVICE_URL to where it runs`,
    );
  }
  const { status, body } = answer;
  if (status === 401) {
    const state = serviceToken ? "does not take this SERVICE_TOKEN" : "asks for a SERVICE_TOKEN";
    return fail(`Enrich at ${url} ${state}; set the same for both programs`);
  }
  const program = await enrich.nameItself();
  if (program !== "enrich") {
    const who = program === "ingest" ? "ingest itself" : `no enrich (it answered ${status})`;
    return fail(`What answers at ${url} is ${who}; correct ENRICHMENT_SERVICE_URL`);
  }
  report.ok("enrich", `Enrich answers at ${url}`);
  const health = healthSchema.safeParse(body);
  if (!health.success) return report.ok("store", "It stores events");
  for (const { reason, action } of health.data.reasons) {
    report.fail("store", `Enrich is not ready: ${reason}; ${action}`);
  }
}
