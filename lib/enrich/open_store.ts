/** The store that the settings name: that at INFLUXDB_URL, or the local one where none is set. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { makeDataDir, saysReadable } from "../data_dir.ts";
import { getLogger } from "../log.ts";
import { CONNECTION } from "../settings/file_options.ts";
import type { EnrichSettings } from "../settings/enrich_settings.ts";
import { toLine } from "./influxdb/line.ts";
import { LocalStore } from "./local/local_store.ts";
import { pythonLine } from "./homeassistant/python_line.ts";
import { ServerStore, type ServerStoreOptions } from "./victoriametrics/server_store.ts";

export type StoreSettings = Pick<
  EnrichSettings,
  | "influxdb"
  | "victoriaMetricsRetention"
  | "dataDir"
  | "localStoreDays"
  | "localStoreMaxBytes"
  | "schema"
  | "file"
>;

/** The options of the store at INFLUXDB_URL, or undefined where none is set. */
export function influxDbOptions(
  { influxdb, victoriaMetricsRetention, file, schema }: StoreSettings,
): ServerStoreOptions | undefined {
  if (!influxdb) return undefined;
  return {
    ...influxdb,
    username: () => influxdb.username,
    configFile: file && CONNECTION.some((option) => file.options[option] !== undefined)
      ? file.name
      : undefined,
    victoriaMetricsRetention,
    line: schema === "homeassistant" ? pythonLine : toLine,
  };
}

const STORE_NAME = "store.sqlite";

/** Where the local store is. */
export function localStorePath({ dataDir }: StoreSettings): string {
  return join(dataDir, STORE_NAME);
}

export function hasLocalStore(settings: StoreSettings): boolean {
  return existsSync(localStorePath(settings));
}

/** Opens it, and makes the local store's file where there is none. Throws an Error with a hint. */
export function openStore(settings: StoreSettings): ServerStore | LocalStore {
  const options = influxDbOptions(settings);
  if (options) return new ServerStore(options);
  makeDataDir(settings.dataDir);
  const store = openLocalStore(settings);
  const readable = saysReadable(settings.dataDir, STORE_NAME);
  if (readable) getLogger("enrich").warn("{readable}", { readable });
  return store;
}

export function openLocalStore(settings: StoreSettings): LocalStore {
  const { localStoreDays: days, localStoreMaxBytes: maxBytes } = settings;
  return new LocalStore(localStorePath(settings), { days, maxBytes });
}
