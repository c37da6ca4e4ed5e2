import assert from "node:assert/strict";
import { YamlReader } from "../../lib/settings/yaml_file.ts";
import { TemporaryFolder } from "../temporary.ts";

/** What is read of the file `a.yaml` under the key `block`, beside the other files. */
function read(files: Readonly<Record<string, string>>) {
  using folder = new TemporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    Deno.writeTextFileSync(folder.file(name), text);
  }
  const reader = new YamlReader();
  const value = reader.read(folder.file("a.yaml"), "block");
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
    "a.yaml, line 2: !env_var cannot be followed: only !secret and !include can, write its value here",
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
  assert.match(noYaml, /^a\.yaml is no YAML: .* at line \d+/);
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
