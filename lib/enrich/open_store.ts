/** The store that the settings name: InfluxDB, or the local one where none is set. */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { EnrichSettings } from "../settings/program_settings.ts";
import { InfluxDb, type InfluxDbOptions } from "./influxdb/influxdb.ts";
import { toLine } from "./influxdb/line.ts";
import { LocalStore } from "./local/local_store.ts";
import { pythonLine } from "./homeassistant/python_line.ts";

export type StoreSettings = Pick<
  EnrichSettings,
  "influxdb" | "dataDir" | "localStoreDays" | "schema" | "file"
>;

/** The options of InfluxDB, or undefined where none is set. */
export function influxDbOptions(
  { influxdb, file, schema }: StoreSettings,
): InfluxDbOptions | undefined {
  if (!influxdb) return undefined;
  return {
    ...influxdb,
    username: () => influxdb.username,
    configFile: file?.name,
    line: schema === "homeassistant" ? pythonLine : toLine,
  };
}

/** Where the local store is. */
export function localStorePath({ dataDir }: StoreSettings): string {
  return join(dataDir, "store.sqlite");
}

export function hasLocalStore(settings: StoreSettings): boolean {
  return existsSync(localStorePath(settings));
}

/** Opens it, and makes the local store's file where there is none. Throws an Error with a hint. */
export function openStore(settings: StoreSettings): InfluxDb | LocalStore {
  const options = influxDbOptions(settings);
  if (options) return new InfluxDb(options);
  mkdirSync(settings.dataDir, { recursive: true });
  return openLocalStore(settings);
}

export function openLocalStore(settings: StoreSettings): LocalStore {
  return new LocalStore(localStorePath(settings), { days: settings.localStoreDays });
}
