/** Enrich's settings, typed. Every problem is named at once and by name, before anything is opened. */
import { fileNotes, readConfigFile } from "./config_file.ts";
import { influxdbSettings } from "./influxdb_settings.ts";
import { enrichSchema, KNOWN_NAMES } from "./program_settings.ts";
import { type Configured, type Environment, SettingsReader } from "./settings_reader.ts";
import { exists } from "./text_file.ts";

export interface EnrichSettings extends NonNullable<ReturnType<typeof readEnrich>> {
  /** Reads the same environment again, with the files that it names. Throws ConfigError. */
  readonly reread: () => Configured<EnrichSettings>;
}

/** In CREDENTIALS_DIRECTORY: the connection of a database that came with enrich, as in compose.yaml. */
const SPARE_CONNECTION = "influxdb.yaml";

function readSpare({ CREDENTIALS_DIRECTORY: folder }: Environment, problems: string[]) {
  const path = `${folder}/${SPARE_CONNECTION}`;
  return folder && exists(path) ? readConfigFile(path, problems) : undefined;
}

function readEnrich(reader: SettingsReader, env: Environment) {
  const parsed = reader.parse(enrichSchema);
  const serviceToken = reader.secret("SERVICE_TOKEN");
  const token = reader.secret("INFLUXDB_TOKEN");
  const password = reader.secret("INFLUXDB_PASSWORD");
  const headers = reader.headers("INFLUXDB_HEADERS");
  if (!parsed) return undefined;
  const { SCHEMA: schema, CONFIG_FILE: path } = parsed;
  reader.checkListening("ENRICH_HOST", parsed.ENRICH_HOST, serviceToken);
  const file = path === undefined ? undefined : readConfigFile(path, reader.problems);
  const given = {
    url: parsed.INFLUXDB_URL,
    version: parsed.INFLUXDB_VERSION,
    org: parsed.INFLUXDB_ORG,
    bucket: parsed.INFLUXDB_BUCKET,
    database: parsed.INFLUXDB_DATABASE,
    username: parsed.INFLUXDB_USERNAME,
    token,
    password,
    headers,
  };
  const spare = readSpare(env, reader.problems);
  const needed = schema === "homeassistant";
  const influxdb = influxdbSettings({ env: given, file, spare }, needed, reader.problems);
  if (file) reader.warnings.push(...fileNotes(file, schema, influxdb !== undefined));
  return {
    dataDir: parsed.DATA_DIR,
    logLevel: parsed.LOG_LEVEL,
    logFormat: parsed.LOG_FORMAT,
    serviceToken,
    host: parsed.ENRICH_HOST,
    port: parsed.ENRICH_PORT,
    schema,
    attributes: parsed.ATTRIBUTES,
    localStoreDays: parsed.LOCAL_STORE_DAYS,
    localStoreMaxBytes: parsed.LOCAL_STORE_MAX_MB * 1_000_000,
    influxdb,
    victoriaMetricsRetention: parsed.VICTORIAMETRICS_RETENTION,
    file,
  };
}

/** Enrich's settings. Throws ConfigError with every problem. */
export function enrichSettings(env: Environment): Configured<EnrichSettings> {
  const reader = new SettingsReader(env);
  const { settings, warnings } = reader.finish(readEnrich(reader, env), KNOWN_NAMES);
  return { settings: { ...settings, reread: () => enrichSettings(env) }, warnings };
}
