/** What Python's `float()` and `str()` make of the values of a JSON text. */
import { pythonFloatText } from "../../settings/python_scalar.ts";

/** What `float()` takes for white space around a number: not quite `\s`. */
const SPACE = "[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]*";
/** Underscores stand between digits only. */
const DIGITS = "\\d(?:_?\\d)*";
const FLOAT = new RegExp(
  `^${SPACE}(?:([+-]?(?:${DIGITS}(?:\\.(?:${DIGITS})?)?|\\.${DIGITS})(?:e[+-]?${DIGITS})?)` +
    `|([+-]?)inf(?:inity)?|[+-]?nan)${SPACE}$`,
  "i",
);
const NOT_ASCII = /[\u0080-\uffff]/;
const DIGIT = /\p{Nd}/gu;

/**
 * `float(text)`: digits of any script, also mixed, with underscores between them, `inf` and
 * `nan` too. Undefined where Python raises ValueError.
 */
export function pythonFloat(text: string): number | undefined {
  const match = FLOAT.exec(NOT_ASCII.test(text) ? text.replace(DIGIT, asciiDigit) : text);
  if (!match) return undefined;
  const [, number, sign] = match;
  if (number !== undefined) return Number(number.replaceAll("_", ""));
  return sign === undefined ? NaN : sign === "-" ? -Infinity : Infinity;
}

/** Decimal digits stand in runs of ten, from 0 to 9. */
function asciiDigit(digit: string): string {
  const codePoint = digit.codePointAt(0) ?? 0;
  let below = 0;
  while (/\p{Nd}/u.test(String.fromCodePoint(codePoint - below - 1))) below++;
  return String(below % 10);
}

/** What Python's `splitlines()` splits at. */
// deno-lint-ignore no-control-regex
const LINE_BREAK = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/;

/** `" ".join(text.splitlines())`: line breaks are spaces, and one at the end is nothing. */
export function singleLine(text: string): string {
  if (!LINE_BREAK.test(text)) return text;
  const lines = text.split(LINE_BREAK);
  if (lines.at(-1) === "") lines.pop();
  return lines.join(" ");
}

/** Whether a text, or (undefined) any other value, under that key is not to be told. */
export type IsHidden = (key: string, text: string | undefined) => boolean;

/** A text, which is a key where a colon follows, or any other token of JSON. */
const TOKEN = /("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[[\]{},]|[^\s[\]{},"]+/g;

const WORDS: ReadonlyMap<string, string> = new Map([
  ["{", "{"],
  ["[", "["],
  ["true", "True"],
  ["false", "False"],
  ["null", "None"],
]);

/**
 * `str()` of the value of a JSON text. The text itself is needed: `JSON.parse` makes `1.0` and
 * `1` the same, loses digits beyond 2^53 and moves keys that are whole numbers to the front. A key
 * that stands twice (in Python they were `1` and `"1"`) is written twice. What is hidden at any
 * depth of a list or an object is `'***'`.
 */
export function pythonText(json: string, isHidden: IsHidden): string {
  if (json.startsWith('"')) return JSON.parse(json);
  let written = "";
  let key = "";
  let hiddenDepth = 0;
  for (const [token, quoted, colon] of json.matchAll(TOKEN)) {
    const opens = token === "{" || token === "[";
    const closes = token === "}" || token === "]";
    if (hiddenDepth > 0) hiddenDepth += opens ? 1 : closes ? -1 : 0;
    else if (closes) written += token;
    else if (token === ",") written += ", ";
    else if (quoted !== undefined && colon !== undefined) {
      key = JSON.parse(quoted);
      written += `${textRepr(key)}: `;
    } else {
      const text = quoted === undefined ? undefined : JSON.parse(quoted);
      const isSecret = isHidden(key, text);
      if (isSecret && opens) hiddenDepth = 1;
      written += isSecret ? "'***'" : text === undefined ? plainText(token) : textRepr(text);
      key = "";
    }
  }
  return written;
}

function plainText(token: string): string {
  return WORDS.get(token) ?? (/[.eE]/.test(token) ? pythonFloatText(Number(token)) : token);
}

const PLAIN = /^[ !#-&(-[\]-~]*$/;
/** What Python does not call printable, and what ends or begins an escape. */
const TO_ESCAPE = /[\\'\p{C}\p{Z}]/gu;

/** `repr()` of a text. Releases of Unicode differ in which characters they know as printable. */
function textRepr(text: string): string {
  if (PLAIN.test(text)) return `'${text}'`;
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(TO_ESCAPE, (character) => escapeOf(character, quote));
  return `${quote}${escaped}${quote}`;
}

const SHORT_ESCAPES: ReadonlyMap<string, string> = new Map([
  [" ", " "],
  ["\\", "\\\\"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

function escapeOf(character: string, quote: string): string {
  if (character === "'") return quote === "'" ? "\\'" : "'";
  const short = SHORT_ESCAPES.get(character);
  if (short !== undefined) return short;
  const code = (character.codePointAt(0) ?? 0).toString(16);
  if (code.length <= 2) return `\\x${code.padStart(2, "0")}`;
  return code.length <= 4 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`;
}
