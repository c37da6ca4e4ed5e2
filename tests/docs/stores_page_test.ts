import assert from "node:assert/strict";
import { codeSpans, exists, page } from "./markdown.ts";

const ROOT = new URL("../../", import.meta.url);
const { text } = page("docs/stores.md");

Deno.test("Every test that docs/stores.md refers to is there", () => {
  const named = codeSpans(text).filter((code) => /^tests\/.*\.ts$/.test(code));
  assert.deepEqual(named.filter((path) => !exists(new URL(path, ROOT))), []);
  assert.ok(named.length > 10, `only ${named.length} are named`);
});

Deno.test("Each store of the table of docs/stores.md has a section", () => {
  const stores = [...text.matchAll(/^\| \[[^\]]+\]\(#([\w-]+)\)/gm)].map(([, anchor = ""]) =>
    anchor
  );
  const sections = [...text.matchAll(/^## (.*)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replaceAll(" ", "-")
  );
  assert.deepEqual(stores, sections);
});
