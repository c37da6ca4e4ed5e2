import assert from "node:assert/strict";
import { letterText, pageText } from "../../../lib/ingest/dead_letters/dead_letters_display.ts";

const LETTER = {
  seq: 1,
  event_type: "state_changed",
  entity_id: "sensor.a",
  reason: "field type\nconflict",
  refused_at: "2026-06-25T21:20:05.162Z",
  bytes: 1,
};

Deno.test("letterText shows a line that is no JSON as it is, and nothing that a terminal obeys", () => {
  const facts = `dead letter  1
event        state_changed sensor.a
fired        
refused      2026-06-25T21:20:05.162Z
reason       field type conflict
`;
  assert.equal(letterText({ ...LETTER, line: '{"n": 1.0' }), `${facts}{"n": 1.0\n`);
  assert.equal(
    letterText({ ...LETTER, line: '{"\\u001b":"\\u001b","__proto__":1.0,"d":"\x9b\x7f"}' }),
    `${facts}{\n  "\\u001b": "\\u001b",\n  "__proto__": 1.0,\n  "d": "  "\n}\n`,
  );
});

Deno.test("pageText says how many there are where all of them are newer than the page", () => {
  const page = { total: 2, older: 0, by_reason: [{ reason: "no", count: 2 }], letters: [] };
  assert.equal(
    pageText(page),
    "SEQ  REFUSED AT            EVENT  REASON\n\n2 dead letters, by reason:\n  2  no\n",
  );
});
