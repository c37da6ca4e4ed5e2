import assert from "node:assert/strict";
import { dirname, join } from "node:path";
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

Deno.test("YamlReader takes no whole configuration for a block that is not in it", () => {
  for (const name of ["homeassistant", "default_config"]) {
    const text = `${name}:\nautomation: !include automations.yaml\n`;
    assert.deepEqual(read({ "a.yaml": text }), {
      value: undefined,
      problems: [],
      names: ["a.yaml"],
    });
  }
  assert.deepEqual(read({ "a.yaml": "automation:\n" }).value, { automation: null });
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
  const merged = Array.from(
    { length: 40 },
    (_, i) => `m${i}: &m${i} {a${i}: 1${i > 0 ? `, <<: [*m${i - 1}, *m${i - 1}]` : ""}}`,
  ).join("\n");
  const merging = [`${merged}\nblock: *m39`, "block: &b {a: 1, <<: *b}"];
  const shared = Array.from({ length: 500 }, (_, i) => `s${i}: {<<: *m9}`).join("\n");
  const used = `${merged.split("\n").slice(0, 10).join("\n")}\n${shared}\nblock: *m9`;
  assert.deepEqual(read({ "a.yaml": used }).problems, [], "a block may be taken over by many");
  const begun = performance.now();
  for (
    const text of [
      `${laughs}\nblock: *h`,
      many,
      ...deep,
      `block: ${"[".repeat(900)}`,
      twice,
      ...merging,
    ]
  ) {
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

/** What stands in the files of a Home Assistant's folder, `configuration.yaml` first, under these names. */
function house(
  files: Readonly<Record<string, string>>,
  names: readonly string[] = ["block"],
  env: Readonly<Record<string, string>> = {},
) {
  using above = new TemporaryFolder();
  const folder = above.file("house");
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    Deno.mkdirSync(dirname(path), { recursive: true });
    Deno.writeTextFileSync(path, text);
  }
  const reader = new YamlReader({ folder, env });
  const path = join(folder, "configuration.yaml");
  const found = reader.valueAt(path, names);
  return {
    value: found?.value,
    placeOf: (...path: PropertyKey[]) => found?.at(path).place,
    names: reader.namesAt(path, names),
    problems: reader.problems,
    notes: reader.notes,
  };
}

Deno.test("YamlReader takes a house's folders as Home Assistant does", () => {
  const files = {
    "b/two.yaml": "z: 2\ny: 3\n",
    "b/one.yaml": "z: 1\nx: 1\n",
    "b/deep/er.yaml": "- 5\n- 6\n",
    "b/empty.yaml": "",
    "b/secrets.yaml": "s: 1\n",
    "b/.hidden.yaml": "hidden: 1\n",
    "b/.hidden/a.yaml": "hidden: 1\n",
    "b/notes.yml": "hidden: 1\n",
  };
  const at = (tag: string) =>
    house({ "configuration.yaml": `block: !include_dir_${tag} b\n`, ...files });
  const one = { z: 1, x: 1 };
  const two = { z: 2, y: 3 };
  assert.deepEqual(at("list").value, [one, two, [5, 6]]);
  assert.deepEqual(at("merge_list").value, [5, 6]);
  assert.deepEqual(at("named").value, { empty: {}, one, two, er: [5, 6] });
  assert.deepEqual(at("merge_named").value, { z: 2, x: 1, y: 3 });
  assert.deepEqual(at("named").names, ["empty", "one", "two", "er"]);
  assert.deepEqual(at("merge_named").names, ["z", "x", "y"]);
  assert.equal(at("named").placeOf("two", "y"), "b/two.yaml, line 2");
  assert.equal(at("merge_named").placeOf("z"), "b/two.yaml, line 1");
  assert.equal(at("merge_list").placeOf(0), "configuration.yaml, line 1");
  for (const tag of ["list", "named", "merge_list", "merge_named"]) {
    assert.deepEqual([at(tag).problems, at(tag).notes], [[], []]);
  }
  const none = house({ "configuration.yaml": "block: !include_dir_named b\n" });
  assert.deepEqual([none.value, none.problems], [{}, []]);
  assert.match(
    none.notes[0] ?? "",
    /^configuration\.yaml, line 1: !include_dir_named b: there is no/,
  );
});

Deno.test("YamlReader looks for a house's !secret upwards, as far as its folder", () => {
  const files = {
    "configuration.yaml": "block: !include a/b/c.yaml\n",
    "a/b/c.yaml": "[!secret here, !secret above, !secret top]\n",
    "a/b/secrets.yaml": "here: 1\n",
    "a/secrets.yaml": "here: 2\nabove: 2\n",
    "secrets.yaml": "here: 3\nabove: 3\ntop: 3\n",
  };
  const { value, problems } = house(files);
  assert.deepEqual([value, problems], [[1, 2, 3], []]);
  const lacking = house({ ...files, "secrets.yaml": "others: 1\n" });
  assert.deepEqual(lacking.problems, [
    "a/b/c.yaml, line 1: !secret top: secrets.yaml beside it, or in a folder above, must have that name",
  ]);
  const beyond = house({ "configuration.yaml": "block: !secret s\n", "../secrets.yaml": "s: 1\n" });
  assert.equal(beyond.problems.length, 1, "a folder above the house's is not the house's");
});

Deno.test("YamlReader takes !env_var from the environment, else its default, and says which", () => {
  const text = "block:\n  - !env_var DB_HOST\n  - !env_var DB_NAME home of mine\n";
  const { value, problems, notes } = house({ "configuration.yaml": text }, ["block"], {
    DB_HOST: SECRET,
  });
  assert.deepEqual([value, problems], [[SECRET, "home of mine"], []]);
  assert.deepEqual(notes, [
    "configuration.yaml, line 2: !env_var DB_HOST: its value here is taken; Home Assistant may have another",
    "configuration.yaml, line 3: !env_var DB_NAME: its default is taken; Home Assistant may have another",
  ]);
  assert.deepEqual(house({ "configuration.yaml": text }).problems, [
    "configuration.yaml, line 2: !env_var DB_HOST: it must be set where this is run, as it is for Home Assistant",
  ]);
});

Deno.test("YamlReader follows in a house only what is asked for", () => {
  const { value, names, problems } = house({
    "configuration.yaml": "automation: !include none.yaml\nhomeassistant: !include core.yaml\n",
    "core.yaml": "customize: !include none.yaml\npackages: !include_dir_named packages\n",
    "packages/db.yaml": "script: !include none.yaml\nblock: {a: 1}\n",
  }, ["homeassistant", "packages", "db", "block"]);
  assert.deepEqual([value, names, problems], [{ a: 1 }, ["a"], []]);
});

Deno.test("YamlReader ends with one sentence where files include each other, or one is not there", () => {
  const loops: readonly Readonly<Record<string, string>>[] = [
    {
      "configuration.yaml":
        "block: {a: !include configuration.yaml, b: !include configuration.yaml}",
    },
    { "configuration.yaml": "block: !include b.yaml\n", "b.yaml": "!include b.yaml\n" },
    { "configuration.yaml": "block: !include b.yaml\n", "b.yaml": "x: !include_dir_list .\n" },
    { "configuration.yaml": "!include configuration.yaml\n" },
  ];
  for (const files of loops) {
    const { problems } = house(files);
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(
      problems[0] ?? "",
      /^(configuration|b)\.yaml, line 1: files must not include each other without end$/,
    );
  }
  const { problems } = house({ "configuration.yaml": "\nblock: !include b/c.yaml\n" });
  assert.deepEqual(problems, [
    "configuration.yaml, line 2: !include b/c.yaml: it must be a file that can be read (there is none)",
  ]);
});
