/** What a state's text is as a number: the table of values, and when a text is nothing but a number. */
import { isUnavailable } from "../../contract.ts";
import { parseTimeUs } from "../../time.ts";

/** `\d+(\.\d*)?` and not `\d+\.?\d*`, which takes quadratic time over long digits. */
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

const PLAIN_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;
/** As many decimal digits as every float keeps. */
const PLAIN_DIGITS = 15;

const TIMESTAMP_DOMAINS: ReadonlySet<string> = new Set([
  "button",
  "event",
  "input_button",
  "scene",
]);

const ON_OFF_DOMAINS = [
  "automation",
  "binary_sensor",
  "calendar",
  "fan",
  "group",
  "humidifier",
  "input_boolean",
  "light",
  "remote",
  "schedule",
  "script",
  "siren",
  "switch",
  "update",
] as const;

type ValueOf = (state: string) => number | undefined;

const isOn = exactly(["on"], ["off"]);

const VALUE_OF_DOMAIN: ReadonlyMap<string, ValueOf> = new Map<string, ValueOf>([
  ...ON_OFF_DOMAINS.map((domain): [string, ValueOf] => [domain, isOn]),
  ["lock", oneFor("locked")],
  ["cover", zeroFor("closed")],
  ["valve", zeroFor("closed")],
  ["person", oneFor("home")],
  ["device_tracker", oneFor("home")],
  ["climate", zeroFor("off")],
  ["water_heater", zeroFor("off")],
  ["media_player", zeroFor("off", "standby")],
  ["vacuum", oneFor("cleaning")],
  ["lawn_mower", oneFor("mowing")],
  ["timer", oneFor("active")],
  ["alarm_control_panel", zeroFor("disarmed")],
  ["sun", exactly(["above_horizon"], ["below_horizon"])],
]);

function exactly(ones: readonly string[], zeros: readonly string[]): ValueOf {
  return (state) => ones.includes(state) ? 1 : zeros.includes(state) ? 0 : undefined;
}

function oneFor(...states: string[]): ValueOf {
  return (state) => states.includes(state) ? 1 : 0;
}

function zeroFor(...states: string[]): ValueOf {
  return (state) => states.includes(state) ? 0 : 1;
}

/**
 * Whether the text is a number that a float gives back as it stood, so that its text need not
 * be kept: `21.5`, but not `007`, `+49…`, `1e5`, nor one of more than 15 digits.
 */
export function isPlainNumber(text: string): boolean {
  if (!PLAIN_NUMBER.test(text)) return false;
  const signAndPoint = (text.startsWith("-") ? 1 : 0) + (text.includes(".") ? 1 : 0);
  return text.length - signAndPoint <= PLAIN_DIGITS;
}

/** The state as a number, by domain and device class, or undefined where it is none. Times are Unix seconds. */
export function stateValue(
  domain: string,
  deviceClass: string | undefined,
  state: string,
): number | undefined {
  if (isUnavailable(state)) return undefined;
  if (NUMBER.test(state)) {
    const value = Number(state);
    return Number.isFinite(value) ? value : undefined;
  }
  if (deviceClass === "timestamp" || TIMESTAMP_DOMAINS.has(domain)) {
    const timeUs = parseTimeUs(state);
    return timeUs === undefined ? undefined : timeUs / 1e6;
  }
  return VALUE_OF_DOMAIN.get(domain)?.(state);
}
