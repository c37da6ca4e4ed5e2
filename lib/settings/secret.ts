/** Secrets: out of a variable, a file, or a credential of systemd. */
import { rememberSecret } from "../log.ts";
import { lastKnown } from "./last_known.ts";
import { exists, readTextFile } from "./text_file.ts";

/**
 * A secret, read again at each use, so that a corrected file counts without a restart. Where the
 * file cannot be read any more it is what it was.
 */
export type Secret = () => string;

export const SECRETS = [
  "HASS_TOKEN",
  "HASS_HEADERS",
  "SERVICE_TOKEN",
  "INFLUXDB_TOKEN",
  "INFLUXDB_PASSWORD",
  "INFLUXDB_HEADERS",
] as const;
export type SecretName = (typeof SECRETS)[number];
export type HeadersName = Extract<SecretName, `${string}_HEADERS`>;

/**
 * The secret of that name: from the variable itself, from the file that NAME_FILE names, or
 * from the file NAME in `$CREDENTIALS_DIRECTORY` (systemd.exec(5), LoadCredential), as `read`
 * understands it. Undefined where none of them is there. Throws an Error that says which is wrong,
 * and how.
 */
export function findSecret<T>(
  name: SecretName,
  env: Readonly<Record<string, string | undefined>>,
  read: (name: SecretName, text: string) => T,
): (() => T) | undefined {
  const value = env[name];
  const file = env[`${name}_FILE`];
  if (file !== undefined && value !== undefined) {
    throw new Error(`${name} and ${name}_FILE are both set: leave one of them out`);
  }
  if (value !== undefined) return checked(() => read(name, value));
  const ofFile = (setting: string, path: string) =>
    checked(lastKnown(setting, () => read(name, textOfFile(setting, path))));
  if (file !== undefined) return ofFile(`${name}_FILE`, file);
  const directory = env.CREDENTIALS_DIRECTORY;
  if (directory === undefined || !exists(`${directory}/${name}`)) return undefined;
  return ofFile(`The credential ${name}`, `${directory}/${name}`);
}

/** A secret whose text is known. */
export function givenSecret(name: SecretName, text: string): Secret {
  return () => oneLine(name, text);
}

function checked<T>(secret: () => T): () => T {
  secret();
  return secret;
}

/** A secret of one line. Throws an Error where it has several. */
export function oneLine(name: SecretName, raw: string): string {
  const value = raw.trim();
  if (/[\r\n]/.test(value)) throw new Error(`${name} has a line break in it: it must be one line`);
  if (name === "SERVICE_TOKEN" && !/^[\x21-\x7e]+$/.test(value)) {
    throw new Error(
      `${name} has a space, or a character beyond ASCII, in it: no header can carry it; ` +
        "make one with `openssl rand -hex 32`",
    );
  }
  rememberSecret(value);
  if (name === "HASS_TOKEN" && IN_QUOTES.test(value)) {
    throw new Error(`${name} has quotes around it: leave them out`);
  }
  const fault = name === "HASS_TOKEN" || name === "INFLUXDB_TOKEN" ? tokenFault(value) : undefined;
  if (fault) throw new Error(`${name} ${fault}`);
  return value;
}

/** They come along with `docker run --env-file`, or out of a text processor. No JSON Web Token has any. */
const IN_QUOTES = /^(?:["'`\\\u2018-\u201f]).*["'`\u2018-\u201f]$/;

/** Why no header can carry the text as a token, for what is behind its name. */
function tokenFault(value: string): string | undefined {
  const [, scheme] = /^(Bearer|Token)\s/i.exec(value) ?? [];
  if (scheme) return `begins with "${scheme}": set it to what is behind that`;
  return /^[\x21-\x7e]*$/.test(value)
    ? undefined
    : "has a space, or a character beyond ASCII, in it: copy the token, and nothing else";
}

function textOfFile(setting: string, path: string): string {
  let text: string;
  try {
    text = readTextFile(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : "";
    // not the path: it may be the secret itself, put at the wrong place
    throw new Error(`${setting} must name a file that can be read (${reason})`);
  }
  if (text.trim() === "") throw new Error(`${setting} must name a file that is not empty`);
  return text;
}
