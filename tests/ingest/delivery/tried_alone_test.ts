import assert from "node:assert/strict";
import type { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { allStored, type Answering } from "../../stand_ins/fake_enrich.ts";
import { until } from "../../until.ts";
import { delivering, empty, linesOf } from "./delivering.ts";

const WISH = { limitMs: 20_000 };

/** The answer that these are pending and the others are stored. */
function allButPending(lines: readonly string[], isPending: (line: string, i: number) => boolean) {
  const pending = lines.flatMap((line, i) => isPending(line, i) ? [i] : []);
  const stored = lines.length - pending.length;
  return allStored(lines, { status: pending.length > 0 ? "partial" : "success", stored, pending });
}

Deno.test("What stays pending while others are stored is tried alone, and buried the tenth time", async () => {
  const poisons = ['{"event":3}', '{"event":5}'];
  let arrived = 8;
  let outbox: Outbox | undefined;
  const answering: Answering = (lines) => {
    // a house goes on talking: others keep coming
    if (outbox?.append(linesOf(2, arrived))) arrived += 2;
    return allButPending(lines, (line) => poisons.includes(line));
  };
  const problems = new Set<string>();
  await delivering(8, answering, async (setup) => {
    outbox = setup.outbox;
    await until(
      () => {
        if (setup.delivery.problem) problems.add(setup.delivery.problem.reason);
        return setup.outbox.counters().deadLetters === 2;
      },
      "both are buried",
      { everyMs: 1, ...WISH },
    );
    outbox = undefined;
    await empty(setup);
    const [letter] = setup.outbox.deadLetters.reasons();
    assert.match(
      letter?.reason ?? "",
      /^failed 10 times alone, while others passed: could not store it in time/,
    );
    for (const poison of poisons) {
      const sent = setup.enrich.requests.filter((lines) => lines.includes(poison));
      assert.equal(
        sent.filter(({ length }) => length > 1).length,
        1,
        "it costs one batch a search",
      );
      assert.equal(sent.length, 11);
    }
    assert.deepEqual([...problems], [], "the others get through all the time");
    assert.equal(setup.outbox.counters().delivered, arrived - 2);
  });
});

Deno.test("What is pending for lack of time is not blamed, and nothing is tried alone", async () => {
  let arrived = 40;
  let outbox: Outbox | undefined;
  const answering: Answering = (lines) => {
    if (arrived < 400) outbox?.append(linesOf(4, arrived));
    arrived += 4;
    // a slow store takes some of each batch; of the others a filter leaves the last one out
    if (lines.length < 8) return allStored(lines);
    const pending = [...lines.keys()].slice(5, -1);
    const stored = lines.length - pending.length - 1;
    return allStored(lines, { status: "partial", stored, skipped: { filter: 1 }, pending });
  };
  await delivering(40, answering, async (setup) => {
    outbox = setup.outbox;
    await until(() => arrived >= 400, "many batches were slow", WISH);
    await empty(setup);
    assert.ok(setup.enrich.requests.every(({ length }) => length > 1), "nothing was tried alone");
    assert.equal(setup.outbox.waiting.aside(), undefined);
    assert.equal(setup.outbox.counters().deadLetters, 0);
  });
});

Deno.test("What stays pending alone is not blamed while nothing else passes", async () => {
  let isWell = false;
  const answering: Answering = (lines) =>
    allButPending(lines, (line) => !isWell && line === '{"event":0}');
  await delivering(3, answering, async (setup) => {
    await until(() => setup.enrich.requests.length > 40, "it is tried on", WISH);
    assert.match(setup.delivery.problem?.reason ?? "", /could not store it in time/);
    assert.equal(setup.outbox.counters().deadLetters, 0);
    isWell = true;
    await empty(setup);
    assert.equal(setup.outbox.counters().delivered, 3);
  });
});
