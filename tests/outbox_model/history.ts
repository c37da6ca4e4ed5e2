/** One life of an outbox over restarts, crashes, damage and full disks, with the model beside it. */
import assert from "node:assert/strict";
import { setAside } from "../../lib/ingest/outbox/damaged_files.ts";
import type { Spooled } from "../../lib/ingest/outbox/envelope.ts";
import { openOutbox } from "../../lib/ingest/outbox/open_outbox.ts";
import type { Outbox } from "../../lib/ingest/outbox/outbox.ts";
import type { Settlement } from "../../lib/ingest/outbox/settlement.ts";
import { isCorrupt, isFull } from "../../lib/sqlite.ts";
import { TemporaryFolder } from "../temporary.ts";
import type { Action, Damage, Outcome } from "./actions.ts";
import { damageFile, faultsOf } from "./damage.ts";
import { FullDisk } from "./full_disk.ts";
import { Model, type ModelStamp } from "./model.ts";
import { bytesOf, checkFile } from "./promises.ts";

/** 4,096,000 are for the write-ahead log, so that 460 pages fill the file. */
const MAX_BYTES = 6_000_000;
const PAGE_BYTES = 4_096;
const ALL = { maxEvents: 1_000_000, maxBytes: 1e12 };
/** The outbox takes events again below this part of its cap. */
const RESUME_BELOW = 0.8;
const LONG_REASON = "no such field, ".repeat(200);

export class History implements Disposable {
  readonly #folder = new TemporaryFolder();
  readonly #path = this.#folder.file("outbox.sqlite");
  readonly #disk = new FullDisk();
  #model = new Model();
  #outbox: Outbox;
  #maxBytes = MAX_BYTES;
  /** What was added and not flushed. */
  #buffer: Spooled[] = [];
  #failures: unknown[] = [];
  #lastSeq = 0;
  #lastAside = 0;
  #events = 0;
  /** Home Assistant's clock, and the newest state of each entity there, heard or not. */
  #nowUs = 1_000_000;
  readonly #newestUs = new Map<string, number>();

  constructor() {
    this.#outbox = this.#open().outbox;
  }

  [Symbol.dispose](): void {
    this.#failures = [];
    this.#closeHandle();
    this.#disk[Symbol.dispose]();
    this.#folder[Symbol.dispose]();
  }

  #check(): void {
    // those that an append had no room beside
    this.#giveWay(0);
    assert.deepEqual(this.#failures, [], "nothing is fatal");
    checkFile(this.#outbox, this.#disk, this.#model);
  }

  async do(action: Action): Promise<void> {
    switch (action.kind) {
      case "add":
        for (let i = 0; i < action.n; i++) this.#add(action.bytes, i < action.entities ? [i] : []);
        break;
      case "flush":
        this.#flush();
        break;
      case "append":
        this.#append(action);
        break;
      case "append that fails":
        this.#appendThatFails();
        break;
      case "fill":
        this.#fill(action.bytes);
        break;
      case "answer":
        this.#answer(action.n, action.outcomes);
        break;
      case "answer aside":
        this.#answerAside(action.outcome);
        break;
      case "fail alone":
        this.#failAlone(action.index);
        break;
      case "replay":
      case "discard":
        await this.#move(action.kind, action.n);
        break;
      case "stop capture":
        this.#stopCapture();
        break;
      case "disk full":
        this.#disk.fill(action);
        break;
      case "disk free":
        this.#disk.free();
        break;
      case "restart":
        this.#restart(action.maxBytes);
        break;
      case "crash":
        this.#crash();
        break;
      case "damage":
        await this.#damage(action);
        break;
    }
    this.#check();
  }

  /** Once the disk is free everything is possible again: all is delivered, and new events are taken. */
  async end(): Promise<void> {
    this.#disk.free();
    this.#flush();
    this.#check();
    this.#drain();
    this.#add(100, [0]);
    this.#flush();
    this.#check();
    assert.equal(
      this.#model.waiting.length,
      1,
      "an outbox in which nothing waits takes new events",
    );
    this.#restart(MAX_BYTES);
    this.#check();
    for (const { seq, line } of this.#model.dead) {
      assert.ok(this.#outbox.deadLetters.get(seq)?.line === line, "a dead letter is byte for byte");
    }
    this.#drain();
    await this.#move("replay", Infinity);
    this.#check();
    this.#drain();
    assert.equal(this.#model.dead.length, 0);
  }

  #drain(): void {
    while (this.#model.waiting.length > 0) {
      const before = this.#model.waiting.length;
      this.#answer(20, ["stored"]);
      this.#answerAside("stored");
      this.#check();
      assert.ok(this.#model.waiting.length < before, "the outbox drains");
    }
    assert.equal(this.#outbox.waiting.peek(ALL).length, 0);
    assert.equal(this.#outbox.waiting.aside(), undefined);
  }

  // what arrives

  #line(bytes: number): string {
    return `{"event":${++this.#events},"é":"`.padEnd(bytes, "x") + '"}';
  }

  #stamp(entity: number): ModelStamp {
    const entityId = `sensor.e${entity}`;
    const previousUs = this.#newestUs.get(entityId);
    const lastUpdatedUs = this.#nowUs++;
    this.#newestUs.set(entityId, lastUpdatedUs);
    return previousUs === undefined
      ? { entityId, lastUpdatedUs }
      : { entityId, lastUpdatedUs, previousUs };
  }

  #add(bytes: number, [entity]: readonly number[]): void {
    // the outbox flushes by itself at 2,000,000 characters
    const chars = this.#buffer.reduce((sum, { line }) => sum + line.length, 0);
    if (chars + bytes > 1_900_000) this.#flush();
    const line = this.#line(bytes);
    const event = entity === undefined ? { line } : { line, stamp: this.#stamp(entity) };
    this.#buffer.push(event);
    this.#outbox.add(event);
  }

  #flush(): void {
    const events = this.#buffer;
    this.#buffer = [];
    this.#outbox.flush();
    this.#learn(events);
  }

  /** Which of the flushed events are in the file; those that have no room are refused. */
  #learn(events: readonly Spooled[], wasCramped = this.#isCramped(events)): void {
    const seqs = this.#newSeqs();
    const found = new Set(
      this.#disk.query(`SELECT line FROM outbox WHERE seq > ${this.#lastSeq}`)
        .map(({ line }) => String(line)),
    );
    for (const { line, stamp } of events) {
      if (found.has(line)) {
        this.#model.commit([line], stamp ? [stamp] : []);
        this.#model.counted = this.#model.refused;
      } else {
        this.#model.refused++;
        this.#model.gapsAreDue = true;
      }
    }
    assert.ok(
      seqs.length === events.length || wasCramped,
      "nothing is refused where there is room",
    );
    this.#adopt(seqs.length);
  }

  #append({ n, bytes, entities }: { n: number; bytes: number; entities: number }): void {
    this.#flush();
    // no state is heard without a line
    if (n === 0) entities = 0;
    const lines = Array.from({ length: n }, () => this.#line(bytes));
    const stamps = Array.from({ length: entities }, (_, entity) => this.#stamp(entity));
    const also = () => stamps.forEach((stamp) => this.#outbox.missing.heard(stamp));
    const isTaken = this.#outbox.append(lines, also);
    if (isTaken) this.#committed(lines, stamps);
    else {
      assert.ok(
        this.#isCramped(lines.map((line) => ({ line }))),
        "nothing is refused where there is room",
      );
      assert.equal(this.#newSeqs().length, 0, "nothing is committed");
    }
  }

  /** What is written with the lines fails, and not for want of room: then all of it is undone. */
  #appendThatFails(): void {
    this.#flush();
    const fault = new Error("no fault of the file");
    const heard = { entityId: "sensor.e0", lastUpdatedUs: this.#nowUs };
    const append = () =>
      this.#outbox.append([this.#line(100)], () => {
        this.#outbox.missing.heard(heard);
        throw fault;
      });
    try {
      assert.equal(append(), false);
    } catch (error) {
      if (error !== fault) throw error;
    }
  }

  #committed(lines: readonly string[], stamps: readonly ModelStamp[]): void {
    this.#model.counted = this.#model.refused;
    if (lines.length === 0) return;
    this.#model.commit(lines, stamps);
    this.#adopt(lines.length);
  }

  #newSeqs(): number[] {
    return this.#disk.query(`SELECT seq FROM outbox WHERE seq > ${this.#lastSeq} ORDER BY seq`)
      .map(({ seq }) => Number(seq));
  }

  /** The last `n` waiting events have their numbers from the file. */
  #adopt(n: number): void {
    const seqs = this.#newSeqs();
    assert.equal(seqs.length, n, "all that was committed is in the file");
    const last = n === 0 ? [] : this.#model.waiting.slice(-n);
    last.forEach((event, index) => event.seq = seqs[index] ?? 0);
    this.#lastSeq = seqs.at(-1) ?? this.#lastSeq;
  }

  /** To the brim: with smaller and smaller events, until one is refused. */
  #fill(bytes: number): void {
    this.#flush();
    const { refused } = this.#model;
    while (this.#model.refused === refused) {
      const freeBytes = (1 - this.#outbox.size.fullness) * this.#capBytes();
      this.#add(Math.min(bytes, Math.max(1_000, Math.floor(0.9 * freeBytes))), []);
      this.#flush();
    }
  }

  /** Whether it may be said that there is no room for so much. */
  #isCramped(events: readonly { readonly line: string }[]): boolean {
    const { fullness } = this.#outbox.size;
    const cap = this.#capBytes();
    // each row may need a page more, and a transaction some
    const bytes = events.reduce(
      (sum, { line }) => sum + 1.2 * line.length + PAGE_BYTES,
      20 * PAGE_BYTES,
    );
    return !this.#disk.isFree || fullness >= RESUME_BELOW || fullness * cap + bytes > cap;
  }

  /** What events may take. */
  #capBytes(): number {
    const pages = Number(this.#disk.query("PRAGMA max_page_count")[0]?.max_page_count);
    return pages * PAGE_BYTES - this.#outbox.size.deadLettersMaxBytes;
  }

  #stopCapture(): void {
    this.#flush();
    if (this.#outbox.missing.newestSeenUs() === undefined) return;
    this.#outbox.openGap();
    this.#model.gapsAreDue = true;
  }

  // what leaves

  #answer(n: number, outcomes: readonly Outcome[]): void {
    const rows = this.#outbox.waiting.peek({ maxEvents: n, maxBytes: 1e12 });
    const expected = this.#model.waiting.filter(({ attempts }) => attempts === 0).slice(0, n);
    assert.deepEqual(rows.map(({ seq }) => seq), expected.map(({ seq }) => seq));
    assert.ok(rows.every(({ line }, i) => line === expected[i]?.line), "lines are byte for byte");
    this.#settle(rows.map(({ seq }, i) => [seq, outcomes[i % outcomes.length] ?? "stored"]));
  }

  #answerAside(outcome: Outcome): void {
    const row = this.#outbox.waiting.aside(this.#lastAside);
    const aside = this.#model.waiting.filter(({ attempts }) => attempts > 0);
    const expected = aside.find(({ seq }) => seq > this.#lastAside) ?? aside[0];
    assert.equal(row?.seq, expected?.seq);
    assert.ok(row?.line === expected?.line);
    if (!row) return;
    this.#lastAside = row.seq;
    this.#settle([[row.seq, outcome]]);
  }

  #settle(answers: readonly (readonly [seq: number, outcome: Outcome])[]): void {
    const seqsOf = (...wanted: Outcome[]) =>
      answers.filter(([, outcome]) => wanted.includes(outcome)).map(([seq]) => seq);
    const [stored, filtered, stale] = [seqsOf("stored"), seqsOf("filter"), seqsOf("stale")];
    const problems = answers.filter(([, outcome]) => /problem/.test(outcome))
      .map(([seq, outcome]) => ({ seq, reason: outcome === "problem" ? "bad" : LONG_REASON }));
    const leftOut: Record<string, number> = {};
    if (filtered.length > 0) leftOut.filter = filtered.length;
    if (stale.length > 0) leftOut.stale = stale.length;
    const done = [...stored, ...filtered, ...stale];
    if (done.length + problems.length === 0) return;
    this.#letGo({ done, delivered: stored.length, leftOut, problems });
  }

  #letGo(settlement: Settlement): void {
    const { done, delivered, leftOut, problems } = settlement;
    const buried = this.#outbox.settle(settlement);
    if (buried === undefined) {
      assert.ok(!this.#disk.isFree, "what is done is noted while the disk has room");
      return;
    }
    for (const seq of done) this.#model.remove(seq);
    this.#model.delivered += delivered;
    for (const [reason, n] of Object.entries(leftOut)) {
      this.#model.leftOut.set(reason, (this.#model.leftOut.get(reason) ?? 0) + n);
    }
    for (const { seq, reason } of buried) this.#model.bury(seq, reason);
    if (buried.length < problems.length) {
      const waiting = this.#model.waiting.filter(({ seq }) =>
        problems.some((one) => one.seq === seq)
      );
      assert.ok(
        this.#isCramped([...waiting, ...problems.map(({ reason }) => ({ line: reason }))]),
        "a problem is a dead letter at once where there is room",
      );
    }
    this.#giveWay(buried.length);
  }

  /** Dead letters that gave way: to the `n` which were just buried, or to events, where they took more than their part. */
  #giveWay(n: number): void {
    const gone = (this.#outbox.counters().dropped.get("dead_letters_full") ?? 0) -
      this.#model.gaveWay;
    const { dead } = this.#model;
    const left = new Set(this.#disk.query("SELECT seq FROM dead_letter").map(({ seq }) => seq));
    const [kept, lost] = [
      dead.filter(({ seq }) => left.has(seq)),
      dead.filter(({ seq }) => !left.has(seq)),
    ];
    assert.equal(lost.length, gone, "a dead letter gives way only if that is counted");
    const maxBytes = this.#outbox.size.deadLettersMaxBytes;
    const sum = (letters: typeof dead) =>
      letters.reduce((n, { line, reason }) => n + bytesOf(line) + reason.length, 0);
    // a cap that was lowered makes none go at once
    const before = [...dead].sort((a, b) => a.nth - b.nth).slice(0, dead.length - n);
    if (n > 0) {
      const most = Math.max(maxBytes, sum(before));
      assert.ok(kept.length <= 1 || sum(kept) <= most, "they have a fifth of the cap");
    }
    if (gone === 0) return;
    assert.ok(sum(dead) > maxBytes, "they give way only where they take more than their part");
    const oldestKept = Math.min(...before.filter(({ seq }) => left.has(seq)).map(({ seq }) => seq));
    assert.ok(lost.every(({ seq }) => seq < oldestKept), "the oldest give way");
    this.#model.dead = kept;
    this.#model.gaveWay += gone;
  }

  #failAlone(index: number): void {
    const event = this.#model.waiting[index % this.#model.waiting.length];
    if (!event) return;
    assert.equal(this.#outbox.waiting.failedAlone(event.seq), event.attempts + 1);
    const row = this.#disk.query(`SELECT attempts FROM attempt WHERE seq = ${event.seq}`)[0];
    const attempts = Number(row?.attempts ?? 0);
    // on a full disk it cannot be kept, and is found out again
    if (attempts !== event.attempts || this.#disk.isFree) assert.equal(attempts, ++event.attempts);
  }

  async #move(how: "replay" | "discard", n: number): Promise<void> {
    const matches = this.#model.dead.slice(0, n);
    if (matches.length === 0) return;
    const selection = n === Infinity ? {} : { seqs: matches.map(({ seq }) => seq) };
    const { signal } = new AbortController();
    const { moved, stopped } = await this.#outbox.deadLetters[how](selection, signal);
    if (moved < matches.length) {
      assert.equal(stopped, "full");
      assert.ok(this.#isCramped(matches), "they move where there is room");
    }
    this.#model.dead = this.#model.dead.slice(moved);
    if (how === "discard") this.#model.discarded += moved;
    else {
      for (const { line } of matches.slice(0, moved)) {
        this.#model.waiting.push({ seq: 0, line, attempts: 0 });
      }
      this.#adopt(moved);
    }
  }

  // how it ends and begins again

  #open(expectNewFile = true): { readonly outbox: Outbox; readonly setAside?: string } {
    try {
      this.#failures = [];
      const failures = this.#failures;
      return openOutbox({
        path: this.#path,
        maxBytes: this.#maxBytes,
        commitIntervalMs: 1e6,
        onFailure: (error) => failures.push(error),
      });
    } catch (error) {
      this.#closeHandle();
      const isFullDisk = error instanceof Error &&
        /the disk of DATA_DIR is full/.test(error.message);
      if (!isFullDisk || this.#disk.isFree) throw error;
      if (!expectNewFile) throw error;
      this.#disk.free();
      return this.#open(expectNewFile);
    }
  }

  #closeHandle(): void {
    if (this.#disk.db?.isOpen) this.#disk.db.close();
  }

  #restart(maxBytes: number): void {
    const hadRoom = this.#disk.isFree;
    const wasCramped = this.#isCramped(this.#buffer);
    this.#outbox[Symbol.dispose]();
    assert.deepEqual(this.#failures, []);
    this.#maxBytes = maxBytes;
    this.#begin(this.#open(false));
    const events = this.#buffer;
    this.#buffer = [];
    this.#learn(events, wasCramped);
    if (hadRoom) this.#model.counted = this.#model.refused;
    this.#beginProcess();
  }

  /** The file and its log as the system has them, and nothing of the memory. */
  #crash(): void {
    const suffixes = ["", "-wal"];
    for (const suffix of suffixes) {
      Deno.copyFileSync(this.#path + suffix, this.#path + ".copy" + suffix);
    }
    this.#outbox[Symbol.dispose]();
    for (const suffix of suffixes) {
      Deno.renameSync(this.#path + ".copy" + suffix, this.#path + suffix);
    }
    this.#buffer = [];
    this.#begin(this.#open(false));
    // nothing was written since
    this.#model.refused = this.#model.counted;
    this.#beginProcess();
  }

  #begin({ outbox, setAside }: { readonly outbox: Outbox; readonly setAside?: string }): void {
    assert.equal(setAside, undefined, "a sound file is not set aside");
    this.#outbox = outbox;
    this.#lastAside = 0;
  }

  #beginProcess(): void {
    this.#check();
    // what was not written by now is forgotten
    this.#model.refused = this.#model.counted;
    this.#model.gapsAreDue = false;
    this.#stopCapture();
  }

  async #damage(damage: Damage): Promise<void> {
    this.#flush();
    this.#outbox[Symbol.dispose]();
    damageFile(this.#path, damage);
    let opened = this.#open();
    if (opened.setAside === undefined) {
      const faults = [...await faultsOf(opened.outbox), ...this.#failures];
      for (const error of faults) {
        assert.ok(isCorrupt(error) || (isFull(error) && !this.#disk.isFree), String(error));
      }
      this.#closeHandle();
      setAside(this.#path);
      opened = this.#open();
    } else assert.ok(Deno.statSync(opened.setAside).isFile);
    this.#model = new Model();
    this.#lastSeq = 0;
    this.#begin({ outbox: opened.outbox });
  }
}
