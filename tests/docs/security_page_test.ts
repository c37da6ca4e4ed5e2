import assert from "node:assert/strict";
import { parse } from "yaml";
import * as z from "zod";
import manifest from "../../deno.json" with { type: "json" };
import { type Route, ROUTES } from "../security/routes.ts";
import { codeSpans, page, tablesUnder } from "./markdown.ts";

const { text } = page("docs/security.md");
const PROGRAMS = ["ingest", "enrich"] as const;

/** The text below the heading and before the next one. */
function section(heading: string): string {
  const found = text.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`));
  assert.ok(found, heading);
  return found;
}

function file(path: string): string {
  return Deno.readTextFileSync(new URL(`../../${path}`, import.meta.url));
}

const shownPath = ({ path }: Route) => path.replace(/:\w+\{.*\}/, "NUMBER");

/** The table that the page must have: a row for what is the same in method, purpose and access. */
function routeRows(): string[][] {
  const kinds = Map.groupBy(ROUTES, ({ method, is, who }) => `${method} ${is} ${who}`);
  return [...kinds.values()].map((routes) => {
    const [route] = routes;
    const programs = new Set(routes.flatMap(({ programs }) => programs));
    const paths = new Set(routes.map((route) => `\`${shownPath(route)}\``));
    return [
      PROGRAMS.filter((name) => programs.has(name)).join(", "),
      route?.method ?? "",
      [...paths].join(", "),
      route?.is ?? "",
      route?.who === "anybody" ? "nothing" : "the token",
    ];
  });
}

Deno.test("docs/security.md has the routes that the tests walk, and what each needs", () => {
  const [table = []] = tablesUnder(text, "Who may reach what");
  assert.deepEqual(table, [["program", "", "path", "is", "needs"], ...routeRows()]);
});

Deno.test("docs/security.md has the permissions of both programs, wherever they are given", () => {
  const [table = []] = tablesUnder(text, "What the programs may do");
  const named = table.slice(1).map(([permission = ""]) => codeSpans(permission)[0] ?? "").sort();
  const flagsIn = (command: string) =>
    [...new Set([...command.matchAll(/--(?:allow-|no-prompt)[\w=-]*/g)].map(([flag]) => flag))]
      .map((flag) => flag.replace(/=$/, "")).sort();
  const start = file("start.ts");
  const [run = ""] = /^function run\([^]*?^}/m.exec(start) ?? [];
  const [runProgram = ""] = /^function runProgram\([^]*?^}/m.exec(start) ?? [];
  assert.deepEqual(flagsIn(run + runProgram), named, "start.ts");
  assert.deepEqual(flagsIn(manifest.tasks.compile.command), named, "deno task compile");
  for (const name of PROGRAMS) {
    assert.deepEqual(flagsIn(file(`Dockerfile.${name}`)), named, `Dockerfile.${name}`);
  }
});

Deno.test("docs/security.md has every restriction of both units of systemd", () => {
  const named = codeSpans(section("Under systemd")).filter((code) => /^[A-Z]\w+=/.test(code))
    .sort();
  for (const name of PROGRAMS) {
    const unit = file(`etc/systemd/ha-ingestor-${name}.service`);
    const [, restrictions = ""] = /^(# nothing but the network[^]*)\[Install\]/m.exec(unit) ?? [];
    const also = unit.split("\n").filter((line) =>
      /^(DynamicUser|StateDirectoryMode|UMask|MemoryMax|TasksMax)=/.test(line)
    );
    const all = [...restrictions.split("\n").filter((line) => /^\w+=/.test(line)), ...also].sort();
    assert.ok(all.length > 20, `only ${all.length} are found`);
    assert.deepEqual(named, all, name);
    assert.ok(!unit.includes("MemoryDenyWriteExecute="));
  }
});

const composeSchema = z.object({
  "x-hardened": z.record(z.string(), z.unknown()),
  services: z.record(
    z.string(),
    z.object({
      ports: z.array(z.string()).default([]),
      networks: z.array(z.string()).default([]),
      read_only: z.literal(true),
      mem_limit: z.string(),
      pids_limit: z.number(),
    }),
  ),
});

Deno.test("docs/security.md has what compose.yaml and the images take away", () => {
  const compose = file("compose.yaml");
  const { services, ...rest } = composeSchema.parse(parse(compose, { merge: true }));
  const container = section("In containers");
  for (const line of compose.split("\n")) {
    const [, option] = /^ {2}((?:read_only|cap_drop|security_opt|tmpfs): .*)$/.exec(line) ?? [];
    if (option) assert.ok(codeSpans(container).includes(option), option);
  }
  for (const option of ["read_only", "cap_drop", "security_opt", "tmpfs"]) {
    assert.ok(Object.hasOwn(rest["x-hardened"], option), option);
  }
  for (const [name, { ports }] of Object.entries(services)) {
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:/, name);
  }
  assert.deepEqual(services.ingest?.networks, ["events"]);
  assert.deepEqual(services.enrich?.networks, ["events", "store"]);
  for (const name of PROGRAMS) {
    assert.match(file(`Dockerfile.${name}`), /^USER 65532:65532$/m);
    assert.match(file(`Dockerfile.${name}`), /^FROM gcr.io\/distroless\//m);
  }
});
