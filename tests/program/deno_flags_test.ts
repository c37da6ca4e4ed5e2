import assert from "node:assert/strict";
import manifest from "../../deno.json" with { type: "json" };
import { NO_CODE_CACHE, V8_FLAGS } from "../../lib/program/deno_flags.ts";

Deno.test("V8 knows its flags: one that a release drops would keep both programs from starting", () => {
  const said = (flags: string) => {
    const { stderr } = new Deno.Command(Deno.execPath(), { args: ["eval", "--quiet", flags, ""] })
      .outputSync();
    return new TextDecoder().decode(stderr);
  };
  assert.equal(said(V8_FLAGS), "");
  assert.match(said(`${V8_FLAGS},--surprise`), /--surprise/);
});

Deno.test("Wherever the programs are compiled they are one bundle, and have the same flags of V8", () => {
  const file = (name: string) => Deno.readTextFileSync(new URL(`../../${name}`, import.meta.url));
  const texts = [
    manifest.tasks.compile.command,
    file("Dockerfile.ingest"),
    file("Dockerfile.enrich"),
  ];
  for (const text of texts) {
    assert.deepEqual([...text.matchAll(/--v8-flags=\S*/g)].map(([flags]) => flags), [V8_FLAGS]);
    // without what they never use, such as the messages of zod in 60 languages, and without comments:
    // V8 keeps the text of a program, at two bytes a character where one is not Latin-1
    assert.match(text, new RegExp(`deno compile .*--bundle --minify ${NO_CODE_CACHE} `));
  }
});
