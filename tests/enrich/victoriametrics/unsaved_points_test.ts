import assert from "node:assert/strict";
import { flagsIn } from "../../../lib/enrich/victoriametrics/server_flags.ts";
import { UnsavedPoints } from "../../../lib/enrich/victoriametrics/unsaved_points.ts";
import type { StorePoint } from "../../../lib/enrich/store.ts";

function flagsOf(started: string, killed?: 0 | 1) {
  const unclean = killed === undefined ? "" : `vm_app_prev_shutdown_unclean ${killed}\n`;
  return flagsIn(
    `flag{name="retentionPeriod", value="1M", is_set="false"} 1\n${unclean}vm_app_start_timestamp ${started}\n`,
  );
}

const POINT: StorePoint = {
  measurement: "m",
  tags: new Map(),
  fields: new Map([["v", 1]]),
  timeNs: 1n,
};

Deno.test("Points are kept for as long as VictoriaMetrics may have them in memory only", () => {
  const unsaved = new UnsavedPoints();
  assert.deepEqual(unsaved.afterLook(flagsOf("1"), 0, 0), []);
  unsaved.add([POINT, POINT], 1_000);
  // its interval is 5 s
  unsaved.afterLook(flagsOf("1"), 0, 20_999);
  assert.equal(unsaved.count, 2);
  unsaved.afterLook(flagsOf("1"), 0, 21_000);
  assert.equal(unsaved.count, 0);
});

Deno.test("Points are written again to the process after one that was killed, and to no other", () => {
  for (const [killed, again] of [[1, 1], [undefined, 1], [0, 0]] as const) {
    const unsaved = new UnsavedPoints();
    unsaved.afterLook(flagsOf("1"), 0, 0);
    unsaved.add([POINT], 1_000);
    const after = flagsOf("9", killed);
    assert.equal(unsaved.afterLook(after, 0, 9_000).length, again, String(killed));
    // until that has succeeded
    assert.equal(unsaved.afterLook(after, 0, 99_000).length, again);
    if (again > 0) unsaved.noteWrittenAgain(after, 0, 100_000);
    assert.deepEqual(unsaved.afterLook(after, 0, 101_000), []);
    assert.equal(unsaved.count, again);
  }
});

Deno.test("What the process after one that was ended has taken before it was looked at is written again when it is killed", () => {
  const unsaved = new UnsavedPoints();
  unsaved.afterLook(flagsOf("1"), 0, 0);
  unsaved.add([POINT], 4_000);
  assert.deepEqual(unsaved.afterLook(flagsOf("3", 0), 0, 5_000), []);
  assert.equal(unsaved.afterLook(flagsOf("7", 1), 0, 10_000).length, 1);
});

Deno.test("Where no flags can be read, a server that has failed to answer is taken for another process", () => {
  const unsaved = new UnsavedPoints();
  unsaved.afterLook(undefined, 0, 0);
  unsaved.add([POINT], 1_000);
  assert.deepEqual(unsaved.afterLook(undefined, 0, 9_000), []);
  assert.equal(unsaved.afterLook(undefined, 1, 10_000).length, 1);
});

Deno.test("A server that is away for long has its points kept", () => {
  const unsaved = new UnsavedPoints();
  unsaved.afterLook(flagsOf("1"), 0, 0);
  unsaved.add([POINT], 1_000);
  assert.equal(unsaved.afterLook(flagsOf("3600", 1), 0, 3_600_000).length, 1);
});

Deno.test("Writing is slowed down before too many points are kept", () => {
  const unsaved = new UnsavedPoints();
  unsaved.afterLook(flagsOf("1"), 0, 0);
  unsaved.add(Array.from({ length: 24_999 }, () => POINT), 1_000);
  assert.equal(unsaved.pauseMs(1_000), 0);
  unsaved.add([POINT], 1_000);
  assert.equal(unsaved.pauseMs(1_000), 800);
  assert.ok(!unsaved.isFull);
  unsaved.add(Array.from({ length: 25_000 }, () => POINT), 2_000);
  assert.ok(unsaved.isFull);
  unsaved.afterLook(flagsOf("1"), 0, 21_000);
  assert.ok(!unsaved.isFull);
});

Deno.test("Points with hundreds of numbers are kept for no more memory than others", () => {
  const unsaved = new UnsavedPoints();
  unsaved.afterLook(flagsOf("1"), 0, 0);
  const names = Array.from({ length: 200 }, (_, i) => `attribute_${i}`);
  const large = { ...POINT, fields: new Map(names.map((name) => [name, 0.1])) };
  for (let count = 0; !unsaved.isFull; count += 1_000) {
    assert.ok(count < 10_000, "7,000 of them have 50 million characters");
    unsaved.add(Array.from({ length: 1_000 }, () => large), 1_000);
  }
  unsaved.afterLook(flagsOf("1"), 0, 21_000);
  assert.ok(!unsaved.isFull);
  unsaved.add([large], 22_000);
  assert.ok(!unsaved.isFull);
});
