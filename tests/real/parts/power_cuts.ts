/** Looks into outboxes as power cuts may have left them: what was promised until then must be in each. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openOutbox } from "../../../lib/ingest/outbox/open_outbox.ts";
import { FullDisk } from "../../outbox_model/full_disk.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { Disk, type DiskState, type Reached } from "./lost_power.ts";
import type { Mark } from "./outbox_work.ts";
import { seededRandom } from "./seeded_random.ts";
import type { Syscall } from "./syscalls.ts";

/** What has been promised so far, and which events may have left by which call. */
class Promises {
  #acked = -1;
  readonly #left = new Map<number, number>();
  readonly #buried = new Set<number>();

  take(mark: Mark, index: number): void {
    if ("acked" in mark) this.#acked = mark.acked;
    else if ("leaving" in mark) {
      for (const id of mark.leaving) {
        this.#left.set(id, index);
        this.#buried.delete(id);
      }
    } else if ("buried" in mark) { for (const id of mark.buried) this.#buried.add(id); }
    else for (const id of mark.raised) this.#buried.delete(id);
  }

  /** What is broken in an outbox that has these; `last` is the last call that is on its disk. */
  broken({ waiting, dead, received }: Found, last: number): string[] {
    const all = new Set([...waiting, ...dead]);
    const faults: string[] = [];
    if (all.size < waiting.length + dead.length) faults.push("an event is there twice");
    if (received <= this.#acked) {
      faults.push(`event ${this.#acked} was acknowledged, ${received} received`);
    }
    for (let id = 0; id < Math.max(received, this.#acked + 1); id++) {
      if (all.has(id)) continue;
      if ((this.#left.get(id) ?? Infinity) > last) faults.push(`event ${id} is lost`);
    }
    for (const id of this.#buried) if (!dead.includes(id)) faults.push(`${id} is no dead letter`);
    return faults;
  }
}

interface Found {
  readonly waiting: readonly number[];
  readonly dead: readonly number[];
  readonly received: number;
}

export interface CutOptions {
  /** The folder whose files the calls are about. */
  readonly folder: string;
  readonly seed: number;
  /** About so many states are looked into. */
  readonly states: number;
}

export interface Cuts {
  readonly states: number;
  /** In so many of them the file itself, and not its log, was being written. */
  readonly inCheckpoints: number;
  /** What was broken, with the kind of state and the number of the call. */
  readonly faults: readonly string[];
  /** How many writes and syncs there were. */
  readonly changes: number;
  readonly syncs: number;
}

/** Cuts the power at each call, and looks into so many of the disks that this may leave, chosen at random. */
export function cutPower(calls: readonly Syscall[], { folder, seed, states }: CutOptions): Cuts {
  let possible = 0;
  let changes = 0;
  let syncs = 0;
  forEachCut(calls, folder, (_, disk, call) => {
    possible += kindsOf(disk).length;
    if (disk.concerns(call) === "sync") syncs++;
    else if (disk.concerns(call)) changes++;
  });
  const random = seededRandom(seed);
  const faults: string[] = [];
  let looked = 0;
  let inCheckpoints = 0;
  using temporary = new TemporaryFolder();
  // a state is looked into once: nothing of it needs a sync
  using _unsynced = new FullDisk();
  forEachCut(calls, folder, (index, disk, _, promises) => {
    for (const [kind, reached] of kindsOf(disk, random)) {
      if (random() >= states / possible) continue;
      const path = temporary.file(String(looked++));
      if (disk.isUnsynced("outbox.sqlite")) inCheckpoints++;
      for (const fault of faultsOf(path, disk.state(reached, random), promises)) {
        faults.push(`${kind}, call ${index}: ${fault}`);
      }
      Deno.removeSync(path, { recursive: true });
    }
  });
  return { states: looked, inCheckpoints, faults, changes, syncs };
}

/** Before each call that changes or syncs the folder, and after the last. */
function forEachCut(
  calls: readonly Syscall[],
  folder: string,
  look: (index: number, disk: Disk, call: Syscall, promises: Promises) => void,
): void {
  const disk = new Disk(folder);
  const promises = new Promises();
  for (const [index, call] of calls.entries()) {
    if (call.name === "write") {
      for (const mark of marksOf(call)) promises.take(mark, index);
      continue;
    }
    look(index, disk, call, promises);
    disk.take(call, index);
  }
  const last = calls.at(-1);
  if (last) look(calls.length, disk, last, promises);
}

/** Of the states of a disk those that are worth a look. */
function kindsOf(disk: Disk, random = () => 0): [kind: string, reached: Reached][] {
  const kinds: [string, Reached][] = [["all written", () => "all"]];
  const { unsynced } = disk;
  if (unsynced.length === 0) return kinds;
  // of a commit whose last page is missing, or a checkpoint's first, nothing may be seen
  const end = unsynced[Math.floor(random() * unsynced.length)] ?? 0;
  return [
    ...kinds,
    ["nothing written", () => "nothing"],
    ["a beginning written", ({ index }) => index < end ? "all" : "nothing"],
    ["any of it written", () => random() < 0.5 ? "all" : "nothing"],
    [
      "all but one written",
      ({ index }) => index === end ? "nothing" : "all",
    ],
    [
      "torn",
      ({ index }) => index < end ? "all" : random() < 0.5 ? "some sectors" : "nothing",
    ],
  ];
}

function marksOf({ data }: Syscall): Mark[] {
  return new TextDecoder().decode(data).split("\n").filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

function faultsOf(path: string, { files, last }: DiskState, promises: Promises): string[] {
  Deno.mkdirSync(path);
  for (const [name, bytes] of files) Deno.writeFileSync(join(path, name), bytes);
  const file = join(path, "outbox.sqlite");
  try {
    const { outbox, setAside } = openOutbox({
      path: file,
      maxBytes: 50_000_000,
      onFailure: (error) => {
        throw error;
      },
    });
    const { received, delivered, deadLetters, dropped, waiting } = outbox.counters();
    outbox[Symbol.dispose]();
    if (setAside) return ["it was damaged"];
    using db = new DatabaseSync(file);
    const [check] = db.prepare("PRAGMA integrity_check").all();
    if (check?.integrity_check !== "ok") return [`integrity: ${check?.integrity_check}`];
    const idsOf = (table: string) =>
      db.prepare(`SELECT json_extract(line, '$.id') AS id FROM ${table}`).all()
        .map(({ id }) => Number(id));
    const found = { received, waiting: idsOf("outbox"), dead: idsOf("dead_letter") };
    const faults = promises.broken(found, last);
    const discarded = [...dropped.values()].reduce((sum, n) => sum + n, 0);
    if (received !== delivered + deadLetters + discarded + waiting) faults.push("the equation");
    if (waiting !== found.waiting.length) faults.push("it counts wrongly what waits");
    if (deadLetters !== found.dead.length) faults.push("it counts dead letters wrongly");
    return faults;
  } catch (error) {
    return [`it does not open: ${error}`];
  }
}
