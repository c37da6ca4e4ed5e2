/** Which of the events that wait are delivered next. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Statements } from "../../sqlite.ts";

/** Of the events with these numbers those that are not set aside. */
export const FREE = `seq BETWEEN ? AND ?
  AND seq NOT IN (SELECT seq FROM attempt) AND seq NOT IN (SELECT seq FROM limited)`;

export const LAST_SEQ = Number.MAX_SAFE_INTEGER;
/** So many numbers are looked through at once for the first event that is not set aside: some 10 ms. */
const STEP = 10_000;

export interface OutboxRow {
  readonly seq: number;
  readonly line: string;
}

/** Numbers of events, both ends included. */
export interface SeqRange {
  readonly from: number;
  readonly to: number;
}

/** How large a batch may be; its first event may be larger. */
export interface BatchSize {
  readonly maxEvents: number;
  readonly maxBytes: number;
}

export class NextEvents {
  readonly #statements: Statements;
  /**
   * Every event before this one is set aside or released: hundreds of thousands may be, which no
   * batch is to look through. In memory alone, so that a restart finds whatever there is.
   */
  #firstFree = 0;
  /** Where events are that were released, to be delivered ahead of the others. */
  #released: SeqRange | undefined;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** No event before it is delivered with others, but for released ones. */
  get first(): number {
    return this.#firstFree;
  }

  /** Finds the first event that is not set aside, in steps, so that capture does not wait. */
  async findFirst(signal: AbortSignal): Promise<void> {
    const ends = this.#statements.get("SELECT min(seq) AS first, max(seq) AS last FROM outbox")
      .get();
    const last = Number(ends?.last ?? -1);
    this.#firstFree = Number(ends?.first ?? 0);
    while (this.#firstFree <= last && !signal.aborted) {
      const step = { from: this.#firstFree, to: Math.min(this.#firstFree + STEP - 1, last) };
      const free = this.#firstIn(step);
      this.#firstFree = free ?? step.to + 1;
      if (free !== undefined) return;
      await nextTurn();
    }
  }

  /**
   * Rows in order but those set aside, from the one after `skip` others on: the first one always,
   * then as many as fit. Released ones come first. Those in flight are left out.
   */
  peek({ skip = 0, inFlight, ...size }: BatchSize & {
    readonly skip?: number;
    readonly inFlight?: SeqRange | undefined;
  }): OutboxRow[] {
    // what is skipped is skipped of all, or others behind released ones would not be reached
    const ahead = skip === 0 ? this.#released : undefined;
    const released = ahead ? this.#rowsBeside(inFlight, ahead, size) : [];
    if (released.length > 0) return released;
    if (skip === 0) this.#released = undefined;
    const from = Math.min(this.#firstFree, this.#released?.from ?? LAST_SEQ);
    const rows = this.#rowsBeside(inFlight, { from, to: LAST_SEQ }, size, skip);
    const first = rows[0]?.seq ?? this.#nextSeq();
    // what is in flight may come back
    if (skip === 0) this.#firstFree = Math.min(first, inFlight?.from ?? LAST_SEQ);
    return rows;
  }

  /** As `peek`, of the rows behind the one of that number. */
  peekBehind(seq: number, size: BatchSize): OutboxRow[] {
    return this.#rows({ from: seq + 1, to: LAST_SEQ }, size);
  }

  /** Those before what is in flight, and where there are none those behind. */
  #rowsBeside(
    inFlight: SeqRange | undefined,
    range: SeqRange,
    size: BatchSize,
    skip = 0,
  ): OutboxRow[] {
    if (!inFlight) return this.#rows(range, size, skip);
    const before = { from: range.from, to: Math.min(range.to, inFlight.from - 1) };
    const behind = { from: Math.max(range.from, inFlight.to + 1), to: range.to };
    const rows = this.#rows(before, size, skip);
    if (rows.length > 0) return rows;
    const skipped = skip === 0 ? 0 : this.#count(before);
    return this.#rows(behind, size, skip - skipped);
  }

  /** As many as fit. */
  #rows({ from, to }: SeqRange, { maxEvents, maxBytes }: BatchSize, skip = 0): OutboxRow[] {
    const all = this.#statements.get(
      "SELECT count(*) AS n, sum(octet_length(line)) AS bytes FROM " +
        `(SELECT line FROM outbox WHERE ${FREE} ORDER BY seq LIMIT ? OFFSET ?)`,
    ).get(from, to, maxEvents, skip);
    const n = Number(all?.bytes) <= maxBytes
      ? Number(all?.n)
      : this.#howManyFit({ from, to }, { maxEvents, maxBytes }, skip);
    if (n === 0) return [];
    // not iterate(): Deno's (2.9.6) ends without a word where SQLite fails, as at a damaged page
    return this.#statements
      .get(`SELECT seq, line FROM outbox WHERE ${FREE} ORDER BY seq LIMIT ? OFFSET ?`)
      .all(from, to, n, skip).map(rowOf);
  }

  /** The first one always does. */
  #howManyFit({ from, to }: SeqRange, { maxEvents, maxBytes }: BatchSize, skip: number): number {
    const rows = this.#statements.get(
      `SELECT octet_length(line) AS bytes FROM outbox WHERE ${FREE} ORDER BY seq LIMIT ? OFFSET ?`,
    ).all(from, to, maxEvents, skip);
    let total = 0;
    const n = rows.findIndex(({ bytes }) => (total += Number(bytes)) > maxBytes);
    return n === -1 ? rows.length : Math.min(rows.length, Math.max(1, n));
  }

  /** The first one's number. */
  #firstIn({ from, to }: SeqRange): number | undefined {
    const row = this.#statements
      .get(`SELECT seq FROM outbox WHERE ${FREE} ORDER BY seq LIMIT 1`).get(from, to);
    return row === undefined ? undefined : Number(row.seq);
  }

  #count({ from, to }: SeqRange): number {
    const row = this.#statements.get(`SELECT count(*) AS n FROM outbox WHERE ${FREE}`)
      .get(from, to);
    return Number(row?.n);
  }

  /** No event that comes has a lower number (AUTOINCREMENT). */
  #nextSeq(): number {
    const row = this.#statements.get("SELECT max(seq) AS seq FROM outbox").get();
    return Math.max(this.#firstFree, Number(row?.seq ?? 0) + 1);
  }

  /**
   * Within a transaction: of those that a limit holds the next behind `after` are delivered again, at
   * most `maxEvents`, ahead of the others. Returns them, and where the next ones begin; undefined
   * where there is none.
   */
  release(after: number, maxEvents: number): { seqs: number[]; last: number } | undefined {
    const found = this.#statements.get("SELECT seq FROM limited WHERE seq > ? ORDER BY seq LIMIT ?")
      .all(after, maxEvents).map(({ seq }) => Number(seq));
    const [from, to] = [found[0], found.at(-1)];
    if (from === undefined || to === undefined) return undefined;
    const seqs = this.#statements
      .get("SELECT seq FROM limited JOIN outbox USING (seq) WHERE seq BETWEEN ? AND ? ORDER BY seq")
      .all(from, to).map(({ seq }) => Number(seq));
    this.#statements.get("DELETE FROM limited WHERE seq BETWEEN ? AND ?").run(from, to);
    // what is left of the last ones must not be forgotten behind these
    const left = this.#released && this.#firstIn(this.#released);
    if (left !== undefined) this.#firstFree = Math.min(this.#firstFree, left);
    this.#released = { from, to };
    return { seqs, last: to };
  }
}

export function rowOf({ seq, line }: Readonly<Record<string, unknown>>): OutboxRow {
  return { seq: Number(seq), line: String(line) };
}
