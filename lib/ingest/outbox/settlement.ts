/** What leaves the outbox once enrich has answered for it. */
import { getLogger } from "../../log.ts";
import { isFull } from "../../sqlite.ts";
import type { DeadLetter } from "./dead_letter.ts";
import type { DeadLetters } from "./dead_letters.ts";
import type { Transact } from "./ledger.ts";
import type { OutboxSize } from "./outbox_size.ts";
import type { WaitingEvents } from "./waiting_events.ts";

const log = getLogger("ingest", "outbox");

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
    if (!this.#settleAtOnce({ ...settlement, problems: [] })) {
      this.#file.size.ranOut({ stuck: true });
      return undefined;
    }
    return this.#bury(problems);
  }

  /**
   * Whether there is room for the lines; where not, events are refused from now on. Dead letters
   * beyond their part, as a file of 0.1.0 may have them, give way: else they would keep events out
   * for as long as nobody looks at them. For what has no room without them either, none goes.
   */
  makeRoomFor(lines: readonly string[]): boolean {
    const { size, deadLetters } = this.#file;
    const maxBytes = size.deadLettersMaxBytes;
    // a character is three bytes of UTF-8 at the most: as good as always that is all there is to know
    const mostBytes = lines.reduce((sum, line) => sum + 3 * line.length, 0);
    if (!size.stillFull() && size.hasRoomFor(mostBytes)) return true;
    const bytes = lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0);
    const excess = () => Math.max(0, deadLetters.bytes - maxBytes);
    while (
      !size.stuck && excess() > 0 && !size.hasRoomFor(bytes) && size.hasRoomFor(bytes - excess())
    ) {
      let gone: readonly DeadLetter[] = [];
      const done = this.#tryTo(() => {
        gone = deadLetters.makeRoom(bytes, maxBytes);
        return { dead_lettered: -gone.length, "dropped:dead_letters_full": gone.length };
      });
      if (!done || gone.length === 0) break;
      sayDropped(gone);
    }
    if (!size.stillFull() && size.hasRoomFor(bytes)) return true;
    size.ranOut();
    return false;
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
    const { waiting, deadLetters, size } = this.#file;
    const maxBytes = size.deadLettersMaxBytes;
    let gone: readonly DeadLetter[] = [];
    // a power cut may undo what only lets go: these events are sent again, and the counters go back, too
    const settled = this.#tryTo(() => {
      // what leaves goes first: a full file then has room for the dead letters
      const left = waiting.removeAll(done);
      const letters = problems.map(({ seq, reason }) => ({ seq, reason, line: waiting.take(seq) }));
      gone = letters.flatMap((letter) => deadLetters.bury(letter, maxBytes));
      const changes: Record<string, number> = {
        // those that were gone already have been counted
        delivered: delivered - (done.length - left),
        dead_lettered: problems.length - gone.length,
        queued: -(left + problems.length),
      };
      if (gone.length > 0) changes["dropped:dead_letters_full"] = gone.length;
      for (const [reason, count] of Object.entries(leftOut)) changes[`skipped:${reason}`] = count;
      return changes;
    }, { synced: problems.length > 0 });
    if (settled) sayDropped(gone);
    return settled;
  }

  #tryTo(...work: Parameters<Transact>): boolean {
    try {
      this.#transact(...work);
      return true;
    } catch (error) {
      if (!isFull(error)) throw error;
      return false;
    }
  }
}

/** Never without a word: the log is all that is left of them. */
function sayDropped(gone: readonly DeadLetter[]): void {
  for (const { seq, entity_id, event_type, time_fired, reason } of gone) {
    log.warn("Dropped the oldest dead letter, {seq}, to have room: {event} of {time}, {reason}", {
      seq,
      event: entity_id ?? event_type ?? "an event",
      time: time_fired ?? "an unknown time",
      reason,
    });
  }
}
