/**
 * Dead letters: events that can never be stored as they are, kept with the reason until a person
 * replays or discards them. They stand in the outbox's file and count to its size.
 */
import type { DatabaseSync } from "node:sqlite";
import { isFull, Statements } from "../../sqlite.ts";
import { DeadLetterSearch } from "./dead_letter_search.ts";
import type { Changes, Transact } from "./ledger.ts";
import type {
  DeadLetter,
  DeadLetterPage,
  DeadLetterQuery,
  DeadLetterSelection,
  FullDeadLetter,
} from "./dead_letter.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS dead_letter (
    seq INTEGER PRIMARY KEY, line TEXT NOT NULL, reason TEXT NOT NULL, refused_at TEXT NOT NULL);
`;

/** Else each letter would be read, only to count how many there are of each reason. */
const REASONS = "CREATE INDEX IF NOT EXISTS dead_letter_reason ON dead_letter (reason)";

/** Reasons hold free text: so many are told apart. */
const MAX_REASONS = 1_000;
const OTHER_REASONS = "other reasons";
const SHOWN_REASONS = 10;

const ALL_BYTES =
  "SELECT ifnull(sum(octet_length(line) + octet_length(reason)), 0) AS bytes FROM dead_letter";

/** How a move ended: `stopped` where it did not come to its end. */
export interface Moved {
  readonly moved: number;
  readonly stopped?: "full" | "aborted";
}

/** A dead letter of a file that was set aside. */
export interface LostLetter {
  readonly line: string;
  readonly reason: string;
  readonly refusedAt: string;
}

export class DeadLetters {
  readonly #statements: Statements;
  readonly #search: DeadLetterSearch;
  readonly #transact: Transact;
  /** What all of them take, in bytes of text. To be set back where a transaction is rolled back. */
  bytes: number;

  constructor(db: DatabaseSync, transact: Transact) {
    db.exec(SCHEMA);
    try {
      db.exec(REASONS);
    } catch (error) {
      // without it reasons are counted more slowly
      if (!isFull(error)) throw error;
    }
    this.#statements = new Statements(db);
    this.#search = new DeadLetterSearch(this.#statements);
    this.#transact = transact;
    this.bytes = Number(this.#statements.get(ALL_BYTES).get()?.bytes);
  }

  /**
   * Within the transaction that removes the event from those that wait. It is refused now, unless said. Where they then take more
   * than `maxBytes` the oldest give way. Returns those that are gone.
   */
  bury(
    { seq, line, reason, refusedAt = new Date().toISOString() }: {
      seq: number;
      line: string;
      reason: string;
      refusedAt?: string;
    },
    maxBytes: number,
  ): DeadLetter[] {
    const bytes = Buffer.byteLength(line) + Buffer.byteLength(reason);
    const gone = this.makeRoom(bytes, maxBytes - bytes);
    this.#statements.get(
      "INSERT INTO dead_letter (seq, line, reason, refused_at) VALUES (?, ?, ?, ?)",
    ).run(seq, line, reason, refusedAt);
    this.bytes += bytes;
    return gone;
  }

  /** Within a transaction: takes in those of another file, under numbers that no event has. */
  takeIn(letters: readonly LostLetter[]): Changes {
    for (const letter of letters) {
      const { lastInsertRowid } = this.#statements.get("INSERT INTO outbox (line) VALUES ('')")
        .run();
      const seq = Number(lastInsertRowid);
      this.#statements.get("DELETE FROM outbox WHERE seq = ?").run(seq);
      this.bury({ ...letter, seq }, Infinity);
    }
    return { received: letters.length, dead_lettered: letters.length };
  }

  /**
   * Within a transaction: removes the oldest while they take more than `maxBytes`, but no more than
   * it takes to have so many bytes: what suddenly may be less never costs many. Returns those that
   * are gone.
   */
  makeRoom(bytes: number, maxBytes: number): DeadLetter[] {
    const untilBytes = Math.max(maxBytes, this.bytes - bytes);
    const gone: DeadLetter[] = [];
    while (this.bytes > untilBytes) {
      const oldest = this.#search.oldest();
      if (!oldest) break;
      gone.push(oldest);
      this.#take(oldest.seq);
    }
    return gone;
  }

  /** Within a transaction: it is a dead letter no more. Returns its line. */
  #take(seq: number): string {
    const row = this.#statements.get("DELETE FROM dead_letter WHERE seq = ? RETURNING line, reason")
      .get(seq);
    const line = String(row?.line);
    this.bytes -= Buffer.byteLength(line) + Buffer.byteLength(String(row?.reason));
    return line;
  }

  /** How many there are of each reason, the most frequent first. */
  reasons(): { reason: string; count: number }[] {
    return this.#statements.get(
      "SELECT reason, count(*) AS n FROM dead_letter GROUP BY reason ORDER BY n DESC LIMIT ?",
    ).all(SHOWN_REASONS).map(({ reason, n }) => ({ reason: String(reason), count: Number(n) }));
  }

  /** Seconds since the one that arrived first was refused; 0 where there is none. */
  get oldestAgeS(): number {
    const row = this.#statements.get("SELECT refused_at FROM dead_letter ORDER BY seq LIMIT 1")
      .get();
    return row ? Math.max(0, (Date.now() - Date.parse(String(row.refused_at))) / 1000) : 0;
  }

  /** The dead letter of that number, or undefined where there is none. */
  get(seq: number): FullDeadLetter | undefined {
    const letter = this.#search.get(seq);
    const text = this.#statements.get("SELECT line FROM dead_letter WHERE seq = ?").get(seq);
    return letter && text && { ...letter, line: String(text.line) };
  }

  /** A page of those that match. Undefined where the signal was aborted first. */
  async list(
    { limit, before = Infinity, ...selection }: DeadLetterQuery,
    signal: AbortSignal,
  ): Promise<DeadLetterPage | undefined> {
    const counts = new Map<string, number>();
    const letters: DeadLetter[] = [];
    let total = 0;
    let older = 0;
    const ended = await this.#search.inSteps(selection, signal, (matches) => {
      total += matches.length;
      for (const letter of matches) {
        const known = counts.has(letter.reason) || counts.size < MAX_REASONS;
        const reason = known ? letter.reason : OTHER_REASONS;
        counts.set(reason, (counts.get(reason) ?? 0) + 1);
        if (letter.seq < before) letters.push(letter);
      }
      older += letters.splice(0, letters.length - limit).length;
    });
    if (!ended) return undefined;
    const byReason = [...counts].map(([reason, count]) => ({ reason, count }))
      .sort((a, b) => b.count - a.count).slice(0, SHOWN_REASONS);
    return { total, older, by_reason: byReason, letters };
  }

  /** Has those that match delivered again: each line goes to the end of the outbox as it is. */
  replay(selection: DeadLetterSelection, signal: AbortSignal): Promise<Moved> {
    const insert = this.#statements.get("INSERT INTO outbox (line) VALUES (?)");
    return this.#move(selection, "queued", (line) => insert.run(line), signal);
  }

  /** Gives up those that match. */
  discard(selection: DeadLetterSelection, signal: AbortSignal): Promise<Moved> {
    return this.#move(selection, "dropped:discarded", () => {}, signal);
  }

  async #move(
    selection: DeadLetterSelection,
    counter: string,
    put: (line: string) => void,
    signal: AbortSignal,
  ): Promise<Moved> {
    let moved = 0;
    try {
      const ended = await this.#search.inSteps(selection, signal, (matches) => {
        const n = matches.length;
        if (n === 0) return;
        this.#transact(() => {
          // all leave before the first is put, so that a full file has room for them
          const lines = matches.map(({ seq }) => this.#take(seq));
          for (const line of lines) put(line);
          return { dead_lettered: -n, [counter]: n };
        });
        moved += n;
      });
      return ended ? { moved } : { moved, stopped: "aborted" };
    } catch (error) {
      if (!isFull(error)) throw error;
      return { moved, stopped: "full" };
    }
  }
}
