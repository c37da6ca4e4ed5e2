import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { DatabaseSync } from "node:sqlite";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { HOUSE } from "../simulator/sample_house.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { bakedPermissions, PERMISSIONS } from "./parts/compiled.ts";
import { untilFilled } from "./parts/filling.ts";
import { equationOf } from "./parts/metrics_text.ts";
import { prepared } from "./parts/prepared.ts";
import { Process, run } from "./parts/process.ts";
import { startEnrich, startIngest } from "./parts/programs.ts";
import { measured, realTest } from "./parts/real_test_case.ts";

const PROGRAMS = ["ingest", "enrich"] as const;

function compiled(program: "ingest" | "enrich"): string {
  return `${prepared("COMPILED_DIR")}/${program}-linux-x64`;
}

Deno.test("deno task compile bakes in the permissions of the design and no other, for both processors", () => {
  for (const program of PROGRAMS) {
    for (const processor of ["x64", "arm64"]) {
      const path = `${prepared("DIST_DIR")}/${program}-linux-${processor}`;
      assert.deepEqual(bakedPermissions(path), PERMISSIONS, path);
    }
  }
});

realTest(
  "A compiled program tells its version, its help and what is wrong with its settings",
  async () => {
    using folder = new TemporaryFolder();
    for (const program of PROGRAMS) {
      const version = await run([compiled(program), "--version"]);
      assert.match(version.stdout, new RegExp(`^${program} \\d+\\.\\d+\\.\\d+\n$`));
      const help = await run([compiled(program), "--help"]);
      assert.match(help.stdout, new RegExp(`^Usage: ${program} `, "m"));
      assert.equal(help.code, 0);
      await using wrong = new Process(program, [compiled(program)], {
        cwd: folder.path,
        env: { [`${program.toUpperCase()}_PORT`]: "many" },
      });
      assert.equal((await wrong.ended()).code, 2);
      assert.match(wrong.output, /_PORT is "many": it must be a whole number/);
    }
    assert.deepEqual([...Deno.readDirSync(folder.path)], []);
  },
);

realTest(
  "Compiled ingest and enrich carry a simulated house into the local store, across kills, and end at once",
  async () => {
    await using hass = new SimulatedHomeAssistant({ house: HOUSE }).start();
    using folder = new TemporaryFolder();
    using temporary = new TemporaryFolder();
    const TMPDIR = temporary.path;
    const compiledDir = prepared("COMPILED_DIR");
    await using enrich = await startEnrich({ DATA_DIR: folder.path, TMPDIR }, { compiledDir });
    await using ingest = await startIngest({
      TMPDIR,
      HASS_URL: hass.url,
      HASS_TOKEN: hass.token,
      ENRICHMENT_SERVICE_URL: enrich.url,
    }, { compiledDir });
    await ingest.untilReady();
    await enrich.untilReady();
    let fired = 0;
    const fire = () => {
      for (let i = 0; i < 100; i++) hass.setState("sensor.compiled", String(++fired));
    };
    const store = () => {
      using db = new DatabaseSync(`${folder.path}/store.sqlite`, { readOnly: true });
      const { n } = db.prepare(
        "SELECT count(*) AS n FROM point JOIN series ON series.id = point.series " +
          `WHERE tags LIKE '%"sensor.compiled"%'`,
      ).get() ?? {};
      return Number(n);
    };
    fire();
    // a gap begins with what was captured
    await until(() => store() > 0, "something is captured");
    await enrich.kill();
    fire();
    await ingest.kill();
    fire();
    await ingest.startAgain();
    await enrich.startAgain();
    await ingest.untilReady();
    fire();
    await untilFilled(ingest);
    const { text } = equationOf(await ingest.metrics());
    for (const [name, program] of Object.entries({ ingest, enrich })) {
      const { rssMb } = await program.usage();
      measured(`compiled ${name}: RSS ${rssMb.toFixed(0)} MiB`);
      const page = await (await fetch(program.url)).text();
      assert.match(page, /^<!doctype html>/i, "the page is in the executable");
      const startedMs = performance.now();
      await program.stop();
      assert.ok(performance.now() - startedMs < 5_000);
    }
    assert.equal(store(), fired);
    // what somebody else may have put there would be run
    assert.deepEqual([...Deno.readDirSync(TMPDIR)], [], "no compiled code is kept");
    measured(`compiled programs: ${store()} points, ${text}`);
  },
);

realTest("The compiled programs pass the pipeline's own test", async () => {
  const test = await run([
    "env",
    `PROGRAMS_DIR=${prepared("COMPILED_DIR")}`,
    Deno.execPath(),
    "test",
    "--no-prompt",
    "--allow-env",
    "--allow-net=127.0.0.1",
    "--allow-read",
    `--allow-write=${tmpdir()}`,
    "--allow-run=bash",
    new URL("pipeline_test.ts", import.meta.url).pathname,
  ]);
  assert.equal(test.code, 0, test.stdout + test.stderr);
});
