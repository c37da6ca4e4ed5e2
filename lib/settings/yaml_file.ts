/**
 * YAML as Home Assistant reads its own files: YAML 1.1, `!secret NAME` out of secrets.yaml beside
 * the file, `!include FILE` of another one. What stands outside the part that is asked for is not
 * looked at, so that a whole configuration.yaml can be read whatever else is in it.
 */
import { basename, dirname, join, resolve } from "node:path";
import { isAlias, isMap, isNode, isScalar, isSeq, type Node, type Pair, type Scalar } from "yaml";
import { plainScalar, pythonTextOf } from "./python_scalar.ts";
import { parseYaml, readYamlText, type YamlText } from "./yaml_text.ts";

const MAX_FILES = 10;
const MAX_DEPTH = 100;
/** Nobody writes more, but aliases that multiply each other do. */
const MAX_VALUES = 100_000;

/** A file and a line, for the beginning of a sentence: "influxdb.yaml, line 3". */
export type Place = string;

/** A value, and where it and whatever is in it stands. */
export interface YamlPart {
  /** A text, a number, true or false, null, or an array or object of them. */
  readonly value: unknown;
  readonly place: Place;
  /** Where the name stands that it has in the block around it. */
  readonly namePlace: Place;
  /** Whether it stands there as a number or a word of YAML's whose text is another one. */
  readonly isRewritten: boolean;
  /** Of an array by index, of an object by name. */
  readonly parts: ReadonlyMap<string, YamlPart>;
}

/** The part that the path leads to, or the nearest on the way there. */
export function partAt(part: YamlPart, path: readonly PropertyKey[]): YamlPart {
  const [name, ...rest] = path;
  const within = name === undefined ? undefined : part.parts.get(String(name));
  return within ? partAt(within, rest) : part;
}

/** Where reading is: how deep in values, and in files that include each other. */
interface Depth {
  readonly values: number;
  readonly files: number;
}

type Found = Omit<YamlPart, "value">;

/** Why nothing more is read. */
class TooMuch extends Error {}

/** Home Assistant's own. Any other may be the beginning of a password. */
const OTHER_TAG = /^!(?:env_var|input|include_dir_(?:merge_)?(?:list|named))$/;
const QUOTE_TAG = "this tag cannot be followed: quote a text that begins with !";
const STANDARD_TAG = "tag:yaml.org,2002:";
const NOTHING: ReadonlyMap<string, YamlPart> = new Map();

/** Reads one file with all that it refers to, and collects what is wrong with it. */
export class YamlReader {
  /** One sentence a problem, with file and line. They hold no value of the file. */
  readonly problems: string[] = [];
  /** The text of each file that was asked for, by its path; undefined where it could not be read. */
  readonly texts = new Map<string, string | undefined>();
  readonly #files = new Map<string, YamlText | { readonly problem: string } | undefined>();
  #values = 0;

  /**
   * The value of the top-level key, or, where the file has no such key, of the whole file.
   * Undefined where it cannot be read; `problems` then says why. Throws nothing.
   */
  read(path: string, key: string): YamlPart | undefined {
    try {
      const file = this.#open(resolve(path), `CONFIG_FILE is "${path}": it`);
      if (!file) return undefined;
      const entry = entryOf(file, key);
      const depth = { values: 0, files: 0 };
      return entry ? this.#entry(file, entry, depth) : this.#part(file, file.contents, depth);
    } catch (error) {
      // the stack may be at its end, however that shows itself
      const isKnown = error instanceof TooMuch;
      const unknown = `${basename(path)} cannot be read: it is nested too deeply, or no YAML`;
      this.problems.push(isKnown ? error.message : unknown);
    }
  }

  #open(path: string, subject: string): YamlText | undefined {
    if (!this.#files.has(path)) this.#files.set(path, this.#parse(path));
    const file = this.#files.get(path);
    if (!file || !("problem" in file)) return file;
    this.problems.push(`${subject} must be a file that can be read (${file.problem})`);
  }

  #parse(path: string): YamlText | { readonly problem: string } | undefined {
    let text: string;
    try {
      text = readYamlText(path);
    } catch (error) {
      this.texts.set(path, undefined);
      return { problem: error instanceof Error ? error.message : "" };
    }
    this.texts.set(path, text);
    const parsed = parseYaml(path, basename(path), text);
    if (!("length" in parsed)) return parsed;
    this.problems.push(...parsed);
  }

  #part(file: YamlText, node: Node | null, depth: Depth): YamlPart {
    const place = `${file.name}, line ${file.lineOf(node)}`;
    if (++this.#values > MAX_VALUES) {
      throw new TooMuch(`${place}: too many values, counting those that aliases (*) repeat`);
    }
    if (depth.values > MAX_DEPTH) {
      throw new TooMuch(`${place}: nested too deeply, or an alias (*) is part of what it names`);
    }
    const within = { ...depth, values: depth.values + 1 };
    const found = { place, namePlace: place, isRewritten: false, parts: NOTHING };
    if (node === null) return { ...found, value: null };
    if (isAlias(node)) {
      const target = file.targets.get(node);
      if (target) return { ...this.#part(file, target, within), place, namePlace: place };
      const wish = "nothing has the name that follows *: quote a text that begins with *";
      return this.#wrong(found, wish);
    }
    const tag = node.tag ?? "";
    if (tag.length > 1 && tag.startsWith("!")) return this.#tagged(file, found, node, within);
    if (isScalar(node)) return this.#scalar(found, node);
    if (tag === "" || tag === "!" || /:(?:map|seq)$/.test(tag)) {
      if (isSeq(node)) return this.#list(file, found, node.items, within);
      if (isMap(node)) return this.#block(file, found, node.items, within);
    }
    return this.#wrong(found, QUOTE_TAG);
  }

  #scalar(found: Found, { value, type, tag }: Scalar): YamlPart {
    const source = String(value);
    const kind = tag?.slice(STANDARD_TAG.length);
    if (kind === "str" || tag === "!" || (tag === undefined && type !== "PLAIN")) {
      return { ...found, value: source };
    }
    if (kind !== undefined && !/^(?:int|float|bool|null|timestamp)$/.test(kind)) {
      return this.#wrong(found, QUOTE_TAG);
    }
    const scalar = plainScalar(source);
    const isRewritten = scalar !== null && pythonTextOf(scalar) !== source;
    return { ...found, value: scalar, isRewritten };
  }

  #list(file: YamlText, found: Found, nodes: readonly unknown[], depth: Depth): YamlPart {
    const items = nodes.map((node) => this.#part(file, asNode(node), depth));
    const parts = new Map(items.map((item, index) => [String(index), item]));
    return { ...found, value: items.map(({ value }) => value), parts };
  }

  #block(file: YamlText, found: Found, pairs: readonly Pair[], depth: Depth): YamlPart {
    const own = new Map<string, YamlPart>();
    const merged = new Map<string, YamlPart>();
    for (const pair of pairs) {
      const { key } = pair;
      if (isScalar(key) && key.type === "PLAIN" && key.tag === undefined && key.value === "<<") {
        // what a block has itself goes before what it takes over, and of a list the first
        for (const [name, part] of this.#merged(this.#entry(file, pair, depth))) {
          if (!merged.has(name)) merged.set(name, part);
        }
        continue;
      }
      const name = this.#part(file, asNode(key), depth);
      const text = nameOf(name.value);
      if (text === undefined) this.#wrong(name, "what stands before a colon must be a name");
      else own.set(text, this.#entry(file, pair, depth));
    }
    const parts = new Map([...merged, ...own]);
    const value = Object.fromEntries([...parts].map(([name, part]) => [name, part.value]));
    return { ...found, value, parts };
  }

  #entry(file: YamlText, { key, value }: Pair, depth: Depth): YamlPart {
    const namePlace = `${file.name}, line ${file.lineOf(asNode(key))}`;
    const part = this.#part(file, asNode(value), depth);
    const isElsewhere = !part.place.startsWith(`${file.name}, `);
    return { ...part, namePlace, place: isElsewhere ? part.place : namePlace };
  }

  #merged(entry: YamlPart): readonly [string, YamlPart][] {
    const blocks = Array.isArray(entry.value) ? [...entry.parts.values()] : [entry];
    return blocks.flatMap((block) => {
      const isBlock = typeof block.value === "object" && block.value !== null;
      if (isBlock && !Array.isArray(block.value)) return [...block.parts];
      this.#wrong(entry, "<< must be a block, or a list of blocks, as in <<: *name");
      return [];
    });
  }

  #tagged(file: YamlText, found: Found, node: Node, depth: Depth): YamlPart {
    const { tag = "" } = node;
    const argument = isScalar(node) ? String(node.value) : "";
    const isOurs = tag === "!secret" || tag === "!include";
    if (isOurs && argument === "") return this.#wrong(found, `${tag} must be followed by a name`);
    if (!isOurs) {
      const wish = "cannot be followed: only !secret and !include can, write its value here";
      return this.#wrong(found, OTHER_TAG.test(tag) ? `${tag} ${wish}` : QUOTE_TAG);
    }
    const where = `${found.place}: ${tag} ${argument.replace(/[^\x20-\x7e]/g, "?")}:`;
    if (depth.files === MAX_FILES) {
      throw new TooMuch(`${where} files must not include each other without end`);
    }
    const within = { ...depth, files: depth.files + 1 };
    const nothing = { ...found, value: undefined };
    if (tag === "!include") {
      const included = this.#open(resolve(dirname(file.path), argument), `${where} it`);
      return included ? this.#part(included, included.contents, within) : nothing;
    }
    const secrets = this.#open(join(dirname(file.path), "secrets.yaml"), `${where} secrets.yaml`);
    if (!secrets) return nothing;
    const secret = entryOf(secrets, argument);
    if (secret) return this.#entry(secrets, secret, within);
    this.problems.push(`${where} secrets.yaml beside it must have that name`);
    return nothing;
  }

  #wrong(found: Found, problem: string): YamlPart {
    this.problems.push(`${found.place}: ${problem}`);
    return { ...found, value: undefined };
  }
}

/** The entry of that name at the top of the file; of several the last. */
function entryOf({ contents }: YamlText, name: string): Pair | undefined {
  if (!isMap(contents)) return undefined;
  return contents.items.findLast(({ key }) => isScalar(key) && key.value === name);
}

function asNode(node: unknown): Node | null {
  return isNode(node) ? node : null;
}

/** A name as Python's text of it. The one that an object cannot have is none. */
function nameOf(value: unknown): string | undefined {
  if (value === "__proto__") return undefined;
  if (typeof value === "string") return value;
  const isPlain = typeof value === "number" || typeof value === "bigint" ||
    typeof value === "boolean";
  return isPlain ? pythonTextOf(value) : undefined;
}
