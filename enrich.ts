/** enrich: gives events their meaning and stores them in InfluxDB, or in the local store where none is set. */
import { checkStore } from "./lib/enrich/commands/check_store.ts";
import { type EnrichSettings, enrichSettings } from "./lib/settings/enrich_settings.ts";
import { ConfigWatch } from "./lib/enrich/rules/config_watch.ts";
import { exportStore } from "./lib/enrich/commands/export_command.ts";
import { fromHomeAssistant } from "./lib/enrich/takeover/from_home_assistant.ts";
import { LocalStore } from "./lib/enrich/local/local_store.ts";
import { influxDbOptions, openStore } from "./lib/enrich/open_store.ts";
import { Receiver } from "./lib/enrich/receiver.ts";
import {
  enrichAdvice,
  enrichHealth,
  enrichMetrics,
  enrichPage,
  enrichStatus,
} from "./lib/enrich/enrich_report.ts";
import { ServerStore } from "./lib/enrich/victoriametrics/server_store.ts";
import { schemaOf } from "./lib/enrich/schema.ts";
import { type Store, StoreUnavailable } from "./lib/enrich/store.ts";
import { getLogger } from "./lib/log.ts";
import { addPage } from "./lib/pages/page.ts";
import { runProgram } from "./lib/program/program.ts";
import { sleep } from "./lib/retry.ts";
import { listen } from "./lib/serve/listening.ts";
import { Refusals } from "./lib/serve/refusals.ts";
import { createApp } from "./lib/serve/server.ts";
import { isSameConnection } from "./lib/settings/influxdb_settings.ts";
import { ConfigError } from "./lib/settings/settings_reader.ts";
import { settingsHelp } from "./lib/settings/settings_help.ts";

/** How often the store is asked whether it would take points, and how often while it takes none. */
const PROBE_INTERVAL_MS = 30_000;
const PROBE_AGAIN_MS = 5_000;
const PRUNE_INTERVAL_MS = 3_600_000;

/**
 * The store that changed settings name: the one that is open, unless the connection is another. What
 * it knows of its server, a problem or a time to be left alone, outlasts a change of filters.
 * Throws ConfigError for another kind of store.
 */
function storeAfter(store: Store, settings: EnrichSettings, before: EnrichSettings): Store {
  const options = influxDbOptions(settings);
  if (store instanceof LocalStore !== (options === undefined)) {
    throw new ConfigError([
      "it changes whether events go to InfluxDB or to the local store: restart enrich for that",
    ]);
  }
  return options && !isSameConnection(settings.file, before.file)
    ? new ServerStore(options)
    : store;
}

/** A store that cannot delete what is old says so in health; the next round tries again. */
async function prune(store: LocalStore, signal: AbortSignal): Promise<void> {
  try {
    const points = await store.prune(Date.now(), signal);
    if (points > 0) {
      getLogger("enrich").info("Deleted {points} points past LOCAL_STORE_DAYS", { points });
    }
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
  }
}

/** Receives and stores until the signal is aborted. `onListening` gets the address once it is known. */
export async function enrich(
  settings: EnrichSettings,
  signal: AbortSignal,
  onListening: (url: string) => void = () => {},
): Promise<void> {
  const log = getLogger("enrich");
  const receiver = new Receiver({ store: openStore(settings), schema: schemaOf(settings) });
  try {
    let newStore = new AbortController();
    const configWatch = new ConfigWatch(settings, (next, last) => {
      // first what may fail, so that a change is applied whole or not at all
      const schema = schemaOf(next);
      const { store } = receiver;
      receiver.store = storeAfter(store, next, last);
      receiver.schema = schema;
      if (receiver.store !== store) {
        store.close();
        newStore.abort();
      } else if (store instanceof ServerStore) store.forgetLimits();
    });
    const refusals = new Refusals();
    const parts = { receiver, settings, configWatch, refusals };
    const app = createApp({
      name: "enrich",
      serviceToken: settings.serviceToken,
      refusals,
      health: () => enrichHealth(parts),
      advice: () => enrichAdvice(parts),
      metrics: enrichMetrics(parts),
      status: () => enrichStatus(parts),
    });
    addPage(app, enrichPage(parts, signal), signal);
    receiver.addTo(app);
    const server = listen(app, { ...settings, setting: "ENRICH_HOST and ENRICH_PORT" });
    onListening(server.url);
    log.info("Listening on {url}, storing in {store}", {
      url: server.url,
      store: receiver.store.status().description,
    });
    const watching = configWatch.run(signal);
    let problem: string | undefined;
    let prunedMs = -Infinity;
    while (!signal.aborted) {
      newStore = new AbortController();
      const { store } = receiver;
      // its requests have deadlines of their own: one that ended with them would hide who is at fault
      await store.probe(signal);
      if (receiver.store !== store) continue;
      if (store instanceof LocalStore && performance.now() - prunedMs > PRUNE_INTERVAL_MS) {
        await prune(store, signal);
        prunedMs = performance.now();
      }
      const now = store.status().problem;
      if (now !== problem && !signal.aborted) {
        if (now) log.warn("Cannot store: {problem}", { problem: now });
        else log.info("Storing again");
        problem = now;
      }
      const pauseMs = now ? PROBE_AGAIN_MS : PROBE_INTERVAL_MS;
      await sleep(pauseMs, AbortSignal.any([signal, newStore.signal]));
    }
    await watching;
    await server.close();
  } finally {
    receiver.store.close();
  }
}

if (import.meta.main) {
  const help = `enrich: gives Home Assistant's events their meaning and stores them.

Usage: enrich [--help] [--version]
       enrich check [--create] [--help]   tries everything that the settings name; makes a database
                                          or bucket that is missing
       enrich health                      says whether the running enrich does its work
       enrich export [--help]             sends the local store to an InfluxDB that was set later
       enrich from-home-assistant FOLDER  makes settings of Home Assistant's own, where its
                                          integration influxdb wrote before

Settings, from the environment or an .env in the working directory:
${settingsHelp("enrich")}`;
  Deno.exit(
    await runProgram({
      name: "enrich",
      help,
      commands: {
        check: checkStore,
        export: exportStore,
        "from-home-assistant": fromHomeAssistant,
      },
      readSettings: enrichSettings,
      run: enrich,
    }, Deno.args),
  );
}
