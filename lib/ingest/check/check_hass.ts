/** What Home Assistant lets the owner of HASS_TOKEN do, and what it has to give. */
import * as z from "zod";
import type { CheckReport } from "../../program/check_report.ts";
import { numberText } from "../../program/command.ts";
import type { IngestSettings } from "../../settings/ingest_settings.ts";
import { describeError } from "../../retry.ts";
import { Connection, TokenRefused } from "../hass/connection.ts";
import { CommandFailed } from "../hass/outstanding_commands.ts";
import { accessOf } from "../hass/hass_access.ts";
import { HassFault } from "../hass/hass_fault.ts";

const configSchema = z.object({ state: z.string() });
const listSchema = z.array(z.unknown());

/** `doubt` is said where nothing there speaks as Home Assistant does. The token is tried once. */
export async function checkHass(
  settings: IngestSettings,
  doubt: HassFault | undefined,
  report: CheckReport,
): Promise<void> {
  const token = settings.hassToken();
  try {
    const { connection, haVersion } = await Connection.open({
      ...accessOf(settings),
      token,
      signal: new AbortController().signal,
      handlers: { onEvent: () => {}, onMalformed: () => {} },
    });
    report.ok("home_assistant", `It is Home Assistant ${haVersion}`);
    report.ok("token", "HASS_TOKEN is good");
    try {
      await checkStarted(connection, report);
      await checkSubscription(connection, report);
      await checkRegistries(connection, report);
      await checkHistory(connection, report);
    } finally {
      connection.close("checked");
    }
  } catch (error) {
    const reason = describeError(error);
    if (error instanceof TokenRefused) {
      report.ok("home_assistant", "It is a Home Assistant");
      report.fail(
        "token",
        `Home Assistant refuses HASS_TOKEN (${reason}), which counts as a failed login; ` +
          tokenWish(token),
      );
    } else {
      const fault = doubt ?? (error instanceof HassFault ? error : undefined);
      report.fail(
        "home_assistant",
        fault
          ? `${fault.message}; ${fault.action}`
          : `Cannot speak with Home Assistant (${reason}); see its log, and HASS_URL`,
      );
    }
  }
}

/** A long-lived access token is a JSON Web Token. */
function tokenWish(token: string): string {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)
    ? "make a new long-lived access token under your profile, Security, and set it"
    : "it does not look like a long-lived access token, which has three parts with dots between: " +
      "copy all of it, and nothing else";
}

async function checkStarted(connection: Connection, report: CheckReport): Promise<void> {
  const { state } = configSchema.parse(await connection.command("get_config"));
  if (state === "RUNNING") report.ok("started", "It has started");
  else report.warn("started", `It is ${state}, not RUNNING; check again once it has started`);
}

async function checkSubscription(connection: Connection, report: CheckReport): Promise<void> {
  try {
    await connection.command("subscribe_events");
    report.ok("events", "All events may be captured");
  } catch (error) {
    if (!(error instanceof CommandFailed && error.code === "unauthorized")) throw error;
    await connection.command("subscribe_events", { event_type: "state_changed" });
    report.warn(
      "events",
      "HASS_TOKEN is no administrator's: only states and registry changes are captured, no other " +
        "events; make the token as an administrator to have all",
    );
  }
}

async function checkRegistries(connection: Connection, report: CheckReport): Promise<void> {
  try {
    const counts: string[] = [];
    for (const [kind, name] of [["area", "areas"], ["device", "devices"], ["entity", "entities"]]) {
      const list = listSchema.parse(await connection.command(`config/${kind}_registry/list`));
      counts.push(`${numberText(list.length)} ${name}`);
    }
    report.ok("registries", `Its registries can be read: ${counts.join(", ")}`);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    report.warn(
      "registries",
      `Its registries cannot be read (${describeError(error)}): events go without names; ` +
        "see Home Assistant's log",
    );
  }
}

/** Asks for a minute of an entity that need not be there. */
async function checkHistory(connection: Connection, report: CheckReport): Promise<void> {
  try {
    await connection.command("history/history_during_period", {
      start_time: new Date(Date.now() - 60_000).toISOString(),
      end_time: new Date().toISOString(),
      entity_ids: ["sun.sun"],
      minimal_response: true,
      no_attributes: true,
    });
    report.ok("history", "Its recorder can be asked for what was missed");
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    const isOff = error.code === "unknown_command";
    report.warn(
      "history",
      `${isOff ? "Its history is off" : `Its history cannot be read (${describeError(error)})`}: ` +
        "what is missed while ingest is away cannot be filled in; " +
        'add "history:" or "default_config:" to its configuration.yaml',
    );
  }
}
