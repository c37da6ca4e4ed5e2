/** Deleting what the local store keeps no longer, a little at a time. */
import type { DatabaseSync } from "node:sqlite";
import { Statements } from "../../sqlite.ts";

/** What one step deletes and looks at, at the most: some 10 ms. */
const PRUNE_POINTS = 5_000;
const PRUNE_SERIES = 500;

/** What was imported of years, an hour a point, is meant to stay. */
const NEXT_SERIES =
  `SELECT id FROM series WHERE id >= ? AND measurement != 'statistics' ORDER BY id LIMIT ${PRUNE_SERIES}`;
const DELETE_POINTS = `
  DELETE FROM point WHERE series = ?1 AND time_ns IN
    (SELECT time_ns FROM point WHERE series = ?1 AND time_ns < ?2 LIMIT ?3)`;
const DELETE_SERIES =
  "DELETE FROM series WHERE id = ? AND NOT EXISTS (SELECT 1 FROM point WHERE series = id)";

export interface PruneStep {
  /** The series where the next step goes on; undefined at the end. */
  readonly next: number | undefined;
  /** How many points were deleted. */
  readonly pruned: number;
}

export class Pruning {
  readonly #statements: Statements;

  constructor(db: DatabaseSync) {
    this.#statements = new Statements(db);
  }

  /** Within a transaction: deletes points before that time, of some series from `first` on. */
  step(first: number, beforeNs: bigint): PruneStep {
    let pruned = 0;
    const ids = this.#statements.get(NEXT_SERIES).all(first).map(({ id }) => Number(id));
    let next = ids.length === 0 ? undefined : first;
    for (const id of ids) {
      const wanted = PRUNE_POINTS - pruned;
      const { changes } = this.#statements.get(DELETE_POINTS).run(id, beforeNs, wanted);
      const deleted = Number(changes);
      pruned += deleted;
      if (deleted > 0) this.#statements.get(DELETE_SERIES).run(id);
      next = id;
      // the same series may have more of them
      if (deleted === wanted) break;
      next = id + 1;
    }
    return { next, pruned };
  }
}
