/**
 * What no schema ever stores: access tokens, URLs that carry one, what is typed into password
 * fields or set there by a service, and the values of secret keys in what an event carries.
 */
import { isUnavailable, type State } from "../contract.ts";
import { parseExactly } from "../json_text.ts";

/** What stands in the place of a secret. */
export const HIDDEN = "***";

/** Of `code` only what opens a door or an alarm (`usercode` is Z-Wave's): `weather_code`, `zip_code` and `error_code` are data. */
const SECRET_KEY =
  /^code$|(?:^|_)(?:password|passcode|pin|token|secret|api_key|(?:alarm_|pin_|user_?|access_|security_)code)$/i;
const ACCESS_TOKEN = /(?:^|_)access_token$/i;
/** `%3D`: a URL with a token inside another URL's query. */
const TOKEN_IN_URL = /token(?:=|%3d)/i;
/** Whatever holds none of these in its JSON text needs no search for secrets. */
const SUSPICIOUS =
  /(?:password|passcode|pin|code|token|secret|api_key)"|token(?:=|%3d)|"set_value"/i;
/** Their service `set_value` sets what may be a password. */
const TEXT_DOMAINS: ReadonlySet<unknown> = new Set(["text", "input_text"]);

/** Whether the state's attribute of that name must not be stored. */
export function isSecretAttribute(name: string, value: unknown): boolean {
  return ACCESS_TOKEN.test(name) || (typeof value === "string" && TOKEN_IN_URL.test(value));
}

/** A text as it may be stored: `***` where it carries a token. */
export function textWithoutSecret(text: string): string {
  return TOKEN_IN_URL.test(text) ? HIDDEN : text;
}

/**
 * The value of an event's `data` under that key, at any depth: `***` where it is a secret. Of a
 * service call that sets a text, the text is.
 */
export function withoutSecret(key: string, value: unknown): unknown {
  if (SECRET_KEY.test(key)) return HIDDEN;
  if (typeof value === "string") return textWithoutSecret(value);
  if (typeof value !== "object" || value === null) return value;
  return setsText(value)
    ? { ...value, service_data: { ...value.service_data, value: HIDDEN } }
    : value;
}

function setsText(value: object): value is { readonly service_data: { readonly value: unknown } } {
  return "domain" in value && TEXT_DOMAINS.has(value.domain) &&
    "service" in value && value.service === "set_value" &&
    "service_data" in value && typeof value.service_data === "object" &&
    value.service_data !== null && "value" in value.service_data;
}

/**
 * The JSON text of a value without the secrets in it, or undefined where it is nested too deep to
 * write. With the text that it was parsed from, whole numbers beyond 2^53 keep their digits.
 */
export function jsonWithoutSecrets(value: unknown, text?: string): string | undefined {
  try {
    const exact = text === undefined ? value : parseExactly(text);
    const json = JSON.stringify(exact);
    return SUSPICIOUS.test(json) ? JSON.stringify(exact, withoutSecret) : json;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/**
 * Whether the state of this entity is what somebody typed into a password field. The recorder
 * keeps no `mode` of a text entity (Home Assistant, `TextEntity` and `InputText`, unrecorded
 * attributes): where none of the event's states says one, it is taken for a password.
 */
export function isPasswordEntity(domain: string, states: readonly State[]): boolean {
  if (domain !== "text" && domain !== "input_text") return false;
  const modes = states.map(({ attributes }) => attributes.mode)
    .filter((mode) => typeof mode === "string");
  return modes.length === 0 || modes.includes("password");
}

/** The text of a state as it may be stored. */
export function stateWithoutSecret(state: string, isPassword: boolean): string {
  if (isPassword) return isUnavailable(state) ? state : HIDDEN;
  return textWithoutSecret(state);
}
