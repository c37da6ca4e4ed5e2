/**
 * YAML as Home Assistant reads its own files: YAML 1.1, `!secret NAME` out of secrets.yaml beside
 * the file, `!include FILE` of another one. What stands outside the part that is asked for is not
 * looked at, so that a whole configuration.yaml can be read whatever else is in it.
 */
import { basename, dirname, join, resolve } from "node:path";
import {
  type Document,
  isMap,
  isNode,
  LineCounter,
  type Node,
  parseDocument,
  Scalar,
  type Tags,
  visit,
} from "yaml";
import { readTextFile } from "./text_file.ts";

const MAX_DEPTH = 10;

/** Reads one file with all that it refers to, and collects what is wrong with it. */
export class YamlReader {
  /** One sentence a problem, with file and line. They hold no value of the file. */
  readonly problems: string[] = [];
  /** The text of each file that was asked for, by its path; undefined where it could not be read. */
  readonly texts = new Map<string, string | undefined>();

  /**
   * The value of the top-level key, or, where the file has no such key, of the whole file.
   * Undefined where it cannot be read; `problems` then says why.
   */
  read(path: string, key: string): unknown {
    const file = this.#open(resolve(path), `CONFIG_FILE is "${path}": it`);
    if (!file) return undefined;
    const { contents } = file.document;
    const part = isMap(contents) && contents.has(key) ? contents.get(key, true) : contents;
    return this.#valueOf(file, isNode(part) ? part : null, 0);
  }

  #open(path: string, subject: string): OpenFile | undefined {
    let text: string;
    try {
      text = readTextFile(path);
    } catch (error) {
      this.texts.set(path, undefined);
      const reason = error instanceof Error ? error.message : "";
      this.problems.push(`${subject} must be a file that can be read (${reason})`);
      return undefined;
    }
    this.texts.set(path, text);
    const lines = new LineCounter();
    const document = parseDocument(text, {
      version: "1.1",
      customTags: asPyYaml,
      // Home Assistant warns of a key that stands twice, and takes the last
      uniqueKeys: false,
      lineCounter: lines,
      logLevel: "silent",
    });
    const name = basename(path);
    for (const { message } of document.errors) {
      // behind the first line the library shows the file's text, which may be a secret
      this.problems.push(`${name} is no YAML: ${message.split("\n")[0]?.replace(/:$/, "")}`);
    }
    return document.errors.length > 0 ? undefined : { path, name, document, lines };
  }

  #valueOf(file: OpenFile, part: Node | null, depth: number): unknown {
    const { document } = file;
    if (part === null) return null;
    if (isTagged(part)) return this.#tagged(file, part, depth);
    visit(part, {
      Node: (_key, node) => {
        if (!isTagged(node)) return undefined;
        const replacement = document.createNode(this.#tagged(file, node, depth));
        if ("anchor" in node) Object.assign(replacement, { anchor: node.anchor });
        return replacement;
      },
    });
    return part.toJS(document);
  }

  #tagged(file: OpenFile, node: Node, depth: number): unknown {
    const { path, name, lines } = file;
    const { line } = lines.linePos(node.range?.[0] ?? 0);
    const argument = node instanceof Scalar ? String(node.value) : "";
    const where = `${name}, line ${line}: ${node.tag} ${argument}:`;
    switch (node.tag) {
      case "!secret": {
        const secrets = this.#open(join(dirname(path), "secrets.yaml"), `${where} secrets.yaml`);
        if (!secrets) return undefined;
        const { contents } = secrets.document;
        if (isMap(contents) && contents.has(argument)) return contents.get(argument);
        this.problems.push(`${where} secrets.yaml beside it must have that name`);
        return undefined;
      }
      case "!include": {
        if (depth === MAX_DEPTH) {
          this.problems.push(`${where} files must not include each other without end`);
          return undefined;
        }
        const included = this.#open(resolve(dirname(path), argument), `${where} it`);
        return included && this.#valueOf(included, included.document.contents, depth + 1);
      }
      default:
        this.problems.push(
          `${name}, line ${line}: ${node.tag} cannot be followed: only !secret and !include can, ` +
            "write its value here",
        );
        return undefined;
    }
  }
}

interface OpenFile {
  readonly path: string;
  readonly name: string;
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
}

/** Whether it is one of Home Assistant's own tags, which YAML knows nothing of. */
function isTagged(node: Node): boolean {
  return node.tag?.startsWith("!") === true;
}

/**
 * PyYAML, which Home Assistant reads with, follows YAML 1.1 but for these: `y` and `n` are texts,
 * and so is `1e3`, which has no point. A number with a point becomes its text in Python, `1.0`,
 * and a date the text that it was: no option is either of them.
 */
function asPyYaml(tags: Tags): Tags {
  return tags.flatMap((tag) => {
    if (typeof tag === "string" || !("test" in tag) || !tag.test) return [tag];
    if (tag.test.test("2024-01-01")) return [];
    if (tag.test.test("yes")) {
      return [{ ...tag, test: /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON)$/ }];
    }
    if (tag.test.test("no")) {
      return [{ ...tag, test: /^(?:no|No|NO|false|False|FALSE|off|Off|OFF)$/ }];
    }
    if (tag.test.test("1e3")) {
      return [{ ...tag, test: /^[-+]?[0-9][0-9_]*\.[0-9_]*[eE][-+][0-9]+$/, resolve: floatText }];
    }
    return tag.test.test("1.0") ? [{ ...tag, resolve: floatText }] : [tag];
  });
}

function floatText(source: string): string {
  const value = Number(source.replaceAll("_", ""));
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}
