/** `ingest check`: tries everything that ingest's settings name, a line each. */
import { join } from "node:path";
import { saysReadable, tryDataDir } from "../../data_dir.ts";
import { diskSpace } from "../../disk.ts";
import { checkClock } from "../../program/check_clock.ts";
import { checkListening } from "../../program/check_listening.ts";
import { type Asked, CHECK_HELP, type CheckReport, runCheck } from "../../program/check_report.ts";
import { type CommandOutput, numberText } from "../../program/command.ts";
import { type IngestSettings, ingestSettings } from "../../settings/ingest_settings.ts";
import { describeError } from "../../retry.ts";
import type { Environment } from "../../settings/settings_reader.ts";
import { accessOf } from "../hass/hass_access.ts";
import { damagedFiles } from "../outbox/damaged_files.ts";
import { checkAddress, type Surroundings } from "./check_address.ts";
import { checkEnrich } from "./check_enrich.ts";
import { checkHass } from "./check_hass.ts";
import { CONTAINER_MARKS, isInContainer } from "./container.ts";

const HELP =
  `ingest check: tries whether ingest could capture and deliver events, and says what to do where
it could not.

Usage: ingest check [--json]

${CHECK_HELP}
A token that Home Assistant refuses counts there as one failed login.`;

const DEADLINE_MS = 10_000;

/** Runs the command. Returns its exit status. `containerMarks`: files that only containers have. */
export function checkIngest(
  args: readonly string[],
  readEnvironment: () => Environment,
  output: CommandOutput,
  { containerMarks = CONTAINER_MARKS, deadlineMs = DEADLINE_MS } = {},
): Promise<number> {
  const check = (settings: IngestSettings, report: CheckReport, { env }: Asked) =>
    checkAll(settings, { inContainer: isInContainer(env, containerMarks), deadlineMs }, report);
  return runCheck(
    { help: HELP, readSettings: ingestSettings, check },
    args,
    readEnvironment,
    output,
  );
}

async function checkAll(
  settings: IngestSettings,
  surroundings: Surroundings,
  report: CheckReport,
): Promise<void> {
  report.ok("settings", "The settings can be read");
  checkDataDir(settings, report);
  const isRunning = await checkListening("ingest", settings, report);
  const answer = await checkAddress(accessOf(settings), surroundings, report);
  if (answer) {
    await checkHass(settings, answer.doubt, report);
    checkClock("Home Assistant", answer.clock, report);
  }
  await checkEnrich(settings, report, { isFirst: !isRunning });
}

/** The outbox itself is left alone: a running ingest holds it. */
function checkDataDir({ dataDir, outboxMaxBytes }: IngestSettings, report: CheckReport): void {
  try {
    tryDataDir(dataDir, "outbox.sqlite");
  } catch (error) {
    return report.fail("data_dir", describeError(error));
  }
  for (const file of damagedFiles(dataDir)) {
    report.warn(
      "data_dir",
      `DATA_DIR has a damaged outbox, ${file}, whose events are not delivered; ` +
        `start ingest and run "ingest outbox recover ${file}"`,
    );
  }
  const readable = saysReadable(dataDir, "outbox.sqlite");
  if (readable) report.warn("data_dir", readable);
  // as the outbox counts it: the disk keeps a reserve
  const { spareBytes } = diskSpace(dataDir);
  const roomBytes = Math.max(0, spareBytes + sizeOf(join(dataDir, "outbox.sqlite")));
  const room = `${numberText(Math.floor(roomBytes / 1e6))} MB`;
  const cap = `OUTBOX_MAX_MB (${numberText(outboxMaxBytes / 1e6)})`;
  if (roomBytes >= outboxMaxBytes) {
    return report.ok("data_dir", `DATA_DIR ${dataDir} can be written, with room for ${cap}`);
  }
  report.warn(
    "data_dir",
    `DATA_DIR ${dataDir} has ${room} of room, less than ${cap}: the outbox is full before; ` +
      "free some, or lower OUTBOX_MAX_MB",
  );
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0; // none yet
  }
}
