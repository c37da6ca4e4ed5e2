import assert from "node:assert/strict";
import { formatTimeUs } from "../../lib/time.ts";
import { type Json } from "./schema.ts";
import { SimulatedHomeAssistant } from "./home_assistant.ts";
import { RECORDED } from "./recording.ts";
import { WebSocketClient } from "./websocket_client.ts";

const at = (seconds: number) => formatTimeUs(Math.round(seconds * 1e6));

/** Asks one after the other, with ids of its own; gives the result, or the error's code. */
function asker(client: WebSocketClient) {
  let id = 10;
  return async (start: number, more: Json, type = "history/history_during_period") => {
    const answer = await client.ask(++id, type, {
      start_time: at(start),
      include_start_time_state: false,
      significant_changes_only: false,
      ...more,
    });
    const { result, error } = JSON.parse(answer);
    return error?.code ?? result;
  };
}

for (const [version] of RECORDED) {
  const isOld = version === "2024.3.3";

  Deno.test(`History of ${version} has exclusive bounds, to the float that it keeps`, async () => {
    let seconds = 1_000;
    await using ha = new SimulatedHomeAssistant({ version, now: () => seconds }).start();
    await using client = await WebSocketClient.subscribe(ha);
    const history = asker(client);
    // 2024.3 keeps 1100.400001; the others what the clock gave, which is a little less, and more
    for (const stamp of [1_100.4000008, 1_200.4000012]) {
      seconds = stamp;
      ha.setState("sensor.a", String(stamp));
    }
    seconds = 2_000;
    // an id without a state: else a start at the present stamp is answered by {}
    const entity_ids = ["sensor.a", "sensor.none"];
    const count = async (start: number, end: number) => {
      const result = await history(start, { end_time: at(end), entity_ids });
      return result["sensor.a"]?.length ?? 0;
    };
    assert.equal(await count(1_000, 1_100.400001), isOld ? 0 : 1);
    assert.equal(await count(1_000, 1_100.400002), 1);
    assert.equal(await count(1_100.400001, 1_150), 0);
    assert.equal(await count(1_150, 1_200.400001), 0);
    // a row at the start is not returned, unless it is a little later than its stamp says
    assert.equal(await count(1_200.400001, 1_300), isOld ? 0 : 1);
    assert.equal(await count(1_100.4, 1_200.400002), 2);
  });

  Deno.test(`History of ${version} answers {} where no present stamp is newer than the start`, async () => {
    let seconds = 1_000;
    await using ha = new SimulatedHomeAssistant({ version, now: () => seconds }).start();
    await using client = await WebSocketClient.subscribe(ha);
    const history = asker(client);
    seconds = 1_500;
    ha.setState("sensor.a", "1");
    ha.setState("sensor.b", "1");
    seconds = 1_600;
    ha.setState("sensor.a", "1", { only: "attributes" });
    // the clock goes back: the present state is older than a row
    seconds = 1_550;
    ha.setState("sensor.a", "2");
    seconds = 2_000;
    const states = async (start: number, ids: readonly string[], more: Json = {}) => {
      const result = await history(start, { entity_ids: ids, ...more });
      return Object.entries<{ s: string; lu: number }[]>(result)
        .flatMap(([id, rows]) => rows.map(({ s, lu }) => `${id} ${s} ${lu}`));
    };
    assert.deepEqual(await states(1_580, ["sensor.a", "sensor.b"]), []);
    assert.deepEqual(await states(1_549, ["sensor.a"]), ["sensor.a 2 1550", "sensor.a 1 1600"]);
    assert.deepEqual(await states(1_550, ["sensor.a"]), []);
    assert.deepEqual(await states(1_580, ["sensor.a", "sensor.none"]), ["sensor.a 1 1600"]);
    assert.deepEqual(await states(1_540, ["sensor.a"]), ["sensor.a 2 1550", "sensor.a 1 1600"]);
    assert.deepEqual(await states(2_001, ["sensor.none", "no id"]), []);
    assert.equal(await history(1_580, { entity_ids: ["sensor.a", "no id"] }), "invalid_entity_ids");
    assert.deepEqual(await states(1_000, ["sensor.a"], { end_time: at(900) }), []);
    // an attribute's change moves last_updated alone
    seconds = 2_100;
    ha.setState("sensor.b", "1", { only: "attributes" });
    assert.deepEqual(await states(2_050, ["sensor.b"]), ["sensor.b 1 2100"]);
    assert.deepEqual(await states(2_050, ["sensor.b"], { no_attributes: true }), []);
  });

  Deno.test(`History of ${version} without ids is nothing, or an error`, async () => {
    await using ha = new SimulatedHomeAssistant({ version }).start();
    await using client = await WebSocketClient.subscribe(ha);
    const expected = version === "2026.11.0" ? {} : "unknown_error";
    assert.deepEqual(await asker(client)(1, { entity_ids: [] }), expected);
  });

  Deno.test(`History of ${version} is unknown until it is loaded, at the latest when RUNNING`, async () => {
    await using ha = new SimulatedHomeAssistant({ version }).start();
    for (const historyMs of [undefined, 0]) {
      const restarting = ha.restart({ downMs: 0, startingMs: 300, historyMs });
      while (ha.life.aborted) await new Promise((resolve) => setTimeout(resolve, 1));
      await using client = await WebSocketClient.subscribe(ha);
      const history = asker(client);
      const wanted = historyMs === 0 ? [{}, null] : ["unknown_command", "unknown_command"];
      const asked = async () => [
        await history(1, { entity_ids: ["sensor.a"] }),
        await history(1, { entity_ids: ["sensor.a"] }, "history/stream"),
      ];
      assert.equal(ha.isRunning, false);
      assert.deepEqual(await asked(), wanted);
      await restarting;
      assert.deepEqual(await asked(), [{}, null]);
    }
    ha.disableHistory();
    await using client = await WebSocketClient.subscribe(ha);
    const history = asker(client);
    for (const type of ["history/history_during_period", "history/stream"]) {
      assert.equal(await history(1, { entity_ids: ["sensor.a"] }, type), "unknown_command");
    }
  });
}
