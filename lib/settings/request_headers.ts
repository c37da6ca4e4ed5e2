/** Headers that a proxy before Home Assistant or InfluxDB asks for: one `Name: value` a line. */
import { rememberSecret } from "../log.ts";

/** By their names, in lower case. */
export type RequestHeaders = ReadonlyMap<string, string>;

/** What the connection itself says, and the library that makes it (RFC 9110, 7.6.1; RFC 6455). */
const NOT_GIVEN =
  /^(?:host|connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade|expect|accept-encoding|content-.*|sec-websocket-.*)$/;

/**
 * The headers of a text. Throws an Error that names the setting and the line, and shows no value.
 * Each value is a secret.
 */
export function requestHeaders(setting: string, text: string): RequestHeaders {
  const headers = new Map<string, string>();
  for (const [index, line] of text.split(/\r\n|\r|\n/).entries()) {
    if (line.trim() === "") continue;
    const place = `${setting}, line ${index + 1}`;
    const [, given = "", value = ""] = /^\s*([\w!#$%&'*+.^`|~-]+):(.*)$/.exec(line) ?? [];
    const name = given.toLowerCase();
    if (name === "") throw new Error(`${place} is no header: it must be Name: value`);
    if (NOT_GIVEN.test(name)) {
      throw new Error(`${place}: ${given} is no header to be given: leave it out`);
    }
    if (headers.has(name)) throw new Error(`${place} has the name of a line before: leave one out`);
    if (value.trim() === "") throw new Error(`${place} has no value: give it one, or leave it out`);
    if (!/^[\t\x20-\x7e]*$/.test(value)) {
      throw new Error(`${place} holds a character that no header has: use ASCII alone`);
    }
    if (/\\n[\w-]+:/.test(value)) {
      throw new Error(
        `${place} holds \\n before another header: put it all in double quotes in an .env`,
      );
    }
    rememberSecret(value.trim());
    headers.set(name, value.trim());
  }
  return headers;
}
