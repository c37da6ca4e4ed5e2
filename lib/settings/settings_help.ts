/** What a person reads of the settings, out of the schemas that parse them. */
import * as z from "zod";
import { enrichSchema, ingestSchema } from "./program_settings.ts";

/** What a person reads of a setting. */
export interface SettingRow {
  readonly name: string;
  readonly help: string;
  /** What holds where it is not set. */
  readonly standard: string | undefined;
}

/** The settings of a program out of the schemas that parse them, secrets apart. */
export function settingRows(program: "ingest" | "enrich"): readonly SettingRow[] {
  const schema = program === "ingest" ? ingestSchema : enrichSchema;
  return Object.entries(schema.shape).map(([name, setting]) => {
    const { data } = z.safeParse(setting, undefined);
    const standard = data === undefined ? undefined : String(data);
    return { name, help: setting.description ?? "", standard };
  });
}

/** The secrets of a program. Each can also come from a file or a credential. */
export function secretRows(program: "ingest" | "enrich"): readonly SettingRow[] {
  const secrets = program === "ingest"
    ? {
      HASS_TOKEN: "Long-lived access token of Home Assistant",
      HASS_HEADERS: "Headers for a proxy before Home Assistant, one Name: value a line",
    }
    : {
      INFLUXDB_TOKEN: "Token (2.x, 3)",
      INFLUXDB_PASSWORD:
        "Password (1.x, VictoriaMetrics), or a token where 2.x is written to as 1.x",
      INFLUXDB_HEADERS: "Headers for a proxy before InfluxDB, one Name: value a line",
    };
  return Object.entries({ ...secrets, SERVICE_TOKEN: "Shared by the two programs" })
    .map(([name, help]) => ({ name, help, standard: undefined }));
}

/** The settings of a program for its `--help`. */
export function settingsHelp(program: "ingest" | "enrich"): string {
  const rows = [
    ...settingRows(program).map(({ name, help, standard }): [string, string] => [
      name,
      standard === undefined ? help : `${help} (${standard})`,
    ]),
    ...secretRows(program).map(({ name, help }): [string, string] => [
      name,
      `${help}; or ${name}_FILE`,
    ]),
  ];
  return rows.map(([name, help]) => `  ${name.padEnd(24)} ${help}`).join("\n");
}
