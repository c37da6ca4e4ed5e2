/** A folder of `!include_dir_…`, as Home Assistant takes it (annotatedyaml/loader.py). */
import { basename, join } from "node:path";
import { Scalar } from "yaml";
import { reasonOf } from "./text_file.ts";
import { type Spot, valueOf } from "./yaml_text.ts";

/** Nobody has more of them. */
const MAX_FILES = 5_000;

export const SECRETS_FILE = "secrets.yaml";

const FOLDER_TAG = /^!include_dir_(list|merge_list|named|merge_named)$/;

/** Whether the files' values stand in a list, or under names; `merge` where these are in the files. */
export function folderKindOf(tag: string): string | undefined {
  return FOLDER_TAG.exec(tag)?.[1];
}

/** What stands where the tag does. */
export class YamlFolder extends Scalar<null> {
  /** Takes the files with the paths that they have. */
  constructor(
    private readonly kind: string,
    private readonly files: readonly (readonly [path: string, whole: Spot])[],
  ) {
    super(null);
  }

  override toJSON(): unknown {
    const values = this.files.map(([path, whole]) => [stemOf(path), valueOf(whole)] as const);
    switch (this.kind) {
      case "list":
        return values.flatMap(([, value]) => value === null ? [] : [value]);
      case "merge_list":
        return values.flatMap(([, value]) => Array.isArray(value) ? value : []);
      case "named":
        return Object.fromEntries(values.map(([stem, value]) => [stem, value ?? {}]));
      default:
        return Object.fromEntries(
          values.flatMap(([, value]) =>
            typeof value === "object" && !Array.isArray(value) ? Object.entries(value ?? {}) : []
          ),
        );
    }
  }

  /** What has that name, of several the last; `within` looks into a file. */
  within(name: string, within: (whole: Spot) => Spot | undefined): Spot | undefined {
    if (this.kind === "named") return this.files.findLast(([path]) => stemOf(path) === name)?.[1];
    if (this.kind !== "merge_named") return undefined;
    return this.files.toReversed().values().map(([, whole]) => within(whole)).find((spot) => spot);
  }

  /** The names in it; `namesIn` has those in a file. */
  names(namesIn: (whole: Spot) => readonly string[]): string[] {
    if (this.kind === "named") return this.files.map(([path]) => stemOf(path));
    return this.kind === "merge_named" ? this.files.flatMap(([, whole]) => namesIn(whole)) : [];
  }
}

function stemOf(path: string): string {
  return basename(path, ".yaml");
}

/**
 * The paths of all `*.yaml` in the folder and below it, in the order in which they count; none
 * where there is no folder, as there. Throws an Error that says why they cannot be read, for the
 * end of a sentence.
 */
export function yamlFilesIn(folder: string): string[] {
  const found: string[] = [];
  try {
    gather(folder, found);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new Error(reasonOf(error), { cause: error });
  }
  return found;
}

function gather(folder: string, found: string[]): void {
  const entries = [...Deno.readDirSync(folder)]
    .filter(({ name }) => !name.startsWith("."))
    .sort((a, b) => a.name < b.name ? -1 : 1);
  for (const { name, isDirectory, isSymlink } of entries) {
    if (isDirectory || !name.endsWith(".yaml") || name === SECRETS_FILE) continue;
    const path = join(folder, name);
    if (isSymlink && isFolder(path)) continue;
    if (found.push(path) > MAX_FILES) {
      throw new Error(`it has over ${MAX_FILES} files`);
    }
  }
  // a link to a folder is not followed there either
  for (const { name, isDirectory } of entries) {
    if (isDirectory) gather(join(folder, name), found);
  }
}

/** A link that leads nowhere is none: as there, it cannot be read. */
function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
