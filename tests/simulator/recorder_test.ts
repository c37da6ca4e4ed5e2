import assert from "node:assert/strict";
import { EMPTY_HOUSE, entity, type House } from "./house.ts";
import { SimulatedHomeAssistant, type SimulationOptions } from "./home_assistant.ts";
import { RECORDED } from "./recording.ts";
import { WebSocketClient } from "./websocket_client.ts";

const HALL: House = {
  ...EMPTY_HOUSE,
  entities: [entity("sensor.hall", null, "Hall", "0", {})],
};

/** A Home Assistant that commits far too late for any test, unless something makes it. */
async function house(options: SimulationOptions = {}) {
  const ha = new SimulatedHomeAssistant({ commitIntervalMs: 1e9, house: HALL, ...options }).start();
  const open: WebSocketClient[] = [];
  let id = 10;
  const connect = async () => open.push(await WebSocketClient.subscribe(ha));
  await connect();
  const client = () => open.at(-1) ?? assert.fail();
  return {
    ha,
    connect,
    /** The states in the history of these ids, in the order of time; null is a removal. */
    async rows(...entity_ids: string[]): Promise<(string | null)[]> {
      const answer = await client().ask(++id, "history/history_during_period", {
        start_time: "1970-01-01T00:00:01+00:00",
        entity_ids: [...entity_ids, "sensor.none"],
        include_start_time_state: false,
        significant_changes_only: false,
      });
      const result: Record<string, { s: string | null }[]> = JSON.parse(answer).result;
      return Object.values(result).flatMap((rows) => rows.map(({ s }) => s));
    },
    /** Opens a stream as a barrier, and gives how many messages of it have come. */
    barrier(): () => Promise<number> {
      const own = ++id;
      client().send({
        id: own,
        type: "history/stream",
        start_time: "1970-01-01T00:00:01+00:00",
        entity_ids: ["sensor.none"],
        include_start_time_state: false,
      });
      return async () => {
        await client().ask(++id, "ping");
        return client().messages.filter((text) => text.startsWith(`{"id":${own},`)).length;
      };
    },
    async info() {
      const answer = await client().ask(++id, "recorder/info");
      return Object.entries(JSON.parse(answer).result);
    },
    async [Symbol.asyncDispose]() {
      for (const each of open) await each[Symbol.asyncDispose]();
      await ha.stop();
    },
  };
}

for (const [version] of RECORDED) {
  Deno.test(`Recorder of ${version} commits what a barrier waits for, and holds it where it is held`, async () => {
    await using it = await house({ version });
    it.ha.setState("sensor.a", "1");
    assert.deepEqual(await it.rows("sensor.a"), []);
    assert.equal(await it.barrier()(), 3);
    assert.deepEqual(await it.rows("sensor.a"), ["1"]);

    it.ha.recorder.hold();
    it.ha.setState("sensor.a", "2");
    const waiting = it.barrier();
    it.ha.setState("sensor.a", "3");
    assert.equal(await waiting(), 2);
    assert.deepEqual(await it.rows("sensor.a"), ["1"]);
    assert.equal(it.ha.recorder.backlog, 3);
    it.ha.recorder.release();
    assert.equal(await waiting(), 3);
    assert.deepEqual(await it.rows("sensor.a"), ["1", "2", "3"]);
  });

  Deno.test(`Recorder of ${version} tells of itself`, async () => {
    await using it = await house({ version });
    const sound = [
      ["backlog", 0],
      ...version === "2024.3.3" ? [] : [["db_in_default_location", true]],
      ["max_backlog", 65_000],
      ["migration_in_progress", false],
      ["migration_is_live", false],
      ["recording", true],
      ["thread_running", true],
    ];
    assert.deepEqual(await it.info(), sound);
    it.ha.recorder.recording = false;
    it.ha.setState("sensor.a", "not recorded");
    assert.equal(await it.barrier()(), 3);
    it.ha.recorder.recording = true;
    it.ha.recorder.threadRunning = false;
    it.ha.setState("sensor.a", "never written");
    assert.equal(await it.barrier()(), 2);
    it.ha.recorder.recording = false;
    it.ha.recorder.migrationInProgress = true;
    const changed = Object.fromEntries(await it.info());
    assert.equal(changed.recording || changed.thread_running, false);
    assert.equal(changed.migration_in_progress, true);
    // a restart sets it right, but for what was not recorded
    await it.ha.restart({ downMs: 0, startingMs: 0 });
    await it.connect();
    assert.deepEqual(await it.info(), sound);
    it.ha.setState("sensor.a", "later");
    assert.equal(await it.barrier()(), 3);
    assert.deepEqual(await it.rows("sensor.a"), ["later"]);
  });
}

Deno.test("Recorder loses what is queued, and no more: a batch rolled back, recorder.disable", async () => {
  await using it = await house();
  it.ha.setState("sensor.a", "seen");
  assert.equal(await it.barrier()(), 3);
  it.ha.setState("sensor.a", "missed");
  it.ha.recorder.loseQueued();
  it.ha.setState("sensor.a", "upper");
  assert.equal(await it.barrier()(), 3);
  assert.deepEqual(await it.rows("sensor.a"), ["seen", "upper"]);
  it.ha.recorder.enabled = false;
  it.ha.setState("sensor.a", "missed too");
  it.ha.recorder.enabled = true;
  it.ha.setState("sensor.a", "last");
  assert.equal(await it.barrier()(), 3);
  assert.deepEqual(await it.rows("sensor.a"), ["seen", "upper", "last"]);
  // what is lost while the queue is held does not keep the barrier from its answer
  it.ha.recorder.hold();
  it.ha.setState("sensor.a", "held");
  const waiting = it.barrier();
  assert.equal(await waiting(), 2);
  it.ha.recorder.loseQueued();
  it.ha.recorder.release();
  assert.equal(await waiting(), 3);
  assert.deepEqual(await it.rows("sensor.a"), ["seen", "upper", "last"]);
});

Deno.test("Recorder whose commit fails answers no barrier that waits for it, but the next", async () => {
  await using it = await house();
  it.ha.setState("sensor.a", "missed");
  it.ha.recorder.failNextCommit();
  const unanswered = it.barrier();
  assert.equal(await unanswered(), 2);
  it.ha.setState("sensor.a", "upper");
  assert.equal(await it.barrier()(), 3);
  assert.equal(await unanswered(), 2);
  assert.deepEqual(await it.rows("sensor.a"), ["upper"]);
});

Deno.test("Recorder that answers early shows the rows only later", async () => {
  await using it = await house();
  it.ha.recorder.answersEarly = true;
  it.ha.setState("sensor.a", "1");
  assert.equal(await it.barrier()(), 3);
  assert.deepEqual(await it.rows("sensor.a"), []);
  it.ha.recorder.answersEarly = false;
  assert.equal(await it.barrier()(), 3);
  assert.deepEqual(await it.rows("sensor.a"), ["1"]);
});

Deno.test("Recorder purges rows, also that of a present state", async () => {
  let seconds = 1_000;
  await using it = await house({ now: () => seconds, commitIntervalMs: 0 });
  it.ha.setState("sensor.quiet", "1");
  seconds = 2_000;
  it.ha.setState("sensor.loud", "1");
  it.ha.recorder.purge(1_500);
  assert.equal(it.ha.states.get("sensor.quiet")?.state, "1");
  assert.deepEqual(await it.rows("sensor.quiet", "sensor.loud"), ["1"]);
  assert.equal(it.ha.recorder.hasStatesBefore(1_999), false);
});

for (const [version] of RECORDED) {
  Deno.test(`Recorder of ${version} moves the history with a rename, and writes what a removal is`, async () => {
    await using it = await house({ version });
    it.ha.setState("sensor.hall", "1");
    it.ha.registry.updateEntity("sensor.hall", { entity_id: "sensor.attic" });
    assert.equal(await it.barrier()(), 3);
    assert.deepEqual(await it.rows("sensor.hall"), []);
    // the present state moves with a stamp of its own
    assert.deepEqual(await it.rows("sensor.attic"), ["0", "1", "1"]);
    it.ha.registry.removeEntity("sensor.attic");
    assert.equal(await it.barrier()(), 3);
    assert.deepEqual(await it.rows("sensor.attic"), ["0", "1", "1", null]);
    // an id that has a history keeps its own, and then the old one has a removal
    it.ha.registry.addEntity(entity("sensor.new", null, "New", "0", {}));
    it.ha.setState("sensor.new", "a");
    it.ha.registry.updateEntity("sensor.new", { entity_id: "sensor.attic" });
    assert.equal(await it.barrier()(), 3);
    assert.deepEqual(await it.rows("sensor.new"), ["a", null]);
    assert.deepEqual(await it.rows("sensor.attic"), ["0", "1", "1", null, "a"]);
  });

  for (const crashed of [true, false]) {
    const how = crashed ? "a crash loses" : "an orderly stop commits";
    Deno.test(`Recorder of ${version}: ${how} what is queued`, async () => {
      await using it = await house({ version });
      it.ha.setState("sensor.hall", "seen");
      assert.equal(await it.barrier()(), 3);
      it.ha.setState("sensor.hall", "queued");
      const stops = it.ha.fired.filter(({ eventType }) => eventType === "homeassistant_stop");
      assert.equal(stops.length, 0);
      await it.ha.restart({ downMs: 0, startingMs: 0, crashed });
      const stopped = it.ha.fired.some(({ eventType }) => eventType === "homeassistant_stop");
      assert.equal(stopped, version === "2024.3.3" && !crashed);
      await it.connect();
      const kept = crashed ? ["0", "seen"] : ["0", "seen", "queued"];
      assert.deepEqual(await it.rows("sensor.hall"), kept);
      assert.equal(await it.barrier()(), 3);
      assert.deepEqual(await it.rows("sensor.hall"), [...kept, "unavailable", "queued"]);
    });
  }
}

Deno.test("Recorder of a house whose clock goes back tells rows in the order of time", async () => {
  await using it = await house({ commitIntervalMs: 0 });
  const { clock } = it.ha;
  it.ha.setState("sensor.a", "2");
  clock.offsetSeconds = -3_600;
  it.ha.setState("sensor.a", "1");
  const back = it.ha.states.get("sensor.a")?.lastUpdated.seconds ?? 0;
  assert.ok(Math.abs(back + 3_600 - Date.now() / 1000) < 60, String(back));
  clock.offsetSeconds = 7_200;
  it.ha.setState("sensor.a", "3");
  assert.deepEqual(await it.rows("sensor.a"), ["1", "2", "3"]);
  clock.offsetSeconds = 0;
  assert.equal(it.ha.removeState("sensor.a"), true);
  const times = it.ha.fired.map(({ timeFired }) => timeFired);
  assert.deepEqual(
    [...times].sort().map((time) => times.indexOf(time)),
    [1, 0, 3, 2],
    times.join(" "),
  );
});
