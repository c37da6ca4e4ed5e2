/**
 * Dead letters: events that can never be stored as they are, kept with the reason until a person
 * replays or discards them. They stand in the outbox's file and count to its size.
 */
import type { DatabaseSync } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";
import { isFull, Statements } from "../../sqlite.ts";
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

/** What is looked at or moved at once: some 10 ms, and no more than the write-ahead log may take. */
const STEP_ROWS = 1_000;
const STEP_BYTES = 2_000_000;
/** Reasons hold free text: so many are told apart. */
const MAX_REASONS = 1_000;
const OTHER_REASONS = "other reasons";
const SHOWN_REASONS = 10;

const STEP = `
  SELECT seq, octet_length(line) AS bytes FROM dead_letter
  WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ${STEP_ROWS}`;

const LETTERS = `
  SELECT seq, reason, refused_at, octet_length(line) AS bytes,
    json_extract(json, '$.event.event_type') AS event_type,
    json_extract(json, '$.event.data.entity_id') AS entity_id,
    json_extract(json, '$.event.time_fired') AS time_fired
  FROM (SELECT *, CASE WHEN json_valid(line) THEN line END AS json FROM dead_letter)`;

const MATCHES = `${LETTERS}
  WHERE seq > :after AND seq <= :upTo
    AND (:seqs IS NULL OR seq IN (SELECT value FROM json_each(:seqs)))
    AND (:before IS NULL OR refused_at < :before)
    AND (:since IS NULL OR refused_at > :since)
    AND (:reason IS NULL OR instr(lower(reason), lower(:reason)))
    AND (:entity IS NULL OR entity_id GLOB :entity)
  ORDER BY seq`;

/** How a move ended: `stopped` where it did not come to its end. */
export interface Moved {
  readonly moved: number;
  readonly stopped?: "full" | "aborted";
}

/** One transaction that moves events and changes the counters. */
export type Transact = (changes: Readonly<Record<string, number>>, work: () => void) => void;

export class DeadLetters {
  readonly #statements: Statements;
  readonly #transact: Transact;

  constructor(db: DatabaseSync, transact: Transact) {
    db.exec(SCHEMA);
    this.#statements = new Statements(db);
    this.#transact = transact;
  }

  /** Within the transaction that removes the event from those that wait. */
  bury({ seq, line, reason }: { seq: number; line: string; reason: string }): void {
    this.#statements.get(
      "INSERT INTO dead_letter (seq, line, reason, refused_at) VALUES (?, ?, ?, ?)",
    ).run(seq, line, reason, new Date().toISOString());
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
    const row = this.#statements.get(`${LETTERS} WHERE seq = ?`).get(seq);
    const text = this.#statements.get("SELECT line FROM dead_letter WHERE seq = ?").get(seq);
    return row && text && { ...letterOf(row), line: String(text.line) };
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
    const ended = await this.#inSteps(selection, signal, (matches) => {
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
    const take = this.#statements.get("DELETE FROM dead_letter WHERE seq = ? RETURNING line");
    let moved = 0;
    try {
      const ended = await this.#inSteps(selection, signal, (matches) => {
        const n = matches.length;
        if (n === 0) return;
        this.#transact({ dead_lettered: -n, [counter]: n }, () => {
          // all leave before the first is put, so that a full file has room for them
          const lines = matches.map(({ seq }) => String(take.get(seq)?.line));
          for (const line of lines) put(line);
        });
        moved += n;
      });
      return ended ? { moved } : { moved, stopped: "aborted" };
    } catch (error) {
      if (!isFull(error)) throw error;
      return { moved, stopped: "full" };
    }
  }

  /**
   * Hands over those that match, in their order, with a turn of the event loop between the steps so
   * that capture does not wait. What is buried under a higher number meanwhile is left out: a
   * replay of what is refused again ends. Returns false where the signal was aborted first.
   */
  async #inSteps(
    { seqs, reason, entity, older_than_s: olderS, newer_than_s: newerS }: DeadLetterSelection,
    signal: AbortSignal,
    work: (matches: readonly DeadLetter[]) => void,
  ): Promise<boolean> {
    const nowMs = Date.now();
    const agoText = (s?: number) => s === undefined ? null : textOfMs(nowMs - s * 1000);
    const conditions = {
      seqs: seqs ? JSON.stringify(seqs) : null,
      reason: reason ?? null,
      entity: entity ?? null,
      before: agoText(olderS),
      since: agoText(newerS),
    };
    const newest = this.#statements.get("SELECT max(seq) AS seq FROM dead_letter").get();
    const end = Math.min(Number(newest?.seq ?? 0), Math.max(...seqs ?? [Infinity]));
    let after = Math.min(...seqs ?? [1]) - 1;
    for (;;) {
      if (signal.aborted) return false;
      const upTo = this.#stepEnd(after, end);
      if (upTo === undefined) return true;
      work(this.#statements.get(MATCHES).all({ ...conditions, after, upTo }).map(letterOf));
      after = upTo;
      await nextTurn();
    }
  }

  /** The last number of the step behind `after`, or undefined where no letter is left. */
  #stepEnd(after: number, end: number): number | undefined {
    let upTo: number | undefined;
    let bytes = 0;
    for (const row of this.#statements.get(STEP).all(after, end)) {
      bytes += Number(row.bytes);
      if (upTo !== undefined && bytes > STEP_BYTES) break;
      upTo = Number(row.seq);
    }
    return upTo;
  }
}

function textOfMs(ms: number): string {
  return new Date(Math.max(0, ms)).toISOString();
}

function letterOf(row: Readonly<Record<string, unknown>>): DeadLetter {
  const told = (value: unknown) => value === null ? undefined : String(value);
  return {
    seq: Number(row.seq),
    event_type: told(row.event_type),
    entity_id: told(row.entity_id),
    time_fired: told(row.time_fired),
    reason: String(row.reason),
    refused_at: String(row.refused_at),
    bytes: Number(row.bytes),
  };
}
