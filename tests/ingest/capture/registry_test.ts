import assert from "node:assert/strict";
import fc from "fast-check";
import * as z from "zod";
import { Registry } from "../../../lib/ingest/capture/registry.ts";
import { atOnce, changesSince, registryFrom } from "../../at_once.ts";
import { recordedResult, VERSIONS } from "../../recorded.ts";
import { registryLists as lists } from "../../registry_lists.ts";

const HOUSE = {
  areas: [{ area_id: "kitchen", name: "Kitchen", floor_id: "ground" }, {
    area_id: "attic",
    name: "Attic",
    floor_id: null,
  }],
  floors: [{ floor_id: "ground", name: "Ground floor", level: 0 }],
  labels: [{ label_id: "important", name: "Important" }],
  devices: [{
    id: "d1",
    name: "Sensor 3000",
    name_by_user: "Window sensor",
    area_id: "kitchen",
    manufacturer: "Acme",
    model: "S3",
  }],
  entities: [{
    id: "e1",
    entity_id: "sensor.window_temperature",
    device_id: "d1",
    area_id: null,
    platform: "zha",
    name: null,
    original_name: "Temperature",
    has_entity_name: true,
    labels: ["important", "gone"],
    entity_category: null,
  }],
  states: [{
    entity_id: "sensor.window_temperature",
    last_updated: "2026-06-25T21:20:05.162552+00:00",
    attributes: {
      unit_of_measurement: "°C",
      device_class: "temperature",
      state_class: "measurement",
      friendly_name: "Window sensor Temperature",
    },
  }],
};

const [ENTITY] = HOUSE.entities;

Deno.test("Registry looks an entity's names up through its device, area and floor", () => {
  const registry = registryFrom(lists(HOUSE), Registry.empty);
  assert.deepEqual(
    registry.namesOf({ entityId: "sensor.window_temperature", friendlyName: "no" }),
    {
      name: "Window sensor Temperature",
      area: "Kitchen",
      floor: "Ground floor",
      device: "Window sensor",
    },
  );
  assert.deepEqual(registry.namesOf({ deviceId: "d1" }), {
    area: "Kitchen",
    floor: "Ground floor",
    device: "Window sensor",
  });
});

Deno.test("Registry prefers an entity's own area to its device's", () => {
  const entities = [{ ...ENTITY, area_id: "attic" }];
  const names = registryFrom(lists({ ...HOUSE, entities }), Registry.empty)
    .namesOf({ entityId: "sensor.window_temperature" });
  assert.equal(names?.area, "Attic");
  assert.equal(names?.floor, undefined);
});

Deno.test("Registry leaves the friendly name to entities without an entry", () => {
  const registry = registryFrom(lists(HOUSE), Registry.empty);
  assert.deepEqual(registry.namesOf({ entityId: "sensor.rest", friendlyName: "Rest" }), {
    name: "Rest",
  });
  assert.equal(registry.namesOf({ entityId: "sensor.rest" }), undefined);
  assert.equal(registry.namesOf({}), undefined);
  assert.equal(registry.namesOf({ deviceId: "unknown" }), undefined);
});

Deno.test("Registry tells what is new or changed, once, and the old id of what was renamed", () => {
  const before = registryFrom(lists(HOUSE), Registry.empty);
  assert.deepEqual(changesSince(before, Registry.empty), [{
    entity_id: "sensor.window_temperature",
    removed: false,
    name: "Window sensor Temperature",
    area: "Kitchen",
    floor: "Ground floor",
    device: "Window sensor",
    manufacturer: "Acme",
    model: "S3",
    platform: "zha",
    labels: ["Important", "gone"],
    unit: "°C",
    device_class: "temperature",
    state_class: "measurement",
  }]);
  assert.deepEqual(changesSince(registryFrom(lists(HOUSE), before), before), []);
  const entities = [{ ...ENTITY, entity_id: "sensor.window" }];
  const [renamed] = changesSince(registryFrom(lists({ ...HOUSE, entities }), before), before);
  assert.equal(renamed?.old_entity_id, "sensor.window_temperature");
  const areas = [{ ...HOUSE.areas[0], name: "Cuisine" }];
  const [moved] = changesSince(registryFrom(lists({ ...HOUSE, areas }), before), before);
  assert.equal(moved?.area, "Cuisine");
});

Deno.test("Registry keeps name, unit and classes while a state is missing or only restored", () => {
  const before = registryFrom(lists(HOUSE), Registry.empty);
  const restored = [{
    ...HOUSE.states[0],
    state: "unavailable",
    attributes: { restored: true, friendly_name: "Temperature" },
  }];
  for (const states of [[], restored]) {
    assert.deepEqual(changesSince(registryFrom(lists({ ...HOUSE, states }), before), before), []);
    // under another id it is still the same entity
    const entities = [{ ...ENTITY, entity_id: "sensor.window" }];
    const renamed = registryFrom(lists({ ...HOUSE, entities, states }), before);
    const [info] = changesSince(renamed, before);
    assert.deepEqual(info, {
      ...changesSince(before, Registry.empty)[0],
      entity_id: "sensor.window",
      old_entity_id: "sensor.window_temperature",
    });
  }
});

Deno.test("A new entity that has the id of one that was removed is not named after that one", () => {
  const before = registryFrom(lists(HOUSE), Registry.empty);
  const entities = [{ ...ENTITY, id: "e2", original_name: "Humidity" }];
  const [info] = changesSince(
    registryFrom(lists({ ...HOUSE, entities, states: [] }), before),
    before,
  );
  assert.equal(info?.name, "Window sensor Humidity");
  assert.equal(info?.unit, undefined);
});

Deno.test("A device that replaces another under the same id and name was renamed, too", () => {
  const [state] = HOUSE.states;
  const newId = "sensor.window_temperature_2";
  const both = {
    ...HOUSE,
    entities: [ENTITY, { ...ENTITY, id: "e2", entity_id: newId }],
    states: [state, { ...state, entity_id: newId }],
  };
  const before = registryFrom(lists(both), Registry.empty);
  const replaced = { ...HOUSE, entities: [{ ...ENTITY, id: "e2" }] };
  const changes = changesSince(registryFrom(lists(replaced), before), before);
  assert.deepEqual(
    changes.map(({ entity_id, old_entity_id, removed }) => ({ entity_id, old_entity_id, removed })),
    [
      { entity_id: "sensor.window_temperature", old_entity_id: newId, removed: false },
      { entity_id: newId, old_entity_id: undefined, removed: true },
    ],
  );
});

Deno.test("A device whose own name the user has emptied has the integration's", () => {
  const devices = [{ ...HOUSE.devices[0], name_by_user: "" }];
  const registry = registryFrom(lists({ ...HOUSE, devices }), Registry.empty);
  assert.equal(registry.namesOf({ deviceId: "d1" })?.device, "Sensor 3000");
});

Deno.test("Registry says once of what has left that it is removed, also after it was loaded", () => {
  const before = registryFrom(lists(HOUSE), Registry.empty);
  const [info] = changesSince(before, Registry.empty);
  const left = registryFrom(lists({ ...HOUSE, entities: [], states: [] }), before);
  assert.deepEqual(changesSince(left, Registry.load(...before.save())), [{
    ...info,
    removed: true,
  }]);
  assert.deepEqual(changesSince(left, left), []);
  assert.deepEqual(changesSince(registryFrom(lists(HOUSE), left), left), [info]);
  // a list that was refused says nothing of it
  const refused = registryFrom(lists(), before, new Set(["entities"]));
  assert.deepEqual(changesSince(refused, before), []);
  // the old id of what was renamed has left, too
  const entities = [{ ...ENTITY, entity_id: "sensor.window" }];
  const renamed = changesSince(registryFrom(lists({ ...HOUSE, entities }), before), before);
  assert.deepEqual(
    renamed.map(({ entity_id, removed, old_entity_id }) => [entity_id, removed, old_entity_id]),
    [
      ["sensor.window", false, "sensor.window_temperature"],
      ["sensor.window_temperature", true, undefined],
    ],
  );
});

Deno.test("Registry tells all entities again that 0.1.0 kept, which never said of one that it is there", () => {
  const registry = registryFrom(lists(HOUSE), Registry.empty);
  const kept = JSON.parse([...registry.save()].join());
  for (const { info } of kept.entities) delete info.removed;
  const old = Registry.load(JSON.stringify(kept));
  assert.deepEqual(changesSince(registryFrom(lists(HOUSE), old), old), [
    changesSince(registry, Registry.empty)[0],
  ]);
});

Deno.test("A name that 0.1.0 has put together goes on while a state is unavailable, but not where it was a guess", () => {
  const kept = JSON.parse([...registryFrom(lists(HOUSE), Registry.empty).save()].join());
  for (const { info } of kept.entities) {
    delete info.removed;
    info.name = "Of 0.1.0";
  }
  const old = Registry.load(JSON.stringify(kept));
  const states = [{
    ...HOUSE.states[0],
    state: "unavailable",
    attributes: { friendly_name: "Window sensor Temperature" },
  }];
  const nameWith = (has_entity_name: boolean | undefined, previous = old) => {
    const entities = [{ ...ENTITY, has_entity_name }];
    return registryFrom(lists({ ...HOUSE, entities, states }), previous)
      .namesOf({ entityId: "sensor.window_temperature" })?.name;
  };
  assert.equal(nameWith(true), "Of 0.1.0");
  assert.equal(nameWith(undefined), "Window sensor Temperature");
  for (const { info } of kept.entities) info.removed = false;
  assert.equal(nameWith(undefined, Registry.load(JSON.stringify(kept))), "Of 0.1.0");
});

Deno.test("A child device is where its parent is, and is called after it", () => {
  const strip = { id: "strip", name: "Power strip", area_id: "kitchen", manufacturer: "Acme" };
  const child = { id: "child", name: "Outlet 1", area_id: null, parent_device_id: "strip" };
  const entity = { ...ENTITY, device_id: "child" };
  const namesOf = (change: {
    readonly child?: object;
    readonly strip?: object;
    readonly entity?: object;
  }) => {
    const devices = [{ ...child, ...change.child }, { ...strip, ...change.strip }];
    const entities = [{ ...entity, ...change.entity }];
    const registry = registryFrom(lists({ ...HOUSE, devices, entities }), Registry.empty);
    const [info] = changesSince(registry, Registry.empty);
    assert.equal(info?.manufacturer, "Acme");
    const { area, floor, device } = registry.namesOf({ entityId: entity.entity_id }) ?? {};
    return { entity: [area, floor, device], device: registry.namesOf({ deviceId: "child" }) };
  };
  const kitchen = { area: "Kitchen", floor: "Ground floor" };
  assert.deepEqual(namesOf({}), {
    entity: ["Kitchen", "Ground floor", "Power strip / Outlet 1"],
    device: { ...kitchen, device: "Power strip / Outlet 1" },
  });
  assert.deepEqual(namesOf({ child: { area_id: "attic" } }), {
    entity: ["Attic", undefined, "Power strip / Outlet 1"],
    device: { area: "Attic", device: "Power strip / Outlet 1" },
  });
  assert.deepEqual(namesOf({ entity: { area_id: "attic" } }), {
    entity: ["Attic", undefined, "Power strip / Outlet 1"],
    device: { ...kitchen, device: "Power strip / Outlet 1" },
  });
  const named = { child: { name_by_user: "Lamp" }, strip: { name_by_user: "Desk", area_id: null } };
  assert.deepEqual(namesOf(named), {
    entity: [undefined, undefined, "Desk / Lamp"],
    device: { device: "Desk / Lamp" },
  });
  // its parent is not listed
  assert.deepEqual(namesOf({ child: { parent_device_id: "gone", manufacturer: "Acme" } }), {
    entity: [undefined, undefined, "Outlet 1"],
    device: { device: "Outlet 1" },
  });
});

Deno.test("Registry knows when a state shows another name than it has, but for one that is not settled", () => {
  const registry = registryFrom(lists(HOUSE), Registry.empty);
  const isNamedOtherwise = (friendlyName: string | undefined, state = "1", isRestored = false) =>
    registry.isNamedOtherwise("sensor.window_temperature", { state, friendlyName, isRestored });
  assert.equal(isNamedOtherwise("Window sensor Temperature"), false);
  assert.equal(isNamedOtherwise("Temperature"), true);
  assert.equal(isNamedOtherwise(undefined), true);
  assert.equal(isNamedOtherwise("Temperature", "unavailable"), false);
  assert.equal(isNamedOtherwise("Temperature", "1", true), false);
  const state = { state: "1", friendlyName: "Rest" };
  assert.equal(registry.isNamedOtherwise("sensor.rest", state), false, "it has its event's own");
  const attributes = { friendly_name: "" };
  const unnamed = registryFrom(
    lists({ ...HOUSE, states: [{ ...HOUSE.states[0], attributes }] }),
    Registry.empty,
  );
  assert.equal(
    unnamed.isNamedOtherwise("sensor.window_temperature", { ...state, friendlyName: "" }),
    false,
  );
});

Deno.test("Registry is the same after it was saved and loaded", () => {
  const registry = registryFrom(lists(HOUSE), Registry.empty);
  const loaded = Registry.load(...registry.save());
  assert.deepEqual(changesSince(loaded, registry), []);
  assert.deepEqual(loaded.namesOf({ deviceId: "d1" }), registry.namesOf({ deviceId: "d1" }));
  assert.equal(Registry.load(undefined).size, 0);
  assert.ok(atOnce(loaded.equalSteps(registry)));
  assert.equal(Registry.load('{"older":true}').size, 0);
  assert.equal(Registry.load('{"entities":[').size, 0);
});

Deno.test("Registry leaves out an entry that it cannot read, and no other", () => {
  const entities = [{ entity_id: 5 }, null, ...HOUSE.entities];
  assert.equal(registryFrom(lists({ ...HOUSE, entities }), Registry.empty).size, 1);
});

/** What a recording has of all lists: those of `index`, in the order in which they were asked for. */
function recordedLists(version: (typeof VERSIONS)[number], file: string, index = 0) {
  const list = (command: string, from = file) =>
    z.array(z.unknown()).parse(recordedResult(version, from, command, index));
  const ofRegistry = (kind: string) => list(`config/${kind}_registry/list`);
  return {
    areas: ofRegistry("area"),
    floors: ofRegistry("floor"),
    labels: ofRegistry("label"),
    devices: ofRegistry("device"),
    entities: ofRegistry("entity"),
    states: list("get_states", file === "registries.jsonl" ? "states.jsonl" : file),
  };
}

Deno.test("Registry reads the lists of the real versions of Home Assistant, and names as they do", () => {
  for (const version of VERSIONS) {
    const all = [recordedLists(version, "registries.jsonl")];
    if (version === "home-assistant-2026.11") {
      all.push(...[0, 1].map((index) => recordedLists(version, "child-devices.jsonl", index)));
    }
    for (const recorded of all) {
      const registry = registryFrom(lists(recorded), Registry.empty);
      assert.ok(registry.size > 40, `${version}: ${registry.size}`);
      const shown = lists(recorded).states.map((
        { entityId, friendlyName },
      ) => [entityId, friendlyName]);
      const named = shown.map(([entityId, friendlyName]) => [
        entityId,
        registry.namesOf({ entityId, friendlyName })?.name,
      ]);
      assert.deepEqual(named, shown);
    }
    const [recorded] = all;
    assert.ok(recorded);
    const registry = registryFrom(lists(recorded), Registry.empty);
    assert.equal(registry.namesOf({ entityId: "light.bed_light" })?.device, "Bed Light");
    const infos = changesSince(registry, Registry.empty);
    const sun = infos.find(({ entity_id }) => entity_id === "sensor.sun_next_dawn");
    assert.equal(sun?.device_class, "timestamp");
  }
});

Deno.test("Registry places the child devices of a real Home Assistant 2026.11 as it does", () => {
  const recorded = recordedLists("home-assistant-2026.11", "child-devices.jsonl", 1);
  const registry = registryFrom(lists(recorded), Registry.empty);
  const named = (entityId: string) => {
    const { name, area, floor, device } = registry.namesOf({ entityId }) ?? {};
    return [name, area, floor, device];
  };
  const strip = "Power strip with 2 sockets";
  assert.deepEqual(named("sensor.power_strip_with_2_sockets_outlet_1_power"), [
    "Outlet 1 Watts",
    "Workshop",
    "Ground",
    `${strip} / Outlet 1`,
  ]);
  assert.deepEqual(named("switch.power_strip_with_2_sockets_outlet_2"), [
    "Lamp socket",
    "Kitchen",
    undefined,
    `${strip} / Lamp socket`,
  ]);
  assert.deepEqual(named("sensor.power_strip_with_2_sockets_outlet_2_power"), [
    "Lamp socket Power",
    "Bedroom",
    undefined,
    `${strip} / Lamp socket`,
  ]);
  assert.deepEqual(named("button.power_strip_with_2_sockets_restart"), [
    `${strip} Restart`,
    "Workshop",
    "Ground",
    strip,
  ]);
});

Deno.test("A registry is looked up and compared in steps of at most 1,000 entities", () => {
  const entities = Array.from({ length: 4_500 }, (_, i) => ({
    ...ENTITY,
    id: `e${i}`,
    entity_id: `sensor.number_${i}`,
  }));
  const house = lists({ ...HOUSE, entities });
  const registry = registryFrom(house, Registry.empty);
  // two more, in which what is looked up is put in order
  assert.equal([...Registry.steps(house, registry)].length, 6);
  assert.equal([...registry.equalSteps(registryFrom(house, registry))].length, 4);
  // those of either are looked at
  assert.equal([...registry.changeSteps(registry)].length, 8);
});

Deno.test("Registry is equal in another order, of labels too, and not where anything is new", () => {
  const other = { ...ENTITY, id: "e2", entity_id: "sensor.other" };
  const area = { area_id: "cellar", name: "Cellar" };
  const house = { ...HOUSE, areas: [...HOUSE.areas, area], entities: [ENTITY, other] };
  const registry = registryFrom(lists(house), Registry.empty);
  const turned = Object.fromEntries(
    Object.entries(house).map(([kind, entries]) => [
      kind,
      entries.toReversed().map((entry) =>
        "labels" in Object(entry) ? { ...entry, labels: ["gone", "important"] } : entry
      ),
    ]),
  );
  for (const previous of [registry, Registry.load(...registry.save())]) {
    const again = registryFrom(lists(turned), previous);
    const equal = (one: Registry) => atOnce(one.equalSteps(previous));
    assert.ok(equal(again));
    assert.deepEqual(changesSince(again, previous), []);
    const renamed = { ...house, entities: [ENTITY, { ...other, platform: "new" }] };
    assert.ok(!equal(registryFrom(lists(renamed), previous)));
    assert.ok(!equal(registryFrom(lists({ ...house, entities: [ENTITY] }), previous)));
    assert.ok(!equal(registryFrom(lists({ ...house, devices: [] }), previous)));
  }
});

/** An entry with some members of the real ones, and anything in them. */
const odd = fc.oneof(
  fc.jsonValue(),
  fc.dictionary(
    fc.constantFrom(
      ...["id", "entity_id", "area_id", "floor_id", "label_id", "device_id", "labels", "name"],
      ...["original_name", "has_entity_name", "platform", "attributes", "last_updated"],
      ...["__proto__", "info", "registryId"],
    ),
    fc.oneof(
      fc.jsonValue(),
      fc.constantFrom("sensor.a.b", "sensor", "", ".", "kitchen", "ground", "d1", "important"),
    ),
  ),
);
const oddEntries = fc.array(odd, { maxLength: 4 });

/** Whether an odd entry pretends to be one of the house's own. */
const isOwn = (entry: unknown, kind: string) => {
  const id = { areas: "area_id", floors: "floor_id", labels: "label_id", devices: "id" }[kind] ??
    "entity_id";
  return ["kitchen", "ground", "important", "d1", ENTITY?.entity_id].includes(Object(entry)[id]);
};

Deno.test("Whatever is odd in an entry, all others have their names, over a restart too", () => {
  const entityId = "sensor.window_temperature";
  const sound = registryFrom(lists(HOUSE), Registry.empty);
  const infoOf = (registry: Registry) =>
    changesSince(registry, Registry.empty).find(({ entity_id }) => entity_id === entityId);
  const every = fc.record({
    areas: oddEntries,
    floors: oddEntries,
    labels: oddEntries,
    devices: oddEntries,
    entities: oddEntries,
    states: oddEntries,
  });
  fc.assert(
    fc.property(every, oddEntries, (odds, saved) => {
      const house = Object.fromEntries(
        Object.entries(HOUSE).map(([kind, entries]) => {
          const [before, ...after] = (new Map(Object.entries(odds)).get(kind) ?? [])
            .filter((entry) => !isOwn(entry, kind));
          return [kind, [before, ...entries, ...after]];
        }),
      );
      const registry = registryFrom(lists(house), Registry.empty);
      assert.deepEqual(infoOf(registry), infoOf(sound));
      assert.deepEqual(registry.namesOf({ deviceId: "d1" }), sound.namesOf({ deviceId: "d1" }));
      assert.ok(atOnce(Registry.load(...registry.save()).equalSteps(registry)));
      const { entities, devices } = JSON.parse([...sound.save()].join());
      const odd = saved.map((info) => ({ registryId: 5, info }));
      const loaded = Registry.load(
        JSON.stringify({
          entities: [...odd, ...saved, ...entities],
          devices: [...saved, ...devices],
        }),
      );
      assert.deepEqual(infoOf(loaded), infoOf(sound));
      assert.deepEqual(loaded.namesOf({ deviceId: "d1" }), sound.namesOf({ deviceId: "d1" }));
    }),
    { numRuns: 500 },
  );
});
