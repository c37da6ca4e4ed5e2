import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { equationOf, parseMetrics } from "./parts/metrics_text.ts";
import { prepared } from "./parts/prepared.ts";
import { run } from "./parts/process.ts";
import { measured } from "./parts/real_test_case.ts";

const SCRIPTS = new URL("systemd", import.meta.url).pathname;
const SANDBOXED = "dynamic CapEff:0000000000000000 CapBnd:0000000000000000 NoNewPrivs:1 Seccomp:2";

function numberOf(facts: ReadonlyMap<string, string>, name: string): number {
  const number = Number(facts.get(name));
  assert.ok(facts.has(name) && !Number.isNaN(number), `${name} is ${facts.get(name)}`);
  return number;
}

Deno.test("A real systemd runs both units, sandboxed and installed as documented: capture, storage, restarts, upgrade, clean stop", async () => {
  const tree = prepared("SYSTEMD_TREE");
  const booted = await run(["bash", `${SCRIPTS}/boot.sh`, tree, prepared("COMPILED_DIR")]);
  assert.equal(booted.code, 0, booted.stderr);
  const results = `${tree}/results`;
  const log = Deno.readTextFileSync(`${results}/log.txt`);
  const facts = new Map(
    Deno.readTextFileSync(`${results}/facts`).trimEnd().split("\n")
      .map((line): [string, string] => {
        const at = line.indexOf(" ");
        return [line.slice(0, at), line.slice(at + 1).trim()];
      }),
  );
  assert.equal(Deno.readTextFileSync(`${results}/status`), "0\n", log);
  for (const program of ["ingest", "enrich"]) {
    assert.equal(facts.get(`${program}.verified`), "clean");
    assert.ok(numberOf(facts, `${program}.exposure`) <= 1.5);
    assert.equal(facts.get(`${program}.process`), SANDBOXED);
    assert.equal(facts.get(`${program}.restarts`), "1");
    assert.equal(facts.get(`${program}.stopped`), "success 0");
    assert.ok(numberOf(facts, `${program}.stop_ms`) < 5_000);
  }
  assert.equal(facts.get("upgrade"), "done");
  assert.equal(facts.get("rollback"), "done");
  assert.equal(facts.get("elsewhere.inside"), "refused");
  assert.equal(facts.get("elsewhere.outside"), "written", "without the unit the same is possible");
  assert.equal(facts.get("wrong.status"), "2");
  assert.equal(facts.get("wrong.told"), "1", "a wrong setting is not tried again");
  assert.equal(facts.get("state"), "700 600");

  const { received, ends, text } = equationOf(
    parseMetrics(Deno.readTextFileSync(`${results}/ingest.metrics`)),
  );
  assert.equal(received, ends, text);
  using store = new DatabaseSync(`${results}/store.sqlite`, { readOnly: true });
  const points = Number(store.prepare("SELECT count(*) AS n FROM point").get()?.n);
  assert.ok(points > 50, `${points} points`);
  measured(
    `systemd: exposure ${facts.get("ingest.exposure")} and ${facts.get("enrich.exposure")}, ` +
      `stopped in ${facts.get("ingest.stop_ms")} and ${facts.get("enrich.stop_ms")} ms; ` +
      `${points} points, ${text}`,
  );
});
