import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { eventSchema, stateChangedSchema } from "../../lib/contract.ts";
import { memberText } from "../../lib/json_text.ts";
import { SimulatedHomeAssistant } from "./home_assistant.ts";
import { LivingHouse } from "./living_house.ts";
import { HOUSE } from "./sample_house.ts";
import { WebSocketClient } from "./websocket_client.ts";

function simulate(
  options: ConstructorParameters<typeof SimulatedHomeAssistant>[0] = {},
): SimulatedHomeAssistant {
  return new SimulatedHomeAssistant(options).start();
}

/** Repeatable numbers from 0 to 1 (Lehmer's generator). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => (state = state * 48271 % 2147483647) / 2147483647;
}

for (const coalesce of [true, false]) {
  const how = coalesce ? "in arrays" : "one by one";
  Deno.test(`Simulation sends 10,000 events ${how}, each as it was fired and in order`, async () => {
    await using ha = simulate({ recorder: false });
    await using client = await WebSocketClient.subscribe(ha, coalesce);
    const [events] = await Promise.all([
      client.events(10_001),
      ha.burst({ n: 10_000, entities: 200, batch: 100, paced: true }),
    ]);
    assert.deepEqual(events, ha.fired.map(({ text }) => text));
    assert.equal(ha.bus.count, 10_001);
    assert.equal(client.arrays > 0, coalesce);
    const [first] = events;
    const message = `{"type":"event","event":${first},"id":2}`;
    assert.ok(client.messages.includes(message));
  });
}

Deno.test("Simulation stamps events at strictly increasing microseconds", () => {
  const ha = simulate({ recorder: false });
  for (let i = 0; i < 5_000; i++) ha.setState("sensor.a", String(i));
  const times = ha.fired.map(({ timeFiredUs }) => timeFiredUs);
  assert.ok(times.every((time, i) => i === 0 || time > times[i - 1]));
  const { text, timeFired } = ha.fired[0];
  assert.equal(JSON.parse(text).data.new_state.last_updated, timeFired);
  return ha.stop();
});

Deno.test("Simulation fires nothing for an identical state, unless forced to", async () => {
  await using ha = simulate();
  const set = (state: string, attributes: Record<string, unknown>) =>
    ha.setState("sensor.a", state, attributes);
  assert.equal(set("1", { a: 1, b: [2] }), true);
  assert.equal(set("1", { b: [2], a: 1 }), false);
  assert.equal(ha.fired.length, 1);
  assert.equal(set("1", { a: 2 }), true);
  ha.setState("sensor.a", "1", { a: 2 }, { forceUpdate: true });
  assert.equal(ha.removeState("sensor.a"), true);
  assert.equal(ha.removeState("sensor.a"), false);
  const [, attributesOnly, forced, removed] = ha.fired
    .map(({ text }) => JSON.parse(text).data);
  assert.ok(
    attributesOnly.new_state.last_changed <
      attributesOnly.new_state.last_updated,
  );
  assert.equal(forced.new_state.last_changed, forced.new_state.last_updated);
  assert.equal(removed.new_state, null);
});

Deno.test("Simulation cuts off a client with more than 4,096 messages waiting", async () => {
  await using ha = simulate({ recorder: false });
  const fire = (count: number) => {
    for (let i = 0; i < count; i++) ha.fire("tick", { i });
  };
  await using client = await WebSocketClient.subscribe(ha);
  fire(4_000);
  assert.equal((await client.events(4_000)).length, 4_000);
  fire(4_100);
  const { code, wasClean } = await client.ended;
  assert.notEqual(code, 1000);
  assert.equal(wasClean, false);
});

Deno.test("Simulation cuts sockets without a close frame", async () => {
  await using ha = simulate();
  await using client = await WebSocketClient.subscribe(ha);
  ha.cutClients();
  assert.equal((await client.ended).wasClean, false);
  await using again = await WebSocketClient.subscribe(ha);
  assert.equal(again.messages.length, 4);
});

Deno.test("Simulation that hangs answers after it resumes, and not before", async () => {
  await using ha = simulate();
  await using client = await WebSocketClient.subscribe(ha);
  ha.hang();
  client.send({ id: 3, type: "ping" });
  ha.fire("unheard");
  // what a second client asks is not answered either: its upgrade is
  const second = WebSocketClient.subscribe(ha);
  const count = client.messages.length;
  const first = await Promise.race([
    client.next(),
    new Promise((resolve) => setTimeout(resolve, 30, "silence")),
  ]);
  assert.equal(first, "silence");
  assert.equal(client.messages.length, count);
  ha.resume();
  await using _ = await second;
  await client.until((text) => text.includes("pong"));
});

/** A bare connection that has asked for a WebSocket, and been greeted. */
async function upgrade(ha: SimulatedHomeAssistant) {
  const socket = connect(ha.port, "127.0.0.1");
  socket.write(
    "GET /api/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n" +
      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  const received: string[] = [];
  socket.on("data", (data) => received.push(data.toString("latin1")));
  const until = async (text: string) => {
    while (!received.join("").includes(text)) await once(socket, "data");
  };
  await until("auth_required");
  return { socket, received, until };
}

/** A frame as clients send it: masked. */
function clientFrame(firstByte: number, payload: string): Uint8Array {
  const mask = [1, 2, 3, 4];
  const bytes = [...new TextEncoder().encode(payload)]
    .map((byte, i) => byte ^ mask[i % 4]);
  return Uint8Array.of(firstByte, 0x80 | bytes.length, ...mask, ...bytes);
}

Deno.test("Simulation answers pings, and puts fragments together, even byte by byte", async () => {
  await using ha = simulate();
  const { socket, received, until } = await upgrade(ha);
  assert.match(
    received.join(""),
    /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/,
  );
  const auth = JSON.stringify({ type: "auth", access_token: ha.token });
  const bytes = [
    ...clientFrame(0x01, auth.slice(0, 9)),
    ...clientFrame(0x89, "hello"),
    ...clientFrame(0x00, auth.slice(9, 20)),
    ...clientFrame(0x80, auth.slice(20)),
  ];
  for (const byte of bytes) socket.write(Uint8Array.of(byte));
  await until("\x8a\x05hello");
  await until("auth_ok");
  socket.destroy();
});

Deno.test("Simulation of a half-open socket sends nothing, not even the answer to a close", async () => {
  await using ha = simulate();
  const { socket, received, until } = await upgrade(ha);
  const auth = JSON.stringify({ type: "auth", access_token: ha.token });
  socket.write(clientFrame(0x81, auth));
  socket.write(clientFrame(0x81, '{"id":1,"type":"subscribe_events"}'));
  await until('"success":true');
  const before = received.join("");
  ha.halfOpen();
  socket.write(clientFrame(0x89, "hello"));
  socket.write(clientFrame(0x88, ""));
  await using alive = await WebSocketClient.subscribe(ha);
  ha.fire("heard");
  assert.match((await alive.events(1))[0], /heard/);
  assert.equal(received.join(""), before);
  assert.equal(socket.readyState, "open");
  socket.destroy();
});

Deno.test("Simulation takes and sends frames of more than 64 KiB", async () => {
  await using ha = simulate();
  await using client = await WebSocketClient.open(ha.url);
  client.send({ type: "auth", access_token: ha.token });
  const long = "x".repeat(70_000);
  client.send({ id: 1, type: "subscribe_events", event_type: long });
  await client.until((text) => text.includes('"success":true'));
  const event = ha.fire(long, { long });
  assert.equal((await client.events(1))[0], event.text);
});

Deno.test("Simulation answers subscribe_events late where that is asked", async () => {
  await using ha = simulate();
  ha.slowSubscribe(20);
  await using client = await WebSocketClient.open(ha.url);
  client.send({ type: "auth", access_token: ha.token });
  client.send({ id: 1, type: "subscribe_events" });
  client.send({ id: 2, type: "ping" });
  await client.until((text) => text.includes("auth_ok"));
  assert.match(await client.next(), /pong/);
  assert.equal(ha.subscriberCount, 0);
  assert.equal(memberText(await client.next(), "id"), "1");
  assert.equal(ha.subscriberCount, 1);
  assert.deepEqual(ha.received.map(({ type }) => type), [
    "subscribe_events",
    "ping",
  ]);
});

Deno.test("Simulation answers REST below its prefix, to those who have the token", async () => {
  await using ha = simulate({ prefix: "/hass" });
  const call = async (path: string, token = ha.token, method = "GET") => {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`http://127.0.0.1:${ha.port}${path}`, {
      method,
      headers,
      body: method === "POST" ? '{ "state": "on" }' : undefined,
    });
    return [response.status, await response.text()];
  };
  assert.deepEqual(await call("/hass/api/"), [
    200,
    '{"message":"API running."}',
  ]);
  assert.equal((await call("/hass/api/", "wrong"))[0], 401);
  assert.equal((await call("/api/"))[0], 404);
  const path = "/hass/api/states/light.a";
  assert.equal((await call(path, ha.token, "POST"))[0], 201);
  assert.equal((await call(path, ha.token, "POST"))[0], 200);
  assert.equal((await call(path, ha.token, "DELETE"))[0], 200);
  assert.equal((await call(path, ha.token, "DELETE"))[0], 404);
  await using _ = await WebSocketClient.subscribe(ha);
});

Deno.test("Recorder shows rows after its commit, without what is not recorded", async () => {
  let seconds = 1_000;
  await using ha = simulate({
    house: HOUSE,
    commitIntervalMs: 5_000,
    now: () => seconds,
  });
  await using client = await WebSocketClient.subscribe(ha);
  const history = async (id: number, entityIds: readonly string[]) => {
    client.send({
      id,
      type: "history/history_during_period",
      start_time: "1970-01-01T00:16:41+00:00",
      entity_ids: entityIds,
      include_start_time_state: false,
    });
    const answer = await client.until((text) => memberText(text, "id") === String(id));
    return memberText(answer, "result") ?? answer;
  };
  seconds = 1_001.5;
  ha.setState("light.ceiling", "on", { brightness: 9, friendly_name: "Lamp" });
  ha.setState("sensor.big", "1", { text: "x".repeat(17_000) });
  assert.equal(await history(3, ["light.ceiling"]), "{}");
  seconds = 1_005;
  assert.equal(
    await history(4, ["light.ceiling", "sensor.big"]),
    '{"light.ceiling":[{"s":"on","a":{"friendly_name":"Lamp"},"lu":1001.5}],' +
      '"sensor.big":[{"s":"1","a":{},"lu":1001.500001}]}',
  );
  assert.match(await history(5, ["sensor.big", "no id"]), /invalid_entity_ids/);
});

Deno.test("Living house fires sound events, and is what it was after a restart", async () => {
  await using ha = simulate({ house: HOUSE });
  const house = new LivingHouse(ha, { random: seeded(7) });
  for (let i = 0; i < 1_000; i++) house.happen();
  const types = new Set(ha.fired.map(({ eventType }) => eventType));
  assert.deepEqual([...types].sort(), ["call_service", "state_changed"]);
  assert.ok(ha.bus.count >= 950, `${ha.bus.count} events`);
  const touched = new Set<string>();
  for (const { text } of ha.fired) {
    const { event_type, data } = eventSchema.parse(JSON.parse(text));
    if (event_type !== "state_changed") continue;
    const { entity_id, new_state } = stateChangedSchema.parse(data);
    touched.add(entity_id);
    assert.match(new_state?.state ?? "", /^[a-z_]+$|^-?\d+(\.\d+)?$/);
  }
  assert.ok(touched.size >= 25, [...touched].join());
  const states = () =>
    Object.fromEntries(
      ha.states.all().map(({ entityId, state, attributes }) =>
        [entityId, [state, attributes]] as const
      ),
    );
  const before = states();
  await ha.restart({ downMs: 1, startingMs: 1 });
  assert.deepEqual(states(), before);
  const ended = new AbortController();
  const lived = new LivingHouse(ha, { eventsPerMinute: 1e6 }).run(ended.signal);
  ended.abort();
  await lived;
});

Deno.test("Simulation that is down throws where it is to change", async () => {
  const ha = new SimulatedHomeAssistant();
  assert.throws(() => ha.setState("sensor.a", "1"), /is down/);
  ha.start();
  const port = ha.port;
  await ha.stop();
  assert.throws(() => ha.fire("late"), /is down/);
  await assert.rejects(WebSocketClient.open(ha.url));
  await using _ = ha.start();
  assert.equal(ha.port, port);
});
