/** The block `influxdb:` of a whole configuration, with what packages add to it (homeassistant/config.py). */
import { join } from "node:path";
import type { Environment } from "../../settings/settings_reader.ts";
import { YamlReader, type YamlValue } from "../../settings/yaml_file.ts";

type Block = Record<string, unknown>;

export interface HouseBlock {
  /** What all of them say together; undefined where no file has such a block. */
  readonly value: Block | undefined;
  /** Where an option stands, or the first of the blocks. */
  readonly at: YamlValue["at"];
  /** Each block with the options that it has, for a person: "configuration.yaml, line 4: include". */
  readonly found: readonly string[];
  /** What is not taken over, and what a person must look at. */
  readonly notes: readonly string[];
  /** One sentence a problem. Where there are any, Home Assistant could not start with these files either. */
  readonly problems: readonly string[];
}

const NAME = "influxdb";

/** A package of another name is left out by Home Assistant (`cv.slug`). */
const PACKAGE_NAME = /^[a-z\d]+(?:_[a-z\d]+)*$/;

/** Reads the folder that `configuration.yaml` is in. Throws nothing. */
export function readHouseBlock(folder: string, env: Environment): HouseBlock {
  const reader = new YamlReader({ folder, env });
  const path = join(folder, "configuration.yaml");
  const packages = ["homeassistant", "packages"];
  const sources: { yaml: YamlValue; options: Block }[] = [];
  const notes: string[] = [];
  let merged: Block | undefined;
  const places = [
    [],
    ...reader.namesAt(path, packages).map((name) => [...packages, name]),
  ];
  for (const names of places) {
    const yaml = reader.valueAt(path, [...names, NAME]);
    if (!yaml) continue;
    const place = yaml.at([]).namePlace;
    const name = names.at(-1);
    if (name !== undefined && !PACKAGE_NAME.test(name)) {
      notes.push(`${place}: Home Assistant takes no package of this name, for it is no slug`);
      continue;
    }
    const options = yaml.value ?? {};
    if (!isBlock(options)) {
      notes.push(`${place}: ${NAME}: must be a block of options, and is left out`);
      continue;
    }
    sources.push({ yaml, options });
    merged ??= {};
    for (const twice of merge(merged, options)) {
      notes.push(
        `${place}: ${twice} is set elsewhere already: it, and what follows in the same block, is ` +
          "left out, as it is by Home Assistant",
      );
    }
  }
  const first = sources[0]?.yaml;
  return {
    value: merged,
    at: (path) => {
      const source = sources.find(({ options }) => Object.hasOwn(options, path[0] ?? ""))?.yaml;
      return (source ?? first)?.at(path) ??
        { place: path.join(), namePlace: path.join(), source: undefined };
    },
    found: sources.map(({ yaml, options }) =>
      `${yaml.at([]).namePlace}: ${Object.keys(options).join(", ") || "a block without options"}`
    ),
    notes: [...notes, ...reader.notes],
    problems: reader.problems,
  };
}

function isBlock(value: unknown): value is Block {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `_recursive_merge`. Returns the options that are there already, at each of which a block's merging ends. */
function merge(block: Block, added: Block): string[] {
  const twice: string[] = [];
  for (const [name, value] of Object.entries(added)) {
    const present = block[name] ?? undefined;
    if (isBlock(value) && (present === undefined || isBlock(present))) {
      const inner: Block = { ...present };
      block[name] = inner;
      twice.push(...merge(inner, value).map((option) => `${name}: ${option}`));
    } else if (Array.isArray(value)) {
      block[name] = [present ?? [], value].flat().filter(Boolean);
    } else if (present === undefined) {
      block[name] = value;
    } else {
      return [...twice, name];
    }
  }
  return twice;
}
