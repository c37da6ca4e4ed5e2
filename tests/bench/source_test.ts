import assert from "node:assert/strict";
import * as z from "zod";
import { Source } from "../../bench/source.ts";
import { stateChangedSchema } from "../../lib/contract.ts";
import { elementTexts, memberText } from "../../lib/json_text.ts";
import { parseTimeUs } from "../../lib/time.ts";
import { until } from "../until.ts";

const eventSchema = z.object({ data: stateChangedSchema, time_fired: z.string() });
const UNTIL = { limitMs: 60_000 };

/** A reader that has subscribed to all events; `frames` is what came since. */
async function readerOf(source: Source) {
  const subscribed = source.nextSubscription();
  const socket = new WebSocket(`${source.hass.url.replace("http", "ws")}/api/websocket`);
  const frames: string[] = [];
  socket.onmessage = ({ data }) => frames.push(String(data));
  const send = (message: object) => socket.send(JSON.stringify(message));
  socket.onopen = () => {
    send({ type: "auth", access_token: source.hass.token });
    send({ id: 1, type: "supported_features", features: { coalesce_messages: 1 } });
    send({ id: 2, type: "subscribe_events" });
  };
  await subscribed;
  const closed = new Promise((resolve) => socket.onclose = resolve);
  return {
    frames,
    events: () => frames.flatMap(elementTexts).flatMap((text) => memberText(text, "event") ?? []),
    closed,
    close: async () => {
      socket.close();
      await closed;
    },
  };
}

Deno.test("The source's events are numbered, of a real one's size, and each replaces the one before it", async () => {
  await using source = await Source.start();
  const reader = await readerOf(source);
  const fired = await source.fire({ count: 1_000, perSecond: 0 });
  await until(() => reader.events().length === 1_000, "all have come", UNTIL);
  assert.deepEqual([fired.first, fired.count, fired.cutOffs], [0, 1_000, 0]);
  const last = new Map<string, string | undefined>();
  let beforeUs = 0;
  for (const [i, text] of reader.events().entries()) {
    assert.ok(text.length > 1_000 && text.length < 1_400, `${text.length} characters`);
    const { data: { entity_id, new_state, old_state }, time_fired } = eventSchema.parse(
      JSON.parse(text),
    );
    assert.equal(new_state?.state, String(1_000_000 + i));
    assert.equal(new_state.last_updated, time_fired);
    if (last.has(entity_id)) assert.equal(old_state?.last_updated, last.get(entity_id));
    last.set(entity_id, time_fired);
    const us = parseTimeUs(time_fired) ?? 0;
    assert.ok(us > beforeUs);
    beforeUs = us;
  }
  assert.equal(beforeUs, fired.lastUs);
  assert.equal(last.size, 200);
  // messages that wait at the same time come in one frame, as an array
  assert.ok(reader.frames.length < 100, `${reader.frames.length} frames`);
  assert.equal(source.next, 1_000);
  await reader.close();
});

Deno.test("The source keeps the pace that it is asked for", async () => {
  await using source = await Source.start();
  const reader = await readerOf(source);
  const { firstUs, lastUs, count } = await source.fire({ count: 200, perSecond: 500 });
  assert.ok((lastUs - firstUs) / 1e6 >= (count - 1) / 500 * 0.95, `${lastUs - firstUs} µs`);
  await reader.close();
});

Deno.test("The source cuts off a reader that does not keep up, and says so", async () => {
  await using source = await Source.start();
  const reader = await readerOf(source);
  const load = { count: 60_000, perSecond: 60_000 };
  const firing = source.fire(load);
  // this thread reads nothing meanwhile
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000);
  const fired = await firing;
  assert.equal(fired.cutOffs, 1);
  assert.ok(fired.mostPending >= 4_000, `${fired.mostPending} were pending`);
  await reader.closed;
  assert.ok(reader.events().length < load.count);
});
