/** `enrich check`: tries everything that enrich's settings name, a line each, and with `--create` makes what is missing. */
import { basename } from "node:path";
import { saysReadable, tryDataDir } from "../../data_dir.ts";
import { checkClock } from "../../program/check_clock.ts";
import { checkListening } from "../../program/check_listening.ts";
import { type Asked, CHECK_HELP, type CheckReport, runCheck } from "../../program/check_report.ts";
import { type CommandOutput, numberText } from "../../program/command.ts";
import { type EnrichSettings, enrichSettings } from "../../settings/enrich_settings.ts";
import { deadline, describeError } from "../../retry.ts";
import type { Environment } from "../../settings/settings_reader.ts";
import type { InfluxDbOptions } from "../influxdb/influxdb.ts";
import { lookUpRetention } from "../influxdb/influxdb_admin.ts";
import { HTTP_AUTH, InfluxDbFault, saysMissing } from "../influxdb/influxdb_answer.ts";
import { InfluxDbHttp } from "../influxdb/influxdb_http.ts";
import { QUESTDB_NOTE } from "../influxdb/quest_db.ts";
import {
  hasLocalStore,
  influxDbOptions,
  localStorePath,
  openLocalStore,
  type StoreSettings,
} from "../open_store.ts";
import { StoreUnavailable } from "../store.ts";
import { ServerStore, type ServerStoreOptions } from "../victoriametrics/server_store.ts";
import {
  EXISTS,
  placeOf,
  questDbStages,
  reached,
  stagesOf,
  targetOf,
  victoriaMetricsStages,
} from "./check_stages.ts";

const HELP =
  `enrich check: tries whether enrich could receive and store events, and says what to do where it
could not.

Usage: enrich check [--create] [--json]

  --create   Make the database (InfluxDB 1) or bucket (InfluxDB 2) where it is missing. What exists
             is left alone
${CHECK_HELP}`;

const DEADLINE_MS = 30_000;

/** Runs the command. Returns its exit status. */
export function checkStore(
  args: readonly string[],
  readEnvironment: () => Environment,
  output: CommandOutput,
): Promise<number> {
  const options = { create: { type: "boolean" } } as const;
  const command = { help: HELP, options, readSettings: enrichSettings, check };
  return runCheck(command, args, readEnvironment, output);
}

async function check(
  settings: EnrichSettings,
  report: CheckReport,
  { isGiven }: Asked,
): Promise<void> {
  const { schema, attributes, file } = settings;
  const means = schema === "tidy" ? `SCHEMA=tidy, ATTRIBUTES=${attributes}` : `SCHEMA=${schema}`;
  const from = file ? `, CONFIG_FILE ${file.path}` : "";
  const options = influxDbOptions(settings);
  const to = options ? `, ${targetOf(options)}` : "";
  report.ok("settings", `The settings can be read: ${means}${from}${to}`);
  await checkListening("enrich", settings, report);
  if (options) await checkServer(options, isGiven("create"), report);
  else checkLocalStore(settings, report);
}

async function checkServer(
  options: ServerStoreOptions,
  mayCreate: boolean,
  report: CheckReport,
): Promise<void> {
  const store = new ServerStore(options);
  try {
    let fault = await faultOf(store);
    const isQuestDb = store.status().notes?.some(({ name }) => name === QUESTDB_NOTE.name);
    const isVictoriaMetrics = store.isVictoriaMetrics || fault?.answer?.reason === HTTP_AUTH;
    const stages = isVictoriaMetrics
      ? victoriaMetricsStages(options)
      : isQuestDb
      ? questDbStages(options)
      : stagesOf(options, store.server);
    let from = 0;
    const tellWhatHolds = () => {
      const upTo = fault ? reached(fault) : stages.length;
      for (const { check, text } of stages.slice(from, upTo)) report.ok(check, text);
    };
    tellWhatHolds();
    if (mayCreate && fault?.answer && saysMissing(fault.answer)) {
      const isMade = await store.create(deadline(DEADLINE_MS));
      if (isMade) report.ok("place", `${placeOf(options)} is made, and keeps points forever`);
      fault = await faultOf(store);
      from = isMade ? EXISTS + 1 : EXISTS;
      tellWhatHolds();
    }
    if (fault) report.fail(stages.at(reached(fault))?.check ?? "write", fault.message);
    for (const { reason, action } of store.status().notes ?? []) {
      report.warn("write", `${reason}; ${action}`);
    }
    if (!fault && !isVictoriaMetrics && !isQuestDb && !/1\.x API/.test(store.server)) {
      await checkRetention(options, report);
    }
    const name = isVictoriaMetrics ? "VictoriaMetrics" : isQuestDb ? "QuestDB" : "InfluxDB";
    if (!fault || fault.answer) await checkServerClock(name, options, report);
  } catch (error) {
    if (!(error instanceof InfluxDbFault)) throw error;
    report.fail("place", error.message);
  } finally {
    store.close();
  }
}

/** Whether it may be asked how long it keeps points. Nothing is said of InfluxDB 3, which tells nobody. */
async function checkRetention(options: InfluxDbOptions, report: CheckReport): Promise<void> {
  if (options.version === 3) return;
  const http = new InfluxDbHttp(options);
  try {
    if (await lookUpRetention(http, options, deadline(DEADLINE_MS)) !== undefined) return;
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
  } finally {
    http.close();
  }
  const who = options.version === 2 ? "INFLUXDB_TOKEN" : "INFLUXDB_USERNAME";
  report.warn(
    "retention",
    `How long ${
      placeOf(options)
    } keeps points cannot be read: events older than that are sent, and ` +
      `left out once they are refused; let ${who} read it too, or leave it so`,
  );
}

async function checkServerClock(
  name: string,
  options: InfluxDbOptions,
  report: CheckReport,
): Promise<void> {
  const http = new InfluxDbHttp(options);
  const askedMs = Date.now();
  let date: string | null = null;
  try {
    const response = await http.ask({ method: "GET", path: "/ping" }, deadline(DEADLINE_MS));
    date = response.headers.get("date");
    await response.body?.cancel();
  } catch (error) {
    // what is wrong with the answers has been said
    if (!(error instanceof InfluxDbFault)) throw error;
  } finally {
    http.close();
  }
  checkClock(name, { askedMs, date, heardMs: Date.now() }, report);
}

async function faultOf(store: ServerStore): Promise<InfluxDbFault | undefined> {
  try {
    await store.check(deadline(DEADLINE_MS));
  } catch (error) {
    if (error instanceof InfluxDbFault) return error;
    throw error;
  }
}

function checkLocalStore(settings: StoreSettings, report: CheckReport): void {
  const path = localStorePath(settings);
  const ok = (text: string) => report.ok("local_store", `INFLUXDB_URL is not set: ${text}`);
  try {
    tryDataDir(settings.dataDir, basename(path));
    const readable = saysReadable(settings.dataDir, basename(path));
    if (readable) report.warn("local_store", readable);
    if (!hasLocalStore(settings)) {
      return ok(`enrich will make the local store ${path}`);
    }
    const store = openLocalStore(settings);
    const { points, series } = store.counts();
    const size = `${(store.sizeBytes() / 1e6).toFixed(1)} MB`;
    store.close();
    const held = `${numberText(points)} points of ${numberText(series)} series, ${size}`;
    ok(`the local store ${path} can be opened (${held})`);
  } catch (error) {
    const reason = describeError(error);
    if (/another process holds it/.test(reason)) {
      ok(`a running enrich holds the local store ${path}`);
    } else if (/DATA_DIR/.test(reason)) report.fail("local_store", reason);
    else report.fail("local_store", `The local store: ${reason}; check DATA_DIR`);
  }
}
