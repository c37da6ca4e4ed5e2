/**
 * The outbox: one SQLite file that holds every event from its arrival until enrich has answered
 * for it. What arrives within some 20 ms, or 40 ms where it is much, is committed together; only then
 * does it count as captured.
 */
import type { DatabaseSync } from "node:sqlite";
import { sleep } from "../../retry.ts";
import { isFull, openDatabase } from "../../sqlite.ts";
import { CommitBuffer } from "./commit_buffer.ts";
import { DeadLetters } from "./dead_letters.ts";
import { type Changes, Ledger, type OutboxCounters } from "./ledger.ts";
import { Meta } from "./meta.ts";
import { MissingStates } from "./missing_states.ts";
import { type Spooled, StateChain } from "./state_chain.ts";
import { OutboxSize } from "./outbox_size.ts";
import { Owed } from "./owed.ts";
import { type Settlement, Settling } from "./settlement.ts";
import type { NextEvents } from "./next_events.ts";
import { WaitingEvents } from "./waiting_events.ts";

const USER_VERSION = 1;

/** While so many events wait Home Assistant is the better place for what it can be asked for later. */
const MANY_WAITING = 2_000;
/** How soon a full file is looked at again. */
const RETRY_MS = 1_000;
const COMMIT_INTERVAL_MS = 20;

export interface OutboxOptions {
  readonly path: string;
  /** The most that the file may take, in bytes; dead letters count. */
  readonly maxBytes: number;
  /** How long events wait for others to be committed with, in milliseconds: 20 unless it is said; see CommitBuffer. */
  readonly commitIntervalMs?: number;
  /** Told when a commit fails for another reason than a full file: capture cannot go on. */
  readonly onFailure: (error: unknown) => void;
}

export class Outbox implements Disposable {
  readonly #db: DatabaseSync;
  readonly #meta: Meta;
  readonly #ledger: Ledger;
  readonly #settling: Settling;
  readonly waiting: WaitingEvents;
  readonly size: OutboxSize;
  readonly missing: MissingStates;
  readonly chain: StateChain;
  readonly deadLetters: DeadLetters;
  readonly owed: Owed;
  readonly #buffer: CommitBuffer;
  #changed = Promise.withResolvers<void>();

  /**
   * Opens or makes the file. Throws where another process holds it, a newer release wrote it, or it is
   * damaged: see `openOutbox`.
   */
  constructor(options: OutboxOptions) {
    // a connection left behind would still hold, and at its end clean up, the new file's log
    using opening = new DisposableStack();
    this.#db = opening.adopt(
      openDatabase(options.path, { userVersion: USER_VERSION }),
      (db) => db.close(),
    );
    this.#meta = new Meta(this.#db);
    this.#ledger = new Ledger(this.#db);
    this.missing = new MissingStates(this.#db);
    this.chain = new StateChain(this.#db, this.missing);
    this.deadLetters = new DeadLetters(this.#db, this.#transact.bind(this));
    this.waiting = new WaitingEvents(this.#db);
    this.size = new OutboxSize(this.#db, options, () => this.deadLetters.bytes);
    this.#settling = new Settling(this, this.#transact.bind(this));
    this.owed = new Owed(this, this.#transact.bind(this), options.onFailure);
    this.#buffer = new CommitBuffer((events) => {
      try {
        this.#commit(events);
      } catch (error) {
        options.onFailure(error);
      }
    }, options.commitIntervalMs ?? COMMIT_INTERVAL_MS);
    opening.move();
  }

  /** Takes one event, to be committed within twice `commitIntervalMs`. While the outbox is full it is counted as dropped. */
  add(event: Spooled): void {
    this.#buffer.add(event);
  }

  /** Commits what was added. Failures other than a full file go to `onFailure`. */
  flush(): void {
    this.#buffer.flush();
  }

  /** Commits as many of them as there is room for. */
  #commit(events: readonly Spooled[]): void {
    const lines = events.map(({ line }) => line);
    if (this.append(lines, () => this.chain.heard(events))) return;
    const { size, owed } = this;
    if (events.length === 1 || size.stuck || size.stillFull()) return owed.refuse(events.length);
    const middle = Math.ceil(events.length / 2);
    this.#commit(events.slice(0, middle));
    this.#commit(events.slice(middle));
  }

  /**
   * Commits lines, and what `also` writes with them, in one transaction; `also` may change other
   * counters. Returns false, and commits nothing, while the file is full; without lines it may use
   * what is kept for dead letters. Throws where SQLite fails for another reason.
   */
  append(lines: readonly string[], also: () => Changes | void = () => {}): boolean {
    const n = lines.length;
    if (n > 0 && !this.#settling.makeRoomFor(lines)) return false;
    try {
      this.#transact(() => {
        if (n > 0) this.owed.beforeEvents();
        this.waiting.add(lines);
        const { received = 0, ...others } = also() ?? {};
        return { ...others, received: received + n, queued: n };
      });
    } catch (error) {
      if (!isFull(error)) throw error;
      // without lines it could use all that is kept for dead letters
      this.size.ranOut({ stuck: n === 0 });
      return false;
    }
    if (n > 0) {
      this.owed.tookEvents();
      this.size.wrote({ events: true });
    }
    return true;
  }

  /** Capture has stopped hearing: states may be missing from now on. Noted as soon as it can be written. */
  openGap(): void {
    this.flush();
    this.owed.openGap();
  }

  /** Resolves at the next commit that moves events, or when the signal is aborted. */
  async changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const abort = () => resolve();
    signal.addEventListener("abort", abort, { once: true });
    await Promise.race([this.#changed.promise, promise]);
    signal.removeEventListener("abort", abort);
  }

  /**
   * Resolves when there is room for what need not hurry, or when the signal is aborted: the file
   * is not full, and fewer than `mostWaiting` events wait for their turn, so that live ones
   * are never far behind.
   */
  async room(signal: AbortSignal, mostWaiting = MANY_WAITING): Promise<void> {
    while (!signal.aborted) {
      // a disk may have space again although no event moves
      if (this.size.stillFull()) await sleep(RETRY_MS, signal);
      else if (this.counters().waiting - this.waiting.setAside >= mostWaiting) {
        await this.changed(signal);
      } else return;
    }
  }

  /**
   * As `append`, once there is room. `make` says anew at each attempt what is to be committed.
   * Returns false where the signal was aborted first.
   */
  async appendWithRoom(
    make: () => { readonly lines: readonly string[]; readonly also?: () => Changes | void },
    signal: AbortSignal,
    mostWaiting?: number,
  ): Promise<boolean> {
    for (;;) {
      await this.room(signal, mostWaiting);
      if (signal.aborted) return false;
      const { lines, also } = make();
      if (this.append(lines, also)) return true;
      // where there is room, but less than this takes, the file does not stay full
      await sleep(RETRY_MS, signal);
    }
  }

  /** Lets go of what enrich has answered for: see Settling. */
  settle(settlement: Settlement): Settlement["problems"] | undefined {
    return this.#settling.settle(settlement);
  }

  /** Has events delivered again that a limit of the store holds: see NextEvents. */
  release(after: number, maxEvents: number): ReturnType<NextEvents["release"]> {
    let released: ReturnType<NextEvents["release"]>;
    this.#transact(() => (released = this.waiting.next.release(after, maxEvents), {}));
    return released;
  }

  /** The last committed set of the equation's counters. */
  counters(): OutboxCounters {
    return this.#ledger.read();
  }

  meta(key: string): string | undefined {
    return this.#meta.get(key);
  }

  /** Commits what was added and closes the file. */
  [Symbol.dispose](): void {
    this.flush();
    this.owed.close();
    this.#db.close();
  }

  /** Keeps a value; within a transaction (`append`) or by itself. */
  setMeta(key: string, value: string): void {
    this.#meta.set(key, value);
  }

  /** One transaction that moves events and changes the counters; what was refused before is counted with it. */
  #transact(work: () => Changes, { synced = true } = {}): void {
    const { bytes } = this.deadLetters;
    let counted = () => {};
    try {
      this.#ledger.transact(() => {
        const owed = this.owed.with(work());
        counted = owed.counted;
        return owed.changes;
      }, { synced: synced || this.owed.refused > 0 });
    } catch (error) {
      // what is kept in memory goes back too
      this.chain.reload();
      this.deadLetters.bytes = bytes;
      throw error;
    }
    counted();
    this.size.wrote({ events: false });
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
