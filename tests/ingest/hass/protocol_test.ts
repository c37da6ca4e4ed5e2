import assert from "node:assert/strict";
import { memberText } from "../../../lib/json_text.ts";
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
  assert.equal(memberText(received.text, "event"), event);
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
