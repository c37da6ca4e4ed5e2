import assert from "node:assert/strict";
import { flagsIn } from "../../../lib/enrich/victoriametrics/server_flags.ts";
import { ThrownAway } from "../../../lib/enrich/victoriametrics/thrown_away.ts";

function flagsOf(started: string, small: number, relabelled = 0) {
  return flagsIn(
    'flag{name="retentionPeriod", value="1M", is_set="false"} 1\n' +
      `vm_rows_ignored_total{reason="small_timestamp"} ${small}\n` +
      `vm_relabel_metrics_dropped_total ${relabelled}\nvm_app_start_timestamp ${started}\n`,
  );
}

Deno.test("What VictoriaMetrics has thrown away since it was first looked at is told for an hour, by reason", () => {
  const thrown = new ThrownAway();
  thrown.take(flagsOf("1", 7), 0);
  assert.deepEqual([...thrown.lately(0)], []);
  thrown.take(flagsOf("1", 9), 1_000);
  thrown.take(undefined, 2_000);
  thrown.take(flagsOf("1", 10, 4), 3_000);
  thrown.take(flagsOf("1", 10, 4), 4_000);
  const lost = [["small_timestamp", 3], ["-relabelConfig", 4]];
  assert.deepEqual([...thrown.lately(3_603_000)], lost);
  assert.deepEqual([...thrown.lately(3_603_001)], []);
});

Deno.test("A process that has just begun has thrown away what it says, and is not held against the one before", () => {
  const thrown = new ThrownAway();
  thrown.take(flagsOf("1", 7), 0);
  thrown.take(flagsOf("2", 9), 1_000);
  assert.deepEqual([...thrown.lately(1_000)], []);
  thrown.take(flagsOf("2", 10), 2_000);
  assert.deepEqual([...thrown.lately(2_000)], [["small_timestamp", 1]]);
});
