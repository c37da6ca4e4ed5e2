/** What a program has asked of the kernel, out of a log of `strace`. */
import { until } from "../../until.ts";

const CALLS = "pwrite64,write,writev,sendto,sendmsg,fsync,fdatasync,ftruncate,unlink,openat";

/** A call, where it took effect: one that writes when it began, one that opens or syncs when it had succeeded. */
export interface Syscall {
  readonly name: string;
  /** The file that it is about; a socket has `socket:[…]` or the like. */
  readonly path: string;
  /** What it writes. */
  readonly data: Uint8Array<ArrayBuffer>;
  /** Where it writes, or to what length it cuts the file. */
  readonly at: number;
  /** Whether it makes the file where there is none. */
  readonly creates: boolean;
}

/** A command that runs a program whose calls are written to the file. */
export function recording(file: string): readonly string[] {
  return [
    ...["strace", "-D", "-f", "--seccomp-bpf", "-q", "-y", "-xx", "-s", "1000000"],
    ...["-e", "signal=none", "-e", `trace=${CALLS}`, "-o", file],
  ];
}

/** The whole log of a program that has ended: who writes it goes on for a moment. */
export async function recorded(file: string, pid: number): Promise<string> {
  const end = new RegExp(`(?:^|\\n)${pid} +\\+\\+\\+ (?:exited|killed).*\\n$`);
  return await until(async () => {
    const log = await Deno.readTextFile(file);
    return end.test(log.slice(-200)) && log;
  }, "the log of what the program did is complete");
}

const BEGUN = /^\d+ +(\w+)\((.*)$/;
const RESUMED = /^(\d+) +<\.\.\. (\w+) resumed>(.*)$/;
const UNFINISHED = " <unfinished ...>";
const FAILED = /\) += -1 /;
/** These take effect at their end. */
const ENDS = new Set(["fsync", "fdatasync", "openat"]);

/** The calls of a log, in the order in which they took effect. */
export function* syscallsIn(log: string): Generator<Syscall> {
  const pending = new Map<string, string>();
  for (const line of lines(log)) {
    const pid = line.slice(0, line.indexOf(" "));
    const resumed = RESUMED.exec(line);
    const [, name = "", text = ""] = resumed
      ? ["", resumed[2], (pending.get(pid) ?? "") + resumed[3]]
      : BEGUN.exec(line) ?? [];
    const isBegun = text.endsWith(UNFINISHED);
    const rest = isBegun ? text.slice(0, -UNFINISHED.length) : text;
    if (isBegun) pending.set(pid, rest);
    const counts = ENDS.has(name) ? !isBegun : !resumed;
    if (name === "" || !counts || FAILED.test(rest)) continue;
    yield syscallOf(name, rest);
  }
}

function* lines(log: string): Generator<string> {
  for (let at = 0; at < log.length;) {
    const end = log.indexOf("\n", at);
    if (end === -1) return; // it was being written
    yield log.slice(at, end);
    at = end + 1;
  }
}

function syscallOf(name: string, rest: string): Syscall {
  const paths = [...rest.matchAll(/<((?:\\x[0-9a-f]{2})+)>/g)].map(([, hex = ""]) => textOf(hex));
  const strings = [...rest.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex = ""]) =>
    bytesOf(hex)
  );
  const numbers = /, (\d+)(?:, (\d+))?(?:\) += .*)?$/.exec(rest);
  if (/pwrite|truncate/.test(name) && !numbers) throw new Error(`Cannot read ${rest.slice(-100)}`);
  const isWrite = /write|send/.test(name);
  return {
    name,
    path: name === "unlink"
      ? new TextDecoder().decode(strings[0])
      : paths.at(name === "openat" ? -1 : 0) ?? "",
    data: isWrite ? joined(strings) : new Uint8Array(),
    at: Number(numbers?.[name === "pwrite64" ? 2 : 1] ?? 0),
    creates: rest.includes("O_CREAT"),
  };
}

function joined(parts: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const [only] = parts;
  return parts.length === 1 && only ? only : Uint8Array.from(parts.flatMap((part) => [...part]));
}

function textOf(hex: string): string {
  return new TextDecoder().decode(bytesOf(hex));
}

/** Of `\x41\x42`. */
function bytesOf(hex: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(hex.length / 4);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = nibble(hex.charCodeAt(4 * i + 2)) * 16 + nibble(hex.charCodeAt(4 * i + 3));
  }
  return bytes;
}

function nibble(code: number): number {
  return code < 0x3a ? code - 0x30 : code - 0x57;
}
