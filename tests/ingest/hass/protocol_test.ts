import assert from "node:assert/strict";
import { elementTexts, memberText } from "../../../lib/json_text.ts";
import { isRegistryEvent, readFrame, webSocketUrl } from "../../../lib/ingest/hass/protocol.ts";
import { recordedFrames } from "../../recorded.ts";

Deno.test("readFrame reads every frame that a real Home Assistant sent, and each event byte for byte", () => {
  let events = 0;
  for (const { file, text } of recordedFrames()) {
    for (const received of readFrame(text)) {
      assert.equal(received.kind, "message", `${file}: ${text.slice(0, 200)}`);
      if (received.kind !== "message" || received.message.type !== "event") continue;
      events++;
      assert.ok(text.includes(received.text));
      assert.ok(received.text.startsWith("{") && received.text.endsWith("}"));
    }
  }
  assert.ok(events > 400, `${events}`);
});

Deno.test("readFrame keeps numbers as they were written", () => {
  const event = '{"event_type":"x","data":{"a":1.0,"b":9007199254740993},"time_fired":"t"}';
  const [received] = readFrame(`{"type":"event","event":${event},"id":2}`);
  assert.ok(received?.kind === "message");
  assert.equal(received.text, event);
});

/** What a frame says, told by the scanner alone. */
function scanned(frame: string): unknown[] {
  return elementTexts(frame).map((text) => {
    const { id, type } = JSON.parse(text);
    return { id, type, text: type === "event" ? memberText(text, "event") : text };
  });
}

function read(frame: string): unknown[] {
  return readFrame(frame).map((received) => {
    assert.ok(received.kind === "message", JSON.stringify(received));
    const { message, text } = received;
    return { id: "id" in message ? message.id : undefined, type: message.type, text };
  });
}

Deno.test("readFrame reads the same of a frame of many events as the scanner does", () => {
  const texts = [...recordedFrames()].map(({ text }) => text).filter((text) =>
    text.startsWith('{"type":"event"')
  );
  assert.ok(texts.length > 150, `${texts.length}`);
  const frame = `[${texts.join(",")}]`;
  assert.deepEqual(read(frame), scanned(frame));
});

Deno.test("readFrame is not misled by an event that holds what stands between two events", () => {
  const event = (data: string) => `{"event_type":"x","data":${data},"time_fired":"t"}`;
  const message = (data: string) => `{"type":"event","event":${event(data)},"id":2}`;
  const between = '},{"type":"event","event":{';
  for (
    const data of [
      `{"list":[{"a":1},${message("{}")}]}`,
      `{"list":[${message("{}")},${message("{}")}]}`,
      JSON.stringify({ text: between }),
      `{"id":7,"last":{"a":[],"id":8}}`,
    ]
  ) {
    const frame = `[${message("{}")},${message(data)},${message("{}")}]`;
    assert.deepEqual(read(frame), scanned(frame), data);
    assert.deepEqual(read(message(data)), scanned(message(data)), data);
  }
});

Deno.test("readFrame takes the last of two members of one name, as JSON.parse does", () => {
  const frame = '[{"type":"event","event":{"a":1},"event":{"event_type":"x","data":{}},"id":2}]';
  assert.deepEqual(read(frame), [
    { id: 2, type: "event", text: '{"event_type":"x","data":{}}' },
  ]);
});

Deno.test("readFrame loses no event beside one that cannot be read", () => {
  const message = (event: string) => `{"type":"event","event":${event},"id":2}`;
  const good = message('{"event_type":"x","data":{},"time_fired":"t"}');
  for (const bad of ["5", "{]", '{"a":01}', '"text"']) {
    const kinds = readFrame(`[${good},${message(bad)},${good}]`).map(({ kind }) => kind);
    assert.equal(kinds.filter((kind) => kind === "malformed").length, 1, bad);
    assert.deepEqual([kinds[0], kinds.at(-1)], ["message", "message"], bad);
  }
});

Deno.test("readFrame loses no neighbour of a message that cannot be read", () => {
  const frame = '[{"id":1,"type":"pong"},{"type":"surprise"},7,{"id":2,"type":"pong"}]';
  assert.deepEqual(readFrame(frame).map(({ kind }) => kind), [
    "message",
    "malformed",
    "malformed",
    "message",
  ]);
  assert.deepEqual(readFrame("nonsense").map(({ kind }) => kind), ["malformed"]);
  assert.deepEqual(readFrame('{"id":1,"type":"event"}').map(({ kind }) => kind), ["malformed"]);
});

Deno.test("readFrame takes an event whatever its data are: what it means is enrich's business", () => {
  for (const data of ["{}", "null", "[1]", '{"entity_id":["a","b"]}', '{"new_state":5}']) {
    const [received] = readFrame(`{"type":"event","event":{"event_type":5,"data":${data}},"id":2}`);
    assert.equal(received?.kind, "message", data);
  }
});

Deno.test("webSocketUrl keeps host, port and path prefix", () => {
  assert.equal(webSocketUrl("http://a:8123"), "ws://a:8123/api/websocket");
  assert.equal(webSocketUrl("https://a/home/"), "wss://a/home/api/websocket");
  assert.equal(webSocketUrl("ws://a:1/api/websocket"), "ws://a:1/api/websocket");
  assert.equal(webSocketUrl("http://supervisor/core"), "ws://supervisor/core/api/websocket");
});

Deno.test("isRegistryEvent knows the five registries", () => {
  assert.ok(isRegistryEvent("floor_registry_updated"));
  assert.ok(!isRegistryEvent("state_changed"));
});
