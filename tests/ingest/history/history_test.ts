import assert from "node:assert/strict";
import fc from "fast-check";
import { eventSchema, stateChangedSchema } from "../../../lib/contract.ts";
import { elementTexts, members, memberText } from "../../../lib/json_text.ts";
import { historyUs, readHistory, stateChangedText } from "../../../lib/ingest/history/history.ts";
import { parseTimeUs } from "../../../lib/time.ts";
import { recordedFrames } from "../../recorded.ts";

Deno.test("historyUs rounds seconds to microseconds as Python does: half to even", () => {
  assert.equal(historyUs(1795456493.6198857), 1795456493619886);
  assert.equal(historyUs(1795456494.25), 1795456494250000);
  assert.equal(historyUs(0.0000005), 0, "half to even, down");
  assert.equal(historyUs(0.0000015), 2, "half to even, up");
  assert.equal(historyUs(-0.25), -250_000);
});

Deno.test("historyUs gives back every stamp that the recorder keeps as a float", () => {
  // Python: datetime.timestamp() is the nearest float of µs / 10⁶
  fc.assert(
    fc.property(fc.integer({ min: 1_000_000_000_000_000, max: 2_500_000_000_000_000 }), (us) => {
      assert.equal(historyUs(us / 1e6), us);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("readHistory reads every recorded answer, and each row becomes an event that holds the contract", () => {
  let rows = 0;
  for (const { file, text } of recordedFrames()) {
    if (file !== "history.jsonl") continue;
    for (const message of elementTexts(text)) {
      const result = memberText(message, "result");
      if (!result?.includes('"lu"')) continue;
      for (const [entityId, read] of readHistory(result).rows) {
        for (const [i, row] of read.entries()) {
          rows++;
          const event = eventSchema.parse(JSON.parse(stateChangedText(entityId, row, read[i - 1])));
          const { new_state, old_state } = stateChangedSchema.parse(event.data);
          assert.equal(new_state?.state ?? null, row.state);
          if (i > 0) assert.equal(old_state?.state ?? null, read[i - 1]?.state);
          assert.equal(parseTimeUs(event.time_fired), row.lastUpdatedUs);
        }
      }
    }
  }
  assert.ok(rows > 100, `${rows}`);
});

Deno.test("stateChangedText keeps the attributes byte for byte", () => {
  const attributes = '{"a":1.0,"big":9007199254740993}';
  const { rows } = readHistory(`{"sensor.a":[{"s":"1","a":${attributes},"lu":5.5}]}`);
  const [row] = rows.get("sensor.a") ?? [];
  assert.ok(row);
  assert.ok(stateChangedText("sensor.a", row, undefined).includes(`"attributes":${attributes}`));
});

Deno.test("stateChangedText tells what a state replaced, and since when that had held", () => {
  const { rows } = readHistory(
    '{"light.a":[{"s":"on","a":{"device_class":"x"},"lu":5.5,"lc":4.25},{"s":null,"a":{},"lu":9}]}',
  );
  const [on, removed] = rows.get("light.a") ?? [];
  assert.ok(on && removed);
  const { data } = JSON.parse(stateChangedText("light.a", removed, on));
  assert.equal(data.new_state, null);
  assert.equal(data.old_state.state, "on");
  assert.deepEqual(data.old_state.attributes, { device_class: "x" });
  assert.equal(data.old_state.last_changed, "1970-01-01T00:00:04.250000+00:00");
});

Deno.test("readHistory puts rows in order, whatever order they come in", () => {
  const { rows } = readHistory('{"a.b":[{"s":"2","lu":2.5},{"s":"1","lu":1.5}]}');
  assert.deepEqual(rows.get("a.b")?.map(({ state }) => state), ["1", "2"]);
});

Deno.test("readHistory counts a row that it cannot read, and loses no other", () => {
  const { rows, malformed } = readHistory('{"a.b":[{"s":5},{"s":"1","lu":1.5}],"c.d":[]}');
  assert.equal(malformed, 1);
  assert.equal(rows.get("a.b")?.length, 1);
  assert.deepEqual(rows.get("c.d"), []);
});

Deno.test("A recorded answer is read by its members, each with its own text", () => {
  assert.deepEqual([...members('{ "a" : [1, {"b":2}] , "c\\"" : "}" }')], [["a", '[1, {"b":2}]'], [
    'c"',
    '"}"',
  ]]);
});
