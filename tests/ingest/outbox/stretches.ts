/** What an outbox notes as missing, all of it, for tests. */
import { DatabaseSync } from "node:sqlite";
import { type Missing, MissingStates } from "../../../lib/ingest/outbox/missing_states.ts";
import type { StateStamp } from "../../../lib/ingest/outbox/state_chain.ts";
import { StateChain } from "../../../lib/ingest/outbox/state_chain.ts";

/** All that is missing, in the order in which it was noted. */
export function allMissing(of: MissingStates): Missing[] {
  const blank = {
    entityId: "",
    fromUs: 0,
    toUs: undefined,
    untilUs: undefined,
    beginUs: 0,
    startUs: 0,
    readUs: 0,
    lastState: undefined,
    proofUs: undefined,
    isProven: false,
  };
  return of.again(Array.from({ length: of.lastId() }, (_, i) => ({ ...blank, id: i + 1 })));
}

/** Entities and bounds of all that is missing. */
export function boundsOf(of: MissingStates) {
  return allMissing(of).map(({ entityId, fromUs, toUs }) => [entityId, fromUs, toUs]);
}

/** A state that was heard; its text is its stamp. */
export function heardState(entityId: string, us: number, previousUs?: number): StateStamp {
  return { entityId, previousUs, known: knownAt(us) };
}

/** The event of a removal. */
export function heardRemoval(entityId: string, us: number, previousUs?: number): StateStamp {
  return { entityId, previousUs, known: { ...knownAt(us), state: null } };
}

export function knownAt(us: number) {
  return { state: String(us), lastUpdatedUs: us, lastChangedUs: us };
}

/** Events as the outbox takes them. */
export function spooled(...stamps: readonly StateStamp[]) {
  return stamps.map((stamp) => ({ line: "{}", stamp, firedUs: stamp.known.lastUpdatedUs }));
}

export interface ChainInMemory {
  readonly db: DatabaseSync;
  readonly missing: MissingStates;
  readonly chain: StateChain;
}

/** A chain in a database of its own, or again in that one, as after a restart. */
export function chainInMemory(db = new DatabaseSync(":memory:")): ChainInMemory {
  db.exec("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)");
  const missing = new MissingStates(db);
  return { db, missing, chain: new StateChain(db, missing) };
}

/** Compares what is present, by entity, with what was seen. */
export function compare(
  chain: StateChain,
  present: Readonly<Record<string, number>>,
  nowUs: number,
): void {
  for (const [entityId, us] of Object.entries(present)) {
    if (chain.isUnseen(entityId, us)) chain.shown(entityId, knownAt(us));
  }
  if (chain.opened) chain.gone(chain.goneSince(new Set(Object.keys(present))));
  chain.compared(nowUs);
}
