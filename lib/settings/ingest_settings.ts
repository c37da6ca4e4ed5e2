/** Ingest's settings, typed. Every problem is named at once and by name, before anything is opened. */
import { ingestSchema, KNOWN_NAMES } from "./program_settings.ts";
import { givenSecret } from "./secret.ts";
import { type Configured, type Environment, SettingsReader } from "./settings_reader.ts";

/** Where the token is given, and so what it takes for a new one to count. */
export type HassTokenOrigin = "variable" | "file" | "credential" | "supervisor";

export type IngestSettings = NonNullable<ReturnType<typeof readIngest>>;

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

/** Ingest's settings. Throws ConfigError with every problem. */
export function ingestSettings(env: Environment): Configured<IngestSettings> {
  const reader = new SettingsReader(env);
  return reader.finish(readIngest(reader, env), KNOWN_NAMES);
}
