/** What is wrong where no WebSocket of Home Assistant's is opened, and what to do about it. */
import { certificateFault } from "../../certificates.ts";
import { answeringScheme, deadline, describeError } from "../../retry.ts";
import { askPlainly, type HassAccess, type HassAnswer, plainUrl } from "./hass_access.ts";

/** Something stands between ingest and Home Assistant that a person can do something about. */
export class HassFault extends Error {
  override readonly name = "HassFault";
  constructor(message: string, readonly action: string) {
    super(message);
  }
}

const ASK_DEADLINE_MS = 10_000;
/** So long what was seen holds for the same failure: a Home Assistant that starts is not asked thrice each time. */
const SEEN_MS = 5_000;
let seen:
  | { readonly failure: string; readonly untilMs: number; readonly fault: unknown }
  | undefined;

/**
 * Why a WebSocket was not opened. Deno tells little of that, and over TLS only of HTTP/2, which it
 * tries after whatever HTTP/1 failed at: so the answer, or what is in its way, is looked at once more.
 */
export async function openingFault(
  access: HassAccess,
  error: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  const url = plainUrl(access);
  const words = describeError(error);
  const wasAnswered = access.url.startsWith("wss:") || /status code/.test(words);
  const look = () => lookAt(access, error, { url, wasAnswered, signal });
  if (wasAnswered) return await look();
  const failure = `${url} ${words}`;
  if (seen?.failure !== failure || performance.now() >= seen.untilMs) {
    seen = { failure, fault: await look(), untilMs: performance.now() + SEEN_MS };
  }
  return seen.fault;
}

async function lookAt(
  access: HassAccess,
  error: unknown,
  { url, wasAnswered, signal }: {
    readonly url: URL;
    readonly wasAnswered: boolean;
    readonly signal: AbortSignal;
  },
): Promise<unknown> {
  try {
    const answer = await askPlainly(access, deadline(ASK_DEADLINE_MS, signal));
    return answerFault(answer, url) ?? (wasAnswered
      ? new HassFault(
        `${url.origin} is Home Assistant, but opens no WebSocket (${describeError(error)})`,
        "let the proxy before it pass WebSockets on",
      )
      : error);
  } catch (asked) {
    const reason = describeError(asked);
    const fault = certificateFaultOf(reason, url) ?? schemeFault(reason, url) ??
      (/was closed|was reset/.test(reason)
        ? await otherSchemeFault(url, ASK_DEADLINE_MS, signal)
        : undefined);
    return fault ?? new Error(reason, { cause: asked });
  }
}

/** What is wrong where the URL begins with the wrong one of http and https, as `reason` says. */
export function schemeFault(reason: string, url: URL): HassFault | undefined {
  const scheme = answeringScheme(reason);
  return scheme && url.protocol !== `${scheme}:` ? mixedUp(url, scheme) : undefined;
}

function mixedUp({ protocol, host }: URL, right: "http" | "https"): HassFault {
  return new HassFault(
    `HASS_URL begins with ${protocol.slice(0, -1)}, but ${host} answers by ${right}`,
    `set HASS_URL to ${right}://${host}`,
  );
}

/** What a proxy, or a server in Go, says on a port of https that is asked by http. */
const WANTS_HTTPS = /http request.*https (?:port|server)/i;

/**
 * The same of a server that says nothing, as one of OpenSSL's closes a connection that greets it by
 * http: it is asked by the other one, which may fail at the certificate alone. Headers are not sent
 * there: they are secrets, and it may be http.
 */
export async function otherSchemeFault(
  url: URL,
  deadlineMs: number,
  signal?: AbortSignal,
): Promise<HassFault | undefined> {
  const right = url.protocol === "http:" ? "https" : "http";
  const other = new URL(url);
  other.protocol = `${right}:`;
  try {
    const { status, body } = await askPlainly({ url: other.href }, deadline(deadlineMs, signal));
    // it speaks https after all, whatever has become of that connection
    if (status === 400 && WANTS_HTTPS.test(body)) return undefined;
  } catch (error) {
    if (certificateFaultOf(describeError(error), other) === undefined) return undefined;
  }
  return mixedUp(url, right);
}

/** What is wrong with the certificate of the URL's host; undefined where `reason` speaks of none. */
export function certificateFaultOf(reason: string, { host }: URL): HassFault | undefined {
  const fault = certificateFault(reason, { url: "HASS_URL", authority: "HASS_CA_FILE" });
  return fault && new HassFault(`The certificate of ${host} ${fault.state}`, fault.wish);
}

const MAX_REDIRECT_CHARS = 200;
const MAX_PATH_CHARS = 200;

/** What the answer has against being Home Assistant's, and what to do; undefined where nothing. */
export function answerFault(
  { status, headers, body }: HassAnswer,
  url: URL,
): HassFault | undefined {
  const { origin, pathname } = url;
  if (status === 400 && /websocket/i.test(body)) return undefined;
  if (status === 400 && WANTS_HTTPS.test(body)) return mixedUp(url, "https");
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
  const prefix = pathname.replace(/\/api\/websocket$/, "");
  return new HassFault(
    `${origin} answers ${status} at ${
      pathname.slice(0, MAX_PATH_CHARS)
    }, as Home Assistant does not`,
    prefix === ""
      ? `check HASS_URL${portWish(url)}`
      : `set HASS_URL to ${origin}, unless Home Assistant itself is below that path`,
  );
}

/** What to say besides of a URL that may lack its port. */
export function portWish({ port, protocol, hostname }: URL): string {
  return port === ""
    ? `, which names no port: Home Assistant's own is 8123, so try ${protocol}//${hostname}:8123`
    : "";
}
