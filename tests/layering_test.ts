import assert from "node:assert/strict";
import { basename, dirname, extname, join, relative } from "node:path";

const ROOT = new URL("..", import.meta.url).pathname;

/**
 * The rooms, floor by floor: a file imports from its own room and from rooms on lower floors. A
 * folder is one room; a file that stands beside folders is a room of its own.
 */
const FLOORS: readonly (readonly string[])[] = [
  ["ingest.ts", "enrich.ts", "start.ts"],
  // ingest
  ["lib/ingest/ingest_metrics.ts"],
  ["lib/ingest/ingest_report.ts"],
  ["lib/ingest/ingest_health.ts"],
  ["lib/ingest/capture"],
  [
    "lib/ingest/history",
    "lib/ingest/delivery",
    "lib/ingest/statistics",
    "lib/ingest/dead_letters",
    "lib/ingest/recovery",
    "lib/ingest/check",
  ],
  ["lib/ingest/outbox", "lib/ingest/hass"],
  // enrich
  ["lib/enrich/enrich_report.ts", "lib/enrich/commands", "lib/enrich/takeover"],
  ["lib/enrich/receiver.ts", "lib/enrich/open_store.ts"],
  ["lib/enrich/enriched.ts"],
  ["lib/enrich/schema.ts"],
  [
    "lib/enrich/tidy",
    "lib/enrich/homeassistant",
    "lib/enrich/rules",
    "lib/enrich/victoriametrics",
  ],
  ["lib/enrich/influxdb", "lib/enrich/local"],
  [
    "lib/enrich/event_counters.ts",
    "lib/enrich/event_id.ts",
    "lib/enrich/event_problem.ts",
    "lib/enrich/never_stored.ts",
    "lib/enrich/point_limits.ts",
    "lib/enrich/recent.ts",
  ],
  ["lib/enrich/store.ts", "lib/enrich/plain_event.ts"],
  // both
  ["lib/pages"],
  ["lib/program"],
  ["lib/serve"],
  ["lib/settings"],
  // the ground
  ["lib/contract.ts", "lib/sqlite.ts"],
  ["lib/data_dir.ts"],
  [
    "lib/disk.ts",
    "lib/glob.ts",
    "lib/in_turns.ts",
    "lib/json_text.ts",
    "lib/time.ts",
    "lib/retry.ts",
    "lib/log.ts",
    "lib/certificates.ts",
  ],
];
const FLOOR_OF = new Map(FLOORS.flatMap((rooms, floor) => rooms.map((room) => [room, floor])));

/** Every file of the programs with the project's own files that it imports. */
function imports(): Map<string, string[]> {
  const files = ["ingest.ts", "enrich.ts", "start.ts", ...walk("lib")]
    .filter((file) => file.endsWith(".ts"));
  return new Map(files.map((file) => {
    const text = Deno.readTextFileSync(join(ROOT, file));
    const found = [...text.matchAll(/(?:from|import) ?\(?"(\.[^"]+)"/g)]
      .map(([, target = ""]) => relative(ROOT, join(ROOT, dirname(file), target)));
    return [file, found.filter((target) => target.endsWith(".ts"))];
  }));
}

function walk(folder: string): string[] {
  return [...Deno.readDirSync(join(ROOT, folder))].flatMap(({ name, isDirectory }) =>
    isDirectory ? walk(join(folder, name)) : [join(folder, name)]
  );
}

function roomOf(file: string): string {
  return FLOOR_OF.has(file) ? file : dirname(file);
}

/** `ingest`, `enrich`, or undefined for what both have. */
function programOf(room: string): string | undefined {
  return /^(?:lib\/)?(ingest|enrich)\b/.exec(room)?.[1];
}

/** Why the import is not allowed. */
function faultOf(file: string, target: string): string | undefined {
  const [room, other] = [roomOf(file), roomOf(target)];
  const [floor, otherFloor] = [FLOOR_OF.get(room), FLOOR_OF.get(other)];
  if (floor === undefined || otherFloor === undefined) return "is in no room";
  if (room === other) return undefined;
  const [program, otherProgram] = [programOf(room), programOf(other)];
  if (otherProgram !== undefined && program !== otherProgram) return "is the other program's";
  return otherFloor > floor ? undefined : "is not on a lower floor";
}

Deno.test("Imports point down, from room to room, and neither program knows the other", () => {
  const wrong: string[] = [];
  const used = new Set<string>();
  for (const [file, targets] of imports()) {
    used.add(roomOf(file));
    for (const target of targets) {
      const fault = faultOf(file, target);
      if (fault) wrong.push(`${file} imports ${target}, which ${fault}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.deepEqual([...FLOOR_OF.keys()].filter((room) => !used.has(room)), [], "empty rooms");
});

Deno.test("The rule of the floors sees an import that points up, sideways, or to the other program", () => {
  assert.match(String(faultOf("lib/retry.ts", "lib/contract.ts")), /lower/);
  assert.match(String(faultOf("lib/ingest/hass/x.ts", "lib/ingest/outbox/y.ts")), /lower/);
  assert.match(String(faultOf("lib/ingest/hass/x.ts", "lib/enrich/store.ts")), /other/);
  assert.match(String(faultOf("lib/serve/x.ts", "lib/enrich/store.ts")), /other/);
  assert.match(String(faultOf("lib/new/x.ts", "lib/retry.ts")), /no room/);
  assert.equal(faultOf("lib/ingest/capture/x.ts", "lib/ingest/outbox/y.ts"), undefined);
});

Deno.test("No module imports itself round about", () => {
  const graph = imports();
  const done = new Set<string>();
  const cycle = (file: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(file)) return [...path, file];
    if (done.has(file)) return undefined;
    for (const target of graph.get(file) ?? []) {
      const found = cycle(target, [...path, file]);
      if (found) return found;
    }
    done.add(file);
  };
  for (const file of graph.keys()) assert.equal(cycle(file, []), undefined);
});

Deno.test("Only environment.ts reads the environment", () => {
  for (const file of imports().keys()) {
    const text = Deno.readTextFileSync(join(ROOT, file));
    if (file !== "lib/settings/environment.ts") {
      assert.doesNotMatch(text, /Deno\.env|process\.env/, file);
    }
  }
});

Deno.test("zod comes as a namespace, of which a bundle leaves out what no schema names", () => {
  for (const file of imports().keys()) {
    const text = Deno.readTextFileSync(join(ROOT, file));
    // in any other form its messages in 60 languages come along, 10 MB in the memory of each program
    for (const [found] of text.matchAll(/^import [^;]*? from "zod";/gm)) {
      assert.match(found, /^import (type )?\* as z from "zod";$/, file);
    }
  }
});

/** What stands in two places, each with its places. */
function twice(named: readonly (readonly [name: string, file: string])[]): [string, string[]][] {
  const places = Map.groupBy(named, ([name]) => name);
  return [...places].filter(([, all]) => all.length > 1)
    .map(([name, all]) => [name, all.map(([, file]) => file)]);
}

Deno.test("No two files have one name, nor two types", () => {
  const files = [...imports().keys()];
  const scripts = walk("lib").filter((file) => file.endsWith(".js"));
  const named = [...files, ...scripts].map((file): [string, string] => [
    basename(file, extname(file)),
    file,
  ]);
  assert.deepEqual(twice(named), []);
  const types = files.flatMap((file) =>
    [
      ...Deno.readTextFileSync(join(ROOT, file)).matchAll(
        /^(?:export )?(?:interface|type|class) (\w+)/gm,
      ),
    ].map(([, name = ""]): [string, string] => [name, file])
  );
  assert.ok(types.length > 100, `only ${types.length} types were found`);
  assert.deepEqual(twice(types), []);
});

Deno.test("No file of the programs or of the benchmark is longer than 250 lines", () => {
  const long = ["ingest.ts", "enrich.ts", "start.ts", ...walk("lib"), ...walk("bench")]
    .map((file) => ({
      file,
      lines: Deno.readTextFileSync(join(ROOT, file)).split("\n").length - 1,
    }))
    .filter(({ lines }) => lines > 250);
  assert.deepEqual(long, []);
});

Deno.test("A module's test has the module's path under tests/", () => {
  const rooms = ["ingest", "enrich", "pages", "program", "serve", "settings"];
  const tests = rooms.flatMap((room) => walk(`tests/${room}`))
    .filter((file) => file.endsWith("_test.ts"));
  assert.ok(tests.length > 40, `only ${tests.length} tests were found`);
  const modules = new Set(imports().keys());
  const lost = tests.filter((file) =>
    !modules.has(file.replace(/^tests/, "lib").replace(/_test\.ts$/, ".ts"))
  );
  assert.deepEqual(lost, []);
});
