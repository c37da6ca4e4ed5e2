import assert from "node:assert/strict";
import { readHouseBlock } from "../../../lib/enrich/takeover/house_block.ts";
import { TakeoverFolder } from "./takeover_folder.ts";

function read(files: Readonly<Record<string, string>>) {
  using folder = new TakeoverFolder(files);
  const { at, ...block } = readHouseBlock(folder.house, {});
  return { ...block, placeOf: (...path: string[]) => at(path).place };
}

const BLOCK = "influxdb:\n  include:\n    domains: [sensor]\n";
const PACKAGES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  inline: {
    "configuration.yaml": "homeassistant:\n  packages:\n    db:\n      influxdb:\n" +
      "        include:\n          domains: [sensor]\n",
  },
  "an include of each": {
    "configuration.yaml": "homeassistant:\n  packages:\n    db: !include db.yaml\n",
    "db.yaml": BLOCK,
  },
  "a block of its own in a package": {
    "configuration.yaml": "homeassistant: !include core.yaml\n",
    "core.yaml": "packages:\n  db:\n    influxdb: !include db.yaml\n",
    "db.yaml": "include:\n  domains: [sensor]\n",
  },
  "a folder of packages": {
    "configuration.yaml": "homeassistant:\n  packages: !include_dir_named packages\n",
    "packages/deep/db.yaml": BLOCK,
  },
  "a folder of files with packages": {
    "configuration.yaml": "homeassistant:\n  packages: !include_dir_merge_named packages\n",
    "packages/all.yaml": "db:\n  influxdb:\n    include: {domains: [sensor]}\n",
  },
};

Deno.test("readHouseBlock finds the block in packages of every form", () => {
  for (const [form, files] of Object.entries(PACKAGES)) {
    const { value, problems, notes } = read(files);
    assert.deepEqual(value, { include: { domains: ["sensor"] } }, form);
    assert.deepEqual([problems, notes], [[], []], form);
  }
});

Deno.test("readHouseBlock joins packages to the block as Home Assistant does, and says what it leaves out", () => {
  const { value, found, notes, placeOf } = read({
    "configuration.yaml":
      "influxdb:\n  host: a\n  include:\n    domains: [sensor]\n  tags: {a: 1}\n" +
      "homeassistant:\n  packages: !include_dir_named packages\n",
    "packages/one.yaml":
      "influxdb:\n  include:\n    domains: [light]\n    entities: [a.b]\n  host: b\n  precision: us\n",
    "packages/two.yaml": "influxdb:\n  tags: {c: 3, a: 2, d: 4}\n  precision: s\n",
    "packages/not-a-slug.yaml": "influxdb:\n  exclude: {domains: sun}\n",
    "packages/three.yaml": "influxdb: [1]\n",
  });
  assert.deepEqual(value, {
    host: "a",
    include: { domains: ["sensor", "light"], entities: ["a.b"] },
    tags: { a: 1, c: 3 },
    precision: "s",
  });
  assert.deepEqual(found, [
    "configuration.yaml, line 1: host, include, tags",
    "packages/one.yaml, line 1: include, host, precision",
    "packages/two.yaml, line 1: tags, precision",
  ]);
  assert.deepEqual(notes, [
    "packages/not-a-slug.yaml, line 1: Home Assistant takes no package of this name, for it is no slug",
    "packages/one.yaml, line 1: host is set elsewhere already: it, and what follows in the same block, is left out, as it is by Home Assistant",
    "packages/three.yaml, line 1: influxdb: must be a block of options, and is left out",
    "packages/two.yaml, line 1: tags: a is set elsewhere already: it, and what follows in the same block, is left out, as it is by Home Assistant",
  ]);
  assert.equal(placeOf("precision"), "packages/one.yaml, line 6");
  assert.equal(placeOf("host"), "configuration.yaml, line 2");
});

Deno.test("readHouseBlock knows an empty block from none", () => {
  assert.deepEqual(read({ "configuration.yaml": "influxdb:\n" }).value, {});
  assert.equal(read({ "configuration.yaml": "default_config:\n" }).value, undefined);
  assert.match(read({}).problems[0] ?? "", /configuration\.yaml must be a file .*there is none/);
});

Deno.test("readHouseBlock passes over a link to a folder, as Home Assistant does", () => {
  using folder = new TakeoverFolder({
    "configuration.yaml": "homeassistant:\n  packages: !include_dir_named packages\n",
    "packages/db.yaml": BLOCK,
    "elsewhere/more.yaml": "influxdb:\n  include:\n    domains: [light]\n",
  });
  folder.link(`${folder.house}/elsewhere`, `${folder.house}/packages/linked.yaml`);
  const { value, problems } = readHouseBlock(folder.house, {});
  assert.deepEqual([value, problems], [{ include: { domains: ["sensor"] } }, []]);
});
