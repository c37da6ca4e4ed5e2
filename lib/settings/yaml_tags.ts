/** What Home Assistant's own tags stand for (annotatedyaml/loader.py). */
import { dirname, join, relative, resolve } from "node:path";
import { isNode, isScalar, type Node, Scalar } from "yaml";
import type { Environment } from "./settings_reader.ts";
import { exists } from "./text_file.ts";
import { folderKindOf, SECRETS_FILE, yamlFilesIn, YamlFolder } from "./yaml_folder.ts";
import { placeOf, type Spot, wholeOf, type YamlText } from "./yaml_text.ts";

/** The folder of a whole configuration: all of Home Assistant's tags are followed in it. */
export interface YamlHouse {
  readonly folder: string;
  /** What `!env_var` is looked up in. */
  readonly env: Environment;
}

/** What following a tag takes. */
export interface TagReader {
  readonly house: YamlHouse | undefined;
  /** What a person should know of: what `!env_var` stands for. */
  readonly notes: string[];
  /** Opens a file; `subject` begins the sentence that says why it cannot be. */
  readonly fileOf: (path: string, subject: string) => YamlText | undefined;
  readonly within: (spot: Spot, name: string) => Spot | undefined;
  readonly wrong: (spot: Spot, problem: string) => undefined;
}

const NO_TAG =
  "only !secret and !include can be followed: quote a text that begins with !, or write its value";

/** Tags of YAML's own that change nothing. */
const IDLE_TAG = /^(?:!|tag:yaml\.org,2002:(?:map|seq|str))$/;

/** Whether its value is that of another place. */
export function isTagged(node: unknown): node is Node {
  return isNode(node) && node.tag !== undefined && !IDLE_TAG.test(node.tag);
}

/** Where the tag leads to. Undefined where it cannot be followed, which the reader notes. */
export function targetOf(spot: Spot, node: Node, reader: TagReader): Spot | undefined {
  const { house, wrong, fileOf } = reader;
  const tag = node.tag ?? "";
  const name = isScalar(node) ? String(node.value) : "";
  const said = `${tag} ${name.replace(/[^\x20-\x7e]/g, "?")}:`;
  const subject = (what: string) => `${placeOf(spot)}: ${said} ${what}`;
  const path = resolve(dirname(spot.file.path), name);
  const kind = folderKindOf(tag);
  if (tag === "!secret") return secretOf(spot, name, said, reader);
  if (tag === "!include") {
    const file = fileOf(path, subject("it"));
    return file && wholeOf(file);
  }
  if (house && tag === "!env_var") return variableOf(spot, name, said, reader);
  if (!house || kind === undefined) return wrong(spot, NO_TAG);
  if (!exists(path)) reader.notes.push(subject("there is no such folder, so nothing is in it"));
  try {
    const files = yamlFilesIn(path).flatMap((path): [string, Spot][] => {
      const file = fileOf(path, subject(relative(house.folder, path)));
      return file ? [[path, wholeOf(file)]] : [];
    });
    return { ...spot, key: node, node: new YamlFolder(kind, files) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : "";
    return wrong(spot, `${said} it must be a folder that can be read (${reason})`);
  }
}

/** Home Assistant looks beside the file, and then upwards as far as its own folder. */
function secretOf(
  spot: Spot,
  name: string,
  said: string,
  { house, fileOf, within, wrong }: TagReader,
): Spot | undefined {
  let folder = dirname(spot.file.path);
  const folders = [folder];
  const isInHouse = house && !relative(house.folder, folder).startsWith("..");
  while (isInHouse && relative(house.folder, folder) !== "") {
    folder = dirname(folder);
    folders.push(folder);
  }
  for (const folder of folders) {
    const path = join(folder, SECRETS_FILE);
    if (house && !exists(path)) continue;
    const file = fileOf(path, `${placeOf(spot)}: ${said} ${SECRETS_FILE}`);
    if (!file) return undefined;
    const secret = within(wholeOf(file), name);
    if (secret) return secret;
  }
  const where = house ? "beside it, or in a folder above," : "beside it";
  return wrong(spot, `${said} ${SECRETS_FILE} ${where} must have that name`);
}

/** Home Assistant's environment is not this one: what is taken is said. */
function variableOf(
  spot: Spot,
  text: string,
  said: string,
  { house, notes, wrong }: TagReader,
): Spot | undefined {
  const [name = "", ...words] = text.trim().split(/\s+/);
  const set = house?.env[name];
  if (set === undefined && words.length === 0) {
    return wrong(spot, `${said} it must be set where this is run, as it is for Home Assistant`);
  }
  const taken = set === undefined ? "its default is taken" : "its value here is taken";
  notes.push(`${placeOf(spot)}: !env_var ${name}: ${taken}; Home Assistant may have another`);
  return { ...spot, key: spot.node, node: new Scalar(set ?? words.join(" ")) };
}
