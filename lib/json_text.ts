/**
 * Cuts the exact text of a value out of a JSON text. What Home Assistant said is
 * kept byte for byte: `JSON.parse` would make `1.0` a `1` and lose digits beyond 2^53.
 * The scanner only counts depth and strings; it takes for granted that the text is
 * JSON, which the caller has learnt from `JSON.parse`.
 */

// of ECMAScript, but not among TypeScript's own declarations yet
declare global {
  interface JSON {
    parse(
      text: string,
      reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
    ): unknown;
    rawJSON(text: string): object;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function skipSpace(text: string, at: number): number {
  while (at < text.length && text.charCodeAt(at) <= 0x20) at++;
  return at;
}

/** The index behind the string that opens at `at`. */
function stringEnd(text: string, at: number): number {
  let end = at + 1;
  for (;;) {
    end = text.indexOf('"', end);
    if (end === -1) return text.length;
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++;
    end++;
    if (slashes % 2 === 0) return end;
  }
}

/** The index behind the value that begins at `at`. */
function valueEnd(text: string, at: number): number {
  let depth = 0;
  for (let i = at; i < text.length;) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      i = stringEnd(text, i);
      if (depth === 0) return i;
      continue;
    }
    if (code === 0x7b || code === 0x5b) depth++;
    else if (code === 0x7d || code === 0x5d) {
      if (depth === 0) return i;
      if (--depth === 0) return i + 1;
    } else if (depth === 0 && (code === 0x2c || code <= 0x20)) return i;
    i++;
  }
  return text.length;
}

/** So deep may what others send be nested: Home Assistant writes 254 levels at the most. */
const MAX_LEVELS = 10_000;

/**
 * As `JSON.parse`, of what others send. Throws SyntaxError also where it is nested deeper than 10,000
 * levels: millions of them take half a minute and a gigabyte.
 */
export function parseJson(json: string): unknown {
  if (isTooDeep(json)) throw new SyntaxError(`it is nested deeper than ${MAX_LEVELS} levels`);
  return JSON.parse(json);
}

function isTooDeep(json: string): boolean {
  if (json.length <= MAX_LEVELS) return false;
  let depth = 0;
  for (let i = 0; i < json.length;) {
    const code = json.charCodeAt(i);
    if (code === QUOTE) {
      i = stringEnd(json, i);
      continue;
    }
    if (code === 0x7b || code === 0x5b) {
      if (++depth > MAX_LEVELS) return true;
    } else if (code === 0x7d || code === 0x5d) depth--;
    i++;
  }
  return false;
}

/** The text of each element of a JSON array; a text that is no array is its own single element. */
export function elementTexts(json: string): string[] {
  return json[skipSpace(json, 0)] === "[" ? [...elements(json)] : [json];
}

/** The text of each element of a JSON array, found when it is asked for. What follows the array is left alone. */
export function* elements(json: string): Generator<string> {
  let at = skipSpace(json, 0);
  if (json[at] !== "[") return;
  at = skipSpace(json, at + 1);
  while (at < json.length && json[at] !== "]") {
    const end = valueEnd(json, at);
    yield json.slice(at, end);
    at = skipSpace(json, end);
    if (json[at] === ",") at = skipSpace(json, at + 1);
    else break;
  }
}

/** The members of a JSON object, each with the text of its value, in their order. */
export function* members(json: string): Generator<readonly [name: string, text: string]> {
  let at = skipSpace(json, 0);
  if (json[at] !== "{") return;
  at = skipSpace(json, at + 1);
  while (json.charCodeAt(at) === QUOTE) {
    const keyEnd = stringEnd(json, at);
    const raw = json.slice(at + 1, keyEnd - 1);
    const key = raw.includes("\\") ? JSON.parse(`"${raw}"`) : raw;
    at = skipSpace(json, skipSpace(json, keyEnd) + 1);
    const end = valueEnd(json, at);
    yield [key, json.slice(at, end)];
    at = skipSpace(json, end);
    if (json[at] !== ",") return;
    at = skipSpace(json, at + 1);
  }
}

/**
 * The text of the member `name` of a JSON object, or undefined where it has none.
 * Of a name that stands twice the last one counts, as in `JSON.parse`.
 */
export function memberText(json: string, name: string): string | undefined {
  let found: string | undefined;
  for (const [key, text] of members(json)) if (key === name) found = text;
  return found;
}

/** No text, and with as many digits as a whole number beyond 2^53 has. */
const LONG_INTEGER = /[[,:\s-]\d{16,}[\s,\]}]/;

/** Whether lists or objects in a JSON text may hold a whole number of which `JSON.parse` loses digits. */
export function hasLongInteger(json: string): boolean {
  return LONG_INTEGER.test(json);
}

/**
 * What `JSON.parse` makes of a text, but whole numbers beyond 2^53 are objects that
 * `JSON.stringify` writes with all their digits. Throws RangeError where it is nested too deep.
 */
export function parseExactly(json: string): unknown {
  return JSON.parse(json, (_, value, { source }) => {
    const isLong = typeof value === "number" && !Number.isSafeInteger(value) &&
      source !== undefined && /^-?\d+$/.test(source);
    return isLong ? JSON.rawJSON(source) : value;
  });
}
