/** JSON whose numbers keep their spelling: Python's `1.0` is not its `1`. */

declare global {
  interface JSON {
    // V8 has it, TypeScript's library does not know it yet
    rawJSON(text: string): object;
  }
}

/** A number that is written as Python writes a float: 21 as `21.0`. */
export function float(value: number): object {
  return JSON.rawJSON(
    Number.isInteger(value) ? value.toFixed(1) : String(value),
  );
}

/**
 * The JSON text without white space, its texts unescaped and its numbers as they were,
 * but for the plus sign of an exponent: so orjson writes what it read. Throws a
 * SyntaxError where the text is no JSON.
 */
export function compactJson(text: string): string {
  JSON.parse(text);
  return text.replace(
    /"(?:[^"\\]|\\.)*"|\s+|(\d)[eE]\+?/g,
    (token, digit?: string) => {
      if (digit !== undefined) return `${digit}e`;
      return token.startsWith('"') ? JSON.stringify(JSON.parse(token)) : "";
    },
  );
}
