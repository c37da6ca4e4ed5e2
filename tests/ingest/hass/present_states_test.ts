import assert from "node:assert/strict";
import { Connection } from "../../../lib/ingest/hass/connection.ts";
import { CONNECTION_TIMES } from "../../../lib/ingest/hass/connection_times.ts";
import { presentStateOf, presentStates } from "../../../lib/ingest/hass/present_states.ts";
import { webSocketUrl } from "../../../lib/ingest/hass/protocol.ts";
import { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import { until } from "../../until.ts";

async function asking(
  test: (
    connection: Connection,
    asked: () => number,
    hass: SimulatedHomeAssistant,
  ) => Promise<void>,
): Promise<void> {
  await using hass = new SimulatedHomeAssistant({ recorder: false }).start();
  hass.setState("sensor.one", "1");
  const { connection } = await Connection.open({
    url: webSocketUrl(hass.url),
    token: hass.token,
    signal: new AbortController().signal,
    handlers: { onEvent: () => {}, onMalformed: assert.fail },
    times: { ...CONNECTION_TIMES, listDeadlineMs: 300 },
  });
  const asked = () => hass.received.filter(({ type }) => type === "get_states").length;
  try {
    await test(connection, asked, hass);
  } finally {
    connection.close("tested");
  }
}

Deno.test("States are asked for anew, unless a request since then will do", async () => {
  await asking(async (connection, asked, hass) => {
    const beganMs = performance.now();
    const first = presentStates(connection);
    // the one under way
    assert.equal(await presentStates(connection, { askedSinceMs: beganMs }), await first);
    assert.equal(asked(), 1);
    // the last answer
    hass.setState("sensor.one", "2");
    assert.equal(await presentStates(connection, { askedSinceMs: beganMs }), await first);
    assert.equal(asked(), 1);
    // it was asked for before then
    const [state] = await presentStates(connection, { askedSinceMs: performance.now() });
    assert.match(String(state?.text), /"state":"2"/);
    assert.equal(asked(), 2);
    await Promise.all([presentStates(connection), presentStates(connection)]);
    assert.equal(asked(), 4);
  });
});

Deno.test("States are let go some seconds after they came", async () => {
  await asking(async (connection, asked) => {
    const askedSinceMs = performance.now();
    await presentStates(connection);
    await until(async () => {
      await presentStates(connection, { askedSinceMs });
      return asked() === 2;
    }, "they are asked for again");
    assert.ok(performance.now() - askedSinceMs > 3_000, "they were let go at once");
  });
});

Deno.test("States that did not come are asked for again, and end with the connection", async () => {
  await asking(async (connection, asked, hass) => {
    const askedSinceMs = performance.now();
    hass.hang();
    await assert.rejects(presentStates(connection, { askedSinceMs }), /no answer to get_states/);
    hass.resume();
    await until(
      () => presentStates(connection, { askedSinceMs }).then((states) => states.length === 1),
      "they come",
    );
    assert.equal(asked(), 2);
    connection.close("tested");
    await connection.closed;
    await assert.rejects(presentStates(connection, { askedSinceMs }), /has ended/);
  });
});

Deno.test("A state that cannot be read costs no other", () => {
  const good = {
    entity_id: "sensor.good",
    state: "1",
    last_updated: "2026-06-25T21:20:05.162552+00:00",
  };
  const states = [null, 5, {}, { ...good, last_updated: 5 }, {
    ...good,
    attributes: { unit_of_measurement: 5, restored: true, device_class: "power" },
  }, [[]]];
  const read = states.flatMap((value) => presentStateOf({ value, text: JSON.stringify(value) }));
  assert.deepEqual(read, [{
    entityId: "sensor.good",
    text: JSON.stringify(states[4]),
    state: "1",
    friendlyName: undefined,
    lastUpdated: good.last_updated,
    lastUpdatedUs: 1782422405162552,
    lastChangedUs: 1782422405162552,
    unit: undefined,
    deviceClass: "power",
    stateClass: undefined,
    isRestored: true,
  }]);
});
