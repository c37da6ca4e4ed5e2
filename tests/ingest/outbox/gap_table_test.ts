import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { copyRelease } from "../../release_files.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { allMissing, type ChainInMemory, chainInMemory, compare } from "./stretches.ts";

/** As release 0.1.0 made them. */
const SCHEMA = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE seen (
    entity_id TEXT PRIMARY KEY, last_updated_us INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE gap (
    id INTEGER PRIMARY KEY,
    entity_id TEXT NOT NULL,
    from_us INTEGER NOT NULL,
    to_us INTEGER,
    cursor_us INTEGER,
    newest_us INTEGER,
    held TEXT,
    proof INTEGER NOT NULL DEFAULT 0,
    looked INTEGER NOT NULL DEFAULT 0);
  CREATE INDEX gap_cursor ON gap (cursor_us);
`;

interface OldGap {
  readonly from: number;
  readonly to?: number;
  readonly cursor?: number;
  readonly newest?: number;
  /** The stamp of the row that was held back. */
  readonly held?: number;
  readonly proof?: number;
  readonly looked?: number;
}

interface OldFile {
  readonly gaps: readonly OldGap[];
  readonly seen?: number;
  /** Since when it missed states; undefined where it does not say so. */
  readonly missedSince?: number;
}

const ENTITY = "sensor.a";
/** Since when states are missing, and until when. */
const SINCE = 1_000;
const NOW = 5_000;
/** 0.1.0 began a look a year ahead. */
const FAR = NOW + 365 * 86_400_000_000;

function oldFile({ gaps, seen, missedSince }: OldFile): DatabaseSync {
  const db = new DatabaseSync(":memory:");
  db.exec(SCHEMA);
  // another entity, of which nothing is missing
  db.exec(`INSERT INTO seen VALUES ('sun.sun', ${SINCE})`);
  db.exec(`INSERT INTO gap (entity_id, from_us) VALUES ('sun.sun', ${SINCE})`);
  if (seen !== undefined) db.exec(`INSERT INTO seen VALUES ('${ENTITY}', ${seen})`);
  const insert = db.prepare(
    "INSERT INTO gap (entity_id, from_us, to_us, cursor_us, newest_us, held, proof, looked) " +
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
  );
  for (const { from, to, cursor, newest, held, proof = 0, looked = 0 } of gaps) {
    const text = held === undefined
      ? null
      : JSON.stringify({ state: "x", attributes: "{}", lastUpdatedUs: held, lastChangedUs: held });
    insert.run(ENTITY, from, to ?? null, cursor ?? null, newest ?? null, text, proof, looked);
  }
  if (missedSince !== undefined) {
    const gap = { reason: "x", entities: 1, rows: 0, unfilled: {} };
    db.prepare("INSERT INTO meta VALUES ('interruptions', ?)").run(JSON.stringify([
      { ...gap, fromUs: missedSince, state: "open" },
      { ...gap, fromUs: 10, toUs: 20, state: "filled" },
    ]));
  }
  return db;
}

/** Which of the entity's rows would be filled in, once for each stretch that wants it. */
function filled({ missing }: ChainInMemory, rows: readonly number[]): number[] {
  return allMissing(missing).filter(({ entityId }) => entityId === ENTITY)
    .flatMap(({ fromUs, toUs = Infinity, startUs }) =>
      rows.filter((us) => us > fromUs && us < toUs && us >= startUs)
    ).sort((a, b) => a - b);
}

interface Kind extends OldFile {
  /** The recorder's rows of the entity that 0.1.0 has not spooled since. */
  readonly unspooled: readonly number[];
  readonly spooled?: readonly number[];
  /** Its present state; undefined where it is gone. */
  readonly present: number | undefined;
}

const MISSED = { missedSince: SINCE };
const KINDS: Readonly<Record<string, Kind>> = {
  "that it had only noted, of an entity that did not change": {
    ...MISSED,
    seen: 900,
    gaps: [{ from: 900 }],
    unspooled: [],
    spooled: [900],
    present: 900,
  },
  "that it had only noted, of an entity that changed": {
    ...MISSED,
    seen: 900,
    gaps: [{ from: 900 }],
    unspooled: [2_000, 3_000, 4_000],
    spooled: [800, 900],
    present: 4_000,
  },
  "that it had only noted, of an entity that is gone": {
    ...MISSED,
    seen: 900,
    gaps: [{ from: 900 }],
    unspooled: [2_000, 3_000],
    present: undefined,
  },
  "with an end, that it had not read": {
    ...MISSED,
    seen: 3_000,
    gaps: [{ from: 900, to: 3_000 }],
    unspooled: [2_000, 2_500],
    spooled: [900, 3_000],
    present: 3_000,
  },
  "with an end, and another one behind it": {
    ...MISSED,
    seen: 3_000,
    gaps: [{ from: 900, to: 3_000 }, { from: 3_000 }],
    unspooled: [2_000, 2_500, 3_500, 4_000],
    spooled: [900, 3_000],
    present: 4_000,
  },
  "that it had begun to read, and found nothing of yet": {
    ...MISSED,
    seen: 900,
    gaps: [{ from: 900, cursor: FAR }],
    unspooled: [2_000, 4_000],
    present: 4_000,
  },
  "that it had read to the middle without a row": {
    ...MISSED,
    seen: 900,
    gaps: [{ from: 900, cursor: 3_000 }],
    unspooled: [2_000, 4_000],
    present: 4_000,
  },
  "of which it held back the only row that it had read": {
    ...MISSED,
    seen: 900,
    gaps: [{ from: 900, cursor: 2_900, newest: 3_000, held: 3_000, proof: 1, looked: 1 }],
    unspooled: [2_000, 3_000],
    present: 3_000,
  },
  "of which it had spooled the newer rows": {
    ...MISSED,
    seen: 4_000,
    gaps: [{ from: 900, cursor: 2_900, newest: 4_000, held: 3_000 }],
    unspooled: [2_000, 3_000],
    spooled: [3_500, 4_000],
    present: 4_000,
  },
  "of which it had spooled the newer rows, and that has changed since": {
    ...MISSED,
    seen: 4_000,
    gaps: [{ from: 900, cursor: 2_900, newest: 4_000, held: 3_000 }],
    unspooled: [2_000, 3_000, 4_500, 4_600],
    spooled: [3_500, 4_000],
    present: 4_600,
  },
  "with an end, of which it had spooled the newer rows": {
    ...MISSED,
    seen: 4_000,
    gaps: [{ from: 900, to: 4_000, cursor: 2_900, newest: 3_800, held: 3_000 }],
    unspooled: [2_000, 3_000],
    spooled: [3_500, 3_800, 4_000],
    present: 4_000,
  },
  "with an end, that it had begun to read": {
    ...MISSED,
    seen: 4_000,
    gaps: [{ from: 900, to: 4_000, cursor: 4_000 }],
    unspooled: [2_000, 3_000],
    spooled: [4_000],
    present: 4_000,
  },
  "between two looks": {
    ...MISSED,
    seen: 3_000,
    gaps: [{ from: 3_000, looked: 1 }],
    unspooled: [3_500],
    spooled: [2_000, 3_000],
    present: 3_500,
  },
  "with an end, between two looks": {
    ...MISSED,
    seen: 4_000,
    gaps: [{ from: 3_000, to: 4_000, looked: 1, proof: 2 }],
    unspooled: [3_500],
    spooled: [2_000, 3_000, 4_000],
    present: 4_000,
  },
  "of an import that it had only noted": {
    gaps: [{ from: 100, proof: 1 }],
    unspooled: [200, 2_000, 4_000],
    spooled: [50],
    present: 4_000,
  },
  "of an import that it had begun to read": {
    gaps: [{ from: 100, proof: 1, cursor: FAR }],
    unspooled: [200, 2_000, 4_000],
    spooled: [50],
    present: 4_000,
  },
  "of an import of which it had spooled the newer rows": {
    seen: 4_000,
    gaps: [{ from: 100, proof: 1, cursor: 2_900, newest: 4_000, held: 3_000 }],
    unspooled: [200, 2_000, 3_000, 4_500],
    spooled: [3_500, 4_000],
    present: 4_500,
  },
  "of an import, with an end, of which it had spooled the newer rows": {
    ...MISSED,
    seen: 4_000,
    gaps: [{ from: 100, to: 4_000, proof: 1, cursor: 2_900, newest: 3_500, held: 3_000 }],
    unspooled: [200, 2_000, 3_000],
    spooled: [3_500, 4_000],
    present: 4_000,
  },
  "of an entity that it had never seen": {
    ...MISSED,
    gaps: [{ from: SINCE, proof: 1 }],
    unspooled: [2_000, 4_000],
    spooled: [500],
    present: 4_000,
  },
  "of an entity that it had never seen, with an end": {
    ...MISSED,
    seen: 3_000,
    gaps: [{ from: SINCE, to: 3_000, proof: 1, cursor: 2_500, newest: 2_500, held: 2_500 }],
    unspooled: [2_000, 2_500],
    spooled: [500, 3_000],
    present: 3_000,
  },
};

for (const [kind, { unspooled, spooled = [], present, ...file }] of Object.entries(KINDS)) {
  Deno.test(`What 0.1.0 left of a gap ${kind} is filled in, each row once`, () => {
    const db = oldFile(file);
    const taken = chainInMemory(db);
    const { chain } = taken;
    chain.open();
    const oldest = file.missedSince ?? Math.min(SINCE, ...file.gaps.map(({ from }) => from));
    assert.equal(chain.opened?.fromUs, oldest);
    const { n } = db.prepare("SELECT count(*) AS n FROM gap WHERE begin_us IS NULL").get() ?? {};
    assert.equal(n, 0, "nothing is left to be taken over");
    const states: Record<string, number> = present === undefined ? {} : { [ENTITY]: present };
    compare(chain, { "sun.sun": SINCE, ...states }, NOW);
    assert.deepEqual(filled(taken, [...spooled, ...unspooled]), unspooled);
    for (const one of taken.missing.next(1_000, Infinity)) {
      assert.notEqual(one.entityId, "sun.sun");
      assert.ok(one.startUs >= one.fromUs, "no clock went back");
    }
    assert.equal(taken.missing.next(9, Infinity).length > 0, unspooled.length > 0, "it is read");
    // a second time changes nothing
    const before = allMissing(taken.missing);
    chain.open();
    assert.deepEqual(allMissing(taken.missing), before);
  });
}

Deno.test("What 0.1.0 left proves nothing, and so blames no recorder", () => {
  const db = oldFile({ ...MISSED, seen: 3_000, gaps: [{ from: 900, to: 3_000, proof: 2 }] });
  const { chain, missing } = chainInMemory(db);
  chain.open();
  assert.deepEqual(allMissing(missing).map(({ isProven, proofUs }) => [isProven, proofUs]), [[
    true,
    undefined,
  ]]);
});

Deno.test("A new file has the table as 0.1.0 knows it, and one of 0.1.0 gets what it lacks, once", () => {
  const columns = (db: DatabaseSync) =>
    db.prepare("SELECT name FROM pragma_table_info('gap')").all().map(({ name }) => name);
  const { db: made } = chainInMemory();
  const theirs = new DatabaseSync(":memory:");
  theirs.exec(SCHEMA);
  assert.deepEqual(columns(made).slice(0, 9), columns(theirs));
  for (let i = 0; i < 2; i++) {
    chainInMemory(theirs);
    assert.deepEqual(columns(theirs), columns(made));
  }
  // 0.1.0 writes without naming columns only where it made the table alone
  made.exec("INSERT INTO seen VALUES ('a.a', 5)");
  made.exec("INSERT INTO gap (entity_id, from_us) SELECT entity_id, last_updated_us FROM seen");
});

Deno.test("The outbox that 0.1.0 left is taken over: all that it noted, and nothing twice", () => {
  using folder = new TemporaryFolder();
  copyRelease(folder.path);
  using db = new DatabaseSync(folder.file("outbox.sqlite"));
  const rows = (sql: string) => db.prepare(sql).all();
  const [before] = rows(
    "SELECT max(last_updated_us) AS us, (SELECT count(DISTINCT entity_id) FROM gap) AS entities FROM seen",
  );
  assert.ok(Number(before?.entities) > 30);
  const taken = chainInMemory(db);
  taken.chain.open();
  const nowUs = Number(before?.us) + 1_000_000_000;
  // every entity has changed since
  const present = rows("SELECT entity_id FROM seen").map(({ entity_id }) =>
    [String(entity_id), nowUs - 1_000] as const
  );
  compare(taken.chain, Object.fromEntries(present), nowUs);
  const all = allMissing(taken.missing);
  assert.equal(new Set(all.map(({ entityId }) => entityId)).size, before?.entities);
  for (const [entityId, stretches] of Map.groupBy(all, ({ entityId }) => entityId)) {
    const sorted = stretches.toSorted((a, b) => a.fromUs - b.fromUs);
    for (const [i, { fromUs }] of sorted.entries()) {
      if (i > 0) assert.ok(fromUs >= Number(sorted[i - 1]?.toUs) - 1, `${entityId} twice`);
    }
  }
});
