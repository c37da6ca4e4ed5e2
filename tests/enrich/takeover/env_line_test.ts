import assert from "node:assert/strict";
import util from "node:util";
import fc from "fast-check";
import { envLine } from "../../../lib/enrich/takeover/env_line.ts";

Deno.test("envLine quotes what needs it, so that all programs read the same", () => {
  const lines = ["home", "http://a:8086/x", "", "of mine", "a#b", "a$b", 'a"b', "a\\b", "it's"]
    .map((value) => envLine("N", value));
  assert.deepEqual(lines, [
    "N=home",
    "N=http://a:8086/x",
    "N=",
    "N='of mine'",
    "N='a#b'",
    "N='a$b'",
    `N='a"b'`,
    "N='a\\b'",
    `N="it's"`,
  ]);
});

Deno.test("envLine writes no line that some read otherwise", () => {
  for (
    const value of [
      `it's "it"`,
      "it's $5",
      "ends in \\",
      "two \\\\",
      "two\nlines",
      "it's `x`",
      "a${b}c",
    ]
  ) {
    assert.equal(envLine("N", value), undefined, value);
  }
});

Deno.test("What envLine writes is read as it was", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (value) => {
    const line = envLine("N", value);
    if (line !== undefined) assert.equal(util.parseEnv(`A=1\n${line}\nB=2\n`).N, value);
  }));
});
