/**
 * The table `gap`, whose rows are stretches of one entity's states that are missing. It keeps the
 * columns of release 0.1.0, which reads such a row from `to_us` down to `from_us`.
 */
import type { DatabaseSync } from "node:sqlite";

/**
 * What is missing lies between `from_us` and `to_us`, both exclusive; without `to_us` the entity was
 * gone. Where `until_us` is later, all up to there may be missing, too: Home Assistant's clock went
 * back before the state of `to_us`. `begin_us`: the gap's begin. `start_us`: where reading began; where
 * that is before `from_us` Home Assistant's clock went back. `read_us`: all before is read.
 * `last_state`: the state before it. `proof_us`: the row that the recorder must have if nothing is
 * lost, `proof` 1 once it was read.
 */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS gap (
    id INTEGER PRIMARY KEY,
    entity_id TEXT NOT NULL,
    from_us INTEGER NOT NULL,
    to_us INTEGER,
    cursor_us INTEGER,
    newest_us INTEGER,
    held TEXT,
    proof INTEGER NOT NULL DEFAULT 0,
    looked INTEGER NOT NULL DEFAULT 0);
`;
const COLUMNS = {
  begin_us: "INTEGER",
  until_us: "INTEGER",
  start_us: "INTEGER",
  read_us: "INTEGER",
  proof_us: "INTEGER",
  last_state: "TEXT",
} as const;
const INDEXES = `
  CREATE INDEX IF NOT EXISTS gap_entity ON gap (entity_id);
  CREATE INDEX IF NOT EXISTS gap_reading ON gap (begin_us, read_us);
  CREATE INDEX IF NOT EXISTS gap_entities ON gap (begin_us, entity_id);
`;

/** Makes the table, or adds the columns that one of 0.1.0 lacks. */
export function makeGapTable(db: DatabaseSync): void {
  db.exec(SCHEMA);
  const known = db.prepare("SELECT name FROM pragma_table_info('gap')").all()
    .map(({ name }) => String(name));
  for (const [name, type] of Object.entries(COLUMNS)) {
    if (!known.includes(name)) db.exec(`ALTER TABLE gap ADD COLUMN ${name} ${type}`);
  }
  db.exec(INDEXES);
}

/** What it noted, or began to read. */
const THEIRS = "(begin_us IS NULL OR cursor_us IS NOT NULL OR looked = 1)";
/** 0.1.0 reads from new to old: it has read all from `cursor_us` on, but for the row that it held back. */
const UNREAD_END = "ifnull(json_extract(held, '$.lastUpdatedUs') + 1, cursor_us)";
/** It noted one of every entity; where it has spooled nothing of that, what was seen of the entity says as much. */
const REDUNDANT = "to_us IS NULL AND from_us >= " +
  "(SELECT last_updated_us FROM seen WHERE seen.entity_id = gap.entity_id)";
/** It has spooled rows of it, or what ended it: what was seen of the entity says where that was. */
const HAS_END = "to_us IS NOT NULL OR entity_id IN (SELECT entity_id FROM seen)";
/** Since when it missed states, where it says so: `history/gaps.ts` keeps the list. */
const MISSED_SINCE = `SELECT min(one.value ->> 'fromUs') FROM meta, json_each(meta.value) AS one
  WHERE meta.key = 'interruptions' AND one.value ->> 'state' = 'open'`;
/** What it noted with a proof is an import, or of an entity that was never seen: all of it is wanted. */
const START = `CASE proof WHEN 1 THEN from_us ELSE max(from_us, ifnull((${MISSED_SINCE}), 0)) END`;

/**
 * Within a transaction: takes over what 0.1.0 left; it does not say by which row to prove it. Returns
 * since when it missed states, where it left anything.
 */
export function takeOverGaps(db: DatabaseSync): number | undefined {
  const oldest = db.prepare(
    `SELECT ifnull((${MISSED_SINCE}), min(from_us)) AS us FROM gap WHERE ${THEIRS} HAVING count(*) > 0`,
  ).get()?.us;
  if (typeof oldest !== "number") return undefined;
  db.exec(`
    DELETE FROM gap WHERE ${THEIRS} AND ${REDUNDANT};
    UPDATE gap SET to_us = ${UNREAD_END}
      WHERE ${THEIRS} AND cursor_us IS NOT NULL AND (${HAS_END});
    UPDATE gap SET start_us = ${START}, read_us = ${START}, begin_us = ${oldest},
      proof = 1, cursor_us = NULL, newest_us = NULL, held = NULL, looked = 0
      WHERE ${THEIRS};
  `);
  return oldest;
}
