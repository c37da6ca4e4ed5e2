import assert from "node:assert/strict";
import { listedFirst, listedIn } from "../../../lib/enrich/rules/attribute_lists.ts";

Deno.test("listedIn takes exact names before globs, and include before exclude", () => {
  const listed = listedIn({
    include: ["*_list", "both", "next_event"],
    exclude: ["media_*", "effect_list", "both", "*_event"],
  });
  assert.equal(listed("source_list"), "include");
  assert.equal(listed("effect_list"), "exclude");
  assert.equal(listed("both"), "include");
  assert.equal(listed("media_title"), "exclude");
  assert.equal(listed("media_list"), "include");
  assert.equal(listed("next_event"), "include");
  assert.equal(listed("temperature"), undefined);
});

Deno.test("listedIn of * and some names is those names alone", () => {
  const listed = listedIn({ include: ["brightness"], exclude: ["*"] });
  assert.deepEqual(["brightness", "rgb_color"].map(listed), ["include", "exclude"]);
});

Deno.test("listedFirst asks the second list where the first says nothing", () => {
  const own = listedIn({ include: ["a"], exclude: [] });
  const all = listedIn({ include: [], exclude: ["a", "b"] });
  assert.deepEqual(["a", "b", "c"].map(listedFirst(own, all)), ["include", "exclude", undefined]);
});
