import assert from "node:assert/strict";
import { dirname, join, relative } from "node:path";

const ROOT = new URL("..", import.meta.url).pathname;

/** Every file of the programs with the project's own files that it imports. */
function imports(): Map<string, string[]> {
  const files = ["ingest.ts", "enrich.ts", "start.ts", ...walk("lib")];
  return new Map(files.map((file) => {
    const text = Deno.readTextFileSync(join(ROOT, file));
    const found = [...text.matchAll(/(?:from|import) ?\(?"(\.[^"]+)"/g)]
      .map(([, target = ""]) => relative(ROOT, join(ROOT, dirname(file), target)));
    return [file, found.filter((target) => target.endsWith(".ts"))];
  }));
}

function walk(folder: string): string[] {
  return [...Deno.readDirSync(join(ROOT, folder))].flatMap(({ name, isDirectory }) =>
    isDirectory ? walk(join(folder, name)) : name.endsWith(".ts") ? [join(folder, name)] : []
  );
}

const below = (file: string, folder: string) => file.startsWith(`lib/${folder}/`);
const common = (file: string) => /^lib\/[^/]+$/.test(file);

Deno.test("Imports point down: programs, then their own modules, then what both share", () => {
  const wrong: string[] = [];
  let seen = 0;
  for (const [file, targets] of imports()) {
    for (const target of targets) {
      seen++;
      const fine = common(file)
        ? common(target)
        : below(file, "ingest")
        ? common(target) || below(target, "ingest")
        : below(file, "enrich")
        ? common(target) || below(target, "enrich")
        : file === "start.ts"
        ? common(target)
        : common(target) || below(target, file.replace(".ts", "")) || below(target, "pages");
      if (!fine) wrong.push(`${file} imports ${target}`);
    }
  }
  assert.ok(seen > 50, `only ${seen} imports were found`);
  assert.deepEqual(wrong, []);
});

Deno.test("No module imports itself round about", () => {
  const graph = imports();
  const cycle = (file: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(file)) return [...path, file];
    for (const target of graph.get(file) ?? []) {
      const found = cycle(target, [...path, file]);
      if (found) return found;
    }
  };
  for (const file of graph.keys()) assert.equal(cycle(file, []), undefined);
});

Deno.test("Only config.ts reads the environment", () => {
  for (const file of imports().keys()) {
    const text = Deno.readTextFileSync(join(ROOT, file));
    if (file !== "lib/config.ts") assert.doesNotMatch(text, /Deno\.env|process\.env/, file);
  }
});
