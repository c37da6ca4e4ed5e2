import assert from "node:assert/strict";
import { BuriedLog } from "../../../lib/ingest/delivery/buried_log.ts";
import { CollectedLog } from "../../collected_log.ts";
import { until } from "../../until.ts";

Deno.test("A flood of dead letters is ten lines and their number a minute, and none goes unsaid", async () => {
  await using log = await CollectedLog.begin();
  const buried = new BuriedLog(50);
  for (let seq = 1; seq <= 1_000; seq++) buried.note(seq, "refused");
  assert.equal(log.lines.length, 10);
  assert.equal(log.lines[0], "Event 1 went to the dead letters: refused");
  const more = "990 more events went to the dead letters; see them by ingest dead-letters list";
  await until(() => log.lines.at(-1) === more, "the others are counted");
  // the next minute names again, and the end says what is left
  for (let seq = 1; seq <= 13; seq++) buried.note(seq, "refused again");
  assert.equal(log.with("refused again").length, 10);
  buried.end();
  buried.end();
  assert.deepEqual(log.lines.slice(21), [more.replace("990", "3")]);
});
