/** Whether HASS_URL leads to something that speaks HTTP, and what is wrong with it where not. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { ClockReading } from "../../program/check_clock.ts";
import type { CheckReport } from "../../program/check_report.ts";
import { deadline, describeError } from "../../retry.ts";
import { isLoopback } from "../../settings/settings_reader.ts";
import { askPlainly, type HassAccess, plainUrl } from "../hass/hass_access.ts";
import {
  answerFault,
  certificateFaultOf,
  type HassFault,
  otherSchemeFault,
  portWish,
  schemeFault,
} from "../hass/hass_fault.ts";

const EXAMPLE = "for example http://192.168.1.10:8123";

export interface AddressAnswer {
  readonly clock: ClockReading;
  /** What this answer has against being Home Assistant's, and what to do. */
  readonly doubt: HassFault | undefined;
}

/** What counts besides the settings. */
export interface Surroundings {
  readonly inContainer: boolean;
  /** How long an answer may take, in milliseconds. */
  readonly deadlineMs: number;
}

/** Returns undefined where nothing answers. */
export async function checkAddress(
  access: HassAccess,
  { inContainer, deadlineMs }: Surroundings,
  report: CheckReport,
): Promise<AddressAnswer | undefined> {
  const url = plainUrl(access);
  if (!await checkName(url.hostname, inContainer, report)) return undefined;
  const askedMs = Date.now();
  try {
    const answer = await askPlainly(access, deadline(deadlineMs));
    const date = answer.headers.get("date");
    report.ok("address", `${url.origin} answers`);
    return {
      clock: { askedMs, date, heardMs: Date.now() },
      doubt: answerFault(answer, url),
    };
  } catch (error) {
    const reason = describeError(error);
    const isRefused = /refused/.test(reason);
    const fault = certificateFaultOf(reason, url) ?? schemeFault(reason, url) ??
      (isRefused ? undefined : await otherSchemeFault(url, deadlineMs));
    report.fail(
      "address",
      fault ? `${fault.message}; ${fault.action}` : faultOf(error, reason, url, inContainer),
    );
  }
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
