/** JSON whose numbers keep their spelling: Python's `1.0` is not its `1`. */

declare global {
  interface JSON {
    // V8 has it, TypeScript's library does not know it yet
    rawJSON(text: string): object;
  }
}

/** A number that is written as Python writes a float: 21 as `21.0`. */
export function float(value: number): object {
  return JSON.rawJSON(floatText(value));
}

/** The text of `float`. */
export function floatText(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}

/**
 * The JSON text without white space, its texts unescaped and its numbers as they were,
 * but for the plus sign of an exponent, which goes, or comes where `plus` says so: so the orjson
 * of before 2026, and that of 2026.11, writes what it read. Throws a SyntaxError where the text
 * is no JSON.
 */
export function compactJson(text: string, plus = false): string {
  JSON.parse(text);
  return text.replace(
    /"(?:[^"\\]|\\.)*"|\s+|(\d)[eE]([+-]?)/g,
    (token, digit?: string, sign?: string) => {
      if (digit !== undefined) return `${digit}e${sign === "-" ? "-" : plus ? "+" : ""}`;
      return token.startsWith('"') ? JSON.stringify(JSON.parse(token)) : "";
    },
  );
}
