/** Finds dead letters, a step at a time: those that a selection means, the oldest, or one by its number. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Statements } from "../../sqlite.ts";
import type { DeadLetter, DeadLetterSelection } from "./dead_letter.ts";

/** What is looked at or moved at once: some 10 ms, and no more than the write-ahead log may take. */
const STEP_ROWS = 1_000;
const STEP_BYTES = 2_000_000;

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

export class DeadLetterSearch {
  readonly #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** The dead letter of that number, or undefined where there is none. */
  get(seq: number): DeadLetter | undefined {
    const row = this.#statements.get(`${LETTERS} WHERE seq = ?`).get(seq);
    return row && letterOf(row);
  }

  /** The one that arrived first, or undefined where there is none. */
  oldest(): DeadLetter | undefined {
    const row = this.#statements.get(`${LETTERS} ORDER BY seq LIMIT 1`).get();
    return row && letterOf(row);
  }

  /**
   * Hands over those that match, in their order, with a turn of the event loop between the steps so
   * that capture does not wait. What is buried under a higher number meanwhile is left out: a
   * replay of what is refused again ends. Returns false where the signal was aborted first.
   */
  async inSteps(
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
