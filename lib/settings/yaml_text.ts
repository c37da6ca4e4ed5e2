/** A file of YAML: its text, and the nodes that it is made of. */
import {
  type Alias,
  type ErrorCode,
  isAlias,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLError,
} from "yaml";
import { readTextFile } from "./text_file.ts";

/** Home Assistant's own configuration has some hundred kB at most. */
const MAX_BYTES = 1_000_000;
/** What comes behind the first faults of a file is mostly their consequence. */
const MAX_FAULTS = 5;

/** What PyYAML takes for no text either, and what stands for bytes that are no UTF-8. */
const NO_TEXT = /[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffc\u{10000}-\u{10ffff}]/u;

export interface YamlText {
  readonly path: string;
  /** The name of the file, without its folder. */
  readonly name: string;
  readonly contents: Node | null;
  /** What each alias stands for; one that is missing here stands for nothing. */
  readonly targets: ReadonlyMap<Alias, Node>;
  readonly lineOf: (node: Node | null) => number;
}

/** The text of the file. Throws an Error whose message says why it cannot be read, for the end of a sentence. */
export function readYamlText(path: string): string {
  return readTextFile(path, MAX_BYTES);
}

/** Takes the text apart. Returns what is wrong with it, a sentence each, where it is no YAML. */
export function parseYaml(path: string, name: string, text: string): YamlText | readonly string[] {
  const lines = new LineCounter();
  const noText = NO_TEXT.exec(text);
  if (noText) {
    const line = text.slice(0, noText.index).split("\n").length;
    return [
      `${name}, line ${line} holds a character that is none of a text: save the file as UTF-8`,
    ];
  }
  const document = parseDocument(text, {
    version: "1.1",
    // texts, lists and maps only: what a text means is for python_scalar.ts
    schema: "failsafe",
    resolveKnownTags: false,
    // Home Assistant warns of a key that stands twice, and takes the last
    uniqueKeys: false,
    lineCounter: lines,
    prettyErrors: false,
    logLevel: "error",
  });
  const { errors, contents } = document;
  if (errors.length > 0) {
    const told = errors.slice(0, MAX_FAULTS).map((error) =>
      `${name}, line ${lines.linePos(error.pos[0]).line} is no YAML: ${wishOf(error)}`
    );
    const more = errors.length - told.length;
    return more > 0 ? [...told, `${name} has ${more} more faults behind these`] : told;
  }
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(document, {
    Node: (_key, node) => {
      const target = isAlias(node) ? anchors.get(node.source) : undefined;
      if (isAlias(node) && target) targets.set(node, target);
      if (!isAlias(node) && node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return {
    path,
    name,
    contents,
    targets,
    lineOf: (node) => lines.linePos(node?.range?.[0] ?? 0).line,
  };
}

/** Their messages hold nothing of the file; those of other codes may show what is a secret. */
const CONSTANT: ReadonlySet<ErrorCode> = new Set(
  [
    "BAD_INDENT",
    "BAD_PROP_ORDER",
    "BLOCK_IN_FLOW",
    "KEY_OVER_1024_CHARS",
    "MISSING_CHAR",
    "MULTILINE_IMPLICIT_KEY",
    "MULTIPLE_ANCHORS",
  ] as const,
);

const WISHES: Partial<Readonly<Record<ErrorCode, string>>> = {
  ALIAS_PROPS: "quote a text that begins with *",
  BAD_ALIAS: "quote a text that begins with * or &",
  BAD_DQ_ESCAPE: "write a text with backslashes in single quotes",
  BAD_SCALAR_START: "quote a text that begins with @, % or `",
  BLOCK_AS_IMPLICIT_KEY: "quote a text with a colon in it, or begin a new line",
  MULTIPLE_DOCS: "leave out --- and what follows",
  MULTIPLE_TAGS: "quote a text that begins with !",
  RESOURCE_EXHAUSTION: "it is nested too deeply",
  TAB_AS_INDENT: "indent with spaces, not with tabs",
  TAG_RESOLVE_FAILED: "quote a text that begins with !",
};

function wishOf({ code, message }: YAMLError): string {
  if (CONSTANT.has(code)) return `${message}; quote a text that has signs of YAML in it`;
  return WISHES[code] ?? "look at its quotation marks, brackets and indentation";
}
