import assert from "node:assert/strict";
import { secretRows, settingRows } from "../../lib/settings/settings_help.ts";
import { CONFIGURATION_PAGE, configurationPage } from "./configuration_page.ts";
import { anchorsOf, codeOf, exists, linksOf, pages } from "./markdown.ts";

/** Variables that are not settings of the programs. */
const OTHERS = [
  "CREDENTIALS_DIRECTORY",
  "SUPERVISOR_TOKEN",
  "DENO_CERT",
  "BUILDAH_FORMAT",
  "COMPOSE_PROFILES",
  "HA_INGESTOR_VERSION",
  "GF_DATE_FORMATS_DEFAULT_TIMEZONE",
  "AF_INET",
  "AF_INET6",
  "AF_UNIX",
];

Deno.test("Every link of the documentation within this repository leads somewhere", () => {
  const broken: string[] = [];
  let seen = 0;
  for (const page of pages()) {
    for (const link of linksOf(page)) {
      if (link.protocol !== "file:") continue;
      seen++;
      const target = new URL(link);
      target.hash = "";
      if (!exists(target)) broken.push(`${page.path}: ${link.pathname}`);
      else if (link.hash !== "") {
        const anchors = anchorsOf(Deno.readTextFileSync(target));
        if (!anchors.has(decodeURIComponent(link.hash.slice(1)))) {
          broken.push(`${page.path}: ${link.pathname}${link.hash}`);
        }
      }
    }
  }
  assert.deepEqual(broken, []);
  assert.ok(seen > 10, `only ${seen} links were found`);
});

Deno.test("Every setting that the documentation names is one", () => {
  const secrets = [...secretRows("ingest"), ...secretRows("enrich")].map(({ name }) => name);
  const known = new Set([
    ...[...settingRows("ingest"), ...settingRows("enrich")].map(({ name }) => name),
    ...secrets,
    ...secrets.map((name) => `${name}_FILE`),
    ...OTHERS,
  ]);
  const named = pages().flatMap(({ path, text }) =>
    [...text.matchAll(/(?<![\w$.])[A-Z][A-Z\d]+(?:_[A-Z\d]+)+(?!\w)/g)].map(([name]) => ({
      path,
      name,
    }))
  );
  assert.deepEqual(named.filter(({ name }) => !known.has(name)), []);
  const settings = new Set(named.map(({ name }) => name));
  assert.ok(settings.size > 20, `only ${settings.size} were found`);
});

Deno.test("docs/configuration.md is what the schemas of the settings say", () => {
  assert.equal(
    Deno.readTextFileSync(CONFIGURATION_PAGE),
    configurationPage(),
    "run `deno task docs`",
  );
});

/** Ways to start a program that the documentation uses. */
const COMMAND =
  /^(?:(?:npx -y deno@[\d.]+ |deno )task |ha-ingestor-|docker compose (?:exec|run --rm) \S+ \/?|\/)?(ingest|enrich) ([a-z][a-z-]+)\b(.*)$/;

/** Of each command that the documentation names, the words and options that follow it. */
function commands(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const { text } of pages()) {
    for (const code of codeOf(text)) {
      const [, program, name, rest = ""] = COMMAND.exec(code.replace(/ #.*$/, "")) ?? [];
      if (program === undefined) continue;
      const words = found.get(`${program} ${name}`) ?? new Set();
      for (const [word] of rest.matchAll(/(?<= )--[a-z-]+|(?<=^ )[a-z]+\b/g)) {
        if (word !== "--help") words.add(word);
      }
      found.set(`${program} ${name}`, words);
    }
  }
  return found;
}

async function help(program: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-env",
      new URL(`../../${program}.ts`, import.meta.url).pathname,
      ...args,
      "--help",
    ],
  }).output();
  assert.equal(code, 0, `${program} ${args.join(" ")} --help`);
  return new TextDecoder().decode(stdout);
}

Deno.test("Every command that the documentation names is in the programs' help, with its options", async () => {
  const named = commands();
  const helps = new Map([["ingest", await help("ingest")], ["enrich", await help("enrich")]]);
  await Promise.all([...named].map(async ([command, words]) => {
    const [program = "", name = ""] = command.split(" ");
    assert.match(helps.get(program) ?? "", new RegExp(`^ +${command}\\b`, "m"));
    if (words.size === 0) return;
    const text = await help(program, name);
    for (const word of words) {
      assert.match(text, new RegExp(`(?<![\\w-])${word}\\b`), `${command} ${word}`);
    }
  }));
  for (const command of ["ingest dead-letters", "enrich export", "ingest health"]) {
    assert.ok(named.has(command), `${command} is not in the documentation`);
  }
});
