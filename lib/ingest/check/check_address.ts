/** Whether HASS_URL leads to something that speaks HTTP, and what is wrong with it where not. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { ClockReading } from "../../program/check_clock.ts";
import type { CheckReport } from "../../program/check_report.ts";
import { deadline, describeError } from "../../retry.ts";
import { isLoopback } from "../../settings/settings_reader.ts";
import { webSocketUrl } from "../hass/protocol.ts";

const MAX_REDIRECT_CHARS = 200;
const EXAMPLE = "for example http://192.168.1.10:8123";

export interface AddressAnswer {
  readonly clock: ClockReading;
  /** What this answer has against being Home Assistant's, and what to do. */
  readonly doubt: string | undefined;
}

/** What counts besides the settings. */
export interface Surroundings {
  readonly inContainer: boolean;
  /** How long an answer may take, in milliseconds. */
  readonly deadlineMs: number;
}

/** Returns undefined where nothing answers. */
export async function checkAddress(
  hassUrl: string,
  { inContainer, deadlineMs }: Surroundings,
  report: CheckReport,
): Promise<AddressAnswer | undefined> {
  // no other path can be asked without a token, and not count as a failed login
  const url = new URL(webSocketUrl(hassUrl).replace(/^ws/, "http"));
  if (!await checkName(url.hostname, inContainer, report)) return undefined;
  const askedMs = Date.now();
  try {
    const response = await ask(url, deadlineMs);
    const body = await response.text();
    const date = response.headers.get("date");
    report.ok("address", `${url.origin} answers`);
    return {
      clock: { askedMs, date, heardMs: Date.now() },
      doubt: doubtAbout(response, body, url),
    };
  } catch (error) {
    const reason = describeError(error);
    const isRefused = /refused/.test(reason);
    const other = isRefused ? undefined : await otherScheme(url, deadlineMs);
    report.fail("address", other ?? faultOf(error, reason, url, inContainer));
  }
}

function ask(url: URL, deadlineMs: number): Promise<Response> {
  return fetch(url, { redirect: "manual", signal: deadline(deadlineMs) });
}

/** As the system resolves names, by /etc/hosts too. Nothing is said of a plain address. */
async function checkName(
  name: string,
  inContainer: boolean,
  report: CheckReport,
): Promise<boolean> {
  if (isIP(name.replace(/^\[|\]$/g, ""))) return true;
  try {
    const { address } = await lookup(name);
    report.ok("name", `${name} is ${address}`);
    return true;
  } catch (error) {
    report.fail("name", unknownName(name, inContainer, describeError(error)));
    return false;
  }
}

/** What to say of a name that is not found. */
export function unknownName(name: string, inContainer: boolean, reason: string): string {
  if (!name.endsWith(".local")) {
    return `Cannot find ${name} (${reason}); correct the name in HASS_URL, or use Home Assistant's address, ${EXAMPLE}`;
  }
  return inContainer
    ? `Cannot find ${name}: names in .local are found by mDNS, which does not reach into containers; ` +
      `set HASS_URL to Home Assistant's address, ${EXAMPLE}`
    : `Cannot find ${name}: names in .local are found by mDNS, which nothing has answered; ` +
      `see that Home Assistant is on this network, or set HASS_URL to its address, ${EXAMPLE}`;
}

function faultOf(error: unknown, reason: string, url: URL, inContainer: boolean): string {
  const certificate = certificateFault(reason);
  if (certificate !== undefined) {
    return `The certificate of ${url.host} is not trusted (${certificate}); use the name that it is ` +
      "made for, or http:// inside your own network";
  }
  const isLate = error instanceof DOMException && error.name === "TimeoutError";
  const state = /refused/.test(reason)
    ? `${url.host} refuses the connection`
    : isLate
    ? `${url.host} does not answer`
    : `Cannot reach ${url.host} (${reason})`;
  return inContainer && isLoopback(url.hostname.replace(/^\[|\]$/g, ""))
    ? `${state}: inside a container ${url.hostname} is the container itself; ` +
      `set HASS_URL to the address of Home Assistant's machine, ${EXAMPLE}`
    : `${state}; see that Home Assistant runs there, and HASS_URL${portWish(url)}`;
}

/** What is wrong where it answers by the other of http and https, if only with a bad certificate. */
async function otherScheme(url: URL, deadlineMs: number): Promise<string | undefined> {
  const other = new URL(url);
  other.protocol = url.protocol === "http:" ? "https:" : "http:";
  try {
    await (await ask(other, deadlineMs)).body?.cancel();
  } catch (error) {
    if (certificateFault(describeError(error)) === undefined) return undefined;
  }
  const [given, right] = [url, other].map(({ protocol }) => protocol.slice(0, -1));
  return `HASS_URL begins with ${given}, but ${url.host} answers by ${right}; ` +
    `set HASS_URL to ${right}://${url.host}`;
}

function certificateFault(reason: string): string | undefined {
  return /invalid peer certificate: (.*)/.exec(reason)?.[1];
}

function portWish({ port, protocol, hostname }: URL): string {
  return port === ""
    ? `, which names no port: Home Assistant's own is 8123, so try ${protocol}//${hostname}:8123`
    : "";
}

function doubtAbout({ status, headers }: Response, body: string, url: URL): string | undefined {
  if (status === 400 && /websocket/i.test(body)) return undefined;
  const location = URL.parse(headers.get("location") ?? "", url);
  if (location && location.origin !== url.origin) {
    return `${url.origin} redirects to ${location.origin.slice(0, MAX_REDIRECT_CHARS)}; ` +
      "set HASS_URL to that";
  }
  if (status === 403) {
    return `${url.origin} answers 403: Home Assistant has banned this machine after failed logins, or ` +
      "a proxy lets nobody in; delete its address from ip_bans.yaml in Home Assistant's " +
      "configuration folder and restart it";
  }
  if (status === 400) {
    return `${url.origin} answers 400: Home Assistant does not trust the proxy before it; ` +
      "name the proxy in its configuration.yaml, under http:, trusted_proxies";
  }
  if (status >= 500) {
    return `${url.origin} answers ${status}; see that Home Assistant runs behind this proxy`;
  }
  return `${url.origin} answers ${status}, as Home Assistant does not; ` +
    `check HASS_URL and its path${portWish(url)}`;
}
