/** What enrich has done since its start, for its metrics, status and page. */

/** Reasons hold free text: so many are told apart. */
const MAX_REASONS = 50;

export class EventCounters {
  received = 0;
  stored = 0;
  /** Answers to `POST /events`, by status. */
  readonly requests = new Map<string, number>();
  /** Events that can never be stored, by reason. */
  readonly problems = new Map<string, number>();
  /** Events that are left out, by reason. */
  readonly skipped = new Map<string, number>();
  /** Attributes of stored events that are left out, by reason; `text` is the state, too. */
  readonly leftOut = new Map<string, number>();

  countRequest(status: number): void {
    add(this.requests, String(status), 1);
  }

  countProblem(reason: string): void {
    const isKnown = this.problems.has(reason) || this.problems.size < MAX_REASONS;
    add(this.problems, isKnown ? reason : "other reasons", 1);
  }

  countSkipped(reason: string): void {
    add(this.skipped, reason, 1);
  }

  /** `leftOut`: how many of the event's attributes are left out, by reason; `texts` for a store of numbers. */
  countStored(leftOut: ReadonlyMap<string, number>, texts = 0): void {
    this.stored++;
    if (texts > 0) add(this.leftOut, "text", texts);
    for (const [reason, count] of leftOut) add(this.leftOut, reason, count);
  }
}

function add(counts: Map<string, number>, key: string, n: number): void {
  counts.set(key, (counts.get(key) ?? 0) + n);
}
