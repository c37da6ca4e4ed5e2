import assert from "node:assert/strict";
import { type BatchAnswer, MAX_BATCH_EVENTS } from "../../../lib/contract.ts";
import { Delivery } from "../../../lib/ingest/delivery/delivery.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { postEventsTo } from "../../../lib/ingest/delivery/post_events.ts";
import { allStored, type Answering, FakeEnrich } from "../../stand_ins/fake_enrich.ts";
import { FullDisk } from "../../outbox_model/full_disk.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { delivering, empty, linesOf, no, TIMES } from "./delivering.ts";

Deno.test("Delivery sends everything once, as many at a time as a batch may have, with the token", async () => {
  const n = MAX_BATCH_EVENTS * 2.5;
  await delivering(n, (lines) => allStored(lines), async (setup) => {
    await empty(setup);
    const { enrich, outbox } = setup;
    assert.deepEqual(
      enrich.requests.map(({ length }) => length).sort((a, b) => b - a),
      [MAX_BATCH_EVENTS, MAX_BATCH_EVENTS, MAX_BATCH_EVENTS / 2],
    );
    assert.deepEqual(new Set(enrich.stored), new Set(linesOf(n)));
    assert.equal(enrich.stored.length, n);
    assert.equal(enrich.authorizations[0], "Bearer secret-token");
    assert.equal(outbox.counters().delivered, n);
  }, { token: "secret-token" });
});

Deno.test("Delivery goes on with what is spooled while it waits", async () => {
  await delivering(0, (lines) => allStored(lines), async (setup) => {
    setup.outbox.append(["a"]);
    await empty(setup);
    setup.outbox.append(["b"]);
    await empty(setup);
    assert.deepEqual(setup.enrich.stored, ["a", "b"]);
  });
});

Deno.test("Delivery gathers what comes after a small batch", async () => {
  const gatherMs = 700;
  const atMs: number[] = [];
  const answering: Answering = (lines) => {
    atMs.push(performance.now());
    return allStored(lines);
  };
  await delivering(0, answering, async ({ outbox, enrich }) => {
    const delivered = (n: number) => () => outbox.counters().delivered === n;
    outbox.append(linesOf(1));
    await until(delivered(1), "the first is delivered", { everyMs: 1 });
    for (let i = 1; i <= 12; i++) {
      outbox.append(linesOf(1, i));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await until(delivered(13), "the others are");
    const sizes = enrich.requests.map(({ length }) => length);
    assert.ok(sizes.length <= 3, `what comes meanwhile goes together: ${sizes}`);
    // the first may have been late in coming; how long exactly see Attempts
    const apartMs = (atMs[1] ?? 0) - (atMs[0] ?? 0);
    assert.ok(apartMs > gatherMs / 2, `the next one comes ${apartMs} ms later`);
  }, { times: { ...TIMES, gatherMs } });
});

Deno.test("Delivery lets go of what is stored or left out, buries problems, and sends pending again", async () => {
  const answering: Answering = (lines, request) =>
    request > 1 ? allStored(lines) : allStored(lines, {
      status: "partial",
      stored: 1,
      skipped: { filter: 1 },
      problems: [{ index: 2, event_id: "x", reason: "data: must be an object" }],
      pending: [3],
    });
  await delivering(4, answering, async (setup) => {
    await empty(setup);
    const { enrich, outbox } = setup;
    assert.deepEqual(enrich.requests[1], ['{"event":3}']);
    const counters = outbox.counters();
    assert.equal(counters.delivered, 2);
    assert.equal(counters.leftOut.get("filter"), 1);
    assert.deepEqual(outbox.deadLetters.reasons(), [{
      reason: "data: must be an object",
      count: 1,
    }]);
  });
});

Deno.test("Delivery makes three quick attempts of the same batch before it halves", async () => {
  await delivering(
    8,
    (lines, request) => request <= 3 ? no(500) : allStored(lines),
    async (setup) => {
      await empty(setup);
      assert.deepEqual(setup.enrich.requests.map(({ length }) => length), [8, 8, 8, 8]);
      assert.equal(setup.delivery.problem, undefined);
    },
  );
});

Deno.test("Delivery halves while enrich fails, down to one event, and doubles while it succeeds", async () => {
  const answering: Answering = (lines, request) => request <= 7 ? no(500) : allStored(lines);
  await delivering(40, answering, async (setup) => {
    await empty(setup);
    const sizes = setup.enrich.requests.map(({ length }) => length);
    assert.deepEqual(sizes.slice(0, 8), [40, 40, 40, 40, 20, 10, 5, 2]);
    assert.deepEqual(sizes.slice(8), [4, 8, 16, 10]);
    assert.equal(setup.outbox.counters().deadLetters, 0);
  });
});

Deno.test("Delivery buries an event that fails alone ten times while others pass, and only that", async () => {
  const poison = '{"event":3}';
  let arrived = 8;
  let outbox: Outbox | undefined;
  const answering: Answering = (lines) => {
    // a house goes on talking: others keep coming
    if (arrived < 60) outbox?.append([`{"event":${arrived++}}`]);
    return lines.includes(poison) ? no(500, "out of memory") : allStored(lines);
  };
  await delivering(8, answering, async (setup) => {
    outbox = setup.outbox;
    await until(() => setup.outbox.counters().deadLetters === 1, "the poison is buried");
    await empty(setup);
    const [letter] = setup.outbox.deadLetters.reasons();
    assert.match(
      letter?.reason ?? "",
      /^failed 10 times alone, while others passed: .*out of memory/,
    );
    const alone = setup.enrich.requests.filter((lines) =>
      lines.length === 1 && lines[0] === poison
    );
    assert.ok(alone.length >= 10, `${alone.length}`);
    assert.equal(new Set(setup.enrich.stored).size, setup.enrich.stored.length);
    assert.equal(setup.outbox.counters().delivered, setup.enrich.stored.length);
  });
});

Deno.test("Delivery remembers over a restart how often an event has failed alone", async () => {
  const poison = '{"event":3}';
  using folder = new TemporaryFolder();
  let outbox: Outbox | undefined;
  let arrived = 8;
  await using enrich = new FakeEnrich((lines) => {
    // a house goes on talking: others keep coming
    outbox?.append([`{"event":${arrived++}}`]);
    return lines.includes(poison) ? no(500, "out of memory") : allStored(lines);
  });
  const attempts = () =>
    enrich.requests.filter((lines) => lines.length === 1 && lines[0] === poison).length;
  /** Runs a delivery of its own until the condition holds; returns how often the poison was tried. */
  const deliver = async (condition: () => boolean) => {
    const before = attempts();
    using own = new Outbox({
      path: folder.file("outbox.sqlite"),
      maxBytes: 50_000_000,
      onFailure: assert.ifError,
    });
    outbox = own;
    if (own.counters().received === 0) {
      own.append(Array.from({ length: 8 }, (_, i) => `{"event":${i}}`));
    }
    const stop = new AbortController();
    const post = postEventsTo(enrich.url, undefined);
    const running = new Delivery({ outbox: own, post, times: TIMES }).run(stop.signal);
    try {
      await until(condition, "the condition holds", { limitMs: 20_000 });
    } finally {
      stop.abort();
      await running;
      outbox = undefined;
    }
    return attempts() - before;
  };
  const first = await deliver(() => attempts() >= 6);
  const second = await deliver(() => outbox?.counters().deadLetters === 1);
  assert.ok(second <= 6, `after the restart it was tried ${second} times more, before it ${first}`);
});

Deno.test("Delivery buries nothing while everything fails, however long", async () => {
  const answering: Answering = (lines, request) => request <= 60 ? no(500) : allStored(lines);
  await delivering(100, answering, async (setup) => {
    await until(() => setup.enrich.requests.length > 40, "it has been tried often");
    assert.match(setup.delivery.problem?.reason ?? "", /answered 500 no/);
    const alone = setup.enrich.requests.filter(({ length }) => length === 1).flat();
    assert.deepEqual(
      alone.slice(0, 14),
      [0, 1, 3, 7, 15, 31, 63, 0, 1, 2, 6, 14, 30, 62].map((n) => `{"event":${n}}`),
      "it does not work its way through the queue",
    );
    await empty(setup);
    assert.equal(setup.outbox.counters().deadLetters, 0);
    assert.equal(setup.outbox.counters().delivered, 100);
  });
});

Deno.test("Delivery finds those to blame where they stand side by side", async () => {
  const poisons = new Set([0, 1, 2, 3, 4].map((n) => `{"event":${n}}`));
  let arrived = 20;
  let outbox: Outbox | undefined;
  const answering: Answering = (lines) => {
    // a house goes on talking: others keep coming
    if (arrived < 500) outbox?.append([`{"event":${arrived++}}`]);
    return lines.some((line) => poisons.has(line)) ? no(500, "out of memory") : allStored(lines);
  };
  await delivering(20, answering, async (setup) => {
    outbox = setup.outbox;
    await until(() => setup.outbox.counters().deadLetters === poisons.size, "all are buried");
    outbox = undefined;
    await empty(setup);
    const others = setup.enrich.stored.filter((line) => !poisons.has(line));
    assert.equal(new Set(others).size, setup.outbox.counters().delivered);
    for (const poison of poisons) {
      const alone = setup.enrich.requests.filter((lines) => lines.join() === poison);
      assert.ok(alone.length >= 10, `${poison}: ${alone.length}`);
    }
  });
});

Deno.test("Delivery finds the one that is well among those to blame, though nothing else comes", async () => {
  for (const well of [0, 2, 5, 10]) {
    const isWell = (line: string) => line === `{"event":${well}}`;
    const answering: Answering = (lines) => lines.every(isWell) ? allStored(lines) : no(500);
    await delivering(11, answering, async (setup) => {
      await until(() => setup.outbox.counters().delivered === 1, `${well} is delivered`);
      assert.equal(setup.outbox.counters().deadLetters, 0, "one alone buries nobody");
    });
  }
});

Deno.test("Delivery blames nobody because of others that never came to the store", async () => {
  const notAsked: Readonly<Record<string, (indexes: number[]) => Partial<BatchAnswer>>> = {
    "left out": ({ length }) => ({ skipped: { filter: length } }),
    "a problem": (indexes) => ({
      problems: indexes.map((index) => ({ index, reason: "the line is no JSON" })),
    }),
  };
  for (const [what, answerOf] of Object.entries(notAsked)) {
    let isAway = true;
    const answering: Answering = (lines) => {
      // the first event alone comes to the store, which is away
      const others = [...lines.keys()].filter((index) => lines[index] !== '{"event":0}');
      const stored = lines.length - others.length;
      if (stored > 0 && isAway) return no(500, "InfluxDB is away");
      return allStored(lines, { stored, ...answerOf(others) });
    };
    await delivering(1, answering, async (setup) => {
      for (let n = 1; n < 30; n++) {
        setup.outbox.append(linesOf(1, n));
        await until(() => setup.outbox.counters().waiting === 1, `${what}: ${n} leaves`);
      }
      assert.equal(setup.outbox.waiting.setAside, 0, what);
      assert.match(setup.delivery.problem?.reason ?? "", /InfluxDB is away/);
      isAway = false;
      await empty(setup);
      assert.equal(setup.outbox.counters().delivered, 1);
    });
  }
});

Deno.test("Delivery does not send without a pause what is too large and has no room as a dead letter", async () => {
  using disk = new FullDisk();
  await delivering(1, () => no(413), async ({ outbox, enrich, delivery }) => {
    await until(() => delivery.problem, "it is told");
    await until(() => enrich.requests.length >= 3, "it is tried again");
    const startedMs = performance.now();
    await until(() => enrich.requests.length >= 13, "it is tried on");
    assert.ok(performance.now() - startedMs >= 450, "with pauses of 50 ms and more");
    disk.free();
    await until(() => outbox.counters().deadLetters === 1, "it is buried once there is room");
  }, { times: { ...TIMES, backoffBaseMs: 100, backoffMaxMs: 100 }, begin: () => disk.fill() });
});

Deno.test("Delivery delivers what was set aside before a restart, though nothing else waits", async () => {
  using folder = new TemporaryFolder();
  await using enrich = new FakeEnrich();
  using outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes: 50_000_000,
    onFailure: assert.ifError,
  });
  outbox.append(['{"event":0}']);
  assert.equal(outbox.waiting.failedAlone(1), 1);
  const stop = new AbortController();
  const post = postEventsTo(enrich.url, undefined);
  const running = new Delivery({ outbox, post, times: TIMES }).run(stop.signal);
  try {
    await until(() => outbox.counters().delivered === 1, "it is delivered", { limitMs: 20_000 });
  } finally {
    stop.abort();
    await running;
  }
});

Deno.test("Delivery tries what is set aside in turn, also while nothing else comes", async () => {
  const [poison, shy] = ['{"event":0}', '{"event":1}'];
  let isQuiet = false;
  const answering: Answering = (lines) => {
    if (lines.includes(poison)) return no(500);
    return lines.includes(shy) && !isQuiet ? no(500) : allStored(lines);
  };
  await delivering(4, answering, async (setup) => {
    await until(() => setup.outbox.counters().waiting === 2, "the others have passed");
    isQuiet = true;
    await until(() => setup.outbox.counters().waiting === 1, "the one that is well now passes");
    const before = setup.enrich.requests.length;
    await until(() => setup.enrich.requests.length > before + 20, "the other is tried on");
    assert.equal(setup.outbox.counters().deadLetters, 0, "nobody has passed meanwhile");
  });
});

Deno.test("Delivery never buries the only event there is for failing", async () => {
  const answering: Answering = (lines, request) => request <= 40 ? no(500) : allStored(lines);
  await delivering(1, answering, async (setup) => {
    await empty(setup);
    assert.equal(setup.outbox.counters().delivered, 1);
  });
});

Deno.test("Delivery splits what is too large, and buries what alone is", async () => {
  const answering: Answering = (lines) =>
    lines.length > 2 || lines.includes('{"event":1}') ? no(413) : allStored(lines);
  await delivering(6, answering, async (setup) => {
    await empty(setup);
    assert.equal(setup.outbox.counters().delivered, 5);
    assert.match(setup.outbox.deadLetters.reasons()[0]?.reason ?? "", /^alone too large/);
  });
});

Deno.test("Delivery buries an event that is set aside at once where alone it is too large", async () => {
  const poison = '{"event":3}';
  let tried = 0;
  const answering: Answering = (lines) => {
    if (!lines.includes(poison)) return allStored(lines);
    // it fails by itself first, so that it is set aside
    return lines.length === 1 && ++tried > 1 ? no(413) : no(500);
  };
  await delivering(8, answering, async (setup) => {
    await empty(setup);
    assert.match(setup.outbox.deadLetters.reasons()[0]?.reason ?? "", /^alone too large/);
    assert.equal(tried, 2);
  });
});

/**
 * Delivers a full outbox, which was started again, to an enrich for which some of its events are
 * problems, until nothing waits. Returns the counters.
 */
async function deliverFull(
  isProblem: (n: number) => boolean,
) {
  using folder = new TemporaryFolder();
  const options = {
    path: folder.file("outbox.sqlite"),
    maxBytes: 8_000_000,
    commitIntervalMs: 1e6,
    onFailure: assert.ifError,
  };
  {
    using filling = new Outbox(options);
    for (let n = 0; !filling.size.full; n++) {
      filling.add({ line: `{"event":${n},"text":"${"x".repeat(1_000)}"}` });
      filling.flush();
    }
  }
  await using enrich = new FakeEnrich((lines) => {
    const numbers = lines.map((line) => JSON.parse(line).event);
    const problems = numbers.flatMap((n, index) =>
      isProblem(n) ? [{ index, reason: "field type conflict" }] : []
    );
    const stored = lines.length - problems.length;
    return allStored(lines, { status: "partial", stored, problems });
  });
  using outbox = new Outbox(options);
  const { received, dropped } = outbox.counters();
  assert.equal(dropped.get("outbox_full"), 1);
  const stop = new AbortController();
  const post = postEventsTo(enrich.url, undefined);
  const delivery = new Delivery({ outbox, post, times: TIMES });
  const running = delivery.run(stop.signal);
  try {
    const drained = until(() => outbox.counters().waiting === 0, "it drains", { limitMs: 20_000 });
    await Promise.race([drained, running]);
  } finally {
    stop.abort();
    await running;
  }
  const { delivered, deadLetters, waiting, dropped: given } = outbox.counters();
  const gone = given.get("dead_letters_full") ?? 0;
  assert.equal(received, delivered + deadLetters + waiting + 1 + gone);
  assert.equal(outbox.waiting.next.peek({ maxEvents: 1e6, maxBytes: 1e9 }).seqs.length, waiting);
  return outbox.counters();
}

Deno.test("Delivery drains a full outbox though one in five of its events is a problem", async () => {
  const { deadLetters } = await deliverFull((n) => n % 5 === 0);
  assert.ok(deadLetters > 400, `${deadLetters}`);
});

Deno.test("Delivery drains a full outbox though all of its events are problems: the oldest are dropped, and counted", async () => {
  const { delivered, deadLetters, dropped } = await deliverFull(() => true);
  assert.equal(delivered, 0);
  assert.ok(deadLetters > 400, `${deadLetters}`);
  assert.ok((dropped.get("dead_letters_full") ?? 0) > 400);
});

Deno.test("Delivery holds everything while SERVICE_TOKEN is wrong, and needs no restart", async () => {
  const answering: Answering = (lines, request) => request <= 20 ? no(401) : allStored(lines);
  await delivering(8, answering, async (setup) => {
    const reason = await until(() => setup.delivery.problem?.reason, "a problem is told");
    assert.match(reason, /answered 401 no: check SERVICE_TOKEN/);
    await empty(setup);
    assert.ok(setup.enrich.requests.every(({ length }) => length === 8), "nothing to halve");
    assert.equal(setup.delivery.problem, undefined);
  });
});

Deno.test("Delivery does not take a 200 for success that does not account for every line", async () => {
  const answers: Answering[] = [
    () => new Response("<html>log in</html>", { headers: { "content-type": "text/html" } }),
    (lines) => allStored(lines, { stored: 7 }),
    (lines) => allStored(lines, { stored: 7, pending: [8] }),
    (lines) => allStored(lines, { stored: 6, pending: [1, 1] }),
  ];
  const answering: Answering = (lines, request) =>
    answers[request - 1]?.(lines, request) ?? allStored(lines);
  await delivering(8, answering, async (setup) => {
    await empty(setup);
    assert.deepEqual(setup.enrich.requests.map(({ length }) => length), [8, 8, 8, 8, 8]);
    assert.equal(setup.outbox.counters().delivered, 8);
  });
});

Deno.test("Delivery takes an answer without any progress for a failure", async () => {
  const answering: Answering = (lines, request) =>
    request > 2
      ? allStored(lines)
      : allStored(lines, { status: "partial", stored: 0, pending: lines.map((_, i) => i) });
  await delivering(8, answering, async (setup) => {
    await empty(setup);
    assert.deepEqual(setup.enrich.requests.map(({ length }) => length), [8, 4, 2, 4, 2]);
  });
});

Deno.test("Delivery is patient with a store that takes longer than the quick deadline", async () => {
  const answering: Answering = async (lines) => {
    // longer than the quick deadline of this test, far shorter than the patient one
    await new Promise((resolve) => setTimeout(resolve, 60));
    return allStored(lines);
  };
  const times = { ...TIMES, quickDeadlineMs: 20 };
  await delivering(8, answering, async (setup) => {
    await empty(setup);
    assert.deepEqual(setup.enrich.requests.map(({ length }) => length), [8, 8, 8, 8]);
    assert.equal(setup.outbox.counters().delivered, 8);
  }, { times });
});

Deno.test("Delivery makes quick attempts again once answers are fast again", async () => {
  const answering: Answering = (lines, request) =>
    request === 4 || request > 7 ? allStored(lines) : no(500);
  await delivering(8, answering, async (setup) => {
    await empty(setup);
    setup.outbox.append(Array.from({ length: 8 }, (_, i) => `later ${i}`));
    await empty(setup);
    assert.deepEqual(setup.enrich.requests.map(({ length }) => length), Array(8).fill(8));
  });
});

Deno.test("Delivery waits as long as it is told to", async () => {
  const at: number[] = [];
  const answering: Answering = (lines, request) => {
    at.push(performance.now());
    return request === 1 ? no(500, "busy", { "retry-after": "1" }) : allStored(lines);
  };
  await delivering(1, answering, async (setup) => {
    await empty(setup);
    const [first = 0, second = 0] = at;
    assert.ok(second - first >= 990, `${second - first} ms`);
  });
});

Deno.test("Delivery repeats a batch whose reply was lost with the very same lines", async () => {
  const answering: Answering = (lines, request) => {
    if (request === 1) throw new Error("the reply is lost");
    return allStored(lines);
  };
  await delivering(3, answering, async (setup) => {
    await empty(setup);
    assert.deepEqual(setup.enrich.requests[1], setup.enrich.requests[0]);
  });
});

Deno.test("Delivery is drained when nothing waits, and does not wait for what cannot be delivered", async () => {
  const late = AbortSignal.timeout(60_000);
  await delivering(8, (lines) => allStored(lines), async ({ delivery, outbox }) => {
    await delivery.drained(late);
    assert.equal(outbox.counters().waiting, 0);
  });
  await delivering(8, () => no(500), async ({ delivery, outbox }) => {
    await until(() => delivery.problem, "a problem is told");
    await delivery.drained(late);
    assert.equal(outbox.counters().waiting, 8);
    assert.ok(!late.aborted, "it does not wait");
  });
});
