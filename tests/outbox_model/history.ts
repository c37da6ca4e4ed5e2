/** One life of an outbox over restarts, crashes, damage and full disks, with the model beside it. */
import assert from "node:assert/strict";
import { setAside } from "../../lib/ingest/outbox/damaged_files.ts";
import { pageOf } from "../../lib/ingest/history/history_page.ts";
import { openOutbox } from "../../lib/ingest/outbox/open_outbox.ts";
import type { Outbox } from "../../lib/ingest/outbox/outbox.ts";
import type { KnownState } from "../../lib/ingest/outbox/seen_states.ts";
import type { Spooled, StateStamp } from "../../lib/ingest/outbox/state_chain.ts";
import type { Settlement } from "../../lib/ingest/outbox/settlement.ts";
import { isCorrupt, isFull } from "../../lib/sqlite.ts";
import { parseTimeUs } from "../../lib/time.ts";
import { TemporaryFolder } from "../temporary.ts";
import type { Action, Damage, Outcome } from "./actions.ts";
import { damageFile, faultsOf } from "./damage.ts";
import { FullDisk } from "./full_disk.ts";
import { Model } from "./model.ts";
import { bytesOf, checkFile, checkNothingIsForgotten } from "./promises.ts";
import { World } from "./world.ts";
import { rowsOf } from "../ingest/outbox/rows.ts";

/** 4,096,000 are for the write-ahead log, so that 460 pages fill the file. */
const MAX_BYTES = 6_000_000;
const PAGE_BYTES = 4_096;
const ALL = { maxEvents: 1_000_000, maxBytes: 1e12 };
/** The outbox takes events again below this part of its cap. */
const RESUME_BELOW = 0.8;
const LONG_REASON = "no such field, ".repeat(200);

/** States were asked for before others were refused. */
class OutdatedError extends Error {}

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
  readonly #world = new World();
  /** How often the outbox had tried to open a gap when this last did something with it. */
  #openings = 0;

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
    const { openings, opened } = this.#outbox.chain;
    // what could not be written was tried again meanwhile
    if (this.#model.gapIsDue && openings !== this.#openings && opened) this.#model.open();
    this.#openings = openings;
    checkFile(this.#outbox, this.#disk, this.#model);
    if (this.#buffer.length === 0) checkNothingIsForgotten(this.#model);
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
        this.#stopCapture(action);
        break;
      case "compare":
        this.#compare(action);
        break;
      case "read history":
        this.#readHistory(action.part);
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
    if (action.kind !== "replay" && action.kind !== "discard") this.#noteOpenings();
    this.#check();
  }

  /** Once the disk is free everything is possible again: all is delivered, and new events are taken. */
  async end(): Promise<void> {
    this.#disk.free();
    this.#flush();
    this.#noteOpenings();
    this.#check();
    this.#drain();
    // where events were refused the first one opens a gap again
    for (let i = 0; i < 2; i++) {
      this.#compare({ n: 1, bytes: 100, drains: false });
      this.#noteOpenings();
      this.#check();
      this.#drain();
    }
    assert.equal(this.#model.openedUs, undefined, "all was compared");
    // the newest gap is read first
    while (this.#model.stretches.length > 0) {
      const before = this.#model.stretches.length;
      this.#readHistory(0.5);
      this.#noteOpenings();
      this.#check();
      assert.ok(this.#model.stretches.length < before, "what is missing is filled in");
      this.#drain();
    }
    assert.deepEqual([...this.#model.unspooled], [], "and then nothing is missing");
    this.#drain();
    this.#add(100, [0]);
    this.#flush();
    this.#noteOpenings();
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
    assert.equal(this.#outbox.waiting.next.peek(ALL).seqs.length, 0);
    assert.equal(this.#outbox.waiting.aside(), undefined);
  }

  // what arrives

  #line(bytes: number): string {
    return `{"event":${++this.#events},"é":"`.padEnd(bytes, "x") + '"}';
  }

  /** An entity changes; nobody has heard of it yet. */
  #change(entity: number): StateStamp {
    const stamp = this.#world.change(`sensor.e${entity}`);
    // what was before anything was heard is nobody's
    if (this.#model.knownUs !== undefined) {
      this.#model.unspooled.set(stamp.known.lastUpdatedUs, stamp.entityId);
    }
    return stamp;
  }

  #event(line: string, entity: number | undefined): Spooled {
    if (entity === undefined) return { line, firedUs: this.#world.tick() };
    const stamp = this.#change(entity);
    return { line, stamp, firedUs: stamp.known.lastUpdatedUs };
  }

  #add(bytes: number, [entity]: readonly number[]): void {
    // the outbox flushes by itself soon behind 300,000 characters, where commits are slow
    const chars = this.#buffer.reduce((sum, { line }) => sum + line.length, 0);
    if (chars + bytes > 290_000) this.#flush();
    const event = this.#event(this.#line(bytes), entity);
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
    for (const event of events) {
      if (found.has(event.line)) {
        this.#model.commit([event.line], [event]);
        this.#model.counted = this.#model.refused;
      } else {
        this.#model.refused++;
        this.#model.gapIsDue = true;
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
    const events = Array.from({ length: entities }, (_, entity) => this.#event("", entity));
    const isTaken = this.#outbox.append(lines, () => this.#outbox.chain.heard(events));
    if (isTaken) this.#committed(lines, events);
    else {
      // who appends keeps what was not taken; here it is lost, as in a crash
      if (entities > 0) this.#missed();
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
    const { chain } = this.#outbox;
    const us = this.#world.tick();
    const known = { state: "undone", lastUpdatedUs: us, lastChangedUs: us };
    const append = () =>
      this.#outbox.append([this.#line(100)], () => {
        chain.open();
        chain.heard([{ line: "", stamp: { entityId: "sensor.e0", known }, firedUs: us }]);
        chain.shown("sensor.e1", known);
        chain.gone(["sensor.e0", "sensor.e2"]);
        chain.compared(...this.#world.later);
        throw fault;
      });
    try {
      assert.equal(append(), false);
    } catch (error) {
      if (error !== fault) throw error;
    }
  }

  #committed(lines: readonly string[], events: readonly Spooled[] = []): void {
    this.#model.counted = this.#model.refused;
    if (lines.length === 0) return;
    this.#model.commit(lines, events);
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

  #stopCapture({ entities = 0, times = 0 } = {}): void {
    this.#flush();
    this.#missed();
    for (let i = 0; i < times; i++) {
      for (let entity = 0; entity < entities; entity++) this.#change(entity);
    }
  }

  /** Capture has stopped: what happens now is missing. */
  #missed(): void {
    this.#model.gapIsDue = true;
    this.#outbox.openGap();
    const { chain, owed } = this.#outbox;
    // nothing was ever heard: there is no gap
    const isOpen = chain.opened !== undefined || this.#model.knownUs === undefined;
    if (isOpen && owed.refused === 0) this.#model.open();
    else assert.ok(!this.#disk.isFree, "a gap is noted while the disk has room");
  }

  /** What the outbox tried by now it did for what was asked of it. */
  #noteOpenings(): void {
    this.#openings = this.#outbox.chain.openings;
  }

  /** As history/comparison.ts does it: over some commits, while events go on. */
  #compare({ n, bytes, drains }: { n: number; bytes: number; drains: boolean }): void {
    this.#flush();
    const { chain } = this.#outbox;
    // what was refused before is written first
    if (this.#model.gapIsDue) this.#missed();
    const askedUs = this.#world.tick();
    const present = [...this.#world.present()];
    const { openings } = chain;
    const isOutdated = () => chain.openings !== openings;
    for (let i = 0; i < n; i++) this.#add(bytes, [i]);
    this.#flush();
    if (drains) this.#answer(1_000, ["stored"]);
    for (let at = 0; at < present.length; at += 100) {
      const step = present.slice(at, at + 100);
      const unseen = step.filter(([id, { lastUpdatedUs }]) => chain.isUnseen(id, lastUpdatedUs));
      if (!isOutdated()) this.#checkUnseen(step, new Set(unseen.map(([id]) => id)));
      const lines = unseen.map(() => this.#line(100));
      const also = () => {
        if (isOutdated()) throw new OutdatedError();
        for (const [entityId, known] of unseen) chain.shown(entityId, known);
      };
      if (!this.#appendIfCurrent(lines, also)) return;
      this.#committed(lines);
      for (const [id, { lastUpdatedUs }] of unseen) this.#model.show(id, lastUpdatedUs);
    }
    const ids = new Set(present.map(([id]) => id));
    const gone = chain.opened ? chain.goneSince(ids) : [];
    const also = () => {
      if (isOutdated()) throw new OutdatedError();
      chain.gone(gone);
      chain.compared(...this.#world.later);
    };
    if (!this.#appendIfCurrent([], also)) return;
    this.#committed([]);
    for (const id of gone) this.#model.add(id);
    this.#model.compared();
    this.#excuseVisitors(ids, askedUs);
  }

  /** Nobody knows of entities that were not there before a gap, nor after it. */
  #excuseVisitors(present: ReadonlySet<string>, untilUs: number): void {
    const { unspooled, seen } = this.#model;
    for (const [us, entityId] of unspooled) {
      const last = seen.get(entityId);
      const wasGone = !last || (last.isGone && last.us < us);
      if (wasGone && us < untilUs && !present.has(entityId)) unspooled.delete(us);
    }
  }

  /** False where the file has no room, or the states were asked for before others were refused. */
  #appendIfCurrent(lines: readonly string[], also: () => void): boolean {
    try {
      const isTaken = this.#outbox.append(lines, also);
      assert.ok(isTaken || this.#isCramped(lines.map((line) => ({ line }))));
      return isTaken;
    } catch (error) {
      if (error instanceof OutdatedError) return false;
      throw error;
    }
  }

  /** Of the present states those are unseen that are not the chain's end, nor before what was heard since. */
  #checkUnseen(
    present: readonly (readonly [entityId: string, known: KnownState])[],
    unseen: ReadonlySet<string>,
  ): void {
    for (const [entityId, { lastUpdatedUs }] of present) {
      const seen = this.#model.seen.get(entityId) ?? { us: -Infinity, isGone: false };
      // one that was taken for gone since its last state has that state: it is there
      const isUnseen = lastUpdatedUs > seen.us || (seen.isGone && lastUpdatedUs === seen.us);
      // where events were refused there will be a gap, and all is compared again
      if (isUnseen && this.#model.gapIsDue) continue;
      assert.equal(unseen.has(entityId), isUnseen, `${entityId} is unseen`);
    }
  }

  /** Of a recorder that has all of it, a page or two an entity. */
  #readHistory(part: number): void {
    this.#flush();
    const { chain, missing } = this.#outbox;
    const lastId = missing.lastId();
    const nowUs = this.#world.tick();
    const cutUs = Math.floor(1_000_000 + part * (nowUs - 1_000_000));
    for (const endUs of [cutUs, Infinity]) {
      const asked = missing.next(1_000, lastId).filter(({ readUs }) => readUs < endUs);
      const page = pageOf(asked, { rows: this.#world.rows, endUs });
      for (const { missing: { entityId, fromUs }, lack } of page.ended) {
        assert.equal(lack, undefined, `of ${entityId} from ${fromUs} on the recorder has all`);
      }
      const lines = page.events.map(() => this.#line(100));
      const isTaken = this.#appendIfCurrent(lines, () => {
        missing.filled(page.progress);
        for (const { missing: { id, entityId, toUs }, lastState } of page.ended) {
          missing.remove(id);
          if (toUs !== undefined) continue;
          chain.seen.gone(entityId, lastState?.lastUpdatedUs);
        }
      });
      if (!isTaken) return;
      this.#committed(lines);
      for (const { entityId, lastUpdatedUs, text } of page.events) {
        this.#checkFilled(entityId, lastUpdatedUs, text);
      }
      for (const { missing: { entityId, fromUs, toUs }, lastState } of page.ended) {
        this.#model.end(entityId, fromUs);
        const us = lastState?.lastUpdatedUs ?? this.#model.seen.get(entityId)?.us;
        if (toUs === undefined && us !== undefined) {
          this.#model.seen.set(entityId, { us, isGone: true });
        }
      }
    }
  }

  /** A state is filled in once, never beside the live event, and with the state that it replaced. */
  #checkFilled(entityId: string, us: number, text: string): void {
    this.#model.spool(us);
    assert.equal(this.#model.spooled.get(us), 1, `${entityId} at ${us} is there once`);
    const { last_updated: oldUpdated } = JSON.parse(text).data.old_state ?? {};
    if (oldUpdated === undefined) return;
    assert.equal(parseTimeUs(oldUpdated), this.#world.replacedUs(entityId, us));
  }

  // what leaves

  #answer(n: number, outcomes: readonly Outcome[]): void {
    const rows = rowsOf(this.#outbox.waiting.next.peek({ maxEvents: n, maxBytes: 1e12 }));
    const expected = this.#model.waiting.filter(({ attempts }) => attempts === 0).slice(0, n);
    assert.deepEqual(rows.map(({ seq }) => seq), expected.map(({ seq }) => seq));
    assert.ok(rows.every(({ line }, i) => line === expected[i]?.line), "lines are byte for byte");
    this.#settle(rows.map(({ seq }, i) => [seq, outcomes[i % outcomes.length] ?? "stored"]));
  }

  #answerAside(outcome: Outcome): void {
    const batch = this.#outbox.waiting.aside(this.#lastAside);
    const [row] = batch ? rowsOf(batch) : [];
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
    const opened = this.#outbox.chain.opened?.fromUs;
    if (this.#model.gapIsDue && opened === this.#model.knownUs) this.#model.open();
    // the program that has stopped knew it; the one that starts opens a gap before all else
    this.#model.gapIsDue = true;
    this.#noteOpenings();
    this.#check();
    // what was not written by now is forgotten
    this.#model.refused = this.#model.counted;
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
