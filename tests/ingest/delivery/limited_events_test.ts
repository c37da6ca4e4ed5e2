import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { MAX_BATCH_EVENTS } from "../../../lib/contract.ts";
import { Delivery } from "../../../lib/ingest/delivery/delivery.ts";
import type { LimitedEvents } from "../../../lib/ingest/delivery/limited_events.ts";
import { postEventsTo } from "../../../lib/ingest/delivery/post_events.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { allStored, type Answering, FakeEnrich } from "../../stand_ins/fake_enrich.ts";
import { FullDisk } from "../../outbox_model/full_disk.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { allButLimited, delivering, empty, linesOf, no, TIMES } from "./delivering.ts";
import { rowsOf } from "../outbox/rows.ts";

/** Nothing is tried again by itself while a test runs, but at the start. */
const RARELY = { ...TIMES, limitedMinMs: 1e6, limitedMaxMs: 1e7 };
const WISH = { limitMs: 20_000 };

/** How far the next try is away, where one is planned that is not due yet. */
const planned = ({ nextTryMs }: LimitedEvents) => (nextTryMs ?? 0) > 0 && nextTryMs;

const numberIn = (line: string) => Number(JSON.parse(line).event);
/** Of these numbers, every third. */
const third = (line: string) => numberIn(line) % 3 === 0;

/** The line of the event that is tried alone. */
function asideOf(outbox: Outbox): string | undefined {
  const aside = outbox.waiting.aside();
  return aside && rowsOf(aside)[0]?.line;
}

Deno.test("Delivery sets aside what a limit of the store holds, and the others flow", async () => {
  const answering: Answering = (lines) => allButLimited(lines, third);
  await delivering(9, answering, async ({ outbox, delivery, enrich }) => {
    await until(() => outbox.counters().waiting === 3, "the others are stored", WISH);
    for (let n = 9; n < 30; n++) {
      outbox.append(linesOf(1, n));
      const left = Math.floor(n / 3) + 1;
      await until(() => delivery.limited.count === left, `${left} are held`, WISH);
      await until(() => outbox.counters().waiting === left, "the others are stored", WISH);
    }
    assert.equal(delivery.limited.reason, "max-values-per-tag limit exceeded");
    assert.equal(delivery.problem, undefined);
    assert.equal(outbox.counters().deadLetters, 0);
    for (const line of linesOf(30)) {
      const sent = enrich.requests.filter((lines) => lines.includes(line)).length;
      assert.equal(sent, 1, `${line} was sent ${sent} times`);
    }
    const late = AbortSignal.timeout(60_000);
    await delivery.drained(late);
    assert.ok(!late.aborted, "they do not hold up a stop");
  }, { times: RARELY });
});

Deno.test("Delivery takes it for progress where a limit holds a whole batch", async () => {
  const answering: Answering = (lines) =>
    allButLimited(lines, (line) => numberIn(line) < MAX_BATCH_EVENTS);
  await delivering(MAX_BATCH_EVENTS + 500, answering, async ({ outbox, delivery, enrich }) => {
    await until(
      () => outbox.counters().waiting === MAX_BATCH_EVENTS,
      "the others are stored",
      WISH,
    );
    assert.deepEqual(enrich.requests.map(({ length }) => length), [MAX_BATCH_EVENTS, 500]);
    assert.equal(delivery.problem, undefined);
    assert.equal(delivery.batchLimit, MAX_BATCH_EVENTS);
  }, { times: RARELY });
});

Deno.test("Delivery tries all that a limit holds together, further and further apart", async () => {
  const at: number[] = [];
  let isRaised = false;
  const held = linesOf(5);
  const answering: Answering = (lines) => {
    if (lines.join() === held.join()) at.push(performance.now());
    return allButLimited(lines, (line) => !isRaised && held.includes(line));
  };
  const { limitedMinMs, limitedMaxMs } = TIMES;
  await delivering(5, answering, async (setup) => {
    await until(() => at.length >= 7, "they are tried", WISH);
    const pauses = at.slice(1).map((ms, i) => ms - (at[i] ?? 0));
    // the start's own try may come before the first answer or behind it
    const least = [0, 1, 2, 4, 4, 4].map((times) => Math.min(times * limitedMinMs, limitedMaxMs));
    least.forEach((ms, i) => assert.ok((pauses[i] ?? 0) > ms - 2, `${pauses.map(Math.round)}`));
    assert.equal(setup.delivery.limited.count, 5, "they are held, tried or not");
    isRaised = true;
    await empty(setup);
    assert.equal(setup.delivery.limited.count, 0);
    await until(() => setup.delivery.limited.nextTryMs === undefined, "nothing is left to try");
    assert.equal(setup.delivery.limited.reason, undefined);
  });
});

Deno.test("The distance starts again where one gets through", async () => {
  let raisedBy = 0;
  const answering: Answering = (lines) =>
    allButLimited(lines, (line) => numberIn(line) >= raisedBy);
  const times = { ...TIMES, limitedMinMs: 50, limitedMaxMs: 1e7 };
  await delivering(3, answering, async ({ outbox, delivery: { limited } }) => {
    await until(() => Number(planned(limited)) > 1_000, "it has grown", WISH);
    raisedBy = 1;
    const often = { everyMs: 1, ...WISH };
    await until(() => outbox.counters().waiting === 2, "one has got through", often);
    const next = await until(() => planned(limited), "another try is planned", often);
    assert.ok(Number(next) < 1_000, `the next try is ${next} ms away`);
  }, { times });
});

Deno.test("Where one gets through the rest follows at once, and others between them", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  const n = 4 * MAX_BATCH_EVENTS;
  await delivering(n, (lines) => allButLimited(lines, () => true), async (setup) => {
    const { limited } = setup.delivery;
    await until(() => limited.count === n && planned(limited), "all are held", WISH);
  }, { times: RARELY, path });
  let arrived = n;
  let outbox: Outbox | undefined;
  const answering: Answering = (lines) => {
    // a house goes on talking
    if (outbox?.append(linesOf(1, arrived))) arrived++;
    return allButLimited(lines, () => false);
  };
  await delivering(0, answering, async (setup) => {
    outbox = setup.outbox;
    await until(() => setup.delivery.limited.count === 0, "all have got through", WISH);
    outbox = undefined;
    await empty(setup);
    const isHeld = setup.enrich.requests.map(([line = ""]) => numberIn(line) < n);
    assert.equal(isHeld.filter(Boolean).length, 4);
    isHeld.forEach((is, i) => assert.ok(!is || !isHeld[i + 1], `two in a row: ${isHeld}`));
    assert.equal(setup.outbox.counters().delivered, arrived);
  }, { times: RARELY, path });
});

Deno.test("A try in vain ends after ten batches, and one that a person wants goes through all", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  const isHeld: Answering = (lines) => allButLimited(lines, () => true);
  const [tried, all] = [10 * MAX_BATCH_EVENTS, 12 * MAX_BATCH_EVENTS];
  await delivering(all, isHeld, async ({ delivery: { limited } }) => {
    await until(() => limited.count === all && planned(limited), "all are held", WISH);
  }, { times: RARELY, path });
  await delivering(0, isHeld, async ({ delivery: { limited }, enrich }) => {
    await until(() => planned(limited), "some are tried", WISH);
    assert.deepEqual(enrich.requests.flat(), linesOf(tried));
    enrich.requests.length = 0;
    limited.tryNow();
    await until(() => enrich.requests.length > 0 && planned(limited), "all are tried", WISH);
    assert.deepEqual(enrich.requests.flat(), linesOf(all));
    assert.equal(limited.count, all);
  }, { times: RARELY, path });
  const soon = { ...TIMES, limitedMinMs: 1, limitedMaxMs: 1 };
  await delivering(0, isHeld, async ({ enrich }) => {
    await until(() => enrich.requests.length >= 12, "the next try goes on behind", WISH);
    assert.deepEqual(enrich.requests.slice(0, 12).flat(), linesOf(all));
  }, { times: soon, path });
});

Deno.test("What a limit holds is held over a restart, tried at the start, and seen by 0.1.0", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  const held: Answering = (lines) => allButLimited(lines, (line) => numberIn(line) < 3);
  await delivering(5, held, async ({ outbox }) => {
    await until(() => outbox.counters().waiting === 3, "the others are stored", WISH);
  }, { times: RARELY, path });
  const linesFor010 = () => {
    using db = new DatabaseSync(path);
    // as 0.1.0 reads what it sends
    return db.prepare("SELECT seq, line FROM outbox ORDER BY seq LIMIT 1000").all()
      .map(({ line }) => line);
  };
  assert.deepEqual(linesFor010(), linesOf(3));
  await delivering(0, held, async ({ delivery: { limited }, enrich }) => {
    assert.equal(limited.count, 3);
    await until(() => planned(limited) && limited.reason, "they were tried", WISH);
    assert.deepEqual(enrich.requests, [linesOf(3)]);
    assert.equal(limited.count, 3);
  }, { times: RARELY, path });
  {
    // 0.1.0 has delivered one of them, and does not know of the table
    using db = new DatabaseSync(path);
    db.exec("DELETE FROM outbox WHERE seq = 2");
    db.exec("UPDATE counter SET value = value - 1 WHERE name = 'queued'");
    db.exec("UPDATE counter SET value = value + 1 WHERE name = 'delivered'");
  }
  await delivering(0, (lines) => allButLimited(lines, () => false), async (setup) => {
    await empty(setup);
    assert.deepEqual(setup.enrich.stored, ['{"event":0}', '{"event":2}']);
    assert.equal(setup.delivery.limited.count, 0);
  }, { times: RARELY, path });
});

Deno.test("An event that was tried alone and is then limited has not failed alone", async () => {
  const odd = '{"event":1}';
  let arrived = 3;
  let tries = 0;
  let isLimited = false;
  let isRaised = false;
  let outbox: Outbox | undefined;
  const answering: Answering = (lines) => {
    outbox?.append(linesOf(1, arrived++));
    if (lines.includes(odd)) tries++;
    if (lines.includes(odd) && !isLimited) return no(500, "out of memory");
    return allButLimited(lines, (line) => line === odd && !isRaised);
  };
  await delivering(3, answering, async (setup) => {
    outbox = setup.outbox;
    const { limited } = setup.delivery;
    await until(() => asideOf(setup.outbox) === odd, "it is tried alone", {
      everyMs: 1,
      ...WISH,
    });
    isLimited = true;
    await until(() => limited.count === 1, "it is held", WISH);
    const sent = tries;
    // each of these would be one more failure
    await until(() => arrived > 60, "others pass", WISH);
    assert.equal(tries, sent, "it is not tried alone any more");
    assert.equal(setup.outbox.waiting.aside(), undefined);
    for (let n = 1; n <= 12; n++) {
      limited.tryNow();
      await until(() => tries >= sent + n && planned(limited), "it is tried", WISH);
    }
    assert.equal(setup.outbox.counters().deadLetters, 0);
    assert.equal(setup.delivery.problem, undefined);
    isRaised = true;
    outbox = undefined;
    limited.tryNow();
    await empty(setup);
    assert.equal(setup.outbox.counters().deadLetters, 0);
  }, { times: RARELY });
});

Deno.test("A try ends though one of its events fails, which is then tried alone", async () => {
  const [odd, well, held] = linesOf(3);
  const pendingOf = (lines: readonly string[]) => lines.indexOf(odd ?? "");
  const ways: ((lines: readonly string[]) => Response)[] = [
    () => no(500, "out of memory"),
    (lines) => {
      const limited = [...lines.keys()].filter((i) => lines[i] === held)
        .map((index) => ({ index, reason: "too many series" }));
      const pending = [pendingOf(lines), ...limited.map(({ index }) => index)];
      const stored = lines.length - pending.length;
      return allStored(lines, { status: "partial", stored, pending, limited });
    },
  ];
  for (const failing of ways) {
    let isFirst = true;
    const answering: Answering = (lines) =>
      !isFirst && pendingOf(lines) >= 0
        ? failing(lines)
        : allButLimited(lines, (line) => isFirst || line === held);
    await delivering(3, answering, async ({ outbox, delivery: { limited } }) => {
      await until(() => limited.count === 3 && planned(limited), "all are held", WISH);
      isFirst = false;
      limited.tryNow();
      await until(() => limited.count === 1 && planned(limited), "the try has ended", WISH);
      assert.equal(asideOf(outbox), odd);
      const { delivered, waiting } = outbox.counters();
      assert.deepEqual({ delivered, waiting, well }, { delivered: 1, waiting: 2, well });
    }, { times: RARELY });
  }
});

Deno.test("That a limit holds the others is no sign that they pass", async () => {
  const poison = '{"event":0}';
  let tries = 0;
  let outbox: Outbox | undefined;
  const answering: Answering = (lines) => {
    if (!lines.includes(poison)) return allButLimited(lines, () => true);
    outbox?.append(linesOf(1, ++tries));
    return no(500, "out of memory");
  };
  await delivering(1, answering, async (setup) => {
    outbox = setup.outbox;
    await until(() => tries > 60, "it is tried often", WISH);
    assert.ok(setup.delivery.limited.count > 20, "others were answered in between");
    assert.equal(setup.outbox.counters().deadLetters, 0);
    assert.match(setup.delivery.problem?.reason ?? "out of memory", /out of memory/);
  }, { times: RARELY });
});

Deno.test("A dead letter that is replayed and then limited waits", async () => {
  let isLimited = false;
  const answering: Answering = (lines) => {
    const refused = lines.flatMap((line, index) =>
      line === '{"event":1}' && !isLimited ? [{ index, reason: "type conflict" }] : []
    );
    if (refused.length === 0) return allButLimited(lines, (line) => line === '{"event":1}');
    return Response.json({
      status: "partial",
      stored: lines.length - refused.length,
      skipped: {},
      problems: refused,
      pending: [],
    });
  };
  await delivering(3, answering, async (setup) => {
    const { outbox, delivery } = setup;
    await empty(setup);
    assert.equal(outbox.counters().deadLetters, 1);
    isLimited = true;
    await outbox.deadLetters.replay({}, new AbortController().signal);
    await until(() => delivery.limited.count === 1, "it is held", WISH);
    const { deadLetters, waiting, delivered } = outbox.counters();
    assert.deepEqual({ deadLetters, waiting, delivered }, {
      deadLetters: 0,
      waiting: 1,
      delivered: 2,
    });
  }, { times: RARELY });
});

Deno.test("A store that is away while a limit holds events is a problem like any other", async () => {
  let isAway = false;
  const answering: Answering = (lines) =>
    isAway ? no(500, "the store is away") : allButLimited(lines, third);
  await delivering(6, answering, async ({ outbox, delivery, enrich }) => {
    await until(() => delivery.limited.count === 2, "two are held", WISH);
    await until(() => planned(delivery.limited), "they have been tried", WISH);
    isAway = true;
    delivery.limited.tryNow();
    await until(() => delivery.problem, "it is told", WISH);
    const before = enrich.requests.length;
    await until(() => enrich.requests.length > before + 30, "it is tried on", WISH);
    assert.equal(delivery.limited.count, 2, "the limit holds them still");
    isAway = false;
    await until(() => planned(delivery.limited), "they are answered", WISH);
    assert.equal(delivery.limited.count, 2);
    assert.equal(outbox.counters().deadLetters, 0);
    assert.equal(delivery.problem, undefined);
  }, { times: RARELY });
});

Deno.test("Delivery does not believe that a limit holds what is not pending", async () => {
  const answering: Answering = (lines, request) =>
    request > 1 ? allButLimited(lines, () => false) : Response.json({
      status: "success",
      stored: lines.length,
      skipped: {},
      problems: [],
      pending: [],
      limited: [{ index: 0, reason: "none" }],
    });
  await delivering(2, answering, async (setup) => {
    await empty(setup);
    assert.equal(setup.enrich.requests.length, 2);
    assert.equal(setup.outbox.counters().delivered, 2);
  });
});

/** Delivers a full outbox of which a limit holds these, until it holds; then the limit is raised. */
async function deliverFull(
  isLimited: (n: number) => boolean,
  test: (outbox: Outbox, delivery: Delivery) => Promise<void>,
) {
  using folder = new TemporaryFolder();
  let isRaised = false;
  using outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes: 8_000_000,
    commitIntervalMs: 1e6,
    onFailure: assert.ifError,
  });
  let n = 0;
  while (!outbox.size.full) {
    for (let i = 0; i < 20; i++) {
      outbox.add({ line: `{"event":${n++},"text":"${"x".repeat(1_000)}"}` });
    }
    outbox.flush();
  }
  await using enrich = new FakeEnrich((lines) =>
    allButLimited(lines, (line) => !isRaised && isLimited(numberIn(line)))
  );
  const stop = new AbortController();
  const post = postEventsTo(enrich.url, undefined);
  const delivery = new Delivery({ outbox, post, times: RARELY });
  const running = delivery.run(stop.signal);
  try {
    await Promise.race([test(outbox, delivery), running]);
    isRaised = true;
    delivery.limited.tryNow();
    await until(() => outbox.counters().waiting === 0, "all is delivered", WISH);
  } finally {
    stop.abort();
    await running;
  }
  const { received, delivered, dropped } = outbox.counters();
  assert.equal(received, delivered + (dropped.get("outbox_full") ?? 0));
}

Deno.test("A full outbox sets aside what a limit holds, for what leaves makes room", async () => {
  await deliverFull((n) => n % 2 === 0, async (outbox, delivery) => {
    await until(() => outbox.counters().waiting === delivery.limited.count, "others leave", WISH);
    assert.ok(delivery.limited.count > 1_000, `${delivery.limited.count}`);
    assert.equal(delivery.problem, undefined);
  });
});

Deno.test("A full outbox has room to note that a limit holds all of its events", async () => {
  await deliverFull(() => true, async (outbox, delivery) => {
    const { waiting } = outbox.counters();
    await until(() => delivery.limited.count === waiting, "all are set aside", WISH);
    assert.equal(delivery.problem, undefined);
  });
});

Deno.test("A full disk on which it cannot be noted what a limit holds has it sent again, and says so", async () => {
  using disk = new FullDisk();
  await deliverFull(() => true, async (outbox, delivery) => {
    disk.fill();
    const told = await until(() => delivery.problem?.reason, "it is told", WISH);
    assert.match(told, /has answered, but there is no room to note it/);
    const { waiting, delivered } = outbox.counters();
    assert.equal(delivered, 0);
    assert.ok(delivery.limited.count < waiting, "those that are not noted are not counted");
    disk.free();
    await until(() => delivery.limited.count === waiting, "then it is noted", WISH);
  });
});
