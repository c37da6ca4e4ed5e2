/** `enrich export`, as it is typed: a local store that is full of a house, into real InfluxDBs. */
import assert from "node:assert/strict";
import { MAX_BATCH_EVENTS } from "../../lib/contract.ts";
import { postEventsTo } from "../../lib/ingest/delivery/post_events.ts";
import { differences, expectedPoint } from "./parts/expected_point.ts";
import { REAL_INFLUXDBS } from "./parts/influxdbs.ts";
import { knownHouse } from "./parts/known_house.ts";
import { Process } from "./parts/process.ts";
import { type Environment, startEnrich } from "./parts/programs.ts";
import { measured, realTest } from "./parts/real_test_case.ts";
import { batchOf } from "../ingest/outbox/rows.ts";

const ENRICH = new URL("../../enrich.ts", import.meta.url).pathname;
const RETENTION_S = 3_600;

/** Runs it to its end. */
async function exportTo(env: Environment, dir: string): Promise<string> {
  const allowed = ["--allow-net", "--allow-env", `--allow-read=${dir}`, `--allow-write=${dir}`];
  const words = [
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-prompt",
    "--allow-sys=statfs",
    ...allowed,
  ];
  await using process = new Process("enrich export", [...words, ENRICH, "export"], {
    cwd: dir,
    env: { ...env, DATA_DIR: `${dir}/data` },
  });
  assert.equal((await process.ended()).code, 0, process.output);
  return process.output;
}

for (const [name, open] of Object.entries(REAL_INFLUXDBS)) {
  realTest(`What a local store holds is exported as it is, and once more: ${name}`, async () => {
    await using enrich = await startEnrich({ LOCAL_STORE_DAYS: "3650" });
    const post = postEventsTo(enrich.url, undefined);
    const lines = knownHouse();
    for (let at = 0; at < lines.length; at += MAX_BATCH_EVENTS) {
      const batch = lines.slice(at, at + MAX_BATCH_EVENTS);
      const outcome = await post(batchOf(batch), 30_000, AbortSignal.timeout(60_000));
      assert.ok(outcome.kind === "answered", JSON.stringify(outcome));
      assert.equal(outcome.answer.stored, batch.length);
    }
    await enrich.stop();

    const expected = lines.map((line) => expectedPoint(line));
    await using influxDb = await open();
    for (const _ of ["at first", "once more"]) {
      measured(
        `${name}: ${(await exportTo(influxDb.env(), enrich.dir)).trimEnd().split("\n").at(-1)}`,
      );
      const stored = await influxDb.allPoints();
      assert.deepEqual(differences(expected, stored), { missing: [], surplus: [] });
      assert.equal(stored.length, expected.length);
      const { missing } = differences(expected, stored.slice(1));
      assert.equal(missing.length, 1, "a missing point is noticed");
    }

    await using forgetful = await open({ retentionS: RETENTION_S });
    const said = await exportTo(forgetful.env(), enrich.dir);
    const count = expected.length.toLocaleString("en");
    assert.ok(said.includes(`Exported 0 of ${count} points`), said);
    assert.ok(said.includes(`${count} left out (older than is kept there)`), said);
    assert.deepEqual(await forgetful.allPoints(), []);
  });
}
