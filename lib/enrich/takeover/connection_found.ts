/** Where InfluxDB is, as Home Assistant knows it: in its own settings since 2026.3, before in YAML. */
import { join } from "node:path";
import * as z from "zod";
import type { FileOptions } from "../../settings/file_options.ts";
import { urlOf } from "../../settings/influxdb_settings.ts";
import { ConfigError, urlOf as urlSchema } from "../../settings/settings_reader.ts";
import { exists, readTextFile } from "../../settings/text_file.ts";

export interface ConnectionFound {
  /** Where it stands, for the beginning of a sentence. */
  readonly place: string;
  readonly version: 1 | 2;
  /** The address; undefined where none is named. */
  readonly url: string | undefined;
  readonly database: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly org: string | undefined;
  readonly bucket: string | undefined;
  readonly token: string | undefined;
  readonly verifies: boolean;
  /** The certificate's path, as Home Assistant has it. */
  readonly caCert: string | undefined;
  /** What a person must know of it. */
  readonly notes: readonly string[];
}

/** Thousands of entries have some MB. */
const MAX_BYTES = 100_000_000;
const ENTRIES = ".storage/core.config_entries";

/** A key that stands beside them is nobody's business. */
const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

const text = z.string().nullish().transform((value) => value || undefined);

/** The data of an entry (homeassistant/components/influxdb/config_flow.py); v1 has host and the like, v2 url. */
const dataSchema = z.object({
  api_version: z.union([z.string(), z.number()]).transform(String).default("1"),
  host: text,
  port: z.number().nullish(),
  ssl: z.boolean().nullish(),
  path: text,
  database: text,
  username: text,
  password: text,
  url: text,
  organization: text,
  bucket: text,
  token: text,
  verify_ssl: z.boolean().nullish(),
  ssl_ca_cert: text,
});

const entriesSchema = z.object({
  data: z.object({
    entries: z.array(z.object({
      domain: z.string(),
      disabled_by: z.string().nullish(),
      data: z.unknown(),
    })),
  }),
});

const address = urlSchema(["http:", "https:"], "http://192.168.1.10:8086");

/**
 * The connection of the folder's entry, or undefined where there is none. Throws ConfigError, whose
 * sentences hold no value of the file.
 */
export function connectionOfEntry(folder: string): ConnectionFound | undefined {
  const path = join(folder, ENTRIES);
  let json: string;
  try {
    json = readTextFile(path, MAX_BYTES);
  } catch (error) {
    const reason = error instanceof Error ? error.message : "";
    if (reason === "there is none") return undefined;
    throw new ConfigError([
      `${path} cannot be read (${reason}): run this as a user who may read it, for the connection ` +
      "to InfluxDB may stand there",
    ]);
  }
  const entry = entriesOf(path, json).find(({ domain }) => domain === "influxdb");
  const data = entry && dataSchema.safeParse(entry.data);
  if (!data) return undefined;
  const { api_version: version } = data.data ?? {};
  if (!data.success || (version !== "1" && version !== "2")) {
    throw new ConfigError([
      `${ENTRIES}: the entry of influxdb is none that is known here: set INFLUXDB_URL and its like ` +
      "yourself",
    ]);
  }
  const { host, port, path: prefix, ssl, url, verify_ssl, ssl_ca_cert, organization, ...rest } =
    data.data;
  const given = version === "2" || host === undefined ? url : urlOf(
    // Home Assistant keeps an IPv6 address without its brackets
    host.includes(":") && !host.startsWith("[") ? `[${host}]` : host,
    { port: port ?? undefined, ssl: ssl ?? undefined, path: prefix },
    1,
  );
  const checked = given === undefined ? undefined : address.safeParse(given);
  const notes: string[] = [];
  if (entry.disabled_by) {
    notes.push(`${ENTRIES}: the entry is disabled: Home Assistant writes nothing by it`);
  }
  if (checked?.error) {
    const [issue] = checked.error.issues;
    notes.push(`${ENTRIES}: the address is left out: it ${issue?.message}`);
  }
  return {
    ...rest,
    place: ENTRIES,
    version: version === "2" ? 2 : 1,
    url: checked?.data,
    org: organization,
    verifies: verify_ssl ?? true,
    caCert: ssl_ca_cert,
    notes,
  };
}

function entriesOf(path: string, json: string) {
  try {
    return entriesSchema.parse(JSON.parse(json)).data.entries;
  } catch {
    throw new ConfigError([`${path} is not what Home Assistant 2026 writes: is it whole?`]);
  }
}

/** That of a block that has any of a connection's options, for Home Assistant before 2026.3. */
export function connectionOfBlock(place: string, options: FileOptions): ConnectionFound {
  const version = options.api_version === "2" ? 2 : 1;
  const { host, organization, verify_ssl, ssl_ca_cert } = options;
  return {
    place,
    version,
    url: host === undefined ? undefined : urlOf(host, options, version),
    database: options.database,
    username: options.username,
    password: options.password,
    org: organization,
    bucket: options.bucket,
    token: options.token,
    verifies: verify_ssl,
    caCert: ssl_ca_cert,
    notes: [],
  };
}

/**
 * The text of the certificate. `/config` is what the folder is called inside Home Assistant's
 * container. Throws an Error that says why it cannot be taken over.
 */
export function certificateText(folder: string, path: string): string {
  const inStorage = /\/\.storage\/influxdb\/[^/]+$/.exec(path)?.[0];
  const places = [
    inStorage && join(folder, inStorage),
    path.startsWith("/config/") && join(folder, path.slice("/config/".length)),
    path.startsWith("/") ? path : join(folder, path),
  ].filter((place) => typeof place === "string");
  const found = places.find(exists) ?? path;
  const certificates = readTextFile(found, MAX_BYTES).match(CERTIFICATES);
  if (certificates) return `${certificates.join("\n")}\n`;
  throw new Error("it is no PEM: openssl x509 -inform der makes one of it");
}
