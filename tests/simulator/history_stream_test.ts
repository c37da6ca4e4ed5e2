import assert from "node:assert/strict";
import { formatTimeUs } from "../../lib/time.ts";
import { SimulatedHomeAssistant } from "./home_assistant.ts";
import { RECORDED } from "./recording.ts";
import { WebSocketClient } from "./websocket_client.ts";

const at = (seconds: number) => formatTimeUs(Math.round(seconds * 1e6));
const ALL = { include_start_time_state: false, significant_changes_only: false };

/** A house whose recorder has not committed 1510 yet, at 1512. */
async function waiting(version: (typeof RECORDED)[number][0]) {
  const clock = { seconds: 1_000 };
  const ha = new SimulatedHomeAssistant({
    version,
    now: () => clock.seconds,
    commitIntervalMs: 100_000,
  }).start();
  clock.seconds = 1_390;
  ha.setState("sensor.a", "1");
  clock.seconds = 1_510;
  ha.setState("sensor.a", "2", { n: 1 });
  clock.seconds = 1_512;
  const client = await WebSocketClient.open(ha.url);
  client.send({ type: "auth", access_token: ha.token });
  await client.until((text) => text.includes("auth_ok"));
  return { ha, client, clock };
}

/** What comes until the answer to a ping, which is sent last. */
async function rest(client: WebSocketClient, id: number): Promise<string[]> {
  client.send({ id, type: "ping" });
  const texts: string[] = [];
  for (;;) {
    const text = await client.next();
    if (text === `{"id":${id},"type":"pong"}`) return texts;
    texts.push(text);
  }
}

const result = (id: number) => `{"id":${id},"type":"result","success":true,"result":null}`;
const event = (id: number, states: string, start: string, end: string) =>
  `{"id":${id},"type":"event","event":{"states":${states},"start_time":${start},"end_time":${end}}}`;

for (const [version] of RECORDED) {
  Deno.test(`A stream of ${version} tells what is committed, then what is behind it`, async () => {
    const { ha, client, clock } = await waiting(version);
    await using _ha = ha;
    await using _client = client;
    const parameters = { ...ALL, start_time: at(1_300), entity_ids: ["sensor.a"] };
    client.send({ id: 1, type: "history/stream", ...parameters });
    const second = version === "2024.3.3" ? "1390.0" : "1390.000001";
    assert.deepEqual(await rest(client, 2), [
      result(1),
      event(1, '{"sensor.a":[{"s":"1","a":{},"lu":1390.0}]}', "1300.0", "1390.0"),
      event(1, '{"sensor.a":[{"s":"2","a":{"n":1},"lu":1510.0}]}', second, "1510.0"),
    ]);
    // what has rows, all of them told, gets no second message
    client.send({ id: 3, type: "history/stream", ...parameters });
    assert.equal((await rest(client, 4)).length, 2);

    // live: after a moment, and together; a state that is new, or goes, is not told
    clock.seconds = 1_600;
    ha.setState("sensor.a", "3");
    ha.setState("sensor.a", "3", { n: 2 });
    ha.setState("sensor.b", "1");
    ha.removeState("sensor.b");
    const live = [await client.next(), await client.next()];
    const rows = JSON.stringify({ s: "3", a: {}, lu: 0 }).replace('"lu":0', '"lu":1600.0') +
      ',{"s":"3","a":{"n":2},"lu":1600.000001,"lc":1600.0}';
    const text = (id: number) =>
      `{"id":${id},"type":"event","event":{"states":{"sensor.a":[${rows}]}}}`;
    assert.deepEqual(live, [text(1), text(3)]);
    for (const subscription of [1, 3]) {
      const answer = await client.ask(subscription + 4, "unsubscribe_events", { subscription });
      assert.equal(answer, result(subscription + 4));
    }
    assert.match(await client.ask(8, "unsubscribe_events", { subscription: 1 }), /not_found/);
    ha.setState("sensor.a", "4");
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.deepEqual(await rest(client, 9), []);
  });

  Deno.test(`A stream of ${version} for an id without rows is a barrier`, async () => {
    const { ha, client } = await waiting(version);
    await using _ha = ha;
    await using _client = client;
    const parameters = { ...ALL, start_time: at(1_300), entity_ids: ["sensor.none"] };
    client.send({ id: 1, type: "history/stream", ...parameters });
    const second = version === "2024.3.3" ? "1300.0" : "1300.000001";
    assert.deepEqual(await rest(client, 2), [
      result(1),
      event(1, "{}", "1300.0", "1512.0"),
      event(1, "{}", second, "1512.0"),
    ]);
    // unsubscribed before the commit, it says nothing more
    ha.setState("sensor.a", "5");
    ha.recorder.hold();
    client.send({ id: 3, type: "history/stream", ...parameters });
    assert.equal((await rest(client, 4)).length, 2);
    assert.equal(await client.ask(5, "unsubscribe_events", { subscription: 3 }), result(5));
    ha.recorder.release();
    assert.deepEqual(await rest(client, 6), []);
  });

  Deno.test(`A stream of ${version} with an end in the past ends by itself`, async () => {
    const { ha, client, clock } = await waiting(version);
    await using _ha = ha;
    await using _client = client;
    const entity_ids = ["sensor.a", "sensor.none"];
    const parameters = { ...ALL, start_time: at(1_300), end_time: at(1_512), entity_ids };
    client.send({ id: 1, type: "history/stream", ...parameters });
    assert.deepEqual(await rest(client, 2), [
      result(1),
      event(1, '{"sensor.a":[{"s":"1","a":{},"lu":1390.0}]}', "1300.0", "1390.0"),
    ]);
    // no barrier, nothing live
    clock.seconds = 1_700;
    ha.setState("sensor.a", "3");
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.deepEqual(await rest(client, 3), []);
    const old = { ...parameters, start_time: at(1_701), end_time: at(1_702) };
    clock.seconds = 1_800;
    client.send({ id: 4, type: "history/stream", ...old, entity_ids: ["sensor.a"] });
    assert.deepEqual(await rest(client, 5), [result(4), event(4, "{}", "1701.0", "1702.0")]);
    // the first made a subscription, the second did not
    assert.equal(await client.ask(6, "unsubscribe_events", { subscription: 1 }), result(6));
    assert.match(await client.ask(7, "unsubscribe_events", { subscription: 4 }), /not_found/);
    for (
      const [wrong, code] of [
        [{ start_time: at(1_801) }, "invalid_start_time"],
        [{ end_time: at(1_299) }, "invalid_end_time"],
        [{ end_time: "x" }, "invalid_end_time"],
        [{ entity_ids: ["no id"] }, "invalid_entity_ids"],
      ] as const
    ) {
      const id = 10 + client.messages.length;
      assert.match(
        await client.ask(id, "history/stream", { ...parameters, ...wrong }),
        RegExp(code),
      );
    }
  });
}

Deno.test("A stream with an end to come tells nothing after it", async () => {
  await using ha = new SimulatedHomeAssistant().start();
  await using client = await WebSocketClient.subscribe(ha);
  ha.setState("sensor.a", "0");
  const now = ha.clock.seconds;
  await client.ask(3, "history/stream", {
    start_time: at(now - 60),
    end_time: at(now + 0.2),
    entity_ids: ["sensor.a"],
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  ha.setState("sensor.a", "1");
  await new Promise((resolve) => setTimeout(resolve, 400));
  const texts = await rest(client, 4);
  assert.equal(texts.filter((text) => text.startsWith('{"id":3')).length, 1);
});
