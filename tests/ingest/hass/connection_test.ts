import assert from "node:assert/strict";
import { Connection } from "../../../lib/ingest/hass/connection.ts";
import {
  CONNECTION_TIMES,
  type ConnectionTimes,
} from "../../../lib/ingest/hass/connection_times.ts";
import { webSocketUrl } from "../../../lib/ingest/hass/protocol.ts";
import { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import { SlowLink } from "../../stand_ins/slow_link.ts";
import { until } from "../../until.ts";

async function connected(
  url: string,
  { token }: SimulatedHomeAssistant,
  times: Partial<ConnectionTimes>,
): Promise<Connection> {
  const { connection } = await Connection.open({
    url: webSocketUrl(url),
    token,
    signal: new AbortController().signal,
    handlers: { onEvent: () => {}, onMalformed: assert.fail },
    times: { ...CONNECTION_TIMES, ...times },
  });
  return connection;
}

/** Two megabytes of states: one message that takes four seconds at this rate. */
const RATE = 500_000;
function largeHouse(): SimulatedHomeAssistant {
  const hass = new SimulatedHomeAssistant({ recorder: false }).start();
  for (let i = 0; i < 200; i++) hass.setState(`sensor.s${i}`, "1", { text: "x".repeat(10_000) });
  return hass;
}

Deno.test("A connection lives through an answer that takes longer than silence may", async () => {
  await using hass = largeHouse();
  await using link = new SlowLink(hass.port, RATE);
  const connection = await connected(link.url, hass, { silenceMs: 300, pongDeadlineMs: 200 });
  try {
    const beganMs = performance.now();
    const states = await connection.command("get_states");
    assert.ok(Array.isArray(states) && states.length >= 200);
    assert.ok(performance.now() - beganMs > 2_000, "the link was not slow");
    // and what is asked meanwhile and in vain does not end it either
    const large = connection.command("get_states");
    await assert.rejects(connection.command("get_config", {}, 100), /no answer to get_config/);
    await large;
    assert.equal(await Promise.race([connection.closed, Promise.resolve("open")]), "open");
  } finally {
    connection.close("tested");
  }
});

/** How long after the link died the connection was ended, in milliseconds. */
async function foundAfterMs(
  times: Partial<ConnectionTimes>,
  ask: (connection: Connection) => void,
): Promise<number> {
  await using hass = new SimulatedHomeAssistant({ recorder: false }).start();
  const connection = await connected(hass.url, hass, times);
  try {
    await connection.command("get_config");
    hass.halfOpen();
    const deadMs = performance.now();
    ask(connection);
    let reason: string | undefined;
    connection.closed.then((said) => reason = said);
    await until(() => reason !== undefined, "it has ended", { limitMs: 20_000, everyMs: 5 });
    assert.match(String(reason), /no sign of Home Assistant/);
    return performance.now() - deadMs;
  } finally {
    connection.close("tested");
  }
}

Deno.test("A half-open socket is found though nothing is asked", async () => {
  const foundMs = await foundAfterMs({ silenceMs: 300, pongDeadlineMs: 200 }, () => {});
  assert.ok(foundMs >= 450, `after ${foundMs} ms`);
});

Deno.test("A half-open socket is found at the deadline of what was asked, and the pong's", async () => {
  const refused: string[] = [];
  const foundMs = await foundAfterMs({ silenceMs: 300, pongDeadlineMs: 200 }, (connection) => {
    connection.command("get_states", {}, 1_500)
      .catch((error: Error) => refused.push(error.message));
  });
  assert.ok(foundMs >= 1_650, `after ${foundMs} ms`);
  assert.deepEqual(refused, ["no answer to get_states within 1.5 s"]);
});

Deno.test("A half-open socket is found though something new is asked again and again", async () => {
  let stopped = false;
  let asked = 0;
  const foundMs = await foundAfterMs({ silenceMs: 300, pongDeadlineMs: 200 }, (connection) => {
    const ask = async () => {
      while (!stopped) {
        asked++;
        await connection.command("get_config", {}, 400).catch(() => {});
      }
    };
    void ask();
    connection.closed.then(() => stopped = true);
  });
  assert.ok(asked >= 2, `asked ${asked} times`);
  // one deadline, silence and the pong's: not one for each that was asked
  assert.ok(foundMs < 10_000, `after ${foundMs} ms`);
});
