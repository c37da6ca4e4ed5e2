import assert from "node:assert/strict";
import { codeOf } from "./markdown.ts";

const ROOT = new URL("../../", import.meta.url);
const TEXT = Deno.readTextFileSync(new URL("docs/architecture.md", ROOT));

/** Every folder below the given one. */
function folders(below: string): string[] {
  return [...Deno.readDirSync(new URL(`${below}/`, ROOT))].filter(({ isDirectory }) => isDirectory)
    .flatMap(({ name }) => [`${below}/${name}`, ...folders(`${below}/${name}`)]);
}

Deno.test("Every file and folder that docs/architecture.md names exists", () => {
  const named = codeOf(TEXT).filter((code) => /^[\w.]+(?:\/[\w.]+)*\/?$/.test(code))
    .filter((code) => code.includes("/") || /\.(?:ts|yaml|example)$/.test(code));
  assert.ok(named.length > 40, `only ${named.length} are named`);
  const missing = named.filter((path) => {
    try {
      Deno.statSync(new URL(path, ROOT));
      return false;
    } catch {
      return true;
    }
  });
  assert.deepEqual(missing, []);
});

Deno.test("docs/architecture.md names every room", () => {
  const rooms = folders("lib").filter((folder) => !["lib/ingest", "lib/enrich"].includes(folder));
  assert.ok(rooms.length > 15, `only ${rooms.length} rooms`);
  assert.deepEqual(rooms.filter((room) => !TEXT.includes(`\`${room}\``)), []);
});
