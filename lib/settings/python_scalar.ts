/** What PyYAML, which Home Assistant reads with, makes of a text that stands in YAML without quotes. */

/** A float is its text already: nothing here counts with one. */
export type PythonScalar = string | number | bigint | boolean | null;

const NULL = /^(?:~|null|Null|NULL|)$/;
const TRUE = /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON)$/;
const FALSE = /^(?:no|No|NO|false|False|FALSE|off|Off|OFF)$/;
const INT =
  /^[-+]?(?:0b[01_]*[01][01_]*|0x[\da-fA-F_]*[\da-fA-F][\da-fA-F_]*|0[0-7_]*|[1-9][\d_]*(?::[0-5]?\d)*)$/;
const FLOAT =
  /^(?:[-+]?\d[\d_]*\.[\d_]*(?:[eE][-+]\d+)?|\.\d[\d_]*(?:[eE][-+]\d+)?|[-+]?\d[\d_]*(?::[0-5]?\d)+\.[\d_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;

/** Python reads no more digits, and what is longer is no number that anybody wrote. */
const MAX_CHARS = 4_300;

/**
 * The value by YAML 1.1, as PyYAML's resolver.py and constructor.py have it: `0123` is 83, `12:30`
 * is 750, `1e3` is a text. An integer beyond 2^53 is a bigint, of which no digit is lost; a float
 * is Python's text of it; a date is the text that it was.
 */
export function plainScalar(source: string): PythonScalar {
  if (source.length > MAX_CHARS) return source;
  if (NULL.test(source)) return null;
  if (TRUE.test(source)) return true;
  if (FALSE.test(source)) return false;
  const unsigned = source.replaceAll("_", "").replace(/^[-+]/, "").toLowerCase();
  const isNegative = source.startsWith("-");
  if (INT.test(source)) {
    const value = isNegative ? -wholeOf(unsigned) : wholeOf(unsigned);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
  if (!FLOAT.test(source)) return source;
  return pythonFloatText((isNegative ? -1 : 1) * floatOf(unsigned));
}

function wholeOf(text: string): bigint {
  if (/^0[bx]/.test(text)) return BigInt(text);
  if (text.startsWith("0")) return BigInt(`0o${text}`);
  return text.split(":").reduce((sum, digits) => sum * 60n + BigInt(digits), 0n);
}

function floatOf(text: string): number {
  if (text === ".inf") return Infinity;
  if (text === ".nan") return NaN;
  return text.split(":").reduceRight(
    ({ sum, base }, digits) => ({ sum: sum + Number(digits) * base, base: base * 60 }),
    { sum: 0, base: 1 },
  ).sum;
}

/** `str()` of it; the empty text of None. */
export function pythonTextOf(value: PythonScalar): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  return value === null ? "" : String(value);
}

/** `repr()` of a float. */
export function pythonFloatText(value: number): string {
  if (Object.is(value, -0)) return "-0.0";
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-4 && size < 1e16)) {
    return Number.isInteger(value) ? `${value}.0` : String(value);
  }
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value < 0 ? "-inf" : "inf";
  return value.toExponential().replace(/([+-])(\d)$/, (_, sign, digit) => `${sign}0${digit}`);
}
