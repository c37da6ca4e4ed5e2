import assert from "node:assert/strict";
import { exists } from "../../lib/settings/text_file.ts";

const HERE = new URL(import.meta.url).pathname;

Deno.test("exists says whether a file is there", () => {
  assert.equal(exists(HERE), true);
  assert.equal(exists(`${HERE}.none`), false);
});

Deno.test({
  name: "exists takes what may not be looked at for not there",
  permissions: { read: false },
  fn: () => assert.equal(exists(HERE), false),
});
