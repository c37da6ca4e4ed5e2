/** The settings of Home Assistant's `influxdb` integration, as those of enrich. */
import { stringify } from "yaml";
import { optionsIn } from "../../settings/config_file.ts";
import { CONNECTION } from "../../settings/file_options.ts";
import { DEFAULTS } from "../../settings/influxdb_settings.ts";
import { ConfigError, type Environment } from "../../settings/settings_reader.ts";
import {
  certificateText,
  type ConnectionFound,
  connectionOfBlock,
  connectionOfEntry,
} from "./connection_found.ts";
import { envLine } from "./env_line.ts";
import { type HouseBlock, readHouseBlock } from "./house_block.ts";

export const YAML_FILE = "influxdb.yaml";
export const CA_FILE = "influxdb-ca.pem";
export const ENV_FILE = "influxdb.env";

/** Options that only say where InfluxDB is, or that do nothing here. */
const NOT_IN_FILE = [...CONNECTION, "verify_ssl", "max_retries"];

/** Any of these that is set beside the new lines contradicts them, or is one of them. */
const CONNECTION_SETTINGS = [
  "SCHEMA",
  "CONFIG_FILE",
  ...["URL", "VERSION", "ORG", "BUCKET", "DATABASE", "USERNAME"].map((name) => `INFLUXDB_${name}`),
  ...["TOKEN", "PASSWORD"].flatMap((name) => [`INFLUXDB_${name}`, `INFLUXDB_${name}_FILE`]),
];

/** What is made of the folder. */
export interface Takeover {
  /** For CONFIG_FILE. It holds nothing of the connection but the name of the certificate's file. */
  readonly yaml: string;
  /** For `.env`, with what is secret. */
  readonly env: string;
  readonly caCert: string | undefined;
  /** Sentences for a person, without what is secret: what stands where, what is not taken over, what to do. */
  readonly found: readonly string[];
  readonly left: readonly string[];
  readonly todo: readonly string[];
}

/**
 * Reads the folder that `configuration.yaml` is in; the files will stand in the folder `into`.
 * Undefined where it knows of no integration.
 * Throws ConfigError with what is wrong in it.
 */
export function takeoverOf(
  folder: string,
  into: string,
  env: Environment,
): Takeover | undefined {
  const block = readHouseBlock(folder, env);
  if (block.problems.length > 0) throw new ConfigError(block.problems);
  const entry = connectionOfEntry(folder);
  if (!block.value && !entry) return undefined;
  const { connection, idle } = connectionOf(block, entry);
  const caCert = certificateOf(folder, into, connection?.caCert);
  const left = [...block.notes, ...(connection?.notes ?? []), ...idle];
  if (block.value?.max_retries !== undefined) {
    left.push("max_retries: what InfluxDB does not take is kept, and tried without end");
  }
  const { lines, unsaid } = linesOf(into, connection);
  const set = CONNECTION_SETTINGS.filter((name) => env[name]?.trim());
  const from = connection ? ` of ${connection.place}` : "";
  const todo = [
    ...unsaid.map((name) =>
      `${name} has signs that not every program reads alike in an .env: write that${from} ` +
      `into a file, and name it by ${name}_FILE`
    ),
    ...(set.length > 0
      ? [
        `Take these out of your .env, or wherever they are set now: ${set.join(", ")}. The new ` +
        "lines take their place",
      ]
      : []),
    ...caCert.todo,
    ...advice(into, connection, caCert.text !== undefined),
  ];
  return {
    yaml: yamlOf(block.value ?? {}, caCert.text !== undefined),
    // an .env that they are added to may lack the line break at its end
    env: `\n${lines.map(({ line }) => line).join("\n")}\n`,
    caCert: caCert.text,
    found: [
      ...(connection && connection === entry ? [`${entry.place}: ${shown(entry)}`] : []),
      ...block.found,
    ],
    left,
    todo,
  };
}

/** The entry counts where there is one: what YAML says of the connection is ignored by Home Assistant, too. */
function connectionOf(
  { value, at }: HouseBlock,
  entry: ConnectionFound | undefined,
): { connection: ConnectionFound | undefined; idle: string[] } {
  const named = [...CONNECTION, "verify_ssl"].filter((option) => value?.[option] !== undefined);
  const rules = Object.entries(value ?? {}).filter(([option]) => !entry || !named.includes(option));
  const problems: string[] = [];
  const read = optionsIn("configuration.yaml", { value: Object.fromEntries(rules), at }, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  const [first] = named;
  if (first === undefined) return { connection: entry, idle: [] };
  const { namePlace } = at([first]);
  if (!entry) return { connection: connectionOfBlock(namePlace, read), idle: [] };
  const idle = `${namePlace}: ${named.join(", ")}: the entry's counts, since 2026.3`;
  return { connection: entry, idle: [idle] };
}

function linesOf(into: string, connection: ConnectionFound | undefined) {
  const { version, url, database, username, password, org, bucket, token } = connection ?? {};
  const values = {
    SCHEMA: "homeassistant",
    CONFIG_FILE: `${into}/${YAML_FILE}`,
    INFLUXDB_URL: url,
    ...(version === 1
      ? {
        INFLUXDB_DATABASE: database ?? DEFAULTS.database,
        INFLUXDB_USERNAME: username,
        INFLUXDB_PASSWORD: password,
      }
      : version === 2
      ? {
        INFLUXDB_ORG: org,
        INFLUXDB_BUCKET: bucket ?? DEFAULTS.bucket,
        INFLUXDB_TOKEN: token,
      }
      : {}),
  };
  const lines: { name: string; line: string }[] = [];
  const unsaid: string[] = [];
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue;
    const line = envLine(name, value);
    if (line === undefined) unsaid.push(name);
    else lines.push({ name, line });
  }
  return { lines, unsaid };
}

function yamlOf(block: Readonly<Record<string, unknown>>, hasCaCert: boolean): string {
  const options = Object.entries(block).filter(([option]) => !NOT_IN_FILE.includes(option));
  const influxdb = Object.fromEntries([
    ...options,
    ...(hasCaCert ? [["ssl_ca_cert", CA_FILE]] : []),
  ]);
  const text = stringify({ influxdb: Object.keys(influxdb).length > 0 ? influxdb : null }, {
    version: "1.1",
    schema: "yaml-1.1",
    aliasDuplicateObjects: false,
    defaultStringType: "QUOTE_DOUBLE",
    defaultKeyType: "PLAIN",
    lineWidth: 0,
    nullStr: "",
  });
  return "# What is kept, and how it is named: made by enrich from-home-assistant of the files of Home\n" +
    `# Assistant. Where InfluxDB is stands in .env.\n${text}`;
}

function certificateOf(
  folder: string,
  into: string,
  path: string | undefined,
): { text?: string; todo: readonly string[] } {
  if (path === undefined) return { todo: [] };
  try {
    return { text: certificateText(folder, path), todo: [] };
  } catch (error) {
    const reason = error instanceof Error ? error.message : "";
    return {
      todo: [
        `Home Assistant's ssl_ca_cert cannot be taken over (${reason}): copy the file to ` +
        `${into}/${CA_FILE}, and write ssl_ca_cert: ${CA_FILE} under influxdb: in ${YAML_FILE}`,
      ],
    };
  }
}

function shown({ version, url, database, username, org, bucket }: ConnectionFound): string {
  const parts = { database, user: username, organization: org, bucket };
  const named = Object.entries(parts).flatMap(([name, value]) => value ? [`${name} ${value}`] : []);
  return [`the connection, InfluxDB ${version} at ${url ?? "no address"}`, ...named].join(", ");
}

/** What a person must see to before enrich can write there. */
function advice(
  into: string,
  connection: ConnectionFound | undefined,
  hasCaCert: boolean,
): string[] {
  if (!connection) return ["No connection is found: set INFLUXDB_URL and what goes with it"];
  const { place, version, url, verifies } = connection;
  if (url === undefined) {
    return [`${place} names no host that can be taken over: set INFLUXDB_URL`];
  }
  const { hostname, protocol, port } = new URL(url);
  const steps: string[] = [];
  if (/^(?:127\.[\d.]+|\[::1\]|[^.:]+)$/.test(hostname)) {
    steps.push(
      `INFLUXDB_URL names ${hostname}, as Home Assistant calls it: where enrich runs elsewhere, or ` +
        "in a container, write the address that it has there",
    );
  }
  if (protocol === "https:" && !verifies && !hasCaCert) {
    steps.push(
      "Home Assistant does not look at InfluxDB's certificate (verify_ssl is off), but enrich does: " +
        `where it is of an authority of your own, copy that to ${into}/${CA_FILE}, and write ` +
        `ssl_ca_cert: ${CA_FILE} under influxdb: in ${YAML_FILE}`,
    );
  }
  if (version === 2 && port === "8181") {
    steps.push(
      "Port 8181 is InfluxDB 3's: if it is that, set INFLUXDB_VERSION=3, and INFLUXDB_DATABASE in " +
        "place of INFLUXDB_BUCKET and INFLUXDB_ORG",
    );
  }
  return steps;
}
