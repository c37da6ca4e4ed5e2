import assert from "node:assert/strict";
import { flagsIn } from "../../../lib/enrich/victoriametrics/server_flags.ts";
import { ServerStore } from "../../../lib/enrich/victoriametrics/server_store.ts";
import {
  FakeVictoriaMetrics,
  type FakeVictoriaMetricsOptions,
} from "../../stand_ins/fake_victoriametrics.ts";

const DAY_MS = 86_400_000;

Deno.test("flagsIn reads what a VictoriaMetrics is set to, and knows no retention of anything else", () => {
  const flags = flagsIn(
    'process_cpu_cores_available 2\nflag{name="retentionPeriod", value="100y", is_set="true"} 1\n' +
      'flag{name="dedup.minScrapeInterval", value="1ms", is_set="true"} 1\n' +
      'flag{name="influxDBLabel", value="a\\"b", is_set="true"} 1\nvm_app_start_timestamp 17\n',
  );
  assert.equal(flags?.keptMs, 36_500 * DAY_MS);
  assert.equal(flags?.aheadMs, 2 * DAY_MS);
  assert.equal(flags?.dedupMs, 1);
  assert.equal(flags?.dbLabel, 'a"b');
  assert.equal(flags?.started, "17");
  assert.equal(flags?.maxLabelValueLen, 0);
  assert.equal(flagsIn('flag{name="auth.config", value="a.yml", is_set="true"} 1\n'), undefined);
  assert.equal(flagsIn("<html>log in</html>"), undefined);
});

async function notesOf(
  options: FakeVictoriaMetricsOptions,
  path: string,
  retention?: { text: string; ms: number },
) {
  await using fake = await FakeVictoriaMetrics.start(options);
  const store = new ServerStore({
    url: fake.url + path,
    version: 1,
    database: "home",
    ...(retention && { victoriaMetricsRetention: retention }),
  });
  await store.check(AbortSignal.timeout(10_000));
  const { description, notes = [] } = store.status();
  store.close();
  return {
    description: description.replace(/ at [^,]+/, ""),
    notes: notes.map(({ name }) => name),
  };
}

const WELL_SET = { "dedup.minScrapeInterval": "1ms", retentionPeriod: "100y" };

Deno.test("The flags are found below the path of the URL, and nearer to its root", async () => {
  const paths = [["", ""], ["", "/influx"], ["/vm", "/vm"], ["/vm", "/vm/influx"]] as const;
  for (const [prefix, path] of paths) {
    assert.deepEqual(
      await notesOf({ prefix, flags: WELL_SET }, path),
      { description: "VictoriaMetrics, db=home, retention 100y", notes: [] },
      path,
    );
  }
});

Deno.test("A VictoriaMetrics that had better be set otherwise is noted, as is one behind vmauth until it is set", async () => {
  assert.deepEqual((await notesOf({}, "")).notes, ["retention_default", "not_deduplicated"]);
  const forAMonth = { ...WELL_SET, retentionPeriod: "1M" };
  assert.deepEqual((await notesOf({ flags: forAMonth }, "")).notes, [], "it is wanted");
  const thinned = {
    ...WELL_SET,
    "dedup.minScrapeInterval": "30s",
    influxSkipSingleField: "true",
  };
  assert.deepEqual((await notesOf({ flags: thinned }, "")).notes, [
    "dedup.minScrapeInterval",
    "influxSkipSingleField",
  ]);
  const summed = { ...WELL_SET, "streamAggr.config": "sums.yaml" };
  assert.deepEqual((await notesOf({ flags: summed }, "")).notes, ["streamAggr.config"]);
  assert.deepEqual(await notesOf({ behindVmauth: true }, ""), {
    description: "VictoriaMetrics, db=home",
    notes: ["retention_unknown"],
  });
  assert.deepEqual(await notesOf({ behindVmauth: true }, "", { text: "100y", ms: 1e15 }), {
    description: "VictoriaMetrics, db=home, retention 100y",
    notes: [],
  });
});
