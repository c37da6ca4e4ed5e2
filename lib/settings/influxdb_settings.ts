/** Where InfluxDB is and who may write: out of the environment, and of CONFIG_FILE where that is silent. */
import { isDeepStrictEqual } from "node:util";
import type { ConfigFile } from "./config_file.ts";
import { CONNECTION, type FileOptions } from "./file_options.ts";
import { caCertOf, headersBeside } from "./influxdb_transport.ts";
import type { RequestHeaders } from "./request_headers.ts";
import { givenSecret, type Secret } from "./secret.ts";

/** What the environment says. */
export interface InfluxDbEnvironment {
  readonly url: string | undefined;
  readonly version: 1 | 2 | 3 | undefined;
  readonly org: string | undefined;
  readonly bucket: string | undefined;
  readonly database: string | undefined;
  readonly username: string | undefined;
  readonly token: Secret | undefined;
  readonly password: Secret | undefined;
  /** What is sent besides; throws where it cannot be read. */
  readonly headers: (() => RequestHeaders) | undefined;
}

export interface InfluxDbSettings extends InfluxDbEnvironment {
  readonly url: string;
  readonly version: 1 | 2 | 3;
  /** The text of the certificate authority that is trusted besides the system's; throws where it cannot be read. */
  readonly caCert: (() => string) | undefined;
}

/** The integration's own (homeassistant/components/influxdb/const.py and its two clients), but for the host: none is guessed. */
export const DEFAULTS = {
  database: "home_assistant",
  bucket: "Home Assistant",
  1: { ssl: false, port: 8086 },
  2: { ssl: true, port: undefined },
};

/** What a connection is read of. */
export interface ConnectionSources {
  readonly env: InfluxDbEnvironment;
  /** CONFIG_FILE. */
  readonly file: ConfigFile | undefined;
  /** That of a database which came with enrich: it counts only where neither of the others names a host. */
  readonly spare: ConfigFile | undefined;
}

/**
 * The connection, or undefined where none is named. `needed` is whether there must be one, to which
 * the integration's own defaults apply. Adds what is wrong to `problems`.
 */
export function influxdbSettings(
  sources: ConnectionSources,
  needed: boolean,
  problems: string[],
): InfluxDbSettings | undefined {
  const { env, file } = sources;
  const options = connectionOptions(sources);
  const { host } = options;
  if (env.url === undefined && host === undefined) {
    // what is wrong with a faulty file has been said
    if (needed && file?.block === "faulty") return undefined;
    if (needed) {
      problems.push(
        `${file ? `${file.placeOf("host")} names no host, and ` : ""}INFLUXDB_URL is not set: ` +
          "since 2026.3 Home Assistant keeps the connection in its own settings. Run " +
          "enrich from-home-assistant, which finds it there, or set INFLUXDB_URL",
      );
      return undefined;
    }
    const left = Object.entries({ INFLUXDB_DATABASE: env.database, INFLUXDB_BUCKET: env.bucket })
      .find(([, value]) => value);
    if (left) {
      problems.push(`INFLUXDB_URL is not set although ${left[0]} is: set both or neither`);
    }
    return undefined;
  }
  const defaults = needed || host !== undefined;
  const version = versionOf(env, options, defaults);
  if (!version) {
    problems.push(
      env.database
        ? "INFLUXDB_DATABASE and INFLUXDB_BUCKET are both set: leave one out, or set INFLUXDB_VERSION"
        : "INFLUXDB_URL is set without INFLUXDB_DATABASE (1.x, 3, VictoriaMetrics) or INFLUXDB_BUCKET (2.x): set one of them",
    );
    return undefined;
  }
  checkToken(env, options, version, problems);
  const { token, password } = options;
  const url = env.url ?? urlOf(host ?? "", options, version === 2 ? 2 : 1);
  const settings: InfluxDbSettings = {
    url,
    version,
    org: env.org ?? options.organization,
    bucket: env.bucket ?? options.bucket ?? (defaults ? DEFAULTS.bucket : undefined),
    database: env.database ?? options.database ?? (defaults ? DEFAULTS.database : undefined),
    token: env.token ?? (token ? givenSecret("INFLUXDB_TOKEN", token) : undefined),
    // a user of one place with the password of another is nobody
    ...(env.username || env.password ? { username: env.username, password: env.password } : {
      username: options.username,
      password: password ? givenSecret("INFLUXDB_PASSWORD", password) : undefined,
    }),
    caCert: caCertOf(url, file, problems),
    headers: undefined,
  };
  checkCredentials(env, settings, file, problems);
  const authorizedBy = version === 1
    ? settings.username && "INFLUXDB_USERNAME"
    : settings.token && "INFLUXDB_TOKEN";
  return { ...settings, headers: headersBeside(authorizedBy, env.headers, problems) };
}

function connectionOptions({ env, file, spare }: ConnectionSources): Partial<FileOptions> {
  const options = file?.options ?? {};
  if (!spare || env.url !== undefined || file?.options.host !== undefined) return options;
  // an address is of one piece
  const { host, port, ssl, path } = spare.options;
  return { ...spare.options, ...options, host, port, ssl, path };
}

/** Whether both files, beside one and the same environment, name the same connection. */
export function isSameConnection(
  one: ConfigFile | undefined,
  other: ConfigFile | undefined,
): boolean {
  return CONNECTION.every((option) =>
    isDeepStrictEqual(one?.options[option], other?.options[option])
  );
}

function versionOf(
  env: InfluxDbEnvironment,
  options: Partial<FileOptions>,
  defaults: boolean,
): 1 | 2 | 3 | undefined {
  if (env.version) return env.version;
  if (env.database || env.bucket) {
    return env.database && env.bucket ? undefined : env.bucket ? 2 : 1;
  }
  if (options.api_version) return options.api_version === "2" ? 2 : 1;
  // a block without api_version is of 1.x
  return defaults || options.database !== undefined ? 1 : undefined;
}

/** InfluxDB 1 takes no token: where one is set, and only a guess says that it is 1, it may well be 3. */
function checkToken(
  env: InfluxDbEnvironment,
  { api_version, username, database }: Partial<FileOptions>,
  version: 1 | 2 | 3,
  problems: string[],
): void {
  const isKnown = env.version !== undefined || api_version === "1" || env.username || username;
  if (version !== 1 || isKnown || !env.token) return;
  const place = env.database
    ? "INFLUXDB_DATABASE"
    : database === undefined
    ? `the database ${DEFAULTS.database}`
    : "database in CONFIG_FILE";
  problems.push(
    `INFLUXDB_TOKEN is set beside ${place}: for InfluxDB 3 set INFLUXDB_VERSION=3; for InfluxDB 2 ` +
      "set INFLUXDB_BUCKET and INFLUXDB_ORG instead of the database; InfluxDB 1 takes no token",
  );
}

/** As the integration's clients put it together. */
export function urlOf(
  host: string,
  { port, ssl, path }: Partial<FileOptions>,
  version: 1 | 2,
): string {
  const standard = DEFAULTS[version];
  const scheme = ssl ?? standard.ssl ? "https" : "http";
  const portText = port ?? standard.port;
  const pathText = path?.replace(/^\/*/, "/").replace(/\/+$/, "") ?? "";
  return `${scheme}://${host}${portText ? `:${portText}` : ""}${pathText}`;
}

function checkCredentials(
  env: InfluxDbEnvironment,
  settings: InfluxDbSettings,
  file: ConfigFile | undefined,
  problems: string[],
): void {
  const { version, database, bucket, org, token, username, password } = settings;
  const needed = version === 1
    ? { INFLUXDB_DATABASE: database }
    : version === 2
    ? { INFLUXDB_BUCKET: bucket, INFLUXDB_ORG: org, INFLUXDB_TOKEN: token }
    // which may run without authentication
    : { INFLUXDB_DATABASE: database ?? bucket };
  const inFile: Readonly<Record<string, string>> = {
    INFLUXDB_DATABASE: "database",
    INFLUXDB_BUCKET: "bucket",
    INFLUXDB_ORG: "organization",
    INFLUXDB_TOKEN: "token",
  };
  for (const [name, value] of Object.entries(needed)) {
    if (value) continue;
    const other = file ? `, nor ${inFile[name]} in ${file.name}` : "";
    problems.push(`${name} is not set${other}: InfluxDB ${version} needs it`);
  }
  const fromFile = !env.username && !env.password;
  if (version === 1 && Boolean(username) !== Boolean(password)) {
    const place = file?.placeOf(username ? "username" : "password");
    problems.push(
      fromFile
        ? `${place}: username and password go together: set both or neither`
        : "INFLUXDB_USERNAME and INFLUXDB_PASSWORD go together: set both or neither",
    );
  }
  if (!file || env.version) return;
  if (version === 1 && file.options.token !== undefined) {
    problems.push(`${file.placeOf("token")}: token is for api_version: 2, which must be set then`);
  }
  if (version === 2 && file.options.username !== undefined) {
    problems.push(
      `${file.placeOf("username")}: username and password are for api_version: 1; leave them out`,
    );
  }
}
