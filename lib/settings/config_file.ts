/**
 * CONFIG_FILE: the `influxdb:` block of Home Assistant's own configuration, with `attributes:`
 * beside it for SCHEMA=tidy.
 */
import { basename } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { distance } from "fastest-levenshtein";
import type * as z from "zod";
import { CONNECTION, type FileOptions, fileSchema, NAMES, NO_FILE } from "./file_options.ts";
import { YamlReader, type YamlValue } from "./yaml_file.ts";

const COMPONENT_CONFIGS = [
  "component_config",
  "component_config_glob",
  "component_config_domain",
] as const;

export interface ConfigFile {
  /** What it is called in messages: its name without the folder. */
  readonly name: string;
  readonly path: string;
  readonly options: FileOptions;
  /** Whether it has the block; `absent` is that of a whole configuration without one. */
  readonly block: "read" | "absent" | "faulty";
  /** Where an option stands, for the beginning of a sentence: "influxdb.yaml, line 3". */
  readonly placeOf: (option: keyof FileOptions) => string;
  /** The text of each file that was read for it, by path; undefined where one could not be. */
  readonly texts: ReadonlyMap<string, string | undefined>;
}

/** The most faults that are named of one file: what is wrong with it may be repeated without end. */
const MAX_PROBLEMS = 20;

/**
 * Reads the file, whatever is in it. Every problem is added to `problems`, by file, line and the
 * option's name; none of them holds a value.
 */
export function readConfigFile(path: string, problems: string[]): ConfigFile {
  const reader = new YamlReader();
  const name = basename(path);
  const yaml = reader.read(path, "influxdb");
  const found = reader.problems;
  const isAbsent = yaml !== undefined && yaml.value === undefined;
  const options = yaml && !isAbsent && found.length === 0 ? optionsIn(name, yaml, found) : NO_FILE;
  const block = found.length > 0 ? "faulty" : isAbsent ? "absent" : "read";
  problems.push(...found.slice(0, MAX_PROBLEMS));
  const more = found.length - MAX_PROBLEMS;
  if (more > 0) problems.push(`${name} has ${more} more faults than these`);
  const placeOf = (option: string) => yaml?.at([option]).place ?? name;
  return { name, path, placeOf, texts: reader.texts, options, block };
}

/** The options that the block has; none where `problems` grew. */
export function optionsIn(name: string, yaml: YamlValue, problems: string[]): FileOptions {
  const { value, at } = yaml;
  const names = typeof value === "object" && !Array.isArray(value) ? Object.keys(value ?? {}) : [];
  if (names.length > 0 && !names.some((option) => NAMES.includes(option))) {
    problems.push(`${name} has no influxdb: in it, and none of that block's options`);
    return NO_FILE;
  }
  const { success, data, error } = fileSchema.safeParse(value, { reportInput: true });
  if (!success) problems.push(...error.issues.flatMap((issue) => problemsOf(yaml, issue)));
  for (const option of SECRET_OPTIONS) {
    const { place, source } = at([option]);
    if (data?.[option] === undefined || data[option] === source?.trim()) continue;
    problems.push(
      `${place}: ${option} is a number or a word that YAML makes another text of: quote it`,
    );
  }
  return data && problems.length === 0 ? data : NO_FILE;
}

/** Options whose very text counts, though the integration would take Python's text of a number. */
const SECRET_OPTIONS = ["password", "token"] as const;

function problemsOf({ at }: YamlValue, issue: z.core.$ZodIssue): string[] {
  const { path } = issue;
  if (issue.code !== "unrecognized_keys") {
    const isEmpty = issue.input === null && path.length > 0;
    const message = isEmpty
      ? "is empty: give it a value, in quotes where it begins with # or &, or leave it out"
      : issue.message;
    const option = optionAt(path) || "this";
    return [`${at(path).place}: ${option} ${message}`];
  }
  return issue.keys.map((key) => {
    const shown = shownName(key);
    const nearest = NAMES.reduce((a, b) => distance(shown, b) < distance(shown, a) ? b : a);
    const option = optionAt([...path, key]);
    const wish = nearest !== shown
      ? `is no option; did you mean ${nearest}?`
      : `is no option here: indent it under ${
        Object.hasOwn(NO_FILE.include, shown)
          ? "include or exclude"
          : "the block that it belongs to"
      }`;
    return `${at([...path, key]).namePlace}: ${option} ${wish}`;
  });
}

/** The option's names, from the outermost; of a list which entry, as people count. */
function optionAt(path: readonly PropertyKey[]): string {
  return path.map((part) => typeof part === "number" ? `entry ${part + 1}` : shownName(part))
    .join(": ");
}

/** What stands before a colon, unless it is more than a name: a value, where the space behind the colon is missing. */
function shownName(name: PropertyKey): string {
  const text = String(name);
  return /^[\w.*?[\]!-]{1,64}$/.test(text) ? text : `${/^\w{0,32}/.exec(text)?.[0]}…`;
}

/** Options that only one of the schemas asks for. */
const ONLY_IN = {
  homeassistant: [
    "precision",
    "measurement_attr",
    "default_measurement",
    "override_measurement",
    "tags",
    "tags_attributes",
  ],
  tidy: ["attributes"],
} as const;

/** What a person who set the file should know of it: options that do nothing here. */
export function fileNotes(
  { name, options, block }: ConfigFile,
  schema: "tidy" | "homeassistant",
  hasInfluxDb: boolean,
): string[] {
  const notes: string[] = [];
  if (block === "absent") {
    notes.push(
      `${name} has no influxdb: in it, so that all entities are kept. Of one that stands in a ` +
        "package enrich from-home-assistant makes a file",
    );
  }
  const idle: string[] = ONLY_IN[schema === "tidy" ? "homeassistant" : "tidy"]
    .filter((option) => !isDeepStrictEqual(options[option], NO_FILE[option]));
  if (schema === "homeassistant") {
    for (const list of ["include", "exclude"] as const) {
      if (options[list].event_types.length > 0) idle.push(`event_types in ${list}`);
    }
  }
  const inComponent = schema === "tidy" ? "override_measurement" : "attributes";
  for (const kind of COMPONENT_CONFIGS) {
    const some = [...options[kind].values()].some((entity) => entity[inComponent] !== undefined);
    if (some) idle.push(`${inComponent} in ${kind}`);
  }
  if (idle.length > 0) {
    notes.push(`${name}: with SCHEMA=${schema} these options do nothing: ${idle.join(", ")}`);
  }
  if (options.max_retries !== undefined) {
    notes.push(
      `${name}: max_retries is not needed: what InfluxDB does not take is kept, and tried without end`,
    );
  }
  if (!hasInfluxDb && CONNECTION.some((option) => options[option] !== undefined)) {
    notes.push(
      `${name} names no host, nor does INFLUXDB_URL: with SCHEMA=tidy events go to the local store`,
    );
  }
  return notes;
}
