/**
 * YAML as Home Assistant reads its own files: YAML 1.1, `!secret NAME` out of secrets.yaml beside
 * the file, `!include FILE` of another one. No tag is followed outside the part that is asked for,
 * so that a whole configuration.yaml can be read.
 */
import { basename, dirname, resolve } from "node:path";
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type ScalarTag,
  visit,
} from "yaml";
import { plainScalar, pythonTextOf } from "./python_scalar.ts";
import { readTextFile } from "./text_file.ts";

/** Home Assistant's own configuration has some hundred kB at most. */
export const MAX_YAML_BYTES = 1_000_000;
/** Nobody writes more of these, but what repeats itself without end does. */
const MAX_DEPTH = 100;
const MAX_VALUES = 100_000;
const MAX_ALIASES = 10_000;
const MAX_FOLLOWED = 300;

/** What PyYAML takes for no text either, and what stands for bytes that are no UTF-8. */
const NO_TEXT = /[^\t\n\r\x20-\x7e\x85\xa0-\ufffc\u{10000}-\u{10ffff}]/u;
/** Tags of YAML's own that change nothing. */
const IDLE_TAG = /^(?:!|tag:yaml\.org,2002:(?:map|seq|str))$/;

const NO_UTF_8 = " holds a character that is none of a text: save the file as UTF-8";
const NO_YAML =
  " is no YAML: quote a text with signs of YAML in it (* & ! % @ ` { [ : #), by ' where it has a " +
  "backslash; close quotes and brackets, and indent with spaces";
const NO_TAG =
  "only !secret and !include can be followed: quote a text that begins with !, or write its value";
const NO_ANCHOR = "nothing has the name that follows *: quote a text that begins with *";
const NO_MERGE = "<< must be a block, or a list of blocks, as in <<: *name";

/** What has no quotes. A name is Python's text of what it would be as a value. */
const PLAIN = { tag: "tag:yaml.org,2002:str", test: /^/ };
const SCALARS: readonly ScalarTag[] = [
  { ...PLAIN, default: "key", resolve: (source) => pythonTextOf(plainScalar(source)) },
  { ...PLAIN, default: true, resolve: plainScalar },
];

export interface YamlValue {
  /** A text, a number, true or false, null, or an array or object of them. */
  readonly value: unknown;
  /** Where the path leads to, or the nearest on the way there. */
  readonly at: (path: readonly PropertyKey[]) => {
    /** A file and a line, for the beginning of a sentence: "influxdb.yaml, line 3". */
    readonly place: string;
    /** Where the name stands that it has in the block around it. */
    readonly namePlace: string;
    /** The very text that stands there, where it is one. */
    readonly source: string | undefined;
  };
}

interface YamlText {
  readonly path: string;
  readonly document: Document.Parsed;
  readonly placeAt: (offset?: number) => string;
}

/** A value in a file, and the name before it. */
interface Spot {
  readonly file: YamlText;
  readonly node: unknown;
  readonly key?: unknown;
}

/** Reads one file with all that it refers to, and collects what is wrong with it. */
export class YamlReader {
  /** One sentence a problem, with file and line. They hold no value of the file. */
  readonly problems: string[] = [];
  /** The text of each file that was asked for, by its path; undefined where it could not be read. */
  readonly texts = new Map<string, string | undefined>();
  readonly #files = new Map<string, YamlText | undefined>();
  /** What aliases and nodes with a tag stand for. */
  readonly #targets = new Map<unknown, Spot>();
  #followed = 0;

  /**
   * The value of the top-level key, or, where the file has no such key, of the whole file.
   * Undefined where it cannot be read; `problems` then says why. Throws nothing.
   */
  read(path: string, key: string): YamlValue | undefined {
    try {
      const file = this.#open(resolve(path), `CONFIG_FILE is "${path}": it`);
      if (!file) return undefined;
      const root = this.#within(wholeOf(file), key) ?? wholeOf(file);
      const value = valueOf(root);
      if (countOf(value) <= MAX_VALUES) return { value, at: (path) => this.#at(root, path) };
      this.#wrong(root, "too many values, or too deep ones, counting what aliases (*) repeat");
    } catch {
      // the stack may be at its end, however that shows itself
      this.problems.push(`${basename(path)} cannot be read: it is nested too deeply, or no YAML`);
    }
  }

  #open(path: string, subject: string): YamlText | undefined {
    if (this.texts.has(path)) return this.#files.get(path);
    this.texts.set(path, undefined);
    try {
      this.texts.set(path, readTextFile(path, MAX_YAML_BYTES));
    } catch (error) {
      const reason = error instanceof Error ? error.message : "";
      this.problems.push(`${subject} must be a file that can be read (${reason})`);
      return undefined;
    }
    this.#files.set(path, this.#parse(path, this.texts.get(path) ?? ""));
    return this.#files.get(path);
  }

  #parse(path: string, text: string): YamlText | undefined {
    const lines = new LineCounter();
    const document = parseDocument(text, {
      version: "1.1",
      schema: "failsafe",
      resolveKnownTags: false,
      customTags: ["merge", ...SCALARS],
      // Home Assistant warns of a key that stands twice, and takes the last
      uniqueKeys: false,
      lineCounter: lines,
      prettyErrors: false,
      logLevel: "error",
    });
    const placeAt = (offset = 0) => `${basename(path)}, line ${lines.linePos(offset).line}`;
    const noText = NO_TEXT.exec(text);
    const [error] = document.errors; // what comes behind the first is mostly its consequence
    if (noText) this.problems.push(placeAt(noText.index) + NO_UTF_8);
    else if (error) this.problems.push(placeAt(error.pos[0]) + NO_YAML);
    else return this.#prepare({ path, document, placeAt });
  }

  /** Has nodes with a tag followed when their value is asked for, and looks at `<<` and `*`. */
  #prepare(file: YamlText): YamlText | undefined {
    const before = this.problems.length;
    const anchors = new Map<string, Node>();
    let aliases = 0;
    visit(file.document, {
      Pair: (_key, pair) => {
        const areBlocks = sourcesOf(pair).every((source) =>
          isMap(isAlias(source) ? anchors.get(source.source) : source)
        );
        if (!areBlocks) this.#wrong({ file, node: pair.key }, NO_MERGE);
      },
      Alias: (_key, node) => {
        const target = anchors.get(node.source);
        if (target) this.#targets.set(node, { file, node: target });
        else this.#wrong({ file, node }, NO_ANCHOR);
        if (++aliases === MAX_ALIASES) this.#wrong({ file, node }, "too many aliases (*)");
      },
      Value: (_key, node) => {
        if (node.anchor !== undefined) anchors.set(node.anchor, node);
        if (node.tag === undefined || IDLE_TAG.test(node.tag)) return;
        node.toJSON = () => {
          const target = this.#target({ file, node }, node);
          if (target) this.#targets.set(node, target);
          return target ? valueOf(target) : null;
        };
      },
    });
    if (this.problems.length === before) return file;
  }

  #target(spot: Spot, node: Node): Spot | undefined {
    const isSecret = node.tag === "!secret";
    if (!isSecret && node.tag !== "!include") return this.#wrong(spot, NO_TAG);
    const name = isScalar(node) ? String(node.value) : "";
    const where = `${node.tag} ${name.replace(/[^\x20-\x7e]/g, "?")}:`;
    if (++this.#followed > MAX_FOLLOWED) {
      return this.#wrong(spot, `${where} files must not include each other without end`);
    }
    const path = resolve(dirname(spot.file.path), isSecret ? "secrets.yaml" : name);
    const subject = `${placeOf(spot)}: ${where} ${isSecret ? "secrets.yaml" : "it"}`;
    const file = this.#open(path, subject);
    if (!file || !isSecret) return file && wholeOf(file);
    return this.#within(wholeOf(file), name) ??
      this.#wrong(spot, `${where} secrets.yaml beside it must have that name`);
  }

  #wrong(spot: Spot, problem: string): undefined {
    this.problems.push(`${placeOf(spot)}: ${problem}`);
  }

  #at(spot: Spot, [name, ...rest]: readonly PropertyKey[]): ReturnType<YamlValue["at"]> {
    const next = name === undefined ? undefined : this.#within(spot, String(name));
    if (next) return this.#at(next, rest);
    const namePlace = placeOf(spot);
    const end = this.#endOf(spot);
    const place = end.file === spot.file ? namePlace : placeOf(end);
    return { place, namePlace, source: isScalar(end.node) ? end.node.source : undefined };
  }

  /** What is in a block by that name, of several the last, or in a list by that number. */
  #within(spot: Spot, name: string): Spot | undefined {
    const { file, node } = this.#endOf(spot);
    const item = isSeq(node) ? node.items[Number(name)] : undefined;
    if (!isMap(node)) return isNode(item) ? { file, node: item } : undefined;
    const own = node.items.findLast(({ key }) => isScalar(key) && key.value === name);
    if (own) return { file, key: own.key, node: own.value };
    return node.items.flatMap(sourcesOf).values()
      .map((source) => this.#within({ file, node: source }, name)).find((found) => found);
  }

  /** Where aliases and tags lead to. */
  #endOf(spot: Spot): Spot {
    const target = this.#targets.get(spot.node);
    return target ? this.#endOf(target) : spot;
  }
}

function wholeOf(file: YamlText): Spot {
  return { file, node: file.document.contents };
}

function placeOf({ file, key, node }: Spot): string {
  const at = key ?? node;
  return file.placeAt(isNode(at) ? at.range?.[0] : 0);
}

function valueOf({ file, node }: Spot): unknown {
  // aliases are counted later, by what they repeat
  return isNode(node) ? node.toJS(file.document, { maxAliasCount: -1 }) : null;
}

/** What the block takes over by `<<`. */
function sourcesOf({ key, value }: Pair): readonly unknown[] {
  if (!isScalar(key) || typeof key.value !== "symbol") return [];
  return isSeq(value) ? value.items : [value];
}

/** How many values there are; more than are allowed where they are too deep. */
function countOf(value: unknown, depth = 0): number {
  if (typeof value !== "object" || value === null) return 1;
  if (depth > MAX_DEPTH) return Infinity;
  return Object.values(value).reduce<number>(
    (count, part) => count > MAX_VALUES ? count : count + countOf(part, depth + 1),
    1,
  );
}
