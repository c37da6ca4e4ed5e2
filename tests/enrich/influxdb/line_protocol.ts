/**
 * Reads a line of InfluxDB's line protocol, after its specification
 * (docs.influxdata.com, "Line protocol reference"): the other side of what is written.
 */
import type { FieldValue, StorePoint } from "../../../lib/enrich/store.ts";

const FLOAT = /^[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** The point of a line. Throws where the line breaks the specification or can be read in two ways. */
export function readLine(line: string): StorePoint {
  const reader = new Reader(line);
  if (line.startsWith("#")) throw new Error("The line is a comment");
  const measurement = reader.name(", ");
  const tags = new Map<string, string>();
  while (reader.skip(",")) {
    const key = reader.tag();
    reader.expect("=");
    if (tags.has(key)) throw new Error(`The tag ${key} stands twice`);
    tags.set(key, reader.tag());
  }
  reader.expect(" ");
  const fields = new Map<string, FieldValue>();
  do {
    const key = reader.name(",= ");
    reader.expect("=");
    if (fields.has(key)) throw new Error(`The field ${key} stands twice`);
    fields.set(key, reader.value());
  } while (reader.skip(","));
  reader.expect(" ");
  return { measurement, tags, fields, timeNs: BigInt(reader.rest()) };
}

class Reader {
  #at = 0;
  readonly #line: string;

  constructor(line: string) {
    this.#line = line;
  }

  /** A tag's key or value: of two backslashes before a special one InfluxDB 1.6 and 2.7 keep the first. */
  tag(): string {
    return this.name(",= ", true);
  }

  /** A measurement or a field's key: ends at the first of `special` without a backslash. */
  name(special: string, isTag = false): string {
    let name = "";
    for (; this.#at < this.#line.length; this.#at++) {
      const character = this.#line.charAt(this.#at);
      const next = this.#line.charAt(this.#at + 1);
      if (character === "\n") throw new Error("A line break in a name");
      if (special.includes(character)) break;
      const escapes = character === "\\" && next !== "" && special.includes(next);
      // of a field this is its end, and such a measurement is never found again
      if (escapes && !isTag && name.endsWith("\\")) {
        throw new Error("Two backslashes before a special one");
      }
      if (escapes) this.#at++;
      name += escapes ? next : character;
    }
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
