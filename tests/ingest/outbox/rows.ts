/** A batch as its events, and events as a batch. */
import assert from "node:assert/strict";
import type { Batch } from "../../../lib/ingest/outbox/next_events.ts";

export interface Row {
  readonly seq: number;
  readonly line: string;
}

/** The events of a batch, one by one. */
export function rowsOf({ seqs, body }: Batch): Row[] {
  const lines = seqs.length === 0 ? [] : new TextDecoder().decode(body).split("\n");
  assert.equal(lines.length, seqs.length, "an event has a line");
  return seqs.map((seq, index) => ({ seq, line: lines[index] ?? "" }));
}

/** A batch of these lines. */
export function batchOf(lines: readonly string[]): Batch {
  return {
    seqs: lines.map((_, index) => index + 1),
    body: new TextEncoder().encode(lines.join("\n")),
  };
}
