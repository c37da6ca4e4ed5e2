import assert from "node:assert/strict";
import { takeSnapshots } from "../../../lib/ingest/capture/state_snapshots.ts";
import { Connection } from "../../../lib/ingest/hass/connection.ts";
import { HassClock } from "../../../lib/ingest/hass/hass_clock.ts";
import { webSocketUrl } from "../../../lib/ingest/hass/protocol.ts";
import { envelopeLine } from "../../../lib/ingest/outbox/envelope.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { parseTimeUs } from "../../../lib/time.ts";
import { RefusingHomeAssistant } from "../../stand_ins/refusing_home_assistant.ts";
import { SetClock } from "../../stand_ins/silent_home_assistant.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { capturedLines, capturing, connected, hears, linesOf } from "./capturing.ts";
import { rowsOf } from "../outbox/rows.ts";

const META_KEY = "state_snapshot";
const ALL = { maxEvents: 1_000_000, maxBytes: 1e12 };

interface Snapshot {
  readonly entityId: string;
  readonly timeFired: string;
  readonly line: string;
}

function snapshotsOf(outbox: Outbox): Snapshot[] {
  return rowsOf(outbox.waiting.next.peek(ALL))
    .filter(({ line }) => line.includes('"state_snapshot"'))
    .map(({ line }) => {
      const { time_fired: timeFired, data } = JSON.parse(line).event;
      return { entityId: data.entity_id, timeFired, line };
    });
}

const brief = (outbox: Outbox) =>
  snapshotsOf(outbox).map(({ entityId, timeFired }) => `${entityId} ${timeFired.slice(0, 19)}`);

function drain(outbox: Outbox): void {
  const done = outbox.waiting.next.peek(ALL).seqs;
  outbox.settle({ done, delivered: done.length, leftOut: {}, problems: [] });
}

function usOf(text: string): number {
  const us = parseTimeUs(`${text}+00:00`);
  assert.ok(us !== undefined);
  return us;
}

interface Taking {
  readonly hass: RefusingHomeAssistant;
  readonly clock: HassClock;
  readonly outbox: Outbox;
}

/** Takes snapshots of a Home Assistant whose clock ingest has heard to be `now`. */
async function taking(
  { hass, path, now, intervalMinutes = 60 }: {
    hass: RefusingHomeAssistant;
    path: string;
    now: string;
    intervalMinutes?: number;
  },
  test: (taking: Taking) => Promise<void>,
): Promise<void> {
  using outbox = new Outbox({ path, maxBytes: 100_000_000, onFailure: assert.ifError });
  const stop = new AbortController();
  const { connection } = await Connection.open({
    url: webSocketUrl(hass.url),
    token: hass.token,
    signal: stop.signal,
    handlers: { onEvent: () => {}, onMalformed: assert.fail },
  });
  const clock = new HassClock();
  clock.hear(usOf(now));
  const line = (text: string) =>
    envelopeLine(text, { registry: undefined, source: undefined, via: "snapshot" });
  const options = { outbox, clock, line, intervalMinutes, lookMs: 10 };
  const running = takeSnapshots(connection, options, stop.signal);
  try {
    await test({ hass, clock, outbox });
  } finally {
    stop.abort();
    await running;
    connection.close("the test is over");
  }
}

/** A house of so many states, all of them of that time. */
function house(states: number, since = "2026-01-01T00:00:00"): RefusingHomeAssistant {
  const now = () => usOf(since) / 1e6;
  const hass = new RefusingHomeAssistant({ recorder: false, now }).start();
  for (let n = 0; n < states; n++) hass.setState(`sensor.n${n}`, String(n));
  return hass;
}

const kept = (outbox: Outbox) => outbox.meta(META_KEY)?.slice(0, 19);

Deno.test("A snapshot that was due while ingest was away is made up for, once, of what was so then", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  const clock = new SetClock(Date.parse("2026-01-01T22:00:00Z"));
  await using hass = new RefusingHomeAssistant({ now: clock.seconds })
    .start();
  hass.setState("sensor.old", "1");
  hass.setState("sensor.changes", "1");
  const options = { snapshotMinutes: 1_440 };
  await capturing(hass, path, async (setup) => {
    await connected(setup);
    await hears(hass, setup, "sensor.evening");
    await until(() => kept(setup.outbox) !== undefined, "the first start has begun");
    assert.equal(kept(setup.outbox), "2026-01-01T00:00:00");
    // the very first start takes none
    assert.deepEqual(brief(setup.outbox), []);
    drain(setup.outbox);
  }, options);
  clock.set(Date.parse("2026-01-02T00:15:00Z"));
  hass.setState("sensor.changes", "2");
  await capturing(hass, path, async (setup) => {
    await until(() => brief(setup.outbox).length >= 2, "the snapshot is made up for");
    assert.deepEqual(brief(setup.outbox).toSorted(), [
      "sensor.evening 2026-01-02T00:00:00",
      "sensor.old 2026-01-02T00:00:00",
    ]);
    // what has changed since has a point of its own
    await until(
      () => linesOf(setup).some((line) => /"sensor.changes".*"via":"history"/.test(line)),
      "the change is filled in",
    );
    assert.equal(kept(setup.outbox), "2026-01-02T00:00:00");
    drain(setup.outbox);
  }, options);
  await capturing(hass, path, async (setup) => {
    await connected(setup);
    for (let n = 0; n < 20; n++) await hears(hass, setup, `sensor.later_${n}`);
    assert.deepEqual(brief(setup.outbox), []);
    assert.ok(capturedLines(setup).length >= 20);
  }, options);
});

Deno.test("SNAPSHOT_MINUTES=0 takes none, whatever is due", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  await using hass = house(3);
  await taking({ hass, path, now: "2026-01-01T05:00:01" }, async ({ outbox }) => {
    await until(() => kept(outbox) === "2026-01-01T05:00:00", "the first start has begun");
  });
  for (const [intervalMinutes, count] of [[0, 0], [60, 3]]) {
    await taking({ hass, path, now: "2026-01-01T09:30:00", intervalMinutes }, async (taking) => {
      if (count > 0) await until(() => brief(taking.outbox).length === count, "it is taken");
      else assert.equal(await takingEnds(taking), true);
      assert.equal(brief(taking.outbox).length, count);
    });
  }
});

/** Whether nothing was asked of Home Assistant in the time of ten looks. */
async function takingEnds({ hass, clock }: Taking): Promise<boolean> {
  const untilUs = (clock.nowUs() ?? 0) + 100_000;
  await until(() => (clock.nowUs() ?? 0) > untilUs, "some time has passed");
  return !hass.received.some(({ type }) => type === "get_states");
}

Deno.test("A new SNAPSHOT_MINUTES counts from the last full interval of its own", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  await using hass = house(1);
  await taking({ hass, path, now: "2026-01-01T12:10:00" }, async ({ outbox }) => {
    await until(() => kept(outbox) === "2026-01-01T12:00:00", "the first start has begun");
  });
  const minutesNow: [number, string, string[]][] = [
    // the day's has begun before the hour's: nothing is due
    [1_440, "2026-01-01T12:20:00", []],
    [1_440, "2026-01-02T00:20:00", ["2026-01-02T00:00:00"]],
    [60, "2026-01-02T00:40:00", ["2026-01-02T00:00:00"]],
    [30, "2026-01-02T00:50:00", ["2026-01-02T00:00:00", "2026-01-02T00:30:00"]],
  ];
  for (const [intervalMinutes, now, times] of minutesNow) {
    await taking({ hass, path, now, intervalMinutes }, async ({ outbox, clock }) => {
      const endUs = usOf(now) + 100_000;
      await until(
        () => snapshotsOf(outbox).length >= times.length && (clock.nowUs() ?? 0) > endUs,
        "what is due is taken",
      );
      assert.deepEqual(brief(outbox), times.map((time) => `sensor.n0 ${time}`), now);
    });
  }
});

Deno.test("A clock of Home Assistant that ran ahead holds no snapshot up for long, and repeats none", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  await using hass = house(1);
  await taking({ hass, path, now: "2026-01-01T12:10:00" }, async ({ outbox }) => {
    await until(() => kept(outbox) !== undefined, "the first start has begun");
  });
  await taking({ hass, path, now: "2031-01-01T12:10:00" }, async ({ outbox }) => {
    await until(() => kept(outbox) === "2031-01-01T12:00:00", "it is taken years ahead");
    drain(outbox);
  });
  const now = "2026-01-01T13:59:59.500";
  await taking({ hass, path, now }, async ({ outbox }) => {
    await until(() => kept(outbox) === "2026-01-01T14:00:00", "the next full hour counts");
    assert.deepEqual(brief(outbox), ["sensor.n0 2026-01-01T14:00:00"]);
  });
  // what ingest has heard at its start may be older than what it knew
  const late = "2026-01-01T13:59:59.800";
  await taking({ hass, path, now: late }, async ({ outbox, clock }) => {
    await until(() => (clock.nowUs() ?? 0) > usOf("2026-01-01T14:00:00.200"), "it is two");
    assert.equal(snapshotsOf(outbox).length, 1);
    clock.hear(usOf("2026-01-01T15:20:00"));
    await until(() => snapshotsOf(outbox).length === 2, "the next one is taken");
    assert.equal(kept(outbox), "2026-01-01T15:00:00");
  });
});

Deno.test("A snapshot that is broken off in its middle is taken again, line for line", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  await using hass = house(1_200);
  await taking({ hass, path, now: "2026-01-01T01:10:00" }, async ({ outbox }) => {
    await until(() => kept(outbox) === "2026-01-01T01:00:00", "the first start has begun");
    // so many wait that there is room for one step more
    outbox.append(Array.from({ length: 1_950 }, (_, n) =>
      envelopeLine(`{"n":${n}}`, {
        registry: undefined,
        source: undefined,
      })));
  });
  let first: Snapshot[] = [];
  await taking({ hass, path, now: "2026-01-01T02:10:00" }, async ({ outbox }) => {
    await until(() => snapshotsOf(outbox).length > 0, "it has begun");
    first = snapshotsOf(outbox);
    assert.equal(first.length, 100);
  });
  await taking({ hass, path, now: "2026-01-01T02:20:00" }, async ({ outbox }) => {
    assert.equal(kept(outbox), "2026-01-01T01:00:00");
    drain(outbox);
    await until(() => kept(outbox) === "2026-01-01T02:00:00", "it is whole");
    const lines = snapshotsOf(outbox).map(({ line }) => line);
    assert.equal(lines.length, 1_200);
    assert.deepEqual(lines.slice(0, 100), first.map(({ line }) => line));
  });
});

Deno.test("A snapshot that Home Assistant does not give is asked for again", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  await using hass = house(2);
  await taking({ hass, path, now: "2026-01-01T01:10:00" }, async ({ outbox }) => {
    await until(() => kept(outbox) !== undefined, "the first start has begun");
  });
  let refused = 0;
  hass.refuses = ({ type }) => type === "get_states" && ++refused <= 3 ? "unauthorized" : undefined;
  await taking({ hass, path, now: "2026-01-01T02:10:00" }, async ({ outbox }) => {
    await until(() => refused >= 3, "it is asked for again and again");
    await until(() => kept(outbox) === "2026-01-01T02:00:00", "it is taken");
    assert.equal(snapshotsOf(outbox).length, 2);
  });
});
