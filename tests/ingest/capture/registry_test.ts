import assert from "node:assert/strict";
import fc from "fast-check";
import { z } from "zod";
import { Registry } from "../../../lib/ingest/capture/registry.ts";
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
    },
  }],
};

const [ENTITY] = HOUSE.entities;

Deno.test("Registry looks an entity's names up through its device, area and floor", () => {
  const registry = Registry.from(lists(HOUSE), Registry.empty);
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

Deno.test("Registry names an entity as Home Assistant does", () => {
  const nameOf = (change: Record<string, unknown>) => {
    const entities = [{ ...ENTITY, ...change }];
    const registry = Registry.from(lists({ ...HOUSE, entities }), Registry.empty);
    return registry.namesOf({ entityId: "sensor.window_temperature", friendlyName: "friendly" })
      ?.name;
  };
  assert.equal(nameOf({ name: "My name" }), "My name");
  assert.equal(nameOf({ original_name: null }), "Window sensor");
  assert.equal(nameOf({ has_entity_name: false }), "Temperature");
  assert.equal(nameOf({ has_entity_name: false, original_name: null }), undefined);
  assert.equal(nameOf({ device_id: null }), "Temperature");
});

Deno.test("Registry prefers an entity's own area to its device's", () => {
  const entities = [{ ...ENTITY, area_id: "attic" }];
  const names = Registry.from(lists({ ...HOUSE, entities }), Registry.empty)
    .namesOf({ entityId: "sensor.window_temperature" });
  assert.equal(names?.area, "Attic");
  assert.equal(names?.floor, undefined);
});

Deno.test("Registry leaves the friendly name to entities without an entry", () => {
  const registry = Registry.from(lists(HOUSE), Registry.empty);
  assert.deepEqual(registry.namesOf({ entityId: "sensor.rest", friendlyName: "Rest" }), {
    name: "Rest",
  });
  assert.equal(registry.namesOf({ entityId: "sensor.rest" }), undefined);
  assert.equal(registry.namesOf({}), undefined);
  assert.equal(registry.namesOf({ deviceId: "unknown" }), undefined);
});

Deno.test("Registry tells what is new or changed, once, and the old id of what was renamed", () => {
  const before = Registry.from(lists(HOUSE), Registry.empty);
  assert.deepEqual(before.changesSince(Registry.empty), [{
    entity_id: "sensor.window_temperature",
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
  assert.deepEqual(Registry.from(lists(HOUSE), before).changesSince(before), []);
  const entities = [{ ...ENTITY, entity_id: "sensor.window" }];
  const [renamed] = Registry.from(lists({ ...HOUSE, entities }), before).changesSince(before);
  assert.equal(renamed?.old_entity_id, "sensor.window_temperature");
  const areas = [{ ...HOUSE.areas[0], name: "Cuisine" }];
  const [moved] = Registry.from(lists({ ...HOUSE, areas }), before).changesSince(before);
  assert.equal(moved?.area, "Cuisine");
});

Deno.test("Registry keeps unit and classes while a state is missing or only restored", () => {
  const before = Registry.from(lists(HOUSE), Registry.empty);
  const restored = [{ ...HOUSE.states[0], attributes: { restored: true } }];
  for (const states of [[], restored]) {
    assert.deepEqual(Registry.from(lists({ ...HOUSE, states }), before).changesSince(before), []);
  }
});

Deno.test("Registry is the same after it was saved and loaded", () => {
  const registry = Registry.from(lists(HOUSE), Registry.empty);
  const loaded = Registry.load(registry.save());
  assert.deepEqual(loaded.changesSince(registry), []);
  assert.deepEqual(loaded.namesOf({ deviceId: "d1" }), registry.namesOf({ deviceId: "d1" }));
  assert.equal(Registry.load(undefined).size, 0);
  assert.ok(loaded.equals(registry));
  assert.equal(Registry.load('{"older":true}').size, 0);
  assert.equal(Registry.load('{"entities":[').size, 0);
});

Deno.test("Registry leaves out an entry that it cannot read, and no other", () => {
  const entities = [{ entity_id: 5 }, null, ...HOUSE.entities];
  assert.equal(Registry.from(lists({ ...HOUSE, entities }), Registry.empty).size, 1);
});

Deno.test("Registry reads the lists of the real versions of Home Assistant", () => {
  for (const version of VERSIONS) {
    const listOf = (name: string) =>
      z.array(z.unknown()).parse(
        recordedResult(version, "registries.jsonl", `config/${name}_registry/list`),
      );
    const registry = Registry.from(
      lists({
        areas: listOf("area"),
        floors: listOf("floor"),
        labels: listOf("label"),
        devices: listOf("device"),
        entities: listOf("entity"),
        states: z.array(z.unknown()).parse(
          recordedResult(version, "states.jsonl", "get_states"),
        ),
      }),
      Registry.empty,
    );
    assert.ok(registry.size > 50, `${version}: ${registry.size}`);
    assert.equal(registry.namesOf({ entityId: "light.bed_light" })?.device, "Bed Light");
    const sun = registry.changesSince(Registry.empty).find(({ entity_id }) =>
      entity_id === "sensor.sun_next_dawn"
    );
    // 2026.11 no longer lists which names go behind the device's
    const name = version === "home-assistant-2026.11" ? "Next dawn" : "Sun Next dawn";
    assert.equal(sun?.name, name);
    assert.equal(sun?.device_class, "timestamp");
  }
});

Deno.test("Registry is equal in another order, of labels too, and not where anything is new", () => {
  const other = { ...ENTITY, id: "e2", entity_id: "sensor.other" };
  const area = { area_id: "cellar", name: "Cellar" };
  const house = { ...HOUSE, areas: [...HOUSE.areas, area], entities: [ENTITY, other] };
  const registry = Registry.from(lists(house), Registry.empty);
  const turned = Object.fromEntries(
    Object.entries(house).map(([kind, entries]) => [
      kind,
      entries.toReversed().map((entry) =>
        "labels" in Object(entry) ? { ...entry, labels: ["gone", "important"] } : entry
      ),
    ]),
  );
  for (const previous of [registry, Registry.load(registry.save())]) {
    const again = Registry.from(lists(turned), previous);
    assert.ok(again.equals(previous));
    assert.deepEqual(again.changesSince(previous), []);
    const renamed = { ...house, entities: [ENTITY, { ...other, name: "New" }] };
    assert.ok(!Registry.from(lists(renamed), previous).equals(previous));
    assert.ok(!Registry.from(lists({ ...house, entities: [ENTITY] }), previous).equals(previous));
    assert.ok(!Registry.from(lists({ ...house, devices: [] }), previous).equals(previous));
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
  const sound = Registry.from(lists(HOUSE), Registry.empty);
  const infoOf = (registry: Registry) =>
    registry.changesSince(Registry.empty).find(({ entity_id }) => entity_id === entityId);
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
      const registry = Registry.from(lists(house), Registry.empty);
      assert.deepEqual(infoOf(registry), infoOf(sound));
      assert.deepEqual(registry.namesOf({ deviceId: "d1" }), sound.namesOf({ deviceId: "d1" }));
      assert.ok(Registry.load(registry.save()).equals(registry));
      const { entities, devices } = JSON.parse(sound.save());
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
