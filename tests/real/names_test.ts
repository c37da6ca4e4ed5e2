import assert from "node:assert/strict";
import * as z from "zod";
import { until } from "../until.ts";
import {
  availableVersions,
  type HomeAssistant,
  type HomeAssistantVersion,
} from "./parts/home_assistant.ts";
import type { HassSocket } from "./parts/hass_socket.ts";
import type { StoredPoint } from "./parts/influxd.ts";
import { total } from "./parts/metrics_text.ts";
import { DATABASE, Pipeline } from "./parts/pipeline.ts";
import { measured, realTestsAtOnce } from "./parts/real_test_case.ts";
import { removeEntity, renameEntity } from "./parts/registered_entities.ts";

const STRIP = "Power strip with 2 sockets";
const CUSTOMIZED = "light.kitchen_lights";

type Names = readonly [
  name: string | null,
  area: string | null,
  floor: string | null,
  device: string | null,
];

const entries = z.array(z.looseObject({
  id: z.string(),
  entity_id: z.string().default(""),
  device_id: z.string().nullish(),
  name: z.string().nullish(),
}));
const named = z.array(z.tuple([
  z.string(),
  z.tuple([
    z.string().nullable(),
    z.string().nullable(),
    z.string().nullable(),
    z.string().nullable(),
  ]),
]));
const states = z.array(z.looseObject({
  entity_id: z.string(),
  state: z.string(),
  attributes: z.looseObject({ friendly_name: z.string().optional() }),
}));

/** Each entity's `friendly_name`, area, floor and device, by Home Assistant's own templates. */
async function shownBy(
  hass: HomeAssistant,
  version: HomeAssistantVersion,
  ids: readonly string[],
): Promise<Map<string, Names>> {
  const isOld = version === "2024.3.3";
  const parent = version === "2026.11.0" ? "device_attr(id, 'parent_device_id')" : "none";
  // 2024.3 has no floors of areas, and before 2025.5 there is no device_name
  const nameOf = (id: string) =>
    version === "2026.11.0"
      ? `device_name(${id})`
      : `(device_attr(${id}, 'name_by_user') or device_attr(${id}, 'name'))`;
  const template = `{% set ns = namespace(out=[]) %}{% for id in ids %}
    {% set parent = ${parent} %}
    {% set device = ${nameOf("id")} %}
    {% if parent %}{% set device = ${nameOf("parent")} ~ ' / ' ~ device %}{% endif %}
    {% set floor = ${isOld ? "none" : "floor_name(id)"} %}
    {% set ns.out = ns.out + [[id, [state_attr(id, 'friendly_name'), area_name(id), floor, device]]] %}
    {% endfor %}{{ ns.out | to_json }}`;
  const response = await fetch(`${hass.url}/api/template`, {
    method: "POST",
    headers: { Authorization: `Bearer ${hass.token}` },
    body: JSON.stringify({ template, variables: { ids } }),
  });
  const text = await response.text();
  assert.ok(response.ok, text);
  return new Map(named.parse(JSON.parse(text)));
}

const presentStates = async (hass: HomeAssistant) =>
  states.parse(await hass.rest("states", undefined, "GET"));

const listed = async (socket: HassSocket, kind: string) =>
  entries.parse(await socket.command({ type: `config/${kind}_registry/list` }));

/** Changes entities, devices and areas, each in another way; `when` makes the names of each time other ones. */
async function rearrange(hass: HomeAssistant, version: HomeAssistantVersion, when: string) {
  using socket = await hass.connect();
  const idOf = async (kind: "area" | "floor", members: object) =>
    String(
      z.record(z.string(), z.unknown()).parse(
        await socket.command({ type: `config/${kind}_registry/create`, ...members }),
      )[`${kind}_id`],
    );
  const areaOn = async (name: string) => {
    if (version === "2024.3.3") return await idOf("area", { name: `${name} ${when}` });
    const floor_id = await idOf("floor", { name: `Floor of the ${name} ${when}` });
    return await idOf("area", { name: `${name} ${when}`, floor_id });
  };
  const entities = new Map(
    (await listed(socket, "entity")).map((entry) => [entry.entity_id, entry.device_id]),
  );
  const update = (kind: "entity" | "device", id: string, change: object) =>
    socket.command({ type: `config/${kind}_registry/update`, [`${kind}_id`]: id, ...change });
  const updateDeviceOf = async (entityId: string, change: object) => {
    const deviceId = entities.get(entityId);
    assert.ok(deviceId, `${entityId} has no device`);
    await update("device", deviceId, change);
  };
  const [library, studio, shed] = [
    await areaOn("Library"),
    await areaOn("Studio"),
    await areaOn("Shed"),
  ];
  await updateDeviceOf("light.bed_light", {
    area_id: library,
    name_by_user: `Reading lamp ${when}`,
  });
  // an area of its own wants a name of its own since 2026
  await update("entity", "light.ceiling_lights", { name: `Star, light ${when}`, area_id: studio });
  await update("entity", "sensor.double_level", { name: `Twice ${when}`, area_id: shed });
  if (version !== "2026.11.0") return;
  const outlet = "power_strip_with_2_sockets_outlet_";
  await updateDeviceOf("button.power_strip_with_2_sockets_restart", { area_id: library });
  await updateDeviceOf(`switch.${outlet}2`, {
    area_id: studio,
    name_by_user: `Lamp socket ${when}`,
  });
  await update("entity", `sensor.${outlet}1_power`, { name: `Watts ${when}` });
  await update("entity", `sensor.${outlet}2_power`, { name: `Power ${when}`, area_id: shed });
}

/** Fields of the newest point of each entity in `entities`. */
function newestInfos(points: readonly StoredPoint[]): Map<string, StoredPoint["fields"]> {
  const infos = points.filter(({ measurement }) => measurement === "entities")
    .toSorted((a, b) => Number(a.timeNs - b.timeNs));
  return new Map(infos.map(({ tags, fields }) => [tags.entity_id ?? "", fields]));
}

const namesIn = (infos: ReturnType<typeof newestInfos>) =>
  new Map([...infos].map(([id, { name, device }]) => [id, [name, device]]));

/** From its next start on, the integration's entries cannot be set up. */
async function breakIntegration({ dir }: HomeAssistant, domain: string): Promise<void> {
  const folder = `${dir}/custom_components/${domain}`;
  await Deno.mkdir(folder);
  const manifest = { domain, name: domain, version: "1.0.0", documentation: "", codeowners: [] };
  await Deno.writeTextFile(`${folder}/manifest.json`, JSON.stringify(manifest));
  await Deno.writeTextFile(
    `${folder}/__init__.py`,
    "async def async_setup(hass, config):\n    return True\n\n\n" +
      "async def async_setup_entry(hass, entry):\n    return False\n",
  );
}

/** The tags of what is stored of states since then, one an entity; `minutes` are snapshots. */
function newestTags(
  points: readonly StoredPoint[],
  sinceNs: bigint,
): Map<string, StoredPoint["tags"]> {
  const since = points.filter(({ measurement, timeNs }) =>
    !["events", "entities"].includes(measurement) && timeNs >= sinceNs &&
    timeNs % 60_000_000_000n === 0n
  ).toSorted((a, b) => Number(a.timeNs - b.timeNs));
  return new Map(since.map(({ tags }) => [tags.entity_id ?? "", tags]));
}

/**
 * Waits for a snapshot of all states that is younger than what was changed, and compares every
 * entity's names with what Home Assistant shows. Returns how many entities that were.
 */
async function compare(pipeline: Pipeline, version: HomeAssistantVersion): Promise<number> {
  const { hass, influxd } = pipeline;
  using socket = await hass.connect();
  // the registries are read a second after the last of their events
  const minute = 60_000;
  const sinceNs = BigInt((Math.floor((Date.now() + 10_000) / minute) + 1) * minute) * 1_000_000n;
  const atFirst = (await presentStates(hass)).map(({ entity_id }) => entity_id);
  const { ids, tags } = await until(
    async () => {
      const tags = newestTags(await influxd.allPoints(DATABASE), sinceNs);
      // what `demo` shows on the map comes and goes
      const now = new Set((await presentStates(hass)).map(({ entity_id }) => entity_id));
      const ids = atFirst.filter((id) => now.has(id));
      return ids.every((id) => tags.has(id)) && { ids, tags };
    },
    "a snapshot of every state is stored",
    { limitMs: 180_000, everyMs: 500 },
  );
  assert.ok(ids.length > 100, `only ${ids.length} states`);
  const registered = (await listed(socket, "entity")).map(({ entity_id }) => entity_id);
  const shown = await shownBy(hass, version, [...new Set([...ids, ...registered])]);
  const text = (value: unknown) => typeof value === "string" && value !== "" ? value : null;
  const shownIn = (of: Readonly<Record<string, unknown>>, name = of.name): Names => [
    text(name),
    text(of.area),
    text(of.floor),
    text(of.device),
  ];
  const stored = new Map(ids.map((id) => [id, shownIn(tags.get(id) ?? {})]));
  assert.deepEqual(stored, new Map(ids.map((id) => [id, shown.get(id)])));
  const infos = newestInfos(await influxd.allPoints(DATABASE));
  assert.deepEqual(
    new Map(
      registered.map((id) => [
        id,
        // an entity without a state shows no name
        shownIn(infos.get(id) ?? {}, ids.includes(id) ? infos.get(id)?.name : null),
      ]),
    ),
    new Map(registered.map((id) => [id, shown.get(id)])),
  );
  const there = [...infos].filter(([, { removed }]) => removed === 0).map(([id]) => id);
  assert.deepEqual(there.sort(), registered.toSorted());
  return shown.size;
}

async function compareNames(version: HomeAssistantVersion): Promise<void> {
  await using pipeline = await Pipeline.start({
    version,
    extraYaml: version === "2026.11.0" ? "kitchen_sink:\n" : "",
    coreYaml: `  customize:\n    ${CUSTOMIZED}:\n      friendly_name: Lights, customized\n`,
    templateYaml: '  - sensor:\n      - {name: Not registered, state: "1"}\n',
    ingestEnv: { SNAPSHOT_MINUTES: "1", BACKFILL_DAYS: "0" },
    prepare: async (hass) => {
      if (version === "2026.11.0") {
        await until(
          async () =>
            (await presentStates(hass)).some(({ attributes }) =>
              attributes.friendly_name === `${STRIP} Restart`
            ),
          "the child devices are there",
        );
      }
      await rearrange(hass, version, "before");
      using socket = await hass.connect();
      await socket.command({
        type: "config/entity_registry/update",
        entity_id: "light.office_rgbw_lights",
        disabled_by: "user",
        name: "Disabled before",
      });
      await renameEntity(socket, "switch.ac", "switch.renamed_before");
    },
  });
  const { hass } = pipeline;
  using socket = await hass.connect();
  const before = await compare(pipeline, version);

  await rearrange(hass, version, "after");
  const shownMs = performance.now();
  await until(
    async () =>
      (await presentStates(hass)).some(({ attributes }) =>
        attributes.friendly_name?.includes("Star, light after")
      ),
    "the state shows the new name",
  );
  measured(
    `${version} shows a new name ${(performance.now() - shownMs).toFixed(0)} ms after it was given`,
  );
  await renameEntity(socket, "light.living_room_rgbww_lights", "light.renamed_after");
  await removeEntity(socket, "input_number.level");
  await socket.command({
    type: "config/entity_registry/update",
    entity_id: "light.entrance_color_white_lights",
    disabled_by: "user",
    name: "Disabled after",
  });
  const after = await compare(pipeline, version);
  const infos = newestInfos(await pipeline.influxd.allPoints(DATABASE));
  assert.equal(
    infos.get("light.renamed_after")?.old_entity_id,
    "light.living_room_rgbww_lights",
  );
  assert.equal(infos.get("light.living_room_rgbww_lights")?.removed, 1);
  for (const when of ["before", "after"]) {
    const id = when === "before" ? "light.office_rgbw_lights" : "light.entrance_color_white_lights";
    assert.match(String(infos.get(id)?.name), new RegExp(`Disabled ${when}$`));
  }

  // states of integrations that cannot be loaded are restored, which shortens names before 2026
  const told = namesIn(newestInfos(await pipeline.influxd.allPoints(DATABASE)));
  await hass.stop();
  for (const domain of ["demo", "sun"]) await breakIntegration(hass, domain);
  await hass.startAgain();
  await until(
    async () => total(await pipeline.ingest.metrics(), "ingest_connections_total") === 2,
    "it captures again",
  );
  using again = await hass.connect();
  const change = { entity_id: "sensor.double_level", area_id: null, name: "Anew" };
  await again.command({ type: "config/entity_registry/update", ...change });
  const kept = await until(async () => {
    const infos = newestInfos(await pipeline.influxd.allPoints(DATABASE));
    return infos.get("sensor.double_level")?.name === "Anew" && namesIn(infos);
  }, "the registries are read");
  told.set("sensor.double_level", ["Anew", ""]);
  assert.deepEqual(kept, told);
  const shortened = (await presentStates(hass)).filter(({ entity_id, attributes }) =>
    attributes.restored && entity_id !== CUSTOMIZED &&
    attributes.friendly_name !== kept.get(entity_id)?.[0]
  );
  assert.equal(shortened.length > 0, version !== "2026.11.0", `${shortened.length} are short`);
  measured(`${version}: ${shortened.length} names are shortened while nothing loads them`);
  measured(`${version}: names of ${before} and ${after} entities are Home Assistant's own`);
}

realTestsAtOnce(
  "Every entity has the names that Home Assistant's own templates tell",
  Object.fromEntries(
    (await availableVersions()).map((version) => [version, () => compareNames(version)]),
  ),
);
