/**
 * The environment as typed settings. Every problem is named at once and by name, before anything is
 * opened.
 */
import { z } from "zod";
import { fileNotes, readConfigFile } from "./config_file.ts";
import { influxdbSettings } from "./influxdb_settings.ts";
import { exists } from "./text_file.ts";
import { LOG_FORMATS, LOG_LEVELS } from "../log.ts";
import { retentionPeriod } from "./retention_period.ts";
import { givenSecret, SECRETS } from "./secret.ts";
import {
  type Configured,
  type Environment,
  listeningHost,
  numberOf,
  port,
  SettingsReader,
  urlOf,
} from "./settings_reader.ts";

const shared = {
  DATA_DIR: z.string().default("./data").describe(
    "Folder of the outbox and of the local store",
  ),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(", ")}`)
    .default("info")
    .describe("The least level that is logged"),
  LOG_FORMAT: z.enum(LOG_FORMATS, `must be one of ${LOG_FORMATS.join(", ")}`)
    .default("text")
    .describe("text for people, json for machines"),
};

/** A path that is copied with the address of one of Home Assistant's pages, or of another API. */
const OF_A_PAGE =
  /\/(?:api(?:\/(?!websocket$).*)?|(?:lovelace|developer-tools|profile|auth)(?:\/.*)?|dashboard-[\w-]+(?:\/.*)?)$/;

/** What ingest reads of the environment, secrets apart. */
export const ingestSchema = z.object({
  ...shared,
  HASS_URL: urlOf(
    ["http:", "https:", "ws:", "wss:"],
    "http://192.168.1.10:8123",
  ).refine((url) => !OF_A_PAGE.test(url), {
    error: "must be the address alone, without the path of a page or of the API, " +
      "for example http://192.168.1.10:8123",
  }).optional()
    .describe("Home Assistant's address; a path prefix is kept"),
  HASS_CA_FILE: z.string().optional().describe(
    "PEM file of the certificate authority to trust for Home Assistant, besides the usual ones",
  ),
  SOURCE: z.string().optional().describe(
    "Names the house: tag source of every point",
  ),
  INGEST_HOST: listeningHost("ingest"),
  INGEST_PORT: port.default(8001).describe("Port that ingest listens on"),
  BACKFILL_DAYS: numberOf({ min: 0, max: 3_650 }).default(10)
    .describe("How much of Home Assistant's history the first start imports, in days; 0 for none"),
  SNAPSHOT_MINUTES: numberOf({ min: 0, max: 1_440 }).default(60)
    .describe("How often every entity's present state is stored, in minutes; 0 for never"),
  OUTBOX_MAX_MB: numberOf({ min: 8, max: 1_000_000 }).default(1024)
    .describe("The most that the outbox may take on the disk, in MB"),
  ENRICHMENT_SERVICE_URL: urlOf(["http:", "https:"], "http://127.0.0.1:8002")
    .default("http://127.0.0.1:8002")
    .describe("Address of enrich"),
});

const VERSIONS = { "1": 1, "2": 2, "3": 3 } as const;

/** What enrich reads of the environment, secrets apart. */
export const enrichSchema = z.object({
  ...shared,
  ENRICH_HOST: listeningHost("enrich"),
  ENRICH_PORT: port.default(8002).describe("Port that enrich listens on"),
  SCHEMA: z.enum(["tidy", "homeassistant"], "must be tidy or homeassistant").default("tidy")
    .describe("How events become points; homeassistant: as its influxdb integration writes them"),
  CONFIG_FILE: z.string().optional().describe(
    "YAML file with Home Assistant's influxdb: block: connection, filters, names",
  ),
  ATTRIBUTES: z.enum(
    ["standard", "all", "none"],
    "must be one of standard, all, none",
  ).default("standard")
    .describe("Which attributes of a state are stored"),
  LOCAL_STORE_DAYS: numberOf({ min: 1, max: 36_500 }).default(30)
    .describe("How long the local store keeps a point, in days"),
  LOCAL_STORE_MAX_MB: numberOf({ min: 8, max: 1_000_000 }).default(4096)
    .describe(
      "The most that the local store may take on the disk, in MB; its oldest points go first",
    ),
  INFLUXDB_URL: urlOf(["http:", "https:"], "http://127.0.0.1:8086").optional()
    .describe("Address of InfluxDB or VictoriaMetrics; without it the local store is used"),
  INFLUXDB_VERSION: z.enum(["1", "2", "3"], "must be 1, 2 or 3").transform((n) => VERSIONS[n])
    .optional()
    .describe("1 with INFLUXDB_DATABASE, 2 with INFLUXDB_BUCKET, unless set; needed for 3"),
  INFLUXDB_ORG: z.string().optional().describe(
    "Organization of the bucket (2.x): its name, or its id of 16 digits",
  ),
  INFLUXDB_BUCKET: z.string().optional().describe("Bucket (2.x)"),
  INFLUXDB_DATABASE: z.string().optional().describe("Database (1.x, 3, VictoriaMetrics)"),
  INFLUXDB_USERNAME: z.string().optional().describe("User (1.x, VictoriaMetrics)"),
  VICTORIAMETRICS_RETENTION: retentionPeriod.optional()
    .describe("VictoriaMetrics' -retentionPeriod, where enrich cannot read its /metrics"),
});

const KNOWN_NAMES = [
  ...Object.keys(ingestSchema.shape),
  ...Object.keys(enrichSchema.shape),
  ...SECRETS.flatMap((name) => [name, `${name}_FILE`]),
];

/** Where the token is given, and so what it takes for a new one to count. */
export type HassTokenOrigin = "variable" | "file" | "credential" | "supervisor";

export type IngestSettings = NonNullable<ReturnType<typeof readIngest>>;
export interface EnrichSettings extends NonNullable<ReturnType<typeof readEnrich>> {
  /** Reads the same environment again, with the files that it names. Throws ConfigError. */
  readonly reread: () => Configured<EnrichSettings>;
}

/** Where Home Assistant is for an app (add-on) of its own, which need not name it. */
export const SUPERVISED_URL = "http://supervisor/core";

function readIngest(reader: SettingsReader, env: Environment) {
  // in an app (add-on) the Supervisor names itself and hands out a token
  const supervised = !env.HASS_URL && env.SUPERVISOR_TOKEN ? env.SUPERVISOR_TOKEN : undefined;
  const parsed = reader.parse(ingestSchema);
  const hassToken = supervised
    ? givenSecret("HASS_TOKEN", supervised)
    : reader.secret("HASS_TOKEN");
  const hassTokenOrigin: HassTokenOrigin = supervised
    ? "supervisor"
    : env.HASS_TOKEN?.trim()
    ? "variable"
    : env.HASS_TOKEN_FILE?.trim()
    ? "file"
    : "credential";
  const hassHeaders = reader.headers("HASS_HEADERS");
  const hassCaCert = reader.certificates("HASS_CA_FILE", parsed?.HASS_CA_FILE);
  const serviceToken = reader.secret("SERVICE_TOKEN");
  const hassUrl = parsed?.HASS_URL ??
    (supervised ? SUPERVISED_URL : undefined);
  if (parsed && !hassUrl) {
    reader.problems.push(
      "HASS_URL is not set: it must name Home Assistant, for example http://192.168.1.10:8123",
    );
  }
  if (
    !hassToken && !reader.problems.some((problem) => /HASS_TOKEN/.test(problem))
  ) {
    reader.problems.push(
      "HASS_TOKEN is not set: make a long-lived access token in Home Assistant, " +
        "under your profile (bottom left), Security, and set it, or HASS_TOKEN_FILE",
    );
  }
  if (parsed) reader.checkListening("INGEST_HOST", parsed.INGEST_HOST, serviceToken);
  if (!parsed || !hassUrl || !hassToken) return undefined;
  return {
    dataDir: parsed.DATA_DIR,
    logLevel: parsed.LOG_LEVEL,
    logFormat: parsed.LOG_FORMAT,
    hassUrl,
    hassToken,
    hassTokenOrigin,
    hassCaCert,
    hassHeaders,
    serviceToken,
    source: parsed.SOURCE,
    host: parsed.INGEST_HOST,
    port: parsed.INGEST_PORT,
    importDays: parsed.BACKFILL_DAYS,
    snapshotMinutes: parsed.SNAPSHOT_MINUTES,
    outboxMaxBytes: parsed.OUTBOX_MAX_MB * 1_000_000,
    enrichmentServiceUrl: parsed.ENRICHMENT_SERVICE_URL,
  };
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

/** Ingest's settings. Throws ConfigError with every problem. */
export function ingestSettings(env: Environment): Configured<IngestSettings> {
  const reader = new SettingsReader(env);
  return reader.finish(readIngest(reader, env), KNOWN_NAMES);
}

/** Enrich's settings. Throws ConfigError with every problem. */
export function enrichSettings(env: Environment): Configured<EnrichSettings> {
  const reader = new SettingsReader(env);
  const { settings, warnings } = reader.finish(readEnrich(reader, env), KNOWN_NAMES);
  return { settings: { ...settings, reread: () => enrichSettings(env) }, warnings };
}
