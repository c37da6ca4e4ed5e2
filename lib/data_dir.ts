/** The folder of a program's files, DATA_DIR: made for the program's own user alone. */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** SQLite says so where it cannot open or make a file, or not for writing. */
const SQLITE_REFUSED = /unable to open database file|readonly database|access permission denied/;

/** Makes the folder where there is none. Throws an Error that names DATA_DIR and says what to do. */
export function makeDataDir(dataDir: string): void {
  writing(dataDir, () => {
    const made = mkdirSync(dataDir, { recursive: true, mode: FOLDER_MODE });
    // the umask may have taken from the owner too
    if (made !== undefined) chmodSync(dataDir, FOLDER_MODE);
  });
}

/**
 * Makes the file where there is none, and sees that it can be written where there is one: SQLite
 * goes on with it, and gives the files that it makes beside it the same mode. Throws as `makeDataDir`.
 */
export function makePrivateFile(path: string): void {
  writing(path, () => {
    const isNew = !existsSync(path);
    closeSync(openSync(path, "a", FILE_MODE));
    if (isNew) chmodSync(path, FILE_MODE);
  });
}

/** Whether files can be made in the folder, and the one of that name written where it is there. Throws as `makeDataDir`. */
export function tryDataDir(dataDir: string, file: string): void {
  makeDataDir(dataDir);
  writing(dataDir, () => {
    Deno.removeSync(Deno.makeTempFileSync({ dir: dataDir, prefix: "check-" }));
  });
  const path = join(dataDir, file);
  writing(path, () => {
    if (existsSync(path)) closeSync(openSync(path, "r+"));
  });
}

function writing(path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw dataDirFault(error, path) ?? error;
  }
}

/**
 * What is wrong where the folder, or a file in it, cannot be made or written; undefined where the
 * error is another one.
 */
export function dataDirFault(error: unknown, path: string): Error | undefined {
  const [reason, wish] = faultOf(error) ?? [];
  return reason === undefined
    ? undefined
    : new Error(`Cannot write to DATA_DIR (${path}: ${reason}); ${wish}`);
}

const OWNER = "the folder and the files in it must belong to the user that the program runs as " +
  "(65532 in the container): change their owner, or set DATA_DIR to a folder of that user's";
const PLACE = "set DATA_DIR to a folder, or move away what is in its place";
const PARENT = "make the folder above it, or set DATA_DIR to another";

const FAULTS = new Map<unknown, readonly [reason: string, wish: string]>([
  ["EACCES", ["permission denied", OWNER]],
  ["EPERM", ["not permitted", OWNER]],
  ["EROFS", [
    "the file system is read-only",
    "mount it writable (a container needs a volume there, a systemd unit StateDirectory or " +
    "ReadWritePaths), or set DATA_DIR to another folder",
  ]],
  ["EEXIST", ["it is no folder", PLACE]],
  ["ENOTDIR", ["something above it is no folder", PLACE]],
  ["EISDIR", ["it is a folder, and should be a file", PLACE]],
  ["ENOENT", ["the folder above it is not there", PARENT]],
]);

function faultOf(error: unknown): readonly [reason: string, wish: string] | undefined {
  if (error instanceof Deno.errors.NotCapable) {
    return ["Deno does not permit it", "name DATA_DIR in --allow-read and --allow-write"];
  }
  if (error instanceof Error && SQLITE_REFUSED.test(error.message)) return [error.message, OWNER];
  return FAULTS.get(error instanceof Error && "code" in error ? error.code : undefined);
}

/**
 * One sentence where others may read files in the folder whose name begins so, which an older release
 * or a person has made; undefined where nobody else may. A folder that lets no one in hides them all.
 */
export function saysReadable(dataDir: string, name: string): string | undefined {
  // Windows has no such modes
  if (Deno.build.os === "windows") return undefined;
  const folder = modeOf(dataDir);
  // who may enter the folder may read a file of it that lets them
  const enters = (folder & 0o011) << 2;
  const files = namesIn(dataDir).filter((file) => file.startsWith(name))
    .map((file) => ({ name: file, mode: modeOf(join(dataDir, file)) }))
    .filter(({ mode }) => mode & enters)
    .map(({ name, mode }) => `${name} (mode ${mode.toString(8)})`);
  if (files.length === 0) return undefined;
  return `Other users of this machine may read ${files.sort().join(", ")} in DATA_DIR ${dataDir} ` +
    `(mode ${folder.toString(8)}); if they should not, run: chmod -R go= ${dataDir}`;
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    return []; // it may be written and not listed
  }
}

function modeOf(path: string): number {
  try {
    return (Deno.statSync(path).mode ?? 0) & 0o777;
  } catch {
    return 0; // gone meanwhile
  }
}
