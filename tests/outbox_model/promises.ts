/** What must hold after every step, looked up in the file. */
import assert from "node:assert/strict";
import * as z from "zod";
import type { Outbox } from "../../lib/ingest/outbox/outbox.ts";
import type { FullDisk } from "./full_disk.ts";
import type { Model } from "./model.ts";

/** The file, the counters and the model say the same. */
export function checkFile(outbox: Outbox, disk: FullDisk, model: Model): void {
  const query = (sql: string) => disk.query(sql);
  // by number and length: the text of each is looked at when it leaves
  assert.deepEqual(
    query(
      "SELECT seq, octet_length(line) AS bytes, ifnull(attempts, 0) AS attempts " +
        "FROM outbox LEFT JOIN attempt USING (seq) ORDER BY seq",
    ).map(({ seq, bytes, attempts }) => ({ seq, bytes, attempts })),
    model.waiting.map(({ seq, line, attempts }) => ({ seq, bytes: bytesOf(line), attempts })),
    "what waits",
  );
  assert.equal(
    query("SELECT count(*) AS n FROM attempt WHERE seq NOT IN (SELECT seq FROM outbox)")[0]?.n,
    0,
    "attempts of events that wait no more",
  );
  assert.deepEqual(
    query("SELECT seq, octet_length(line) AS bytes, reason FROM dead_letter ORDER BY seq")
      .map(({ seq, bytes, reason }) => ({ seq, bytes, reason })),
    model.dead.map(({ seq, line, reason }) => ({ seq, bytes: bytesOf(line), reason })),
    "dead letters",
  );

  const { received, dropped, ...counters } = outbox.counters();
  const refused = dropped.get("outbox_full") ?? 0;
  assert.ok(refused >= model.counted, `${model.counted} are refused, ${refused} are counted`);
  assert.ok(refused <= model.refused, `${refused} are counted, but ${model.refused} refused`);
  model.counted = refused;
  const [discarded, gaveWay] = [
    dropped.get("discarded") ?? 0,
    dropped.get("dead_letters_full") ?? 0,
  ];
  assert.deepEqual({ ...counters, discarded, gaveWay }, {
    delivered: model.delivered,
    leftOut: model.leftOut,
    deadLetters: model.dead.length,
    waiting: model.waiting.length,
    discarded: model.discarded,
    gaveWay: model.gaveWay,
  });
  const sum = (counts: Iterable<number>) => [...counts].reduce((a, b) => a + b, 0);
  assert.equal(
    received,
    counters.delivered + sum(counters.leftOut.values()) + counters.deadLetters +
      sum(dropped.values()) + counters.waiting,
    "the equation",
  );
  const stored = new Map(
    query("SELECT name, value FROM counter").map(({ name, value }) => [name, value]),
  );
  for (
    const [name, value] of [
      ["received", received],
      ["delivered", counters.delivered],
      ["dead_lettered", counters.deadLetters],
      ["queued", counters.waiting],
      ["dropped:outbox_full", refused],
    ] as const
  ) assert.equal(stored.get(name) ?? 0, value, `${name} in the file`);

  checkChain(outbox, query, model);
}

const openedSchema = z.object({ fromUs: z.number() });
const heardSchema = z.object({ us: z.number() });

/** What was seen, what is missing, and since when, in the file and in memory. */
function checkChain(
  { chain, missing }: Outbox,
  query: (sql: string) => Record<string, unknown>[],
  model: Model,
): void {
  const metaOf = <T extends z.ZodType>(key: string, schema: T): z.infer<T> | undefined => {
    const value = query(`SELECT value FROM meta WHERE key = '${key}'`)[0]?.value;
    return value === undefined ? undefined : schema.parse(JSON.parse(String(value)));
  };
  const openedUs = metaOf("gap_opened", openedSchema)?.fromUs;
  assert.equal(openedUs, model.openedUs, "since when states may be missing");
  assert.equal(chain.opened?.fromUs, openedUs, "and in memory");
  assert.equal(metaOf("heard", heardSchema)?.us, model.heardUs, "up to when all was heard");
  assert.deepEqual(
    query(
      "SELECT entity_id, seen.last_updated_us AS us, seen_state.state IS NULL AS is_gone FROM seen " +
        "LEFT JOIN seen_state USING (entity_id, last_updated_us) ORDER BY us",
    ).map(({ entity_id, us, is_gone }) => [entity_id, us, is_gone === 1]),
    [...model.seen].map(([entityId, { us, isGone }]) => [entityId, us, isGone] as const)
      .sort(([, a], [, b]) => a - b),
    "what was seen",
  );
  const found = query(
    "SELECT entity_id, from_us, to_us, begin_us, proof_us, start_us FROM gap",
  ).map((row) => Object.values(row).map((value) => value ?? undefined).join(" "));
  const expected = model.stretches.map(
    ({ entityId, fromUs, toUs, beginUs, proofUs, startUs }) =>
      [entityId, fromUs, toUs, beginUs, proofUs, startUs].join(" "),
  );
  assert.deepEqual(found.sort(), expected.sort(), "what is missing");
  const entities = new Set(model.stretches.map(({ entityId }) => entityId));
  assert.equal(missing.extent().entities, entities.size);
}

/** No state is without a line that nobody will look for. */
export function checkNothingIsForgotten(model: Model): void {
  const { unspooled, stretches, openedUs = Infinity, knownUs = Infinity, gapIsDue } = model;
  const sinceUs = gapIsDue ? Math.min(openedUs, knownUs) : openedUs;
  for (const [us, entityId] of unspooled) {
    const isMissing = stretches.some(({ toUs = Infinity, startUs, beginUs, ...one }) =>
      one.entityId === entityId && us > one.fromUs && us < toUs && us >= (startUs ?? beginUs)
    );
    assert.ok(us > sinceUs || isMissing, `nobody looks for the state of ${entityId} at ${us}`);
  }
}

/** Each line has one letter of two bytes. */
export function bytesOf(line: string): number {
  return line.length + 1;
}
