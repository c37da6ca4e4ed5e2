import assert from "node:assert/strict";
import fc from "fast-check";
import { globPattern } from "../lib/glob.ts";

Deno.test("globPattern reads a glob as Python's fnmatch", () => {
  const globs: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ["sensor.*_power", ["sensor.a_power", "sensor._power"], ["sensor.a_power2", "xsensor.a_power"]],
    ["*", ["", "a", "a\nb", "😀"], []],
    ["a**b", ["ab", "a.b"], ["a"]],
    ["?", ["a", "😀", "\n", "."], ["", "aa"]],
    ["light.A", ["light.A"], ["light.a", "lightxA"]],
    ["a.b", ["a.b"], ["axb", "a.b\n"]],
    ["[ab]c", ["ac", "bc"], ["c", "abc", "cc"]],
    ["[!ab]c", ["xc", "\nc"], ["ac", "c"]],
    ["[a-c]", ["a", "b", "c"], ["d", "-"]],
    ["[!a-c]", ["d", "-"], ["b"]],
    ["[a-]", ["a", "-"], ["b"]],
    ["[-a]", ["a", "-"], ["b"]],
    ["[a-c-e]", ["b", "-", "e"], ["d"]],
    ["[--0]", ["-", ".", "/", "0"], ["1", ","]],
    ["[]a]", ["]", "a"], ["[]a]", ""]],
    ["[!]a]", ["b"], ["]", "a"]],
    ["[^a]", ["^", "a"], ["b"]],
    ["[a^]", ["^", "a"], ["b"]],
    ["[[]", ["["], ["]"]],
    ["[c-a]", [], ["a", "b", "c", "-", ""]],
    ["[!c-a]", ["a", "b", "-"], ["", "ab"]],
    ["[xc-ay]", ["x", "y"], ["a", "c", "-"]],
    ["[\\d]", ["\\", "d"], ["1"]],
    ["[😀-😂]", ["😁"], ["\ude01", "-"]],
    ["[\ue000-😀]", ["\uf000"], ["\ud83d"]],
    ["[", ["["], [""]],
    ["[]", ["[]"], [""]],
    ["[!]", ["[!]"], ["a"]],
    ["[ab", ["[ab"], ["a"]],
    ["(a|b)+{1}^$/\\-", ["(a|b)+{1}^$/\\-"], ["a"]],
    ["", [""], ["a"]],
  ];
  for (const [glob, matching, others] of globs) {
    const pattern = globPattern(glob);
    for (const text of matching) assert.ok(pattern.test(text), `${glob} matches ${text}`);
    for (const text of others) assert.ok(!pattern.test(text), `${glob} does not match ${text}`);
  }
});

/** The same by trying everything: only for short ones. */
function matches(glob: string, text: string): boolean {
  if (glob === "") return text === "";
  if (glob.startsWith("*")) {
    return matches(glob.slice(1), text) || (text !== "" && matches(glob, text.slice(1)));
  }
  const isSame = text !== "" && (glob.startsWith("?") || glob[0] === text[0]);
  return isSame && matches(glob.slice(1), text.slice(1));
}

Deno.test("globPattern finds what several * find, without trying every way", () => {
  const of = (...characters: string[]) =>
    fc.array(fc.constantFrom(...characters), { maxLength: 9 }).map((all) => all.join(""));
  fc.assert(
    fc.property(of("a", "b", "*", "?"), of("a", "b"), (glob, text) => {
      assert.equal(globPattern(glob).test(text), matches(glob, text));
    }),
    { numRuns: 5_000 },
  );
  const begun = performance.now();
  assert.equal(globPattern(`${"*a".repeat(20)}*b`).test("a".repeat(255)), false);
  assert.ok(performance.now() - begun < 5_000);
});
