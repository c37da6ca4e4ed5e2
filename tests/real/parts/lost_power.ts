/**
 * What a disk may hold after a power cut: of each file what was synced, and of what was written to it
 * since any part. That a sector of 512 bytes is written whole or not at all is all that is taken for
 * granted; which files there are is kept in order.
 */
import { basename } from "node:path";
import type { Syscall } from "./syscalls.ts";

const SECTOR_BYTES = 512;

type Change =
  | {
    readonly kind: "write";
    readonly index: number;
    readonly at: number;
    readonly data: Uint8Array;
  }
  | { readonly kind: "cut"; readonly index: number; readonly bytes: number };

interface NameChange {
  readonly index: number;
  readonly name: string;
  /** Undefined where the name is gone. */
  readonly file: FileOnDisk | undefined;
}

/** Which part of a change has reached the disk: all of it, nothing, or single sectors. */
export type Reached = (change: { readonly index: number }) => "all" | "nothing" | "some sectors";

/** The files of a disk, and the last call of which it holds anything. */
export interface DiskState {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly last: number;
}

class FileOnDisk {
  #synced = new Uint8Array();
  changes: Change[] = [];

  sync(): void {
    this.#synced = this.with(this.changes, () => "all", () => 1);
    this.changes = [];
  }

  /** Its bytes with these changes. */
  with(
    changes: readonly Change[],
    reached: Reached,
    random: () => number,
  ): Uint8Array<ArrayBuffer> {
    const most = changes.reduce(
      (bytes, change) =>
        change.kind === "write" ? Math.max(bytes, change.at + change.data.length) : bytes,
      this.#synced.length,
    );
    const bytes = new Uint8Array(most);
    bytes.set(this.#synced);
    let { length } = this.#synced;
    for (const change of changes) {
      const part = reached(change);
      if (part === "nothing") continue;
      if (change.kind === "cut") {
        bytes.fill(0, change.bytes);
        length = change.bytes;
        continue;
      }
      const end = change.at + change.data.length;
      length = Math.max(length, end);
      if (part === "all") {
        bytes.set(change.data, change.at);
        continue;
      }
      for (let from = change.at; from < end;) {
        const to = Math.min(end, (Math.floor(from / SECTOR_BYTES) + 1) * SECTOR_BYTES);
        if (random() < 0.5) bytes.set(change.data.subarray(from - change.at, to - change.at), from);
        from = to;
      }
    }
    return bytes.subarray(0, length);
  }
}

/** The disk under a folder whose files are written one call after the other. */
export class Disk {
  readonly #folder: string;
  readonly #files = new Map<string, FileOnDisk>();
  readonly #synced = new Map<string, FileOnDisk>();
  #nameChanges: NameChange[] = [];
  #lastSynced = -1;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The numbers of the calls that no sync has followed. */
  get unsynced(): readonly number[] {
    return [...[...this.#files.values()].flatMap(({ changes }) => changes), ...this.#nameChanges]
      .map(({ index }) => index).sort((a, b) => a - b);
  }

  isUnsynced(name: string): boolean {
    return (this.#files.get(name)?.changes.length ?? 0) > 0;
  }

  /** Whether the call is about this folder, and whether it syncs something there. */
  concerns({ name, path }: Syscall): "sync" | "change" | undefined {
    if (!path.startsWith(this.#folder)) return undefined;
    return /sync/.test(name) ? "sync" : "change";
  }

  /** The index-th call took effect. */
  take({ name, path, data, at, creates }: Syscall, index: number): void {
    const file = basename(path);
    if (/sync/.test(name)) {
      if (path === this.#folder) this.#syncNames();
      else this.#files.get(file)?.sync();
      this.#lastSynced = index;
    } else if (name === "openat") {
      if (creates && !this.#files.has(file)) {
        const made = new FileOnDisk();
        this.#files.set(file, made);
        this.#nameChanges.push({ index, name: file, file: made });
      }
    } else if (name === "unlink") {
      this.#files.delete(file);
      this.#nameChanges.push({ index, name: file, file: undefined });
    } else {
      const changes = this.#files.get(file)?.changes;
      if (!changes) throw new Error(`Cannot follow ${name} of ${path}: nobody has made it`);
      if (name === "ftruncate") changes.push({ kind: "cut", index, bytes: at });
      else if (name === "pwrite64") changes.push({ kind: "write", index, at, data });
      else throw new Error(`Cannot follow ${name} of ${path}`);
    }
  }

  #syncNames(): void {
    for (const change of this.#nameChanges) rename(this.#synced, change);
    this.#nameChanges = [];
  }

  /** What the disk holds after a power cut now. Names change in their order, up to the first that has not reached it. */
  state(reached: Reached, random: () => number): DiskState {
    let last = this.#lastSynced;
    const noted: Reached = (change) => {
      const part = reached(change);
      if (part !== "nothing") last = Math.max(last, change.index);
      return part;
    };
    const names = new Map(this.#synced);
    for (const change of this.#nameChanges) {
      if (noted(change) === "nothing") break;
      rename(names, change);
    }
    const files = new Map(
      [...names].map(([name, file]) => [name, file.with(file.changes, noted, random)] as const),
    );
    return { files, last };
  }
}

function rename(names: Map<string, FileOnDisk>, { name, file }: NameChange): void {
  if (file) names.set(name, file);
  else names.delete(name);
}
