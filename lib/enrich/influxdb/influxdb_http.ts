/** HTTP with one InfluxDB: where it is, who asks, whom to trust, how long an answer may take, its clock. */
import { Buffer } from "node:buffer";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { certificateFault, clientTrusting } from "../../certificates.ts";
import { rememberSecret } from "../../log.ts";
import { answeringScheme, deadline, describeError } from "../../retry.ts";
import { isLoopback } from "../../settings/settings_reader.ts";
import { type Answer, InfluxDbFault } from "./influxdb_answer.ts";
import { StoreUnavailable } from "../store.ts";

/** Secrets are functions, called again at each request, so that a changed one needs no restart; they may throw. */
export interface InfluxDbConnection {
  /** Where InfluxDB is; a path is kept, user and password in it are not used. */
  readonly url: string;
  readonly version: 1 | 2 | 3;
  readonly token?: () => string | undefined;
  readonly username?: () => string | undefined;
  readonly password?: () => string | undefined;
  /** What is sent besides, for a proxy before InfluxDB, by lower-case names. */
  readonly headers?: () => ReadonlyMap<string, string>;
  /** PEM text of a certificate authority to trust besides the built-in ones; may throw. */
  readonly caCert?: () => string | undefined;
  readonly requestDeadlineMs?: number;
  /** Whether large bodies are compressed: unless given, those that leave this machine. */
  readonly compresses?: boolean;
  /** What messages call the server, where it is known to be no InfluxDB. */
  readonly serverName?: () => string | undefined;
  /** The name of the file that may hold settings, too, for messages. */
  readonly configFile?: string;
}

export interface InfluxDbRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly contentType?: string;
  readonly body?: string;
}

/** Below some packet's worth of text, gzip saves nothing. */
const GZIP_FROM_CHARS = 1_400;

const compress = promisify(gzip);

export class InfluxDbHttp {
  readonly #connection: InfluxDbConnection;
  readonly #compresses: boolean;
  /** The URL without user, password and query, for people and as the base of requests. */
  readonly address: string;
  #trusting: { readonly pem: string; readonly client: Deno.HttpClient } | undefined;
  /** The server's clock less this process's monotonic one. */
  #clockAheadMs: number | undefined;
  #closed = false;

  constructor(connection: InfluxDbConnection) {
    this.#connection = connection;
    const { protocol, host, hostname, pathname } = new URL(connection.url);
    this.address = `${protocol}//${host}${pathname.replace(/\/+$/, "")}`;
    this.#compresses = connection.compresses ?? !isLoopback(hostname.replace(/^\[|\]$/g, ""));
  }

  /** Now, in milliseconds since 1970, by the server's clock; undefined where its last answer told none. */
  nowMs(): number | undefined {
    return this.#clockAheadMs === undefined ? undefined : performance.now() + this.#clockAheadMs;
  }

  /**
   * The answer, whatever its status. Throws InfluxDbFault where there is none, or a secret or
   * certificate cannot be used; StoreUnavailable where the caller's time is up, or after `close`.
   */
  async ask(
    { method, path, query = {}, contentType, body = "" }: InfluxDbRequest,
    signal: AbortSignal,
  ): Promise<Response> {
    if (this.#closed) throw new StoreUnavailable("InfluxDB is no longer to be asked there");
    const { requestDeadlineMs = 10_000 } = this.#connection;
    const headers = this.#headers();
    if (contentType) headers.set("content-type", contentType);
    const zipped = this.#compresses && body.length >= GZIP_FROM_CHARS;
    if (zipped) headers.set("content-encoding", "gzip");
    const url = new URL(this.address + path);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, value);
    }
    const client = this.#client();
    try {
      const response = await fetch(url, {
        method,
        headers,
        body: method === "GET" ? undefined : zipped ? new Uint8Array(await compress(body)) : body,
        redirect: "error",
        signal: deadline(requestDeadlineMs, signal),
        ...(client && { client }),
      });
      const dateMs = Date.parse(response.headers.get("date") ?? "");
      this.#clockAheadMs = Number.isNaN(dateMs) ? undefined : dateMs - performance.now();
      return response;
    } catch (error) {
      // that the caller's time is up says nothing about InfluxDB
      if (signal.aborted) {
        throw new StoreUnavailable(this.named("InfluxDB has not answered in time"));
      }
      const state = error instanceof Error && error.name === "TimeoutError"
        ? `no answer within ${requestDeadlineMs / 1000} s; check that it runs, and INFLUXDB_URL`
        : stateOf(describeError(error));
      // which it is, is not known before it has answered
      const who = this.#connection.serverName?.() ?? "the database";
      throw this.fault(`Cannot reach ${who} at ${this.address}: ${state}`);
    }
  }

  /** The fault in the user's own words: with the option of the file beside the variable. */
  fault(message: string, answer?: Answer): InfluxDbFault {
    const { configFile } = this.#connection;
    return new InfluxDbFault(this.named(message), { answer, configFile });
  }

  /** A message about InfluxDB, with the server's own name in place of that where it is known to be none. */
  named(message: string): string {
    const name = this.#connection.serverName?.();
    if (name === undefined) return message;
    const owner = name.endsWith("s") ? `${name}'` : `${name}'s`;
    return message.replaceAll("InfluxDB's", owner).replaceAll("InfluxDB", name);
  }

  /** What is under way comes to its end; nothing more is asked. */
  close(): void {
    this.#closed = true;
    this.#trusting?.client.close();
  }

  #headers(): Headers {
    const { version } = this.#connection;
    const { token, username, password, besides } = this.#secrets();
    const headers = new Headers([...besides]);
    if (version === 1 && username) {
      const credentials = Buffer.from(`${username}:${password ?? ""}`).toString("base64");
      rememberSecret(credentials);
      headers.set("authorization", `Basic ${credentials}`);
    } else if (version !== 1 && token) {
      // the error that Headers throws would show the token
      if (!/^[\x21-\x7e]+$/.test(token)) {
        throw this.fault(
          "Cannot write to InfluxDB: INFLUXDB_TOKEN holds a space, a line break or a character that no token has",
        );
      }
      headers.set("authorization", `Token ${token}`);
    }
    return headers;
  }

  #secrets() {
    const { token, username, password, headers } = this.#connection;
    try {
      return {
        token: token?.(),
        username: username?.(),
        password: password?.(),
        besides: headers?.() ?? [],
      };
    } catch (error) {
      throw this.fault(describeError(error));
    }
  }

  /** What trusts the user's own certificate authority; made anew when its text has changed. */
  #client(): Deno.HttpClient | undefined {
    let pem: string | undefined;
    try {
      pem = this.#connection.caCert?.();
    } catch (error) {
      throw this.fault(describeError(error));
    }
    if (pem === this.#trusting?.pem) return this.#trusting?.client;
    this.#trusting?.client.close();
    this.#trusting = undefined;
    if (pem === undefined) return undefined;
    try {
      this.#trusting = { pem, client: clientTrusting(pem) };
    } catch (error) {
      throw this.fault(
        `Cannot trust what ssl_ca_cert names (${describeError(error)}): it must be a PEM file ` +
          "with the certificate of an authority",
      );
    }
    return this.#trusting.client;
  }
}

/** What went wrong and what to do, of the words of fetch and of rustls below it. */
function stateOf(reason: string): string {
  const certificate = certificateFault(reason, {
    url: "INFLUXDB_URL",
    authority: "ssl_ca_cert in CONFIG_FILE",
  });
  if (certificate) return `its certificate ${certificate.state}; ${certificate.wish}`;
  if (/redirect/i.test(reason)) {
    return "it redirects; set INFLUXDB_URL to where that leads, or where that is a proxy's login page " +
      "set INFLUXDB_HEADERS to what the proxy asks for";
  }
  const scheme = answeringScheme(reason);
  if (scheme) return `${reason}; begin INFLUXDB_URL with ${scheme}://`;
  return `${reason}; check that it runs, and INFLUXDB_URL`;
}
