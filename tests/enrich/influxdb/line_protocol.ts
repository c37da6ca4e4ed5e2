/**
 * Reads a line of InfluxDB's line protocol, after its specification
 * (docs.influxdata.com, "Line protocol reference"): the other side of what is written.
 */
import type { FieldValue, StorePoint } from "../../../lib/enrich/store.ts";

const FLOAT = /^[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * The point of a line. Throws where the line breaks the specification or can be read in two ways.
 * In tags InfluxDB 1 and 2 take the last of two backslashes before a special character for its
 * escape, and 3 takes two for one, everywhere (as 1.6.7, 2.7.12 and 3's parser do).
 */
export function readLine(line: string, version: 1 | 2 | 3 = 2): StorePoint {
  const reader = new Reader(line, version === 3);
  if (line.startsWith("#")) throw new Error("The line is a comment");
  const measurement = reader.name(", ", false);
  const tags = new Map<string, string>();
  while (reader.skip(",")) {
    const key = reader.name(",= ", true);
    reader.expect("=");
    if (tags.has(key)) throw new Error(`The tag ${key} stands twice`);
    tags.set(key, reader.name(",= ", true));
  }
  reader.expect(" ");
  const fields = new Map<string, FieldValue>();
  do {
    const key = reader.name(",= ", false);
    reader.expect("=");
    if (fields.has(key)) throw new Error(`The field ${key} stands twice`);
    fields.set(key, reader.value());
  } while (reader.skip(","));
  reader.expect(" ");
  return { measurement, tags, fields, timeNs: BigInt(reader.rest()) };
}

/**
 * Where InfluxDB 1 and 2 cut a request into lines, which they do before they read one
 * (models/points.go, scanLine).
 */
export function cutIntoLines(request: string): string[] {
  const lines: string[] = [];
  let [start, equals, commas] = [0, 0, 0];
  let [inFields, isQuoted] = [false, false];
  for (let at = 0; at < request.length; at++) {
    const character = request.charAt(at);
    if (character === "\\" && at + 2 < request.length) {
      at++;
      continue;
    }
    if (character === " ") inFields = true;
    if (inFields && !isQuoted && character === "=") equals++;
    if (inFields && !isQuoted && character === ",") commas++;
    if (inFields && character === '"' && equals > commas) isQuoted = !isQuoted;
    if (character !== "\n" || isQuoted) continue;
    lines.push(request.slice(start, at));
    [start, equals, commas] = [at + 1, 0, 0];
    inFields = false;
  }
  return [...lines, request.slice(start)];
}

class Reader {
  #at = 0;
  readonly #line: string;
  readonly #isDoubled: boolean;

  constructor(line: string, isDoubled: boolean) {
    this.#line = line;
    this.#isDoubled = isDoubled;
  }

  /** A measurement, a key or a tag's value: ends at the first of `special` without a backslash. */
  name(special: string, isTag: boolean): string {
    let name = "";
    const escapable = this.#isDoubled ? `\\${special}` : special;
    for (; this.#at < this.#line.length; this.#at++) {
      const character = this.#line.charAt(this.#at);
      const next = this.#line.charAt(this.#at + 1);
      if (character === "\n") throw new Error("A line break in a name");
      if (special.includes(character)) break;
      const escapes = character === "\\" && next !== "" && escapable.includes(next);
      // 1 and 2 differ within themselves in whether this is a backslash and a special one, or its end
      if (escapes && !isTag && !this.#isDoubled && name.endsWith("\\")) {
        throw new Error("Two backslashes before a special one");
      }
      if (escapes) this.#at++;
      name += escapes ? next : character;
    }
    if (name.endsWith("\\")) throw new Error(`A name ends in a backslash at ${this.#at}`);
    if (name === "") throw new Error(`A name is missing at ${this.#at}`);
    return name;
  }

  value(): FieldValue {
    if (!this.skip('"')) {
      const end = this.#line.slice(this.#at).search(/[, ]/);
      const token = this.#line.slice(this.#at, this.#at + end);
      if (!FLOAT.test(token)) throw new Error(`"${token}" is no number`);
      this.#at += end;
      return Number(token);
    }
    let text = "";
    for (; this.#line[this.#at] !== '"'; this.#at++) {
      if (this.#at >= this.#line.length) throw new Error("A text without an end");
      const escapes = /^\\["\\]/.test(this.#line.slice(this.#at, this.#at + 2));
      if (escapes) this.#at++;
      text += this.#line.charAt(this.#at);
    }
    this.#at++;
    return text;
  }

  skip(character: string): boolean {
    const is = this.#line[this.#at] === character;
    if (is) this.#at++;
    return is;
  }

  expect(character: string): void {
    if (!this.skip(character)) throw new Error(`"${character}" is missing at ${this.#at}`);
  }

  rest(): string {
    return this.#line.slice(this.#at);
  }
}
