/** What enrich's answer says of each row of a batch. */
import type { BatchAnswer } from "../../contract.ts";
import type { Settlement } from "../outbox/settlement.ts";
import type { Batch } from "../outbox/next_events.ts";

export interface AnsweredRows {
  /** Rows that leave the outbox. */
  readonly settlement: Settlement;
  /** Rows that a limit of the store holds. */
  readonly limited: readonly { readonly seq: number; readonly reason: string }[];
  /**
   * Rows that are pending although the store was reached after them: it is not for lack of time. Some
   * rows are left out without asking the store, and the answer does not say which: only where more
   * rows behind one are done than are left out of the batch was one of them certainly stored.
   */
  readonly suspects: readonly number[];
}

/** The answer must account for every row. */
export function answeredRows({ seqs }: Batch, answer: BatchAnswer): AnsweredRows {
  const named = <T extends { readonly index: number; readonly reason: string }>(
    entries: readonly T[],
  ) =>
    entries.flatMap(({ index, reason }) => {
      const seq = seqs[index];
      return seq === undefined ? [] : [{ seq, reason }];
    });
  const leftOut = Object.values(answer.skipped).reduce((sum, n) => sum + n, 0);
  const pending = new Set(answer.pending);
  const limited = new Set(answer.limited.map(({ index }) => index));
  const problems = new Set(answer.problems.map(({ index }) => index));
  const done: number[] = [];
  const suspects: number[] = [];
  for (const [index, seq] of [...seqs.entries()].reverse()) {
    if (!pending.has(index) && !problems.has(index)) done.push(seq);
    else if (pending.has(index) && !limited.has(index) && done.length > leftOut) suspects.push(seq);
  }
  return {
    settlement: {
      done: done.reverse(),
      delivered: answer.stored,
      leftOut: answer.skipped,
      problems: named(answer.problems),
    },
    limited: named(answer.limited),
    suspects: suspects.reverse(),
  };
}
