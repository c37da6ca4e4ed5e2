/** The house behind an outbox: every state that its entities ever had, heard or not, as its recorder has them. */
import type { HistoryRow } from "../../lib/ingest/history/history.ts";
import type { KnownState } from "../../lib/ingest/outbox/seen_states.ts";
import type { StateStamp } from "../../lib/ingest/outbox/state_chain.ts";

/** Every fourth change of an entity is its removal. */
const REMOVED_EVERY = 4;

export class World {
  #nowUs = 1_000_000;
  readonly rows = new Map<string, HistoryRow[]>();

  /** No two events are of one microsecond. */
  tick(): number {
    return this.#nowUs++;
  }

  /** Later than all of it, so that no clock seems to have gone back, and by how much. */
  get later(): readonly [nowUs: number, marginUs: number] {
    const marginUs = 1_000_000_000_000;
    return [this.#nowUs + marginUs, marginUs];
  }

  /** An entity changes, or is removed, or comes back. */
  change(entityId: string): StateStamp {
    const rows = this.rows.get(entityId) ?? [];
    const last = rows.at(-1);
    const us = this.tick();
    const isRemoval = rows.length % REMOVED_EVERY === REMOVED_EVERY - 1;
    const known = {
      state: isRemoval ? null : String(us),
      lastUpdatedUs: us,
      lastChangedUs: us,
    };
    this.rows.set(entityId, [...rows, { ...known, attributes: "{}" }]);
    const previousUs = last?.state === null ? undefined : last?.lastUpdatedUs;
    return { entityId, previousUs, known };
  }

  /** What get_states says. */
  present(): ReadonlyMap<string, KnownState> {
    return new Map(
      [...this.rows].flatMap(([entityId, rows]) => {
        const last = rows.at(-1);
        return last && last.state !== null ? [[entityId, last] as const] : [];
      }),
    );
  }

  /** The stamp of the state that this one replaced. */
  replacedUs(entityId: string, us: number): number | undefined {
    const rows = this.rows.get(entityId) ?? [];
    const before = rows[rows.findIndex(({ lastUpdatedUs }) => lastUpdatedUs === us) - 1];
    return before?.state === null ? undefined : before?.lastUpdatedUs;
  }
}
