/**
 * YAML as Home Assistant reads its own files: YAML 1.1, `!secret NAME` out of secrets.yaml beside
 * the file, `!include FILE` of another one. No tag is followed outside the part that is asked for,
 * so that a whole configuration.yaml can be read.
 */
import { basename, dirname, relative, resolve } from "node:path";
import { isMap, isNode, isScalar, isSeq, type Node, visit } from "yaml";
import { readTextFile } from "./text_file.ts";
import { YamlFolder } from "./yaml_folder.ts";
import { isTagged, targetOf, type YamlHouse } from "./yaml_tags.ts";
import {
  countOf,
  Merges,
  parseYaml,
  placeOf,
  sourcesOf,
  type Spot,
  valueOf,
  wholeOf,
  type YamlText,
} from "./yaml_text.ts";

/** Home Assistant's own configuration has some hundred kB at most. */
export const MAX_YAML_BYTES = 1_000_000;
/** Nobody writes more of these, but what repeats itself without end does. */
const MAX_VALUES = 100_000;
const MAX_ALIASES = 10_000;
const MAX_FOLLOWED = 300;

const NO_ANCHOR = "nothing has the name that follows *: quote a text that begins with *";
/** By one of these a file is known for Home Assistant's whole configuration. */
const WHOLE_CONFIGURATION = ["homeassistant", "default_config"];

export interface YamlValue {
  /** A text, a number, true or false, null, or an array or object of them; undefined where there is no such block. */
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

/** Reads one file with all that it refers to, and collects what is wrong with it. */
export class YamlReader {
  /** One sentence a problem, with file and line. They hold no value of the file. */
  readonly problems: string[] = [];
  /** What a person should know of: what `!env_var` stands for, a folder that is not there. */
  readonly notes: string[] = [];
  /** The text of each file that was asked for, by its path; undefined where it could not be read. */
  readonly texts = new Map<string, string | undefined>();
  readonly #files = new Map<string, YamlText | undefined>();
  /** What aliases and nodes with a tag stand for; undefined where that cannot be followed. */
  readonly #targets = new Map<unknown, Spot | undefined>();
  /** Nodes whose value is being made. */
  readonly #open = new Set<Node>();
  #followed = 0;
  #isLoop = false;
  #root = "";

  constructor(private readonly house?: YamlHouse) {}

  /**
   * The value of the top-level key, or, where the file has no such key, of the whole file, unless
   * that is a whole configuration. Undefined where it cannot be read; `problems` then says why.
   * Throws nothing.
   */
  read(path: string, key: string): YamlValue | undefined {
    return this.#reading(path, (whole) => {
      const block = this.#within(whole, key);
      const isAbsent = !block && WHOLE_CONFIGURATION.some((name) => this.#within(whole, name));
      return isAbsent
        ? { value: undefined, at: () => this.#at(whole, []) }
        : this.#yamlValue(block ?? whole);
    });
  }

  /** The value that stands under these names; undefined where none does, or it cannot be read. Throws nothing. */
  valueAt(path: string, names: readonly string[]): YamlValue | undefined {
    return this.#reading(path, (whole) => {
      const spot = this.#descend(whole, names);
      return spot && this.#yamlValue(spot);
    });
  }

  /** The names in the block that stands under these names. Throws nothing. */
  namesAt(path: string, names: readonly string[]): readonly string[] {
    return this.#reading(path, (whole) => {
      const spot = this.#descend(whole, names);
      return spot && [...new Set(this.#namesIn(spot, new Set()))];
    }) ?? [];
  }

  #reading<T>(path: string, read: (whole: Spot) => T | undefined): T | undefined {
    try {
      this.#root = dirname(resolve(path));
      const subject = this.house ? path : `CONFIG_FILE is "${path}": it`;
      const file = this.#fileOf(resolve(path), subject);
      return file && read(wholeOf(file));
    } catch {
      // the stack may be at its end, however that shows itself
      this.problems.push(`${basename(path)} cannot be read: it is nested too deeply, or no YAML`);
    }
  }

  #descend(spot: Spot, names: readonly string[]): Spot | undefined {
    return names.reduce<Spot | undefined>((at, name) => at && this.#within(at, name), spot);
  }

  #yamlValue(root: Spot): YamlValue | undefined {
    const value = valueOf(root);
    if (countOf(value, MAX_VALUES) <= MAX_VALUES) {
      return {
        value,
        at: (path) => this.#at(root, path),
      };
    }
    this.#wrong(root, "too many values, or too deep ones, counting what aliases (*) repeat");
  }

  #fileOf(path: string, subject: string): YamlText | undefined {
    if (this.texts.has(path)) return this.#files.get(path);
    this.texts.set(path, undefined);
    let text: string;
    try {
      text = readTextFile(path, MAX_YAML_BYTES);
    } catch (error) {
      const reason = error instanceof Error ? error.message : "";
      this.problems.push(`${subject} must be a file that can be read (${reason})`);
      return undefined;
    }
    this.texts.set(path, text);
    const parsed = parseYaml(path, relative(this.#root, path), text);
    if (typeof parsed === "string") this.problems.push(parsed);
    else this.#files.set(path, this.#prepare(parsed));
    return this.#files.get(path);
  }

  /** Has nodes with a tag followed when their value is asked for, and looks at `<<` and `*`. */
  #prepare(file: YamlText): YamlText | undefined {
    const before = this.problems.length;
    const anchors = new Map<string, Node>();
    const merges = new Merges(anchors);
    let aliases = 0;
    visit(file.document, {
      Pair: (_key, pair) => {
        const problem = merges.problemOf(pair);
        if (problem !== undefined) this.#wrong({ file, node: pair.key }, problem);
      },
      Alias: (_key, node) => {
        const target = anchors.get(node.source);
        if (target) this.#targets.set(node, { file, node: target });
        else this.#wrong({ file, node }, NO_ANCHOR);
        if (++aliases === MAX_ALIASES) this.#wrong({ file, node }, "too many aliases (*)");
      },
      Value: (_key, node) => {
        if (node.anchor !== undefined) anchors.set(node.anchor, node);
        if (isTagged(node)) node.toJSON = () => this.#valueOf({ file, node }, node);
      },
    });
    if (this.problems.length === before) return file;
  }

  #valueOf(spot: Spot, node: Node): unknown {
    if (this.#open.has(node) || ++this.#followed > MAX_FOLLOWED) return this.#loop(spot), null;
    this.#open.add(node);
    const target = this.#isLoop ? undefined : this.#targetOf(spot);
    const value = target ? valueOf(target) : null;
    this.#open.delete(node);
    return value;
  }

  /** Nothing more is followed, for it would lead here again. */
  #loop(spot: Spot): void {
    if (!this.#isLoop) this.#wrong(spot, "files must not include each other without end");
    this.#isLoop = true;
  }

  #targetOf(spot: Spot): Spot | undefined {
    const { node } = spot;
    if (isTagged(node) && !this.#targets.has(node)) {
      this.#targets.set(
        node,
        targetOf(spot, node, {
          house: this.house,
          notes: this.notes,
          fileOf: (path, subject) => this.#fileOf(path, subject),
          within: (spot, name) => this.#within(spot, name),
          wrong: (spot, problem) => this.#wrong(spot, problem),
        }),
      );
    }
    return this.#targets.get(node);
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
    if (node instanceof YamlFolder) return node.within(name, (whole) => this.#within(whole, name));
    const item = isSeq(node) ? node.items[Number(name)] : undefined;
    if (!isMap(node)) return isNode(item) ? { file, node: item } : undefined;
    const own = node.items.findLast(({ key }) => isScalar(key) && key.value === name);
    if (own) return { file, key: own.key, node: own.value };
    return node.items.flatMap(sourcesOf).values()
      .map((source) => this.#within({ file, node: source }, name)).find((found) => found);
  }

  /** The names in a block. */
  #namesIn(spot: Spot, seen: Set<unknown>): readonly string[] {
    const { file, node } = this.#endOf(spot);
    if (node instanceof YamlFolder) return node.names((whole) => this.#namesIn(whole, seen));
    if (!isMap(node) || seen.has(node)) return [];
    seen.add(node);
    return node.items.flatMap((pair) => {
      const { key } = pair;
      if (isScalar(key) && typeof key.value === "string") return [key.value];
      return sourcesOf(pair).flatMap((source) => this.#namesIn({ file, node: source }, seen));
    });
  }

  /** Where aliases and tags lead to. */
  #endOf(spot: Spot): Spot {
    const passed = new Set<unknown>();
    let at = spot;
    for (let next = this.#targetOf(at); next; next = this.#targetOf(at)) {
      if (passed.has(next.node)) return this.#loop(at), { ...at, node: undefined };
      passed.add(next.node);
      at = next;
    }
    return at;
  }
}
