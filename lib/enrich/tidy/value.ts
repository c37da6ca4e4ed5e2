/** What a state's text is as a number: the table of values, and when a text is nothing but a number. */
import { isUnavailable, type JsonObject } from "../../contract.ts";
import { pythonFloatText } from "../../settings/python_scalar.ts";
import { parseTimeUs } from "../../time.ts";

/** `\d+(\.\d*)?` and not `\d+\.?\d*`, which takes quadratic time over long digits. */
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

const PLAIN_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;
/** As many decimal digits as every float keeps. */
const PLAIN_DIGITS = 15;

/** Sensors of these device classes have a time as their state. */
const TIME_CLASSES: ReadonlySet<string | undefined> = new Set(["timestamp", "uptime"]);
/** Domains whose states are times: of the last press, event, message, picture. */
const TIME_DOMAINS: ReadonlySet<string> = new Set([
  "ai_task",
  "button",
  "conversation",
  "datetime",
  "event",
  "image",
  "infrared",
  "input_button",
  "notify",
  "radio_frequency",
  "scene",
  "stt",
  "tts",
  "wake_word",
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

type ValueOf = (state: string, attributes: JsonObject) => number | undefined;

const isOn = exactly(["on"], ["off"]);

const VALUE_OF_DOMAIN: ReadonlyMap<string, ValueOf> = new Map<string, ValueOf>([
  ...ON_OFF_DOMAINS.map((domain): [string, ValueOf] => [domain, isOn]),
  ["lock", oneFor("locked")],
  ["cover", zeroFor("closed")],
  ["valve", zeroFor("closed")],
  ["person", isAtHome],
  ["device_tracker", isAtHome],
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

/** The smallest zone names the state; since Home Assistant 2026.4 `in_zones` has those around it, too. */
function isAtHome(state: string, { in_zones: zones }: JsonObject): number {
  return state === "home" || Array.isArray(zones) && zones.includes("zone.home") ? 1 : 0;
}

/**
 * Whether the text is a number that a float gives back as it stood, so that its text need not
 * be kept: one of at most 15 digits, or the shortest form of its value, as Python and JavaScript
 * write it. `21.5` and `21.416666666666668`, but not `007`, `+49…`, `1e5`.
 */
export function isPlainNumber(text: string): boolean {
  if (!PLAIN_NUMBER.test(text)) return false;
  const signAndPoint = (text.startsWith("-") ? 1 : 0) + (text.includes(".") ? 1 : 0);
  if (text.length - signAndPoint <= PLAIN_DIGITS) return true;
  const shortest = pythonFloatText(Number(text));
  return text === shortest || `${text}.0` === shortest;
}

/**
 * The state as a number, by domain, device class and attributes, or undefined where it is none.
 * Times are Unix seconds.
 */
export function stateValue(
  domain: string,
  deviceClass: string | undefined,
  state: string,
  attributes: JsonObject = {},
): number | undefined {
  if (isUnavailable(state)) return undefined;
  if (NUMBER.test(state)) {
    const value = Number(state);
    return Number.isFinite(value) ? value : undefined;
  }
  if (TIME_CLASSES.has(deviceClass) || TIME_DOMAINS.has(domain)) {
    const timeUs = parseTimeUs(state);
    return timeUs === undefined ? undefined : timeUs / 1e6;
  }
  return VALUE_OF_DOMAIN.get(domain)?.(state, attributes);
}
