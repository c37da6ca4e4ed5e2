/**
 * What no schema ever stores: access tokens, URLs that carry one, what is typed into password
 * fields, and the values of secret keys in what an event carries.
 */
import { isUnavailable, type State } from "../contract.ts";

/** What stands in the place of a secret. */
export const HIDDEN = "***";

const SECRET_KEY = /(?:^|_)(?:password|passcode|pin|code|token|secret|api_key)$/i;
const ACCESS_TOKEN = /(?:^|_)access_token$/i;
/** `%3D`: a URL with a token inside another URL's query. */
const TOKEN_IN_URL = /token(?:=|%3d)/i;
/** Whatever holds neither of these in its JSON text needs no search for secrets. */
const SUSPICIOUS = /(?:password|passcode|pin|code|token|secret|api_key)"|token(?:=|%3d)/i;

/** Whether the state's attribute of that name must not be stored. */
export function isSecretAttribute(name: string, value: unknown): boolean {
  return ACCESS_TOKEN.test(name) || (typeof value === "string" && TOKEN_IN_URL.test(value));
}

/** The value of an event's `data` under that key, at any depth: `***` where it is a secret. */
export function withoutSecret(key: string, value: unknown): unknown {
  const isSecret = SECRET_KEY.test(key) ||
    (typeof value === "string" && TOKEN_IN_URL.test(value));
  return isSecret ? HIDDEN : value;
}

/** The JSON text of a value without the secrets in it, or undefined where it is nested too deep to write. */
export function jsonWithoutSecrets(value: unknown): string | undefined {
  try {
    const json = JSON.stringify(value);
    return SUSPICIOUS.test(json) ? JSON.stringify(value, withoutSecret) : json;
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
  const isSecret = isPassword ? !isUnavailable(state) : TOKEN_IN_URL.test(state);
  return isSecret ? HIDDEN : state;
}
