/** One text of YAML 1.1, as PyYAML reads it, with its places. */
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
} from "yaml";
import type { ScalarTag } from "yaml";
import { plainScalar, pythonTextOf } from "./python_scalar.ts";

/** What PyYAML takes for no text either, and what stands for bytes that are no UTF-8. */
const NO_TEXT = /[^\t\n\r\x20-\x7e\x85\xa0-\ufffc\u{10000}-\u{10ffff}]/u;

const NO_UTF_8 = " holds a character that is none of a text: save the file as UTF-8";
const NO_YAML =
  " is no YAML: quote a text with signs of YAML in it (* & ! % @ ` { [ : #), by ' where it has a " +
  "backslash; close quotes and brackets, and indent with spaces";

/** Nobody nests deeper. */
const MAX_DEPTH = 100;

/** What has no quotes. A name is Python's text of what it would be as a value. */
const PLAIN = { tag: "tag:yaml.org,2002:str", test: /^/ };
const SCALARS: readonly ScalarTag[] = [
  { ...PLAIN, default: "key", resolve: (source) => pythonTextOf(plainScalar(source)) },
  { ...PLAIN, default: true, resolve: plainScalar },
];

export interface YamlText {
  readonly path: string;
  readonly document: Document.Parsed;
  /** The file and the line of an offset, for the beginning of a sentence: "influxdb.yaml, line 3". */
  readonly placeAt: (offset?: number) => string;
}

/** A value in a file, and the name before it. */
export interface Spot {
  readonly file: YamlText;
  readonly node: unknown;
  readonly key?: unknown;
}

/** Parses the text of the file that `name` stands for. Returns a sentence where it is no YAML. */
export function parseYaml(path: string, name: string, text: string): YamlText | string {
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
  const placeAt = (offset = 0) => `${name}, line ${lines.linePos(offset).line}`;
  const noText = NO_TEXT.exec(text);
  const [error] = document.errors; // what comes behind the first is mostly its consequence
  if (noText) return placeAt(noText.index) + NO_UTF_8;
  return error ? placeAt(error.pos[0]) + NO_YAML : { path, document, placeAt };
}

export function wholeOf(file: YamlText): Spot {
  return { file, node: file.document.contents };
}

export function placeOf({ file, key, node }: Spot): string {
  const at = key ?? node;
  return file.placeAt(isNode(at) ? at.range?.[0] : 0);
}

export function valueOf({ file, node }: Spot): unknown {
  // aliases are counted later, by what they repeat
  return isNode(node) ? node.toJS(file.document, { maxAliasCount: -1 }) : null;
}

/** What the block takes over by `<<`. */
export function sourcesOf({ key, value }: Pair): readonly unknown[] {
  if (!isScalar(key) || typeof key.value !== "symbol") return [];
  return isSeq(value) ? value.items : [value];
}

const NO_MERGE = "<< must be a block, or a list of blocks, as in <<: *name";
/** More names than that are no person's, but those of blocks that take each other over again and again. */
const MAX_MERGED = 100_000;

/** Tells what is wrong with what blocks take over by `<<`, in the order of the file. */
export class Merges {
  readonly #sizes = new Map<unknown, number>();

  constructor(private readonly anchors: ReadonlyMap<string, Node>) {}

  problemOf(pair: Pair): string | undefined {
    const blocks = sourcesOf(pair).map((source) => this.#blockOf(source));
    if (!blocks.every(isMap)) return NO_MERGE;
    const names = blocks.reduce((sum, block) => sum + this.#sizeOf(block), 0);
    return names > MAX_MERGED ? "too many names, counting what << takes over" : undefined;
  }

  #blockOf(source: unknown): unknown {
    return isAlias(source) ? this.anchors.get(source.source) : source;
  }

  /** How many names are taken over, one by one, with all that the block itself takes over. */
  #sizeOf(block: unknown): number {
    if (!isMap(block)) return 0;
    const known = this.#sizes.get(block);
    if (known !== undefined) return known;
    // a block that takes itself over has no end
    this.#sizes.set(block, Infinity);
    const taken = block.items.flatMap(sourcesOf).map((source) =>
      this.#sizeOf(this.#blockOf(source))
    );
    const size = taken.reduce((sum, one) => sum + one, block.items.length);
    this.#sizes.set(block, size);
    return size;
  }
}

/** How many values there are, counted as far as `max`; more than that where they are too deep. */
export function countOf(value: unknown, max: number, depth = 0): number {
  if (typeof value !== "object" || value === null) return 1;
  if (depth > MAX_DEPTH) return Infinity;
  return Object.values(value).reduce<number>(
    (count, part) => count > max ? count : count + countOf(part, max, depth + 1),
    1,
  );
}
