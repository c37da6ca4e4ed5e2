/** What leaves the outbox once enrich has answered for it. */
import { isFull } from "../../sqlite.ts";
import type { DeadLetters, Transact } from "./dead_letters.ts";
import type { OutboxSize } from "./outbox_size.ts";
import type { WaitingEvents } from "./waiting_events.ts";

/** What enrich has answered for: rows that leave the outbox. */
export interface Settlement {
  /** Rows that are stored or left out. */
  readonly done: readonly number[];
  /** How many of them are stored. */
  readonly delivered: number;
  /** How many of them were left out, by reason. */
  readonly leftOut: Readonly<Record<string, number>>;
  /** Rows that can never be stored. */
  readonly problems: readonly { readonly seq: number; readonly reason: string }[];
}

/** The parts of the file between which events move. */
interface Parts {
  readonly waiting: WaitingEvents;
  readonly deadLetters: DeadLetters;
  readonly size: OutboxSize;
}

export class Settling {
  readonly #file: Parts;
  readonly #transact: Transact;

  constructor(file: Parts, transact: Transact) {
    this.#file = file;
    this.#transact = transact;
  }

  /**
   * Lets go of what enrich has answered for. Returns the problems that are dead letters now: a full
   * file may have no room for all of them, and the others wait on. Undefined where it cannot even
   * note what is done; then nothing has changed.
   */
  settle(settlement: Settlement): Settlement["problems"] | undefined {
    if (this.#settleAtOnce(settlement)) return settlement.problems;
    const { problems } = settlement;
    if (!this.#settleAtOnce({ ...settlement, problems: [] })) return undefined;
    return this.#bury(problems);
  }

  /** As many of them as there is room for. */
  #bury(problems: Settlement["problems"]): Settlement["problems"] {
    if (this.#settleAtOnce({ done: [], delivered: 0, leftOut: {}, problems })) return problems;
    if (problems.length <= 1) return [];
    const middle = Math.ceil(problems.length / 2);
    return [...this.#bury(problems.slice(0, middle)), ...this.#bury(problems.slice(middle))];
  }

  /** In one transaction. Returns false, and changes nothing, where the file is full. */
  #settleAtOnce({ done, delivered, leftOut, problems }: Settlement): boolean {
    const changes: Record<string, number> = {
      delivered,
      dead_lettered: problems.length,
      queued: -(done.length + problems.length),
    };
    for (const [reason, count] of Object.entries(leftOut)) changes[`skipped:${reason}`] = count;
    try {
      this.#transact(changes, () => {
        // what leaves goes first: a full file then has room for the dead letters
        for (const seq of done) this.#file.waiting.remove(seq);
        const letters = problems.map(({ seq, reason }) => ({
          seq,
          reason,
          line: this.#file.waiting.take(seq),
        }));
        for (const letter of letters) this.#file.deadLetters.bury(letter);
      });
      return true;
    } catch (error) {
      if (!isFull(error)) throw error;
      this.#file.size.ranOut();
      return false;
    }
  }
}
