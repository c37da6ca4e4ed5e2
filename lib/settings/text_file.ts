/** Files that settings name: their text, and whether they are there. */

/**
 * Throws an Error whose message says why the file cannot be read, for the end of a sentence. With
 * a limit, as of a file that is read again and again, it is no pipe or device either, where
 * reading may never end.
 */
export function readTextFile(path: string, maxBytes?: number): string {
  try {
    if (maxBytes !== undefined) {
      const { isFile, isDirectory, size } = Deno.statSync(path);
      if (!isFile) throw new Error(`it is a ${isDirectory ? "folder" : "pipe or a device"}`);
      if (size > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`);
    }
    return textOf(Deno.readFileSync(path));
  } catch (error) {
    throw new Error(reasonOf(error), { cause: error });
  }
}

/** Editors of Windows put a mark before UTF-8, and may save as UTF-16, which no reader here expects. */
function textOf(bytes: Uint8Array): string {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw new Error("it is saved as UTF-16: save it as UTF-8");
  }
  return new TextDecoder().decode(bytes);
}

/** Why a file cannot be read, for the end of a sentence. It holds no path. */
export function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is none";
  if (error instanceof Deno.errors.NotCapable) return "--allow-read does not name it";
  if (error instanceof Deno.errors.IsADirectory) return "it is a folder";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  // Deno adds the path, which may be a value that is at the wrong place
  return error instanceof Error ? error.message.replace(/: \w+ '.*'$/s, "") : String(error);
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
