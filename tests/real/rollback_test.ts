import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Checkout, OLD_RELEASE } from "./parts/checkout.ts";
import { ExchangedHouse } from "./parts/exchanged_house.ts";
import { total } from "./parts/metrics_text.ts";
import { type Program, startIngest } from "./parts/programs.ts";
import { until } from "../until.ts";
import { measured, realTestsAtOnce } from "./parts/real_test_case.ts";

interface Ending {
  readonly end: (program: Program) => Promise<void>;
  /** Whether ingest has time to write down that something will be missing. */
  readonly opensGaps: boolean;
}

/** A limit of the store holds all that waits, while no program has the file open. */
function limitAll(path: string): void {
  using db = new DatabaseSync(path);
  assert.ok(db.prepare("INSERT INTO limited SELECT seq FROM outbox").run().changes > 20);
}

/** As of a house of more than 5,000 entities: the last registries are kept in parts. */
function keepInParts(path: string): void {
  using db = new DatabaseSync(path);
  db.exec(`
    INSERT INTO meta SELECT 'registry:0', value FROM meta WHERE key = 'registry';
    INSERT INTO meta VALUES ('registry:1', '');
    UPDATE meta SET value = '{}' WHERE key = 'registry';
  `);
}

/** From the newest release to the old one and to the newest again. */
async function backAndForth({ end, opensGaps }: Ending): Promise<void> {
  await using old = await Checkout.of(OLD_RELEASE);
  await using house = await ExchangedHouse.start();
  const deadLettered = async () => total(await house.settled(), "ingest_events_dead_lettered");

  house.relay.spoils = new RegExp(`"${ExchangedHouse.SPOILED}"`);
  house.live();
  house.hopeless();
  assert.equal(await house.importStatistics(48), 48);
  await house.settled();
  house.relay.spoils = undefined;
  assert.equal(await deadLettered(), 3);
  await house.leave(end);
  const { waiting, gaps, ...left } = house.outbox();
  assert.ok(waiting > 20, `only ${waiting} events wait`);
  assert.equal(gaps > 0, opensGaps, `${gaps} gaps`);
  assert.deepEqual(left, { deadLetters: 3, registries: 1, cursors: 1 });
  // opening it would fold in the log that a killed ingest leaves
  if (opensGaps) {
    const path = `${house.ingest.dir}/data/outbox.sqlite`;
    limitAll(path);
    keepInParts(path);
  }
  const before = house.points();
  assert.ok(before.size > 100, `only ${before.size} points`);

  await house.startAgain(old.path);
  assert.equal(await deadLettered(), 3);
  assert.equal((await house.deadLetters()).length, 3);
  assert.equal(await house.replay(), 3);
  assert.equal(await deadLettered(), 2, "one of three was refused by a fault that is over");
  house.live();
  assert.equal(await house.importStatistics(2), 2);
  await house.settled();
  await house.leave(end);
  assert.equal(house.outbox().registries, 1, "v0.1.0 has read what it did not find");
  const between = house.points();
  for (const [key, point] of before) assert.deepEqual(between.get(key), point);

  await house.startAgain();
  assert.equal(await deadLettered(), 2);
  const reasons = await house.deadLetters();
  assert.ok(reasons.length === 2 && reasons.every((reason) => reason.startsWith("data.")));
  house.live();
  assert.equal(await house.importStatistics(1), 1);
  const metrics = await house.settled();
  await until(
    async () => total(await house.ingest.metrics(), "ingest_events_limited") === 0,
    "no limit holds what v0.1.0 has delivered",
  );
  await house.ingest.stop();
  await house.enrich.stop();
  house.assertStoredOnce();
  const after = house.points();
  for (const [key, point] of between) assert.deepEqual(after.get(key), point);
  measured(
    `from the newest release to v0.1.0 and back: ${after.size} points, each stored once, ` +
      `${total(metrics, "ingest_events_received_total")} events received`,
  );
}

realTestsAtOnce("v0.1.0 goes on where the newest release was, and the newest where v0.1.0 was", {
  "after both have been stopped": () =>
    backAndForth({ end: (program) => program.stop(), opensGaps: true }),

  "after both have been killed": () =>
    backAndForth({ end: (program) => program.kill(), opensGaps: false }),

  "but not on an outbox of a format that v0.1.0 does not know, and says so": async () => {
    await using old = await Checkout.of(OLD_RELEASE);
    await using ingest = await startIngest({
      HASS_URL: "http://127.0.0.1:1",
      HASS_TOKEN: "none",
      ENRICHMENT_SERVICE_URL: "http://127.0.0.1:1",
    });
    await ingest.stop();
    {
      using db = new DatabaseSync(`${ingest.dir}/data/outbox.sqlite`);
      db.exec("PRAGMA user_version=99");
    }
    await assert.rejects(ingest.startAgain(old.path), /Cannot start ingest: it has ended/);
    assert.match(
      ingest.output,
      /Cannot open .*outbox\.sqlite: its format is version 99, this program reads up to 1; run the newer release that wrote it/,
    );
  },
});
