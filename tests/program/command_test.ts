import assert from "node:assert/strict";
import { ProgressLine } from "../../lib/program/command.ts";

Deno.test("Without a terminal progress is a line now and then, and never the same one again", () => {
  let written = "";
  const line = new ProgressLine({
    write: (text) => void (written += text),
    complain: assert.fail,
    columns: undefined,
    intervalMs: 1,
    lineIntervalMs: 0,
  });
  for (const text of ["0 of 2", "0 of 2", "1 of 2", "1 of 2"]) line.show(0, text);
  line.end("2 of 2");
  assert.equal(written, "0 of 2\n1 of 2\n2 of 2\n");
});
