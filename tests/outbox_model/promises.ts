/** What must hold after every step, looked up in the file. */
import assert from "node:assert/strict";
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

  assert.deepEqual(
    query("SELECT entity_id, last_updated_us FROM seen ORDER BY last_updated_us")
      .map((row) => [row.entity_id, row.last_updated_us]),
    [...model.seen].sort(([, a], [, b]) => a - b),
    "what was seen",
  );
  checkGaps(outbox, model);
}

function checkGaps(outbox: Outbox, model: Model): void {
  const textOf = (gaps: Model["gaps"]) =>
    gaps.map(({ entityId, fromUs, toUs }) => `${entityId} ${fromUs} ${toUs}`).sort();
  const found = textOf(outbox.missing.all());
  const opened = textOf(model.gapsOpened());
  if (model.gapsAreDue && found.join() === opened.join()) model.openGaps();
  assert.deepEqual(found, textOf(model.gaps), "gaps");
  const entities = new Set(model.gaps.map(({ entityId }) => entityId));
  assert.equal(outbox.missing.extent().entities, entities.size);
}

/** Each line has one letter of two bytes. */
export function bytesOf(line: string): number {
  return line.length + 1;
}
