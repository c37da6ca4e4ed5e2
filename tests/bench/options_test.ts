import assert from "node:assert/strict";
import { HELP, readOptions } from "../../bench/options.ts";
import { ConfigError } from "../../lib/settings/settings_reader.ts";

Deno.test("Without options nothing is stored, once, and without another commit", () => {
  const { store, rounds, against, plan } = readOptions([]);
  assert.deepEqual({ store, rounds, against }, { store: "none", rounds: 1, against: undefined });
  assert.equal(plan.moreFloods, 0);
  assert.equal(plan.counts, true);
});

Deno.test("Options say how much is measured", () => {
  const { plan, rounds } = readOptions(["--quick", "--backlog=1000000", "--floods", "--runs=3"]);
  assert.equal(plan.backlog, 1_000_000);
  assert.equal(plan.moreFloods, 2);
  assert.equal(plan.counts, false);
  assert.equal(rounds, 3);
  assert.equal(readOptions(["--backlog=0"]).plan.backlog, 0);
});

Deno.test("Options that are wrong are named, all at once, with what they may be", () => {
  assert.throws(
    () => readOptions(["--store=sqlite", "--runs=0", "--backlog=many"]),
    (error) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(error.problems, [
        "--runs=0: it must be a whole number from 1",
        "--backlog=many: it must be a whole number from 0",
        "--store=sqlite: it must be one of none, local, influxdb-1, influxdb-2.7, victoriametrics",
      ]);
      return true;
    },
  );
  assert.throws(() => readOptions(["--rounds=3"]), /--rounds.*--help/s);
});

Deno.test("One thing is measured at a time, and what has no rounds takes no option of theirs", () => {
  assert.equal(readOptions([]).kind, "rounds");
  assert.equal(readOptions(["--growth"]).kind, "growth");
  assert.equal(readOptions(["--slow-sync"]).kind, "slow-sync");
  assert.throws(
    () => readOptions(["--loop", "--growth", "--runs=2", "--floods", "--docs", "--quick"]),
    (error) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(error.problems, [
        "--loop and --growth: one at a time",
        "--loop has no rounds: leave out --runs, --floods",
        "--docs and --quick: what is measured with --quick is no documentation",
      ]);
      return true;
    },
  );
});

Deno.test("The help names every option and fits a terminal", () => {
  const names = ["store", "runs", "against", "backlog", "floods", "loop", "growth", "slow-sync"];
  for (const name of [...names, "docs", "json", "quick", "help"]) {
    assert.match(HELP, new RegExp(`^  --${name}\\b`, "m"));
  }
  assert.deepEqual(HELP.split("\n").filter((line) => line.length > 100), []);
});
