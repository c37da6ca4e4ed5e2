/** Which of the events that wait are delivered next. */
import { isUtf8 } from "node:buffer";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Statements } from "../../sqlite.ts";

/** Of the events with these numbers those that are not set aside. */
export const FREE = `seq BETWEEN ? AND ?
  AND seq NOT IN (SELECT seq FROM attempt) AND seq NOT IN (SELECT seq FROM limited)`;

export const LAST_SEQ = Number.MAX_SAFE_INTEGER;
/** So many numbers are looked through at once for the first event that is not set aside: some 10 ms. */
const STEP = 10_000;

/** Events that are delivered together, in order. */
export interface Batch {
  readonly seqs: readonly number[];
  /** Their lines, a line feed between two of them, in UTF-8. */
  readonly body: Uint8Array<ArrayBuffer>;
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
  }): Batch {
    // what is skipped is skipped of all, or others behind released ones would not be reached
    const ahead = skip === 0 ? this.#released : undefined;
    const released = ahead && this.#batchBeside(inFlight, ahead, size);
    if (released && released.seqs.length > 0) return released;
    if (skip === 0) this.#released = undefined;
    const from = Math.min(this.#firstFree, this.#released?.from ?? LAST_SEQ);
    const batch = this.#batchBeside(inFlight, { from, to: LAST_SEQ }, size, skip);
    const first = batch.seqs[0] ?? this.#nextSeq();
    // what is in flight may come back
    if (skip === 0) this.#firstFree = Math.min(first, inFlight?.from ?? LAST_SEQ);
    return batch;
  }

  /** As `peek`, of the events behind the one of that number. */
  peekBehind(seq: number, size: BatchSize): Batch {
    return this.#batch({ from: seq + 1, to: LAST_SEQ }, size);
  }

  /** Those before what is in flight, and where there are none those behind. */
  #batchBeside(
    inFlight: SeqRange | undefined,
    range: SeqRange,
    size: BatchSize,
    skip = 0,
  ): Batch {
    if (!inFlight) return this.#batch(range, size, skip);
    const before = { from: range.from, to: Math.min(range.to, inFlight.from - 1) };
    const behind = { from: Math.max(range.from, inFlight.to + 1), to: range.to };
    const batch = this.#batch(before, size, skip);
    if (batch.seqs.length > 0) return batch;
    const skipped = skip === 0 ? 0 : this.#count(before);
    return this.#batch(behind, size, skip - skipped);
  }

  /** As many as fit. */
  #batch({ from, to }: SeqRange, { maxEvents, maxBytes }: BatchSize, skip = 0): Batch {
    const all = this.#statements.get(
      "SELECT count(*) AS n, sum(octet_length(line)) AS bytes FROM " +
        `(SELECT line FROM outbox WHERE ${FREE} ORDER BY seq LIMIT ? OFFSET ?)`,
    ).get(from, to, maxEvents, skip);
    const n = Number(all?.bytes) <= maxBytes
      ? Number(all?.n)
      : this.#howManyFit({ from, to }, { maxEvents, maxBytes }, skip);
    if (n === 0) return batchOf({});
    // joined by SQLite: a string for each line, encoded again to be sent, costs about twice as much
    const joined = this.#statements.get(
      "SELECT group_concat(seq) AS seqs, CAST(group_concat(line, char(10)) AS BLOB) AS body FROM " +
        `(SELECT seq, line FROM outbox WHERE ${FREE} ORDER BY seq LIMIT ? OFFSET ?)`,
    ).get(from, to, n, skip);
    return batchOf(joined ?? {});
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

/** Of a row with `seqs`, their numbers with commas, and `body`; without these it is empty. */
export function batchOf({ seqs, body }: Readonly<Record<string, unknown>>): Batch {
  if (!isBytes(body)) return { seqs: [], body: new Uint8Array() };
  // where damage has left no UTF-8 the events around it would be refused with it
  const sent = isUtf8(body) ? body : new TextEncoder().encode(new TextDecoder().decode(body));
  return { seqs: String(seqs).split(",").map(Number), body: sent };
}

function isBytes(value: unknown): value is Uint8Array<ArrayBuffer> {
  return value instanceof Uint8Array && value.buffer instanceof ArrayBuffer;
}
