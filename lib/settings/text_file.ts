/** Files that settings name: their text, and whether they are there. */

/** Throws an Error whose message says why the file cannot be read, for the end of a sentence. */
export function readTextFile(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new Error(reasonOf(error), { cause: error });
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is none";
  if (error instanceof Deno.errors.NotCapable) return "--allow-read does not name it";
  return error instanceof Error ? error.message : String(error);
}

/** Whether it is there, and may be looked at. Not node:fs' existsSync, which throws where it may not. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
