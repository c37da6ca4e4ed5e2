/**
 * Coming from Home Assistant's own `influxdb` integration, on a real Home Assistant of 2026: what
 * `enrich from-home-assistant` makes of its folder, and what it takes for the integration to stop.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import util from "node:util";
import * as z from "zod";
import { readHouseBlock } from "../../lib/enrich/takeover/house_block.ts";
import { enrichSettings } from "../../lib/settings/enrich_settings.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { HomeAssistant, newestVersion } from "./parts/home_assistant.ts";
import { Influxd } from "./parts/influxd.ts";
import { Process, run } from "./parts/process.ts";
import { measured, realTest } from "./parts/real_test_case.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const ADMIN = { username: "ha", password: "pass word$1" };
const DATABASE = "of home assistant";

const entriesSchema = z.array(z.looseObject({ entry_id: z.string(), domain: z.string() }));

/** Runs it in the folder, which it may write to, with what the tasks' runner lets it read. */
async function takeOver(folder: string, house: string): Promise<string> {
  await using process = new Process("enrich from-home-assistant", [
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-prompt",
    "--allow-env",
    `--allow-read=.env,config,${house}`,
    "--allow-write=config",
    `${ROOT}enrich.ts`,
    "from-home-assistant",
    house,
  ], { cwd: folder });
  assert.equal((await process.ended()).code, 0, process.output);
  return process.output;
}

realTest(
  "The integration's settings are taken over from a real folder, and the integration stops with its entry and its block",
  async () => {
    await using influxd = await Influxd.start(ADMIN);
    await influxd.createDatabase(DATABASE);
    const { hostname, port } = new URL(influxd.url);
    await using hass = await HomeAssistant.start({
      version: await newestVersion(),
      minimal: true,
      extraYaml: `influxdb:\n  host: ${hostname}\n  port: ${port}\n  database: ${DATABASE}\n` +
        `  username: ${ADMIN.username}\n  password: "${ADMIN.password}"\n` +
        '  include: { entity_globs: ["sensor.moved_*"] }\n  tags: { version: 1.0 }\n',
    });
    const yamlPath = `${hass.dir}/configuration.yaml`;
    const entries = async () => {
      const all = entriesSchema.parse(
        await hass.rest("config/config_entries/entry", undefined, "GET"),
      );
      return all.filter(({ domain }) => domain === "influxdb");
    };
    await until(async () => (await entries()).length === 1, "the block became an entry");
    let states = 0;
    const stored = async () => {
      const [series] = await influxd.query(
        `SELECT count("value") FROM "sensor.moved_1"`,
        DATABASE,
      );
      return Number(series?.values[0]?.[1] ?? 0);
    };
    const change = () => hass.setState("sensor.moved_1", { state: String(++states) });
    const writes = async (what: string) => {
      const before = await stored();
      await until(async () => {
        await change();
        return await stored() > before;
      }, what);
    };
    await writes("the integration writes");

    using folder = new TemporaryFolder();
    const said = await takeOver(folder.path, hass.dir);
    assert.match(said, /\.storage\/core\.config_entries: the connection, InfluxDB 1 at http:/);
    assert.ok(!said.includes(ADMIN.password), said);
    const env = util.parseEnv(Deno.readTextFileSync(folder.file("config/influxdb.env")));
    const { settings } = enrichSettings({
      ...env,
      CONFIG_FILE: folder.file(env.CONFIG_FILE ?? ""),
    });
    const { influxdb, file } = settings;
    assert.deepEqual(
      [influxdb?.url, influxdb?.version, influxdb?.database, influxdb?.username],
      [influxd.url, 1, DATABASE, ADMIN.username],
    );
    assert.equal(influxdb?.password?.(), ADMIN.password);
    assert.deepEqual(file?.options.include.entity_globs, ["sensor.moved_*"]);
    assert.deepEqual([...file?.options.tags ?? []], [["version", "1.0"]]);

    // out of the YAML alone, as one would have done before 2026.3
    const yaml = await Deno.readTextFile(yamlPath);
    await Deno.writeTextFile(yamlPath, yaml.slice(0, yaml.indexOf("influxdb:\n")));
    await hass.restart();
    await writes("it goes on without its block");
    const [entry] = await entries();
    assert.ok(entry);
    await hass.rest(`config/config_entries/entry/${entry.entry_id}`, undefined, "DELETE");
    const last = await stored();
    const isSilent = async (what: string) => {
      const since = Date.now();
      // the integration gathers for a second before it writes
      while (Date.now() < since + 5_000) {
        await change();
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      assert.equal(await stored(), last, what);
    };
    await isSilent("it writes nothing without its entry");
    await hass.restart();
    assert.deepEqual(await entries(), []);
    await isSilent("nor after a restart");
    // and a block that is left behind brings it back
    await Deno.writeTextFile(yamlPath, yaml);
    await hass.restart();
    await until(async () => (await entries()).length === 1, "the block became an entry again");
    await writes("the integration writes again");
    measured(`the integration wrote ${last} of ${states} states, and none after it was deleted`);
  },
);

/** Prints the block that Home Assistant makes of a folder, with its own loader and merge of packages. */
const ORACLE = `
import json, logging, re, sys
from pathlib import Path
logging.disable(logging.CRITICAL)
from homeassistant.config import _recursive_merge
from homeassistant.util.yaml.loader import Secrets, load_yaml
folder = Path(sys.argv[1])
config = load_yaml(str(folder / "configuration.yaml"), Secrets(folder))
for name, package in config["homeassistant"]["packages"].items():
    if not re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", name) or "influxdb" not in package:
        continue
    if isinstance(package["influxdb"] or {}, dict):
        config["influxdb"] = config.get("influxdb") or {}
        _recursive_merge(conf=config["influxdb"], package=package["influxdb"] or {})
print(json.dumps(config["influxdb"]))
`;

/** A house whose block stands in as many places as it can. */
const HOUSE: Readonly<Record<string, string>> = {
  "configuration.yaml": "homeassistant: {packages: !include_dir_named packages/}\n" +
    "influxdb: !include influx.yaml\nautomation: !include_dir_list automations\n",
  "influx.yaml": "host: !secret host\ninclude: !include_dir_merge_named rules\n" +
    'tags: {a: 1, <<: {b: yes, c: "on"}}\ntags_attributes: !include_dir_merge_list lists\n' +
    "component_config_glob: !include_dir_merge_named globs\n" +
    "component_config_domain: !include_dir_named domains\nignore_attributes: !include_dir_list many\n" +
    "default_measurement: !env_var NOT_SET_ANYWHERE state  of it\nport: 0x1F\n",
  "globs/10.yaml": "b.*: {override_measurement: one}\na.*: {override_measurement: two}\n",
  "globs/20.yaml": "c.*: {override_measurement: three}\nb.*: {override_measurement: four}\n",
  "lists/a.yaml": "- x\n- !secret t\n",
  "lists/b.yaml": "- 5\n- 012\n",
  "lists/c.yaml": "no: list\n",
  "lists/secrets.yaml": "t: of lists\n",
  "secrets.yaml": "t: of the top\nhost: h.example\n",
  "rules/z.yaml": "domains: [sensor, light]\n",
  "rules/a/y.yaml": "domains: [a]\nentities: [a.b]\n",
  "domains/light.yaml": "override_measurement: !secret t\n",
  "domains/empty.yaml": "",
  "many/1.yaml": "one\n",
  "many/2.yaml": "",
  "many/.3.yaml": "hidden\n",
  "packages/one.yaml": "influxdb:\n  tags: {d: 4, a: 9, e: 5}\n  exclude: {domains: [x]}\n",
  "packages/sub/two.yaml": "influxdb:\n  include: {domains: zz, entities: [c.d]}\n" +
    '  exclude: {domains: [y, ""]}\n',
  "packages/sub/three.yaml": "influxdb:\n",
  "packages/not-one.yaml": "influxdb: {precision: s}\n",
};

realTest("A house's block is read as Home Assistant's own loader reads it", async () => {
  using folder = new TemporaryFolder();
  for (const [name, text] of Object.entries(HOUSE)) {
    Deno.mkdirSync(dirname(folder.file(name)), { recursive: true });
    Deno.writeTextFileSync(folder.file(name), text);
  }
  const install = `${import.meta.dirname}/home-assistant/install.sh`;
  const installed = await run([install, await newestVersion()]);
  const python = `${installed.stdout.trim()}/bin/python3`;
  const { code, stdout, stderr } = await run([python, "-c", ORACLE, folder.path]);
  assert.equal(code, 0, stderr);
  const { value, problems } = readHouseBlock(folder.path, {});
  assert.deepEqual(problems, []);
  assert.deepEqual(value, JSON.parse(stdout));
  // the order of globs says which goes before
  const globs = z.looseObject({ component_config_glob: z.record(z.string(), z.unknown()) });
  const namesOf = (block: unknown) => Object.keys(globs.parse(block).component_config_glob);
  assert.deepEqual(namesOf(value), namesOf(JSON.parse(stdout)));
});
