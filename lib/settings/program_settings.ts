/** What both programs read of the environment: its schemas, secrets apart. */
import * as z from "zod";
import { LOG_FORMATS, LOG_LEVELS } from "../log.ts";
import { retentionPeriod } from "./retention_period.ts";
import { SECRETS } from "./secret.ts";
import { listeningHost, numberOf, port, urlOf } from "./settings_reader.ts";

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

/** A path that is copied with the address of one of Home Assistant's pages, or of another API; a prefix may hold such words. */
const OF_A_PAGE =
  /^\w+:\/\/[^/]+\/(?:api(?:\/(?!websocket$).*)?|(?:developer-tools|profile|auth|dashboard-[\w-]+)(?:\/.*)?)$|\/(?:api\/?|lovelace(?:\/.*)?)$/;

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

/** What may be set; a name like one of them is a slip. */
export const KNOWN_NAMES = [
  ...Object.keys(ingestSchema.shape),
  ...Object.keys(enrichSchema.shape),
  ...SECRETS.flatMap((name) => [name, `${name}_FILE`]),
];
