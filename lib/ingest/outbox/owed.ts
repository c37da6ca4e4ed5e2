/**
 * What could not be written yet because there was no room, not even for this: how many events were
 * refused, and that states are missing. It is kept in memory, and written with the next commit.
 */
import { isFull } from "../../sqlite.ts";
import type { Changes, Transact } from "./ledger.ts";
import type { StateChain } from "./state_chain.ts";
import type { OutboxSize } from "./outbox_size.ts";

/** How soon a disk that takes nothing is tried again. */
const RETRY_MS = 1_000;

/** The parts of the file that this is written to. */
interface OwedParts {
  readonly chain: StateChain;
  readonly size: OutboxSize;
}

export class Owed {
  readonly #file: OwedParts;
  readonly #transact: Transact;
  readonly #onFailure: (error: unknown) => void;
  #refused = 0;
  #gap = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `onFailure`: told when what is tried again fails for another reason than a full disk. */
  constructor(file: OwedParts, transact: Transact, onFailure: (error: unknown) => void) {
    this.#file = file;
    this.#transact = transact;
    this.#onFailure = onFailure;
  }

  /** Events that were refused and are not among the counters yet. */
  get refused(): number {
    return this.#refused;
  }

  /** Events were refused. What is missing grows for as long as that goes on. */
  refuse(n: number): void {
    this.#refused += n;
    this.#gap = true;
    this.#write(() => this.#transact(() => ({})));
    this.#timer ??= setTimeout(() => this.#onceThereIsRoom(), RETRY_MS);
  }

  /** A house that falls silent has no next event to note the gap with. */
  #onceThereIsRoom(): void {
    this.#timer = undefined;
    const { size } = this.#file;
    if (!size.stillFull() && !size.full) this.#tryAgain();
    else this.#timer = setTimeout(() => this.#onceThereIsRoom(), RETRY_MS);
  }

  /** Capture has stopped hearing. */
  openGap(): void {
    this.#gap = true;
    this.write();
  }

  /** Writes what is owed, if anything. Where that fails it is tried again soon. */
  write(): void {
    if (this.#refused === 0 && !this.#gap) return;
    this.#write(() => {
      // a count has room where rows have none
      this.#transact(() => ({}));
      if (!this.#gap) return;
      this.#transact(() => (this.#file.chain.open(), {}));
      this.#gap = false;
    });
  }

  /** Within the transaction of events: what was missed before them is missing. */
  beforeEvents(): void {
    if (this.#gap) this.#file.chain.open();
  }

  /** Events were committed. */
  tookEvents(): void {
    this.#gap = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The changes of any transaction, with those that are owed; `counted` is to be called once it is committed. */
  with(changes: Changes): { readonly changes: Changes; readonly counted: () => void } {
    const refused = this.#refused;
    if (refused === 0) return { changes, counted: () => {} };
    const received = (changes.received ?? 0) + refused;
    return {
      changes: { ...changes, received, "dropped:outbox_full": refused },
      counted: () => this.#refused -= refused,
    };
  }

  /** Writes what is owed, if that is possible; nothing is tried again any more. Never throws: the file is closed next. */
  close(): void {
    this.#tryAgain();
    clearTimeout(this.#timer);
  }

  #write(work: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      work();
    } catch (error) {
      if (!isFull(error)) throw error;
      this.#file.size.ranOut({ stuck: true });
      this.#timer = setTimeout(() => this.#tryAgain(), RETRY_MS);
    }
  }

  #tryAgain(): void {
    try {
      this.write();
    } catch (error) {
      this.#onFailure(error);
    }
  }
}
