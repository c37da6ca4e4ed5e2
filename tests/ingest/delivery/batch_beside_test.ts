import assert from "node:assert/strict";
import { MAX_BATCH_EVENTS } from "../../../lib/contract.ts";
import { allStored, type Answering } from "../../stand_ins/fake_enrich.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { delivering, empty, linesOf, no } from "./delivering.ts";

const WISH = { limitMs: 60_000 };

/** An enrich that answers once a second request has come, or it is clear that none will. */
class Together {
  /** The most requests at once. */
  most = 0;
  #now = 0;
  #second = Promise.withResolvers<void>();
  /** How many there were at each request, itself among them. */
  readonly counts: number[] = [];

  constructor(private readonly answering: Answering) {}

  readonly answer: Answering = async (lines, request) => {
    this.counts[request - 1] = ++this.#now;
    this.most = Math.max(this.most, this.#now);
    if (this.#now > 1) {
      this.#second.resolve();
      this.#second = Promise.withResolvers();
    } else {
      const alone = new Promise<void>((resolve) => setTimeout(resolve, 50));
      await Promise.race([this.#second.promise, alone]);
    }
    try {
      return await this.answering(lines, request);
    } finally {
      this.#now--;
    }
  };
}

Deno.test("While many wait two batches are in flight, no more, and each event is sent once", async () => {
  const n = 10 * MAX_BATCH_EVENTS;
  const together = new Together((lines) => allStored(lines));
  await delivering(n, together.answer, async (setup) => {
    await empty(setup);
    assert.equal(together.most, 2);
    assert.equal(together.counts[0], 1, "that enrich is well is found out with one");
    assert.equal(setup.enrich.stored.length, n);
    assert.deepEqual(new Set(setup.enrich.stored), new Set(linesOf(n)));
    assert.equal(setup.outbox.counters().delivered, n);
  });
});

Deno.test("What comes at an ordinary pace goes with one request at a time", async () => {
  const together = new Together((lines) => allStored(lines));
  await delivering(1, together.answer, async (setup) => {
    await empty(setup);
    for (let i = 0; i < 10; i++) {
      setup.outbox.append(linesOf(40, i * 40));
      await until(() => setup.outbox.counters().waiting < 100, "they are delivered", WISH);
    }
    await empty(setup);
    assert.equal(together.most, 1);
  });
});

Deno.test("While anything fails one batch is in flight, and two again when all is well", async () => {
  const n = 12 * MAX_BATCH_EVENTS;
  const FAILS_FROM = 6;
  const FAILS_TO = 12;
  const sizes: number[] = [];
  const together = new Together((lines, request) => {
    sizes[request - 1] = lines.length;
    return request >= FAILS_FROM && request <= FAILS_TO ? no(500) : allStored(lines);
  });
  await delivering(n, together.answer, async (setup) => {
    await empty(setup);
    // the one that was under way when the first failed may still be there
    const while_ = together.counts.slice(FAILS_FROM + 1, FAILS_TO);
    assert.deepEqual(while_.filter((count) => count > 1), [], `${together.counts}`);
    const whole = sizes.indexOf(MAX_BATCH_EVENTS, FAILS_TO + 1);
    assert.ok(whole > 0 && together.counts.slice(FAILS_TO, whole).every((count) => count === 1));
    assert.ok(together.counts.slice(whole).includes(2), `two again: ${together.counts}`);
    assert.equal(setup.outbox.counters().delivered, n);
    assert.equal(setup.outbox.counters().deadLetters, 0);
    assert.equal(new Set(setup.enrich.stored).size, n);
  });
});

Deno.test("What was under way when another failed does not tell that all is well again", async () => {
  const n = 12 * MAX_BATCH_EVENTS;
  const first = `{"event":${MAX_BATCH_EVENTS}}`;
  let failures = 0;
  const together = new Together((lines) =>
    lines.includes(first) && failures++ < 4 ? no(500) : allStored(lines)
  );
  await delivering(n, together.answer, async (setup) => {
    await empty(setup);
    const isFirst = setup.enrich.requests.map((lines) => lines.includes(first));
    const [from, to] = [isFirst.indexOf(true), isFirst.lastIndexOf(true)];
    assert.equal(isFirst.filter(Boolean).length, 5);
    const beside = isFirst.slice(from, to).filter((is) => !is).length;
    assert.ok(beside <= 1, `${beside} were sent meanwhile`);
    assert.equal(setup.outbox.counters().delivered, n);
  });
});

Deno.test("What fails beside blames nobody: only the event at fault is buried", async () => {
  const n = 6 * MAX_BATCH_EVENTS;
  // the second batch is the first that goes beside another
  const poison = `{"event":${2 * MAX_BATCH_EVENTS + 7}}`;
  let arrived = n;
  const together = new Together((lines) =>
    lines.includes(poison) ? no(500, "out of memory") : allStored(lines)
  );
  await delivering(n, together.answer, async (setup) => {
    await until(
      () => {
        // a house goes on talking: others keep coming
        if (setup.outbox.counters().waiting < 3) setup.outbox.append(linesOf(1, arrived++));
        return setup.outbox.counters().deadLetters === 1;
      },
      "the poison is buried",
      WISH,
    );
    await empty(setup);
    assert.equal(together.most, 2);
    assert.match(setup.outbox.deadLetters.reasons()[0]?.reason ?? "", /^failed 10 times alone/);
    assert.equal(setup.outbox.counters().delivered, arrived - 1);
    assert.equal(new Set(setup.enrich.stored).size, arrived - 1);
    assert.equal(setup.enrich.stored.length, arrived - 1, "none is stored twice");
  });
});

Deno.test("While the first batch hangs those beside it go on, and it is tried again", async () => {
  const n = 6 * MAX_BATCH_EVENTS;
  const hung = Promise.withResolvers<void>();
  const hanging = `{"event":${MAX_BATCH_EVENTS}}`;
  let hangs = 0;
  const answering: Answering = async (lines) => {
    if (lines.includes(hanging) && hangs++ === 0) await hung.promise;
    return allStored(lines);
  };
  await delivering(n, answering, async (setup) => {
    const { enrich, outbox } = setup;
    await until(
      () => outbox.counters().waiting === MAX_BATCH_EVENTS,
      "the others are delivered",
      WISH,
    );
    assert.equal(enrich.requests.filter((lines) => lines.includes(hanging)).length, 1);
    hung.resolve();
    await empty(setup);
    assert.equal(outbox.counters().delivered, n);
  });
});

Deno.test("What was in flight at a stop is sent again at the next start, and nothing else", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  const n = 4 * MAX_BATCH_EVENTS;
  const stopped = Promise.withResolvers<void>();
  await delivering(
    n,
    (lines, request) => request === 1 ? allStored(lines) : stopped.promise.then(() => no(500)),
    async ({ enrich }) => {
      await until(() => enrich.requests.length === 3, "two are in flight", WISH);
      // the server cannot end before its answers do, and what they say does not matter
      setTimeout(() => stopped.resolve(), 50);
    },
    { path },
  );
  await delivering(0, (lines) => allStored(lines), async (setup) => {
    await empty(setup);
    assert.deepEqual(
      new Set(setup.enrich.stored),
      new Set(linesOf(n).slice(MAX_BATCH_EVENTS)),
    );
    assert.equal(setup.enrich.stored.length, n - MAX_BATCH_EVENTS);
  }, { path });
});
