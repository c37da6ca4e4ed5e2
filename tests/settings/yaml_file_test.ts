import assert from "node:assert/strict";
import { YamlReader } from "../../lib/settings/yaml_file.ts";
import { TemporaryFolder } from "../temporary.ts";

/** A password, wherever it stands: no problem may hold it. */
const SECRET = "s3cretValue";

/** What is read of the file `a.yaml` under the key `block`, beside the other files. */
function read(files: Readonly<Record<string, string>>) {
  using folder = new TemporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    Deno.writeTextFileSync(folder.file(name), text);
  }
  const reader = new YamlReader();
  const value = reader.read(folder.file("a.yaml"), "block")?.value;
  const names = [...reader.texts.keys()].map((path) => path.split("/").at(-1));
  return { value, problems: reader.problems, names };
}

Deno.test("YamlReader reads the block of a whole configuration, and nothing else of it", () => {
  const { value, problems } = read({
    "a.yaml": "default_config:\nautomation: !include automations.yaml\n" +
      "homeassistant:\n  packages: !include_dir_named packages\nblock:\n  host: here\n",
  });
  assert.deepEqual(value, { host: "here" });
  assert.deepEqual(problems, []);
});

Deno.test("YamlReader reads the whole file where it has no such block", () => {
  assert.deepEqual(read({ "a.yaml": "host: here\n" }).value, { host: "here" });
  assert.equal(read({ "a.yaml": "" }).value, null);
  assert.equal(read({ "a.yaml": "block:\n" }).value, null);
});

Deno.test("YamlReader follows !secret and !include, each beside the file that names it", () => {
  const { value, problems, names } = read({
    "a.yaml": "block: !include b.yaml\n",
    "b.yaml": "password: &p !secret db\nagain: *p\ntags: !include c.yaml\n",
    "c.yaml": "- !secret db\n- plain\n",
    "secrets.yaml": "db: s3cret\n",
  });
  assert.deepEqual(value, { password: "s3cret", again: "s3cret", tags: ["s3cret", "plain"] });
  assert.deepEqual(problems, []);
  assert.deepEqual(new Set(names), new Set(["a.yaml", "b.yaml", "c.yaml", "secrets.yaml"]));
});

Deno.test("YamlReader names file and line of a tag that it cannot follow", () => {
  const { problems } = read({
    "a.yaml": "block:\n  one: !env_var DB\n  two: !secret none\n  three: !include none.yaml\n",
    "secrets.yaml": "db: s3cret\n",
  });
  assert.deepEqual(problems, [
    "a.yaml, line 2: only !secret and !include can be followed: quote a text that begins with !, or write its value",
    "a.yaml, line 3: !secret none: secrets.yaml beside it must have that name",
    "a.yaml, line 4: !include none.yaml: it must be a file that can be read (there is none)",
  ]);
});

Deno.test("YamlReader says that a file is missing, no YAML, or includes itself", () => {
  assert.match(
    read({}).problems[0] ?? "",
    /^CONFIG_FILE is ".*a\.yaml": it must be .*there is none/,
  );
  const [noYaml = ""] = read({ "a.yaml": "block:\n  token: [s3cret\n" }).problems;
  assert.match(noYaml, /^a\.yaml, line 3 is no YAML: /);
  assert.doesNotMatch(noYaml, /s3cret/);
  assert.match(
    read({ "a.yaml": "block:\n  x: !include a.yaml\n" }).problems[0] ?? "",
    /must not include each other without end/,
  );
});

Deno.test("YamlReader takes words and numbers as PyYAML does", () => {
  const { value } = read({
    "a.yaml":
      "block:\n  a: [on, yes, No, OFF, y, n, 'on']\n  b: [1e3, 1.50, 0777, 12:30, 1.0e+3]\n" +
      "  c: [2024-01-01, 2024-01-01 10:00:00]\n  d: 1\n  d: 2\n",
  });
  assert.deepEqual(value, {
    a: [true, true, false, false, "y", "n", "on"],
    b: ["1e3", "1.5", 511, 750, "1000.0"],
    c: ["2024-01-01", "2024-01-01 10:00:00"],
    d: 2,
  });
});

Deno.test("YamlReader says by line what no YAML is, with the wish, and shows nothing of it", () => {
  const wishes: readonly (readonly [string, RegExp])[] = [
    [
      `*${SECRET}`,
      /line 3: nothing has the name that follows \*: quote a text that begins with \*/,
    ],
    [`!${SECRET}`, /line 3: only .* can be followed: quote a text that begins with !/],
    [`!!${SECRET} a`, /line 3: only .* can be followed: quote/],
    [`!!binary ${SECRET}`, /line 3: only .* can be followed: quote/],
    [`!!set {${SECRET}}`, /line 3: only .* can be followed: quote/],
    [`! !${SECRET}`, /line 3 is no YAML: quote a text/],
    [`!secret *${SECRET}`, /line 3 is no YAML: quote a text/],
    [`@${SECRET}`, /line 3 is no YAML: quote a text/],
    [`%${SECRET}`, /line 3 is no YAML: quote a text/],
    [`a: ${SECRET}`, /line 3 is no YAML: quote a text/],
    [`"\\${SECRET}"`, /line 3 is no YAML: .* by ' where it has a backslash/],
    [`"${SECRET}`, /line 4 is no YAML: .*close quotes/],
    [`|${SECRET}`, /line 3 is no YAML: quote a text/],
    [`{${SECRET}`, /line \d is no YAML: .*close quotes and brackets/],
    [`\n\t- ${SECRET}`, /line 4 is no YAML: .*indent with spaces/],
    [`a\n---\nb: ${SECRET}`, /line 4 is no YAML: quote/],
    [`"${SECRET}\0"`, /line 3 holds a character that is none of a text: save the file as UTF-8/],
    ["&a [*a]", /line 1: too many values, or too deep ones/],
    [`{<<: ${SECRET}}`, /line 3: << must be a block, or a list of blocks, as in <<: \*name/],
    [`{<<: [${SECRET}]}`, /line 3: << must be a block/],
    ["!secret ''", /line 3: !secret : secrets\.yaml must be a file that can be read/],
  ];
  for (const [value, wish] of wishes) {
    const { problems } = read({ "a.yaml": `block:\n  a: b\n  c: ${value}\n` });
    assert.match(problems[0] ?? "nothing is wrong", wish, value);
    assert.ok(!problems.join().includes(SECRET), problems.join("\n"));
  }
  // the same of a file that it refers to
  for (const name of ["secrets.yaml", "b.yaml"]) {
    const files = { "b.yaml": "a: 1", "secrets.yaml": "a: 1", [name]: `a: 1\nb: *${SECRET}\n` };
    const { problems } = read({ "a.yaml": "block: [!include b.yaml, !secret b]\n", ...files });
    const wish =
      `${name}, line 2: nothing has the name that follows *: quote a text that begins with *`;
    assert.equal(problems[0], wish);
  }
});

Deno.test("YamlReader soon ends with whatever repeats itself, or is nested without end", () => {
  const laughs = [..."abcdefgh"].map((name, i, names) =>
    `${name}: &${name} [${`*${names[i - 1]}, `.repeat(9)}]`.replaceAll("*undefined", "ha")
  ).join("\n");
  const deep = ["[", "{a: ", "- ", "? ", "!!set {? "].map((text) => text.repeat(20_000));
  const twice = "a: !include a.yaml\nb: !include a.yaml\n";
  const many = `a: &a\nblock: [${"*a, ".repeat(200_000)}]`;
  const begun = performance.now();
  for (const text of [`${laughs}\nblock: *h`, many, ...deep, `block: ${"[".repeat(900)}`, twice]) {
    assert.notEqual(read({ "a.yaml": text }).problems.length, 0, text.slice(0, 80));
  }
  assert.ok(performance.now() - begun < 30_000);
  assert.match(
    read({ "a.yaml": " ".repeat(1_000_001) }).problems[0] ?? "",
    /more than 1000000 bytes/,
  );
});

Deno.test("YamlReader takes aliases and merged blocks, as PyYAML does", () => {
  const { value, problems } = read({
    "a.yaml": "one: &one {a: 1, b: 1}\ntwo: &two {b: 2, c: 2}\nnames: &names [x, *one]\n" +
      "block:\n  b: 3\n  <<: [*one, *two]\n  d: *names\n  '<<': text\n",
  });
  assert.deepEqual(problems, []);
  assert.deepEqual(value, { a: 1, b: 3, c: 2, d: ["x", { a: 1, b: 1 }], "<<": "text" });
});

Deno.test("YamlReader reads no folder, pipe or device", () => {
  using folder = new TemporaryFolder();
  for (const path of [folder.path, "/dev/zero"]) {
    const reader = new YamlReader();
    assert.equal(reader.read(path, "block"), undefined);
    assert.match(reader.problems[0] ?? "", /must be a file that can be read \(it is a /);
  }
});

Deno.test("YamlReader finds the file and line of a value, of its name, or of what is nearest", () => {
  using folder = new TemporaryFolder();
  const files = {
    "a.yaml":
      "x: &x\n  merged: 1\nblock:\n  own: !secret s\n  <<: *x\n  list:\n    - a\n    - b\n" +
      "  included: !include b.yaml\n  empty:\n",
    "b.yaml": "\nin_b:\n  - 5\n",
    "secrets.yaml": "t: 1\ns: 0123\n",
  };
  for (const [name, text] of Object.entries(files)) Deno.writeTextFileSync(folder.file(name), text);
  const yaml = new YamlReader().read(folder.file("a.yaml"), "block");
  assert.ok(yaml);
  const placeOf = (...path: PropertyKey[]) => yaml.at(path).place;
  assert.equal(placeOf(), "a.yaml, line 3");
  assert.equal(placeOf("own"), "secrets.yaml, line 2");
  assert.equal(yaml.at(["own"]).namePlace, "a.yaml, line 4");
  assert.equal(yaml.at(["own"]).source, "0123");
  assert.equal(placeOf("merged"), "a.yaml, line 2");
  assert.equal(placeOf("list", 1), "a.yaml, line 8");
  assert.equal(placeOf("list", 7, "none"), "a.yaml, line 6");
  assert.equal(placeOf("included", "in_b", 0), "b.yaml, line 3");
  assert.equal(placeOf("empty"), "a.yaml, line 10");
});
