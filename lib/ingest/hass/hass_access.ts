/** The way to Home Assistant: where it is, whom to trust, and what a proxy before it asks for. */
import { certificateFault, clientTrusting } from "../../certificates.ts";
import { deadline, describeError } from "../../retry.ts";
import { webSocketUrl } from "./protocol.ts";

/** What is read again for each connection may throw an Error that names the setting. */
export interface HassAccess {
  /** Of the WebSocket. */
  readonly url: string;
  /** PEM text of certificate authorities to trust besides the usual ones. */
  readonly caCert?: () => string;
  /** What is sent besides, by lower-case names. */
  readonly headers?: () => ReadonlyMap<string, string>;
}

export interface HassAccessSettings {
  readonly hassUrl: string;
  readonly hassCaCert?: HassAccess["caCert"];
  readonly hassHeaders?: HassAccess["headers"];
}

export function accessOf({ hassUrl, hassCaCert, hassHeaders }: HassAccessSettings): HassAccess {
  return { url: webSocketUrl(hassUrl), caCert: hassCaCert, headers: hassHeaders };
}

/** An answer to a request that is no WebSocket's. */
export interface HassAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Its beginning. */
  readonly body: string;
}

/** Something stands between ingest and Home Assistant that a person can do something about. */
export class HassFault extends Error {
  override readonly name = "HassFault";
  constructor(message: string, readonly action: string) {
    super(message);
  }
}

/** Where the WebSocket is when it is asked for without being one. */
export function plainUrl({ url }: HassAccess): URL {
  return new URL(url.replace(/^ws/, "http"));
}

/** Begins to open a WebSocket. `client` is to be closed once that has succeeded or failed. Throws what access throws. */
export function openWebSocket(
  { url, caCert, headers }: HassAccess,
): { readonly socket: WebSocket; readonly client: Deno.HttpClient | undefined } {
  const given = Object.fromEntries(headers?.() ?? []);
  const pem = caCert?.();
  const client = pem === undefined ? undefined : clientTrusting(pem);
  return { socket: new WebSocket(url, { headers: given, ...(client && { client }) }), client };
}

/**
 * Asks for the WebSocket without opening it: no other path can be asked without a token, and not
 * count as a failed login. Throws what access throws, and what fetch throws where nothing answers.
 */
export async function askPlainly(access: HassAccess, signal: AbortSignal): Promise<HassAnswer> {
  const headers = new Headers([...access.headers?.() ?? []]);
  const pem = access.caCert?.();
  const client = pem === undefined ? undefined : clientTrusting(pem);
  try {
    const response = await fetch(plainUrl(access), {
      headers,
      redirect: "manual",
      signal,
      ...(client && { client }),
    });
    const { status, headers: answered } = response;
    return { status, headers: answered, body: await beginningOf(response) };
  } finally {
    client?.close();
  }
}

/** Home Assistant's own has 23. */
const MAX_BODY_CHARS = 10_000;

/** What answers may be a camera or a download, and have no end. */
async function beginningOf({ body }: Response): Promise<string> {
  let text = "";
  for await (const part of body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part;
    if (text.length >= MAX_BODY_CHARS) break;
  }
  return text;
}

const ASK_DEADLINE_MS = 10_000;

/**
 * Why a WebSocket was not opened. Over TLS Deno tries HTTP/2 after whatever HTTP/1 failed at, and
 * tells of that alone: so the answer, or the certificate, is looked at once more.
 */
export async function openingFault(
  access: HassAccess,
  error: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  if (!access.url.startsWith("wss:") && !/status code/.test(describeError(error))) return error;
  const url = plainUrl(access);
  try {
    const answer = await askPlainly(access, deadline(ASK_DEADLINE_MS, signal));
    return answerFault(answer, url) ??
      new HassFault(
        `${url.origin} is Home Assistant, but opens no WebSocket (${describeError(error)})`,
        "let the proxy before it pass WebSockets on",
      );
  } catch (asked) {
    return certificateFaultOf(describeError(asked), url) ?? error;
  }
}

/** What is wrong with the certificate of the URL's host; undefined where `reason` speaks of none. */
export function certificateFaultOf(reason: string, { host }: URL): HassFault | undefined {
  const fault = certificateFault(reason, { url: "HASS_URL", authority: "HASS_CA_FILE" });
  return fault && new HassFault(`The certificate of ${host} ${fault.state}`, fault.wish);
}

const MAX_REDIRECT_CHARS = 200;

/** What the answer has against being Home Assistant's, and what to do; undefined where nothing. */
export function answerFault(
  { status, headers, body }: HassAnswer,
  url: URL,
): HassFault | undefined {
  const { origin } = url;
  if (status === 400 && /websocket/i.test(body)) return undefined;
  const location = URL.parse(headers.get("location") ?? "", url);
  if (location && location.origin !== origin) {
    return new HassFault(
      `${origin} redirects to ${location.origin.slice(0, MAX_REDIRECT_CHARS)}`,
      "set HASS_URL to that, or where that is a proxy's login page HASS_HEADERS to what the proxy asks for",
    );
  }
  if (status === 401) {
    return new HassFault(
      `${origin} answers 401: a proxy before Home Assistant asks for credentials`,
      "set HASS_HEADERS to what it asks for",
    );
  }
  if (status === 403) {
    return new HassFault(
      `${origin} answers 403: Home Assistant has banned this machine after failed logins, or ` +
        "a proxy lets nobody in",
      "delete its address from ip_bans.yaml in Home Assistant's configuration folder and restart " +
        "it, or set HASS_HEADERS to what the proxy asks for",
    );
  }
  if (status === 400) {
    return new HassFault(
      `${origin} answers 400: Home Assistant does not trust the proxy before it`,
      "name the proxy in its configuration.yaml, under http:, trusted_proxies",
    );
  }
  if (status >= 500) {
    return new HassFault(
      `${origin} answers ${status}`,
      "see that Home Assistant runs behind this proxy",
    );
  }
  return new HassFault(
    `${origin} answers ${status}, as Home Assistant does not`,
    `check HASS_URL and its path${portWish(url)}`,
  );
}

/** What to say besides of a URL that may lack its port. */
export function portWish({ port, protocol, hostname }: URL): string {
  return port === ""
    ? `, which names no port: Home Assistant's own is 8123, so try ${protocol}//${hostname}:8123`
    : "";
}
