import assert from "node:assert/strict";
import { memberText } from "../../../lib/json_text.ts";
import { envelopeLine } from "../../../lib/ingest/outbox/envelope.ts";
import { lastIntervalUs } from "../../../lib/ingest/capture/state_snapshots.ts";

Deno.test("envelopeLine keeps the event byte for byte, and leaves out what is not known", () => {
  const event = '{"n":1.0,"big":9007199254740993}';
  assert.equal(
    envelopeLine(event, { registry: undefined, source: undefined }),
    `{"event":${event}}`,
  );
  const line = envelopeLine(event, {
    registry: { name: "A", area: undefined },
    source: "house",
    via: "history",
  });
  assert.equal(line, `{"event":${event},"registry":{"name":"A"},"source":"house","via":"history"}`);
  assert.equal(memberText(line, "event"), event);
});

Deno.test("envelopeLine is one line, whatever white space stands between the tokens", () => {
  const line = envelopeLine('{\r\n "a": "\\n"\n}', { registry: undefined, source: undefined });
  assert.doesNotMatch(line, /[\r\n]/);
  assert.deepEqual(JSON.parse(line), { event: { a: "\n" } });
});

Deno.test("lastIntervalUs is the full interval that began last", () => {
  assert.equal(lastIntervalUs(7_199_999_999, 60), 3_600_000_000);
  assert.equal(lastIntervalUs(7_200_000_000, 60), 7_200_000_000);
});
