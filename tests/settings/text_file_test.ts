import assert from "node:assert/strict";
import { exists, readTextFile } from "../../lib/settings/text_file.ts";
import { TemporaryFolder } from "../temporary.ts";

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

Deno.test("A text file may begin with the mark of UTF-8; that it is UTF-16, or a folder, is said", () => {
  using folder = new TemporaryFolder();
  const file = folder.file("a");
  Deno.writeTextFileSync(file, "\ufeffA=1\n");
  assert.equal(readTextFile(file), "A=1\n");
  for (const bytes of [[0xff, 0xfe, 65, 0], [0xfe, 0xff, 0, 65]]) {
    Deno.writeFileSync(file, Uint8Array.from(bytes));
    assert.throws(() => readTextFile(file), /^Error: it is saved as UTF-16: save it as UTF-8$/);
  }
  assert.throws(() => readTextFile(folder.path), /^Error: it is a folder$/);
  assert.throws(() => readTextFile(folder.file("none")), /^Error: there is none$/);
});
